//! `fusebox runs list`: runs, newest first.

use crate::cli::Context;
use crate::cli::failed::Failed;
use crate::cli::moments::{lasting, moment, parse_duration, relative};
use crate::cli::output::short;
use clap::Args;
use clap::builder::PossibleValuesParser;
use fusebox_core::run::State;
use fusebox_core::time::Wall;
use fusebox_engine::ports::store::RunFilter;
use fusebox_engine::records::RunRecord;
use std::time::Duration;

/// Which runs are listed.
#[derive(Debug, Default, Args)]
#[command(
    after_help = "Examples:\n  fusebox runs list --tool search --since 1h\n  fusebox runs list --state dead-lettered --json"
)]
pub(in crate::cli) struct Arguments {
    /// Only of that tool
    #[arg(long)]
    tool: Option<String>,
    /// Only in that state
    #[arg(long, value_parser = PossibleValuesParser::new(State::ALL.map(State::name)))]
    state: Option<String>,
    /// Only accepted within the last so much time, such as 1h
    #[arg(long, value_parser = parse_duration)]
    since: Option<Duration>,
    /// At most so many
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
}

/// Runs the command.
///
/// # Errors
/// What the host refused.
pub(super) async fn run(list: Arguments, cx: &mut Context<'_>) -> Result<(), Failed> {
    let host = cx.wiring.host().await?;
    let filter = RunFilter {
        tool: list.tool,
        state: list.state,
        since: list.since.map(|ago| (cx.now() - ago).0),
        principal: None,
        after: None,
        limit: list.limit,
    };
    let runs = host.runs(&cx.caller, &filter).await?;
    let now = cx.now();
    cx.out.rows(
        &["run", "function", "state", "attempts", "accepted", "took", "why"],
        &runs,
        |run| row(run, now),
    )?;
    if runs.is_empty() && !cx.out.json() {
        cx.note("no runs");
    }
    Ok(())
}

fn row(run: &RunRecord, now: Wall) -> Vec<String> {
    // A run that gave up is not over, and yet nothing happens to it: it ended for now with its last attempt.
    let given_up = || {
        let last = run.attempts.last().filter(|_| run.failure.is_some())?;
        Some(
            last.started
                .saturating_add(i64::try_from(last.took_ms).unwrap_or(i64::MAX)),
        )
    };
    let end = run.finished.or_else(given_up).unwrap_or(now.0);
    let took = Duration::from_millis(u64::try_from(end.saturating_sub(run.created)).unwrap_or(0));
    vec![
        run.id.to_string(),
        format!("{}.{}", run.tool, run.function),
        run.state.clone(),
        run.attempts.len().to_string(),
        moment(run.created),
        lasting(took),
        why(run, now),
    ]
}

/// Why a run is where it is: its failure, or what it waits for.
fn why(run: &RunRecord, now: Wall) -> String {
    match (&run.failure, run.until, &run.approval) {
        (Some(failure), _, _) => short(&failure.message, 60),
        (None, Some(until), _) => format!("wakes {}", relative(until, now)),
        (None, None, Some(approval)) => format!("waits for {approval}"),
        (None, None, None) => String::new(),
    }
}
