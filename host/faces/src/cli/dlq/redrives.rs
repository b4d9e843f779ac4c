//! `fusebox dlq redrives`: bulk replays, and how far they are.

use super::{Context, Failed};
use crate::cli::moments::{moment, relative};
use crate::cli::output::printable;
use crate::cli::timeline::field;
use clap::Subcommand;
use fusebox_core::time::Wall;
use fusebox_engine::records::RedriveRecord;

/// What is asked about bulk replays.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Command {
    /// List bulk replays, newest first
    #[command(after_help = "Example:\n  fusebox dlq redrives list")]
    List,
    /// Show one bulk replay: what it takes, and how far it is
    #[command(after_help = "Example:\n  fusebox dlq redrives show rdv_01jd4m9q7gk0v3x8w2h5t6y1ze")]
    Show {
        /// Its id
        redrive: String,
    },
    /// End a bulk replay: the letter that it replays is finished, the rest stays untouched
    #[command(after_help = "Example:\n  fusebox dlq redrives cancel rdv_01jd4m9q7gk0v3x8w2h5t6y1ze")]
    Cancel {
        /// Its id
        redrive: String,
    },
}

/// Runs the command.
///
/// # Errors
/// What the host refused.
pub(super) async fn run(command: Command, cx: &mut Context<'_>) -> Result<(), Failed> {
    match command {
        Command::List => list(cx).await,
        Command::Show { redrive } => {
            let id = redrive.parse()?;
            let host = cx.wiring.host().await?;
            let redrive = host.redrive_of(&cx.caller, &id).await?;
            show(&redrive, cx)
        }
        Command::Cancel { redrive } => {
            let id = redrive.parse()?;
            let host = cx.wiring.host().await?;
            let redrive = host.cancel_redrive(&cx.caller, &id).await?;
            show(&redrive, cx)
        }
    }
}

async fn list(cx: &mut Context<'_>) -> Result<(), Failed> {
    let host = cx.wiring.host().await?;
    let found = host.redrives(&cx.caller).await?;
    let now = cx.now();
    cx.out.rows(
        &["redrive", "state", "done", "of", "started", "by", "takes"],
        &found,
        |redrive| row(redrive, now),
    )?;
    if found.is_empty() && !cx.out.json() {
        cx.note("no bulk replays");
    }
    Ok(())
}

fn row(redrive: &RedriveRecord, now: Wall) -> Vec<String> {
    vec![
        redrive.id.to_string(),
        redrive.state.clone(),
        counts(redrive),
        redrive.total.to_string(),
        relative(redrive.started, now),
        redrive.principal.clone(),
        takes(redrive),
    ]
}

/// How many went how.
pub(super) fn counts(redrive: &RedriveRecord) -> String {
    format!(
        "{} succeeded, {} failed, {} skipped",
        redrive.succeeded, redrive.failed, redrive.skipped
    )
}

/// Which letters it takes, and how.
fn takes(redrive: &RedriveRecord) -> String {
    let mut words = Vec::new();
    for (name, value) in [
        ("service", &redrive.service),
        ("tool", &redrive.tool),
        ("class", &redrive.class),
    ] {
        words.extend(value.as_ref().map(|value| format!("{name} {}", printable(value))));
    }
    words.extend(redrive.since.map(|since| format!("failed since {}", moment(since))));
    let some = |count: u32| Some(count).filter(|count| *count > 0);
    words.extend(some(redrive.max).map(|max| format!("at most {max}")));
    words.extend(some(redrive.per_minute).map(|rate| format!("{rate} a minute")));
    words.extend(some(redrive.stop_after_failures).map(|most| format!("until {most} failed")));
    if words.is_empty() {
        "every open letter".to_owned()
    } else {
        words.join(", ")
    }
}

/// Shows one bulk replay.
///
/// # Errors
/// Those of stdout.
pub(super) fn show(redrive: &RedriveRecord, cx: &mut Context<'_>) -> Result<(), Failed> {
    if cx.out.json() {
        return Ok(cx.out.value(redrive)?);
    }
    let out = &mut cx.out;
    field(out, "redrive", format!("{}  {}", redrive.id, redrive.state))?;
    field(out, "takes", takes(redrive))?;
    field(out, "letters", format!("{} of {}", counts(redrive), redrive.total))?;
    let end = redrive.ended.map_or_else(|| "not over".to_owned(), moment);
    field(out, "time", format!("{} to {end}", moment(redrive.started)))?;
    field(out, "by", printable(&redrive.principal))?;
    if let Some(last) = &redrive.last {
        field(out, "last", last.as_str())?;
    }
    if redrive.state == "running" {
        out.line("")?;
        field(out, "next", format!("fusebox dlq redrives cancel {}", redrive.id))?;
    }
    Ok(())
}
