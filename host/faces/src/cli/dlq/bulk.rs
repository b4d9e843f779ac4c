//! `fusebox dlq replay` by filters: letters in bulk, at a rate, until too many fail again.

use super::list::Filter;
use super::redrives::{self, counts};
use super::{Context, Failed};
use crate::api::Api;
use crate::cli::moments::relative;
use crate::cli::output::short;
use crate::cli::progress::Bar;
use crate::outcome::{Outcome, outcome};
use clap::Args;
use fusebox_core::failure::Code;
use fusebox_engine::records::RedriveRecord;
use fusebox_engine::requests::Redrive;
use fusebox_manifest::units;
use serde_json::json;

/// What only a bulk replay takes.
#[derive(Debug, Args)]
#[command(next_help_heading = "Bulk")]
pub(super) struct Bulk {
    /// Every open letter
    #[arg(long, conflicts_with_all = ["service", "tool", "class", "since"])]
    all: bool,
    /// At most so many, oldest first
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    max: Option<u32>,
    /// At most so many in so much time, such as 30/min
    #[arg(long, value_name = "RATE", value_parser = per_minute)]
    rate: Option<u32>,
    /// Stop once so many have failed again
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    stop_after_failures: Option<u32>,
    /// Leave the work to a serving host
    #[arg(long)]
    detach: bool,
}

impl Bulk {
    /// Whether any of them stands on the command line.
    pub(super) fn is_given(&self) -> bool {
        self.all || self.max.is_some() || self.rate.is_some() || self.stop_after_failures.is_some() || self.detach
    }
}

/// `30/min`, as letters per minute.
fn per_minute(text: &str) -> Result<u32, String> {
    let rate = units::rate(text).map_err(|problem| problem.to_string())?;
    let each_minute = u64::from(rate.requests) * 60 / rate.per.as_secs().max(1);
    match u32::try_from(each_minute) {
        Ok(0) => Err("the slowest rate is 1/min".to_owned()),
        Ok(found) => Ok(found),
        Err(_) => Err("leave --rate away: that is as fast as letters end".to_owned()),
    }
}

/// Replays the letters that fit.
///
/// # Errors
/// What the host refused, or that letters failed again.
pub(super) async fn run(filter: &Filter, bulk: Bulk, dry_run: bool, cx: &mut Context<'_>) -> Result<(), Failed> {
    if filter.is_empty() && !bulk.all {
        return Err(Failed::usage(
            "no letter is named",
            "name letters, or say which with --service, --tool, --class, --since or --all",
        ));
    }
    let host = cx.wiring.host().await?;
    if dry_run {
        return would(filter, &bulk, host.as_ref(), cx).await;
    }
    let redrive = Redrive {
        service: filter.service.clone(),
        tool: filter.tool.clone(),
        class: filter.class.clone(),
        since: filter.since(cx),
        max: bulk.max.unwrap_or(0),
        per_minute: bulk.rate.unwrap_or(0),
        stop_after_failures: bulk.stop_after_failures.unwrap_or(0),
    };
    let started = host.redrive(&cx.caller, redrive).await?;
    cx.note(&format!("{}: {} letter(s)", started.id, started.total));
    if bulk.detach {
        return redrives::show(&started, cx);
    }
    let bar = Bar::new(cx.watched, u64::from(started.total));
    let progress = |now: &RedriveRecord| {
        let done = now.succeeded + now.failed + now.skipped;
        bar.at(u64::from(done), u64::from(now.total), &counts(now));
    };
    let ended = host.run_redrive(&cx.caller, &started.id, &progress).await;
    drop(bar);
    done(&ended?, cx)
}

/// Says how it went. Letters that failed again are a failure of the command, so that a script notices.
fn done(ended: &RedriveRecord, cx: &mut Context<'_>) -> Result<(), Failed> {
    let (code, message) = match (ended.state.as_str(), ended.failed) {
        ("done", 0) => (None, String::new()),
        ("cancelled", _) => (
            Some(Code::Cancelled),
            "it was cancelled; the rest is untouched".to_owned(),
        ),
        ("stopped", failed) => (
            Some(Code::UpstreamFailed),
            format!("{failed} letter(s) failed again, so it was stopped; the rest is untouched"),
        ),
        (_, failed) => (Some(Code::UpstreamFailed), format!("{failed} letter(s) failed again")),
    };
    let help = "`fusebox dlq list` shows what is left, and why";
    if cx.out.json() {
        let mut value = json!(ended);
        if let Some(code) = code {
            value["error"] = json!({ "code": code.name(), "message": message, "help": help });
        }
        cx.out.value(&value)?;
    } else {
        cx.note(&format!("{}: {}, {}", ended.id, ended.state, counts(ended)));
        if code.is_some() {
            cx.note(&format!("{message}; {help}"));
        }
    }
    match code.map(outcome) {
        Some(Outcome { exit, .. }) => Err(Failed::Told(exit)),
        None => Ok(()),
    }
}

/// Says which letters would be taken.
async fn would(filter: &Filter, bulk: &Bulk, host: &dyn Api, cx: &mut Context<'_>) -> Result<(), Failed> {
    let filter = filter.of_store(false, bulk.max.unwrap_or(u32::MAX), cx);
    let letters = host.letters(&cx.caller, &filter).await?;
    let now = cx.now();
    cx.out.rows(
        &["letter", "kind", "function", "service", "failed", "why"],
        &letters,
        |letter| {
            vec![
                letter.id.to_string(),
                letter.kind.clone(),
                format!("{}.{}", letter.run.tool, letter.run.function),
                letter.service.clone().unwrap_or_default(),
                relative(letter.last_failed, now),
                short(&letter.failure.message, 60),
            ]
        },
    )?;
    cx.note(&format!(
        "{} letter(s) fit; those in doubt and those being replayed are skipped; nothing was performed",
        letters.len()
    ));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_letters_per_minute() {
        assert_eq!(per_minute("30/min"), Ok(30));
        assert_eq!(per_minute("2/s"), Ok(120));
        assert_eq!(per_minute("120/h"), Ok(2));
        assert!(per_minute("1/h").is_err() && per_minute("0/min").is_err() && per_minute("fast").is_err());
    }
}
