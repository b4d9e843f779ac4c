//! `fusebox config show`: the effective value of each setting, and where it came from.

use super::{Context, Failed};
use clap::{Args, Subcommand};
use fusebox_manifest::settings;

/// What is asked of the settings.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show every setting: effective value, and who set it
    #[command(after_help = "Examples:\n  fusebox config show\n  FUSEBOX_LEASE=10s fusebox config show --docs")]
    Show {
        /// Say what each setting means, with its variable and flag
        #[arg(long)]
        docs: bool,
    },
}

/// Runs the command.
///
/// # Errors
/// An operator's file with errors.
pub(super) fn run(arguments: &Arguments, cx: &mut Context<'_>) -> Result<(), Failed> {
    let Command::Show { docs } = &arguments.command;
    if !*docs {
        cx.only_here("what the settings come down to")?;
    }
    let mut rows = cx.wiring.settings()?.rows();
    for (key, place) in cx.wiring.places()? {
        if let Some(row) = rows.iter_mut().find(|row| row.key == key) {
            row.value = place;
        }
    }
    if cx.out.json() {
        return Ok(rows.iter().try_for_each(|row| cx.out.value(&row.to_json()))?);
    }
    if !*docs {
        return Ok(cx
            .out
            .table(&["setting", "value", "set by"], &rows, super::policy::row)?);
    }
    Ok(cx.out.table(
        &["setting", "variable", "flag", "default", "meaning"],
        &settings(),
        |setting| {
            vec![
                setting.key.clone(),
                setting.variable.clone(),
                setting.flag.clone(),
                setting.default.to_owned(),
                setting.doc.to_owned(),
            ]
        },
    )?)
}
