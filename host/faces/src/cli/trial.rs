//! `fusebox try`: one sandboxed call of a component, without manifest and database.

use super::input::Input;
use super::moments::{lasting, parse_duration};
use super::output::printable;
use super::{Context, Failed, manifests};
use crate::dto::tool_detail::{FunctionTypes, signature};
use clap::Args;
use fusebox_core::failure::Code;
use fusebox_core::policy::{FunctionPolicy, Limits, ToolPolicy};
use fusebox_engine::requests::{Trial, Tried};
use fusebox_manifest::UNGRANTED_IMPORT;
use fusebox_manifest::diagnostic::Diagnostic;
use serde_json::json;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// What is tried.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  fusebox try calculator.wasm evaluate '{\"expression\":\"2+2\"}'
  fusebox try calculator.wasm                 (lists its functions)

Nothing is granted: no network, no files, no environment. A tool that needs more needs a manifest.")]
pub(super) struct Arguments {
    /// The component
    #[arg(value_name = "FILE.wasm")]
    file: PathBuf,
    /// One of its functions; all are listed without one
    function: Option<String>,
    /// Arguments as a JSON object with a property for each parameter; @FILE reads a file, - reads stdin
    #[arg(default_value = "")]
    input: String,
    /// Give up after so much time
    #[arg(long, default_value = "30s", value_parser = parse_duration, value_name = "TIME")]
    timeout: Duration,
}

/// Runs the command.
///
/// # Errors
/// A file that is no component, or how the call failed.
pub(super) async fn run(arguments: Arguments, cx: &mut Context<'_>) -> Result<(), Failed> {
    let wasm = manifests::read_component(&arguments.file).map_err(|finding| Failed::Findings(vec![finding]))?;
    let host = cx.wiring.scratch().await?;
    let Some(function) = arguments.function else {
        return list(host.inspect(wasm).await.map_err(load_failed)?.1.as_ref(), cx);
    };
    let (_, component) = host.inspect(wasm.clone()).await.map_err(load_failed)?;
    if let Some(import) = component.shape().tools.first() {
        return Err(Failed::Findings(vec![ungranted(&import.interface)]));
    }
    let input = Input::read(&arguments.input)?;
    let trial = Trial {
        wasm,
        policy: policy(arguments.timeout),
        function,
        input: input.text.clone(),
    };
    let tried = host.try_component(&cx.caller, trial).await.map_err(|mut failure| {
        if failure.code == Code::BadInput {
            failure.message = input.place(&failure.message);
        }
        failure
    })?;
    show(tried, cx)
}

fn load_failed(error: fusebox_engine::ports::sandbox::LoadError) -> Failed {
    Failed::Findings(vec![Diagnostic::error(error.code, error.message)])
}

fn ungranted(interface: &str) -> Diagnostic {
    Diagnostic::error(
        UNGRANTED_IMPORT,
        format!("the component imports `{interface}` of another tool, and a trial grants none"),
    )
    .help("deploy it with `tools` in its manifest, and call it")
}

/// The policy of a component that nobody vouches for: nothing but computing, once.
fn policy(timeout: Duration) -> ToolPolicy {
    ToolPolicy {
        name: "trial".to_owned(),
        version: "0.0.0".to_owned(),
        description: None,
        functions: BTreeMap::new(),
        default_function: FunctionPolicy {
            timeout,
            deadline: timeout,
            ..FunctionPolicy::default()
        },
        services: Vec::new(),
        limits: Limits::default(),
        env: Vec::new(),
        ..ToolPolicy::default()
    }
}

fn list(component: &dyn fusebox_engine::ports::sandbox::Component, cx: &mut Context<'_>) -> Result<(), Failed> {
    let functions = &component.shape().functions;
    if cx.out.json() {
        for function in functions {
            cx.out
                .value(&FunctionTypes::of(component, function, &BTreeMap::new()))?;
        }
        return Ok(());
    }
    for function in functions {
        cx.out.line(signature(function))?;
    }
    Ok(())
}

fn show(tried: Tried, cx: &mut Context<'_>) -> Result<(), Failed> {
    for line in tried.log.head.iter().chain(&tried.log.tail) {
        cx.note(&format!("{} {}", if line.err { "err|" } else { "out|" }, line.text));
    }
    match tried.result {
        Ok(output) if cx.out.json() => {
            let output: &RawValue = serde_json::from_str(&output).map_err(std::io::Error::other)?;
            cx.out
                .value(&json!({ "output": output, "took-ms": tried.attempt.took_ms }))?;
            Ok(())
        }
        Ok(output) => {
            cx.out.line(output)?;
            cx.note(&format!(
                "took {}",
                lasting(Duration::from_millis(tried.attempt.took_ms))
            ));
            Ok(())
        }
        Err(failure) => {
            for (number, frame) in tried.backtrace.iter().enumerate() {
                cx.note(&format!("{number:>3}  {}", printable(frame)));
            }
            Err(Failed::Host(failure))
        }
    }
}
