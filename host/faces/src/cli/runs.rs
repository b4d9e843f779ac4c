//! `fusebox runs`: what was called, and how it went.

use super::Context;
use super::failed::Failed;
use super::moments::{lasting, moment, parse_duration};
use super::output::short;
use super::timeline;
use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};
use fusebox_core::run::State;
use fusebox_engine::ports::store::RunFilter;
use fusebox_engine::records::RunRecord;
use std::time::Duration;

/// What is asked about runs.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List runs, newest first
    List(List),
    /// Show one run: its attempts, effects and outcome
    #[command(after_help = "Example:\n  fusebox runs show run_01jd4m9q7gk0v3x8w2h5t6y1ze")]
    Show {
        /// Id of the run
        run: String,
    },
}

/// Which runs are listed.
#[derive(Debug, Default, Args)]
#[command(
    after_help = "Examples:\n  fusebox runs list --tool search --since 1h\n  fusebox runs list --state dead-lettered --json"
)]
pub(super) struct List {
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
pub(super) async fn run(command: Command, cx: &mut Context<'_>) -> Result<(), Failed> {
    let host = cx.wiring.host().await?;
    match command {
        Command::List(list) => {
            let filter = RunFilter {
                tool: list.tool,
                state: list.state,
                since: list.since.map(|ago| (cx.now() - ago).0),
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
        }
        Command::Show { run } => {
            let run = host.run(&cx.caller, &run.parse()?).await?;
            show(&run, cx)?;
        }
    }
    Ok(())
}

fn row(run: &RunRecord, now: fusebox_core::time::Wall) -> Vec<String> {
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
    let why = run
        .failure
        .as_ref()
        .map_or_else(String::new, |failure| short(&failure.message, 60));
    vec![
        run.id.to_string(),
        format!("{}.{}", run.tool, run.function),
        run.state.clone(),
        run.attempts.len().to_string(),
        moment(run.created),
        lasting(took),
        why,
    ]
}

fn show(run: &RunRecord, cx: &mut Context<'_>) -> Result<(), Failed> {
    if cx.out.json() {
        return Ok(cx.out.value(run)?);
    }
    timeline::head(run, &mut cx.out)?;
    if let Some(output) = &run.output {
        cx.out.line(format!("result    {}", short(output, 2000)))?;
    }
    timeline::attempts(&run.attempts, &mut cx.out)?;
    if let Some(letter) = &run.letter {
        cx.out.line(format!("\nnext      fusebox dlq show {letter}"))?;
    }
    Ok(())
}
