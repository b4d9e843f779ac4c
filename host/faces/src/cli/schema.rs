//! `fusebox schema`: JSON Schemas of the files that people write, for their editors.

use super::{Context, Failed};
use clap::Args;
use clap::builder::PossibleValuesParser;
use fusebox_manifest::{Kind, json_schema};

/// Which file.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  fusebox schema manifest > manifest.schema.json
  fusebox schema host > fusebox.schema.json")]
pub(super) struct Arguments {
    /// Of a tool's manifest, a preset, or the operator's file
    #[arg(value_parser = PossibleValuesParser::new(Kind::ALL.map(Kind::name)))]
    kind: String,
}

/// Runs the command.
///
/// # Errors
/// Those of stdout.
pub(super) fn run(arguments: &Arguments, cx: &mut Context<'_>) -> Result<(), Failed> {
    let Some(kind) = Kind::from_name(&arguments.kind) else {
        return Err(Failed::usage(
            format!("there is no file `{}`", arguments.kind),
            "write manifest, preset or host",
        ));
    };
    let schema = json_schema(kind);
    if cx.out.json() {
        return Ok(cx.out.value(&schema)?);
    }
    let text = serde_json::to_string_pretty(&schema).map_err(std::io::Error::other)?;
    Ok(cx.out.line(text)?)
}
