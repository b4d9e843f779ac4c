//! `fusebox call`: one call of a deployed function.

use super::Context;
use super::failed::Failed;
use super::input::Input;
use super::misspelt::meant;
use super::moments::parse_duration;
use clap::Args;
use fusebox_core::failure::Code;
use fusebox_core::run::State;
use fusebox_engine::requests::{Call, Reply};
use serde_json::json;
use serde_json::value::RawValue;
use std::time::Duration;

/// A call.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  fusebox call calculator.evaluate '{\"expression\":\"2*(3+4)\"}'
  fusebox call search.query @query.json
  echo '{\"text\":\"wasm\"}' | fusebox call search.query -
  fusebox call ledger.transfer @transfer.json --key order-42 --wait
  fusebox call assistant.answer @question.json --detach

A call that needs a person's approval ends with 12: its run waits, and goes on once somebody has agreed.")]
pub(super) struct Arguments {
    /// TOOL.FUNCTION, such as search.query
    target: String,
    /// Arguments as a JSON object with a property for each parameter; @FILE reads a file, - reads stdin
    #[arg(default_value = "")]
    input: String,
    /// Idempotency key: the same key never runs twice
    #[arg(long)]
    key: Option<String>,
    /// Wait for the run that has the key already, up to 5 minutes or the time given
    #[arg(long, num_args = 0..=1, default_missing_value = "5m", value_parser = parse_duration, value_name = "TIME")]
    wait: Option<Duration>,
    /// Give up after so much time, such as 30s
    #[arg(long, value_parser = parse_duration, value_name = "TIME")]
    deadline: Option<Duration>,
    /// Do not wait: a serving host (`fusebox serve`) runs it, and `fusebox runs follow` waits for its end
    #[arg(long, conflicts_with = "wait")]
    detach: bool,
}

/// Runs the command.
///
/// # Errors
/// What the host refused, or how the run failed.
pub(super) async fn run(arguments: Arguments, cx: &mut Context<'_>) -> Result<(), Failed> {
    let (tool, function) = target(&arguments.target)?;
    let input = Input::read(&arguments.input)?;
    let host = cx.wiring.host().await?;
    let call = Call {
        tool: tool.clone(),
        function,
        input: input.text.clone(),
        key: arguments.key,
        wait: arguments.wait,
        deadline: arguments.deadline,
        detach: arguments.detach,
    };
    let reply = match host.call(&cx.caller, call).await {
        Ok(reply) => reply,
        Err(mut failure) => {
            if failure.code == Code::BadInput {
                failure.message = input.place(&failure.message);
            }
            return Err(meant(failure, &tool, host.as_ref(), &cx.caller).await.into());
        }
    };
    show(&reply, cx)
}

/// Splits `TOOL.FUNCTION`; a function of an interface is `TOOL.INTERFACE.FUNCTION`.
///
/// # Errors
/// What to type instead.
pub(super) fn target(text: &str) -> Result<(String, String), Failed> {
    match text.split_once('.') {
        Some((tool, function)) if !tool.is_empty() && !function.is_empty() => {
            Ok((tool.to_owned(), function.to_owned()))
        }
        _ => Err(Failed::usage(
            format!("`{text}` does not name a function"),
            "write TOOL.FUNCTION, such as search.query; `fusebox tools` lists them",
        )),
    }
}

/// Prints what came of a call: the result alone, or with its run under `--json`.
///
/// # Errors
/// Those of stdout.
pub(super) fn show(reply: &Reply, cx: &mut Context<'_>) -> Result<(), Failed> {
    if cx.out.json() {
        let output: Option<&RawValue> = match reply.output.as_str() {
            "" => None,
            output => Some(serde_json::from_str(output).map_err(std::io::Error::other)?),
        };
        cx.out.value(&json!({
            "output": output,
            "run": reply.run.as_ref().map(ToString::to_string),
            "state": reply.state.name(),
            "stored": reply.stored,
            "attempts": reply.attempts,
            "in-doubt": reply.in_doubt,
        }))?;
        return Ok(());
    }
    if let (State::Accepted, Some(run)) = (reply.state, &reply.run) {
        cx.out.line(run.as_str())?;
        cx.note(&format!(
            "accepted: a serving host (`fusebox serve`) runs it; `fusebox runs follow {run}` waits for its end"
        ));
        return Ok(());
    }
    cx.out.line(&reply.output)?;
    match &reply.replayed {
        Some(letter) => cx.note(&format!(
            "{letter} was replayed before: this is the stored outcome of its run; nothing was run"
        )),
        None if reply.stored => cx.note("the stored outcome of an earlier call with this key; nothing was run"),
        None => {}
    }
    if reply.attempts > 1 {
        cx.note(&format!("took {} attempts", reply.attempts));
    }
    if !reply.in_doubt.is_empty() {
        cx.note("warning: the function returned well, but an effect of it is in doubt; see `fusebox runs show`");
    }
    Ok(())
}
