//! `fusebox dlq resolve`: what a person found out about an effect in doubt, or about the run as a whole.

use super::{Context, Failed, Which, response};
use crate::cli::input::Input;
use crate::cli::timeline::field;
use clap::{Args, ValueEnum};
use fusebox_core::dead_letter::{Kind, State};
use fusebox_core::ids::RunId;
use fusebox_engine::records::LetterRecord;
use fusebox_engine::requests::Resolve;

/// What is recorded.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  fusebox dlq resolve ltr_01jd4m9q7gk0v3x8w2h5t6y1ze --effect 3 --as happened --response answer.txt
  fusebox dlq resolve ltr_01jd4m9q7gk0v3x8w2h5t6y1ze --effect 3 --as not-happened
  fusebox dlq resolve ltr_01jd4m9q7gk0v3x8w2h5t6y1ze --close failed --reason 'the customer was told'
  fusebox dlq resolve ltr_01jd4m9q7gk0v3x8w2h5t6y1ze --close succeeded --output result.json

Nothing is sent and nothing runs: ask the upstream what it did, record it here, then go on with `fusebox dlq replay`. The response is \
what the component gets for the effect: a file as `curl -i` prints it (status line, headers, an empty line, body), or JSON such as \
{\"status\": 201, \"headers\": {\"content-type\": \"application/json\"}, \"body\": {\"id\": 7}}.")]
pub(in crate::cli) struct Arguments {
    #[command(flatten)]
    which: Which,
    /// Number of the effect in doubt, as `fusebox dlq show` marks it
    #[arg(long, value_name = "N", required_unless_present = "close", value_parser = clap::value_parser!(u32).range(1..))]
    effect: Option<u32>,
    /// The run that the effect belongs to, when it is one below the letter's own
    #[arg(long, value_name = "RUN", requires = "effect")]
    run: Option<String>,
    /// What became of it
    #[arg(long = "as", value_name = "WHAT", requires = "effect")]
    fate: Option<Fate>,
    /// What the upstream answered, when it happened; - reads stdin
    #[arg(long, value_name = "FILE", requires = "fate")]
    response: Option<String>,
    /// End the run as it is, and close the letter
    #[arg(long, value_name = "HOW", conflicts_with = "effect")]
    close: Option<End>,
    /// The result of a run that succeeded, as JSON; - reads stdin
    #[arg(long, value_name = "FILE", requires = "close")]
    output: Option<String>,
    /// Why it failed; its caller is told
    #[arg(long, value_name = "TEXT", requires = "close")]
    reason: Option<String>,
}

/// What became of an effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Fate {
    /// The upstream did it
    Happened,
    /// The upstream did not do it
    NotHappened,
}

/// How a run is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum End {
    /// As a failure
    Failed,
    /// As a success, with --output
    Succeeded,
}

/// Runs the command.
///
/// # Errors
/// What makes no sense together, or what the host refused.
pub(super) async fn run(arguments: Arguments, cx: &mut Context<'_>) -> Result<(), Failed> {
    let run = arguments.run.as_deref().map(str::parse).transpose()?;
    let resolve = meant(&arguments, run)?;
    let host = cx.wiring.host().await?;
    let letter = arguments.which.find(host.as_ref(), cx).await?;
    let letter = host.resolve(&cx.caller, &letter.id, resolve).await?;
    if cx.out.json() {
        return Ok(cx.out.value(&letter)?);
    }
    told(&letter, cx)
}

/// What the words on the command line come down to.
fn meant(arguments: &Arguments, run: Option<RunId>) -> Result<Resolve, Failed> {
    let Arguments {
        response,
        output,
        reason,
        ..
    } = arguments;
    match (arguments.effect, arguments.fate, arguments.close) {
        (Some(effect), Some(Fate::Happened), _) => match response {
            Some(file) => Ok(Resolve::Happened {
                run,
                effect,
                response: response::read(file)?,
            }),
            None => Err(Failed::usage(
                "an effect that happened has a response, which the component gets",
                "add --response FILE; `fusebox dlq resolve --help` shows how it is written",
            )),
        },
        (Some(_), Some(Fate::NotHappened), _) if response.is_some() => Err(Failed::usage(
            "what did not happen has no response",
            "leave --response away, or say `--as happened`",
        )),
        (Some(effect), Some(Fate::NotHappened), _) => Ok(Resolve::NotHappened { run, effect }),
        (_, _, Some(End::Failed)) if output.is_some() => Err(Failed::usage(
            "a run that failed has no output",
            "say why with --reason",
        )),
        (_, _, Some(End::Failed)) => Ok(Resolve::CloseFailed { reason: reason.clone() }),
        (_, _, Some(End::Succeeded)) if reason.is_some() => Err(Failed::usage(
            "a run that succeeded needs no reason",
            "leave --reason away",
        )),
        (_, _, Some(End::Succeeded)) => match output {
            Some(file) => Ok(Resolve::CloseSucceeded {
                output: Input::file(file)?.text,
            }),
            None => Err(Failed::usage(
                "a run that succeeded has a result, which its caller gets",
                "add --output FILE with the result as JSON",
            )),
        },
        (Some(_), None, None) | (None, _, None) => Err(Failed::usage(
            "it is not said what became of the effect",
            "add `--as happened --response FILE` or `--as not-happened`",
        )),
    }
}

fn told(letter: &LetterRecord, cx: &mut Context<'_>) -> Result<(), Failed> {
    let id = &letter.id;
    if State::from_name(&letter.state).is_some_and(State::is_closed) {
        cx.note(&format!("{id} is closed: {}", letter.state));
        return Ok(());
    }
    cx.note(&format!("recorded; {id} is {}", letter.kind));
    let next = if Kind::from_name(&letter.kind) == Some(Kind::InDoubt) {
        format!("fusebox dlq show {id}")
    } else {
        format!("fusebox dlq replay {id}")
    };
    Ok(field(&mut cx.out, "next", next)?)
}
