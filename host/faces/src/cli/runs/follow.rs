//! `fusebox runs follow`: what happens to a run, as it happens, until it is over.

use crate::api::Api;
use crate::cli::Context;
use crate::cli::failed::Failed;
use crate::cli::moments::{clock_time, parse_duration};
use crate::cli::output::short;
use crate::cli::timeline;
use crate::following::{Change, Seen, What, is_over};
use crate::tree::Tree;
use clap::Args;
use fusebox_core::failure::{Class, Code, Failure};
use fusebox_core::ids::RunId;
use fusebox_core::run::State;
use fusebox_engine::ports::clock::Clock;
use fusebox_engine::records::{ApprovalRecord, RunRecord};
use fusebox_engine::requests::Reply;
use std::io;
use std::time::Duration;

/// How often a run is looked after whose end alone matters.
const LOOK: Duration = Duration::from_millis(250);

/// Which run is followed.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  fusebox runs follow run_01jd4m9q7gk0v3x8w2h5t6y1ze
  fusebox runs follow run_01jd4m9q7gk0v3x8w2h5t6y1ze --every 5s --json

A run that waits for a person is not over. Following changes nothing: the run goes on without it.")]
pub(in crate::cli) struct Arguments {
    /// Id of the run
    run: String,
    /// Look after so much time
    #[arg(long, default_value = "250ms", value_parser = parse_duration, value_name = "TIME")]
    every: Duration,
}

/// Runs the command.
///
/// # Errors
/// What the host refused, or how the run ended.
pub(super) async fn run(arguments: Arguments, cx: &mut Context<'_>) -> Result<(), Failed> {
    let id = arguments.run.parse()?;
    let host = cx.wiring.host().await?;
    let mut seen = Seen::default();
    loop {
        let run = host.run(&cx.caller, &id).await?;
        let tree = Tree::load(host.as_ref(), &cx.caller, &run).await?;
        for change in seen.changes(&run, &tree) {
            print(&change, asked(host.as_ref(), &change, cx).await?.as_ref(), cx)?;
        }
        if is_over(&run) {
            return outcome(&run);
        }
        tokio::select! {
            () = cx.clock.sleep(arguments.every) => {}
            () = cx.stop.cancelled() => return Err(Failed::Interrupted),
        }
    }
}

/// Waits for a run that another host goes on with, until it is over or waits for a person again.
///
/// # Errors
/// What the host refused, or how the run ended.
pub(in crate::cli) async fn to_its_end(host: &dyn Api, id: &RunId, cx: &mut Context<'_>) -> Result<Reply, Failed> {
    loop {
        let run = host.run(&cx.caller, id).await?;
        if let (Some(State::Suspended), Some(approval)) = (State::from_name(&run.state), &run.approval)
            && host.approval(&cx.caller, approval).await?.state == "pending"
        {
            let what = format!("{id} waits for a person again: `fusebox approvals show {approval}` says what for");
            let failure = Failure {
                run: Some(run.id.clone()),
                approval: Some(approval.clone()),
                ..Failure::new(Code::NeedsApproval, Class::Control, what)
            };
            return Err(Failed::Host(Box::new(failure)));
        }
        if is_over(&run) {
            outcome(&run)?;
            return Ok(Reply {
                run: Some(run.id),
                state: State::Succeeded,
                output: run.output.unwrap_or_default(),
                stored: false,
                attempts: u32::try_from(run.attempts.len()).unwrap_or(u32::MAX),
                in_doubt: run.in_doubt,
                replayed: None,
            });
        }
        tokio::select! {
            () = cx.clock.sleep(LOOK) => {}
            () = cx.stop.cancelled() => return Err(Failed::Interrupted),
        }
    }
}

/// How a run that is over went, as the call itself would have ended.
fn outcome(run: &RunRecord) -> Result<(), Failed> {
    let mut failure = match (State::from_name(&run.state), &run.failure) {
        (Some(State::Succeeded), _) => return Ok(()),
        (_, Some(failure)) => Failure::from(failure),
        (Some(State::Cancelled), None) => Failure::new(Code::Cancelled, Class::Control, "the run was cancelled"),
        (_, None) => Failure::new(
            Code::Internal,
            Class::Fault,
            format!("the run is {}, and nobody says why", run.state),
        ),
    };
    failure.run = Some(run.id.clone());
    failure.letter = failure.letter.or_else(|| run.letter.clone());
    Err(Failed::Host(Box::new(failure)))
}

/// The question that a change is about.
async fn asked(host: &dyn Api, change: &Change<'_>, cx: &Context<'_>) -> Result<Option<ApprovalRecord>, Failed> {
    match (&change.what, &change.run.approval) {
        (What::State, Some(id)) if State::from_name(&change.run.state) == Some(State::Suspended) => {
            Ok(Some(host.approval(&cx.caller, id).await?))
        }
        _ => Ok(None),
    }
}

fn print(change: &Change<'_>, asked: Option<&ApprovalRecord>, cx: &mut Context<'_>) -> io::Result<()> {
    if cx.out.json() {
        return cx.out.value(&change.json());
    }
    let depth = change.run.nested.as_ref().map_or(0, |nested| nested.depth) as usize;
    let who = format!(
        "{:indent$}{}.{}",
        "",
        change.run.tool,
        change.run.function,
        indent = depth * 2
    );
    match &change.what {
        What::Entry(entry) => cx.out.line(format!("{who}  {}", timeline::journal_line(entry))),
        What::Attempt(attempt, untold) => {
            for effect in attempt.effects.iter().filter(|effect| untold.contains(&effect.seq)) {
                cx.out
                    .line(format!("{who}  {}", timeline::effect_line(attempt, effect)))?;
            }
            cx.out.line(format!(
                "{who}  attempt {}  {}",
                attempt.number,
                timeline::attempt_line(attempt)
            ))
        }
        What::State => {
            let now = cx.now();
            let waits = timeline::waits_for(change.run, asked, now);
            let waits = waits.map_or_else(String::new, |waits| format!("  waits for {waits}"));
            let result = change.run.output.as_ref();
            let result = result.map_or_else(String::new, |output| format!("  {}", short(output, 2000)));
            let since = change.run.finished.unwrap_or(now.0);
            cx.out.line(format!(
                "{who}  {}  {}{waits}{result}",
                clock_time(since),
                change.run.state
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::samples::run;
    use serde_json::json;

    #[test]
    fn the_end_of_a_run_is_the_end_of_following_it() {
        assert!(outcome(&run(1, "a.b", "succeeded", None, json!([]))).is_ok());
        assert_eq!(
            outcome(&run(1, "a.b", "cancelled", None, json!([])))
                .unwrap_err()
                .exit(),
            18
        );
        assert_eq!(
            outcome(&run(1, "a.b", "failed", None, json!([]))).unwrap_err().exit(),
            1
        );
    }
}
