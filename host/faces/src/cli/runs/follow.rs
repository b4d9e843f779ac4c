//! `fusebox runs follow`: what happens to a run, as it happens, until it is over.

use super::is_over;
use crate::api::Api;
use crate::cli::Context;
use crate::cli::failed::Failed;
use crate::cli::moments::{clock_time, parse_duration};
use crate::cli::output::short;
use crate::cli::timeline;
use crate::cli::tree::Tree;
use clap::Args;
use fusebox_core::failure::{Class, Code, Failure};
use fusebox_core::ids::{ApprovalId, RunId};
use fusebox_core::run::State;
use fusebox_engine::ports::clock::Clock;
use fusebox_engine::records::{ApprovalRecord, AttemptRecord, JournalRecord, RunRecord};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::time::Duration;

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
    to_its_end(host.as_ref(), &id, arguments.every, cx).await
}

/// Prints what happens to a run until it is over.
///
/// # Errors
/// What the host refused, or how the run ended.
pub(in crate::cli) async fn to_its_end(
    host: &dyn Api,
    id: &RunId,
    every: Duration,
    cx: &mut Context<'_>,
) -> Result<(), Failed> {
    let mut seen = Seen::default();
    loop {
        let run = host.run(&cx.caller, id).await?;
        let tree = Tree::load(host, &run, cx).await?;
        for change in seen.changes(&run, &tree) {
            change.print(&asked(host, &change, cx).await?, cx)?;
        }
        if is_over(&run) {
            return outcome(&run);
        }
        tokio::select! {
            () = cx.clock.sleep(every) => {}
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

/// What was printed already.
#[derive(Default)]
struct Seen {
    /// State of each run, and what it waits for.
    states: BTreeMap<RunId, (String, Option<ApprovalId>)>,
    /// Number of the last attempt of each run.
    attempts: BTreeMap<RunId, u32>,
    /// Entries of the journals: number, and when it settled.
    entries: BTreeSet<(RunId, u32, Option<i64>)>,
    /// Effects of the journal since the last attempt, which need not be told again with that attempt.
    told: BTreeSet<(RunId, u32)>,
}

/// One thing that has happened.
struct Change<'t> {
    run: &'t RunRecord,
    what: What<'t>,
}

enum What<'t> {
    State,
    Entry(&'t JournalRecord),
    /// An attempt, and those of its effects that the journal did not tell.
    Attempt(&'t AttemptRecord, Vec<u32>),
}

impl Seen {
    fn changes<'t>(&mut self, root: &'t RunRecord, tree: &'t Tree) -> Vec<Change<'t>> {
        let mut changes = Vec::new();
        for run in tree.whole(root) {
            let mut found = Vec::new();
            found.extend(self.entries_of(run, tree));
            found.extend(self.attempts_of(run));
            let now = (run.state.clone(), run.approval.clone());
            if self.states.insert(run.id.clone(), now.clone()) != Some(now) {
                found.push(What::State);
            }
            changes.extend(found.into_iter().map(|what| Change { run, what }));
        }
        changes
    }

    fn entries_of<'t>(&mut self, run: &'t RunRecord, tree: &'t Tree) -> Vec<What<'t>> {
        let mut found = Vec::new();
        for entry in tree.untold(run) {
            let settled = entry.settled.as_ref().map(|settled| settled.wall);
            if self.entries.insert((run.id.clone(), entry.seq, settled)) {
                found.push(What::Entry(entry));
                if settled.is_some() {
                    self.told.insert((run.id.clone(), entry.seq));
                }
            }
        }
        found
    }

    fn attempts_of<'t>(&mut self, run: &'t RunRecord) -> Vec<What<'t>> {
        let before = self.attempts.get(&run.id).copied().unwrap_or(0);
        let mut found = Vec::new();
        for attempt in run.attempts.iter().filter(|attempt| attempt.number > before) {
            let untold = attempt.effects.iter().map(|effect| effect.seq);
            let untold = untold
                .filter(|seq| !self.told.remove(&(run.id.clone(), *seq)))
                .collect();
            found.push(What::Attempt(attempt, untold));
            self.attempts.insert(run.id.clone(), attempt.number);
        }
        found
    }
}

impl Change<'_> {
    fn print(&self, asked: &Option<ApprovalRecord>, cx: &mut Context<'_>) -> io::Result<()> {
        if cx.out.json() {
            return cx.out.value(&self.json());
        }
        let depth = self.run.nested.as_ref().map_or(0, |nested| nested.depth) as usize;
        let who = format!(
            "{:indent$}{}.{}",
            "",
            self.run.tool,
            self.run.function,
            indent = depth * 2
        );
        match &self.what {
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
                let waits = timeline::waits_for(self.run, asked.as_ref(), now);
                let waits = waits.map_or_else(String::new, |waits| format!("  waits for {waits}"));
                let result = self.run.output.as_ref();
                let result = result.map_or_else(String::new, |output| format!("  {}", short(output, 2000)));
                let since = self.run.finished.unwrap_or(now.0);
                cx.out.line(format!(
                    "{who}  {}  {}{waits}{result}",
                    clock_time(since),
                    self.run.state
                ))
            }
        }
    }

    fn json(&self) -> Value {
        let mut value = json!({
            "run": self.run.id.as_str(),
            "function": format!("{}.{}", self.run.tool, self.run.function),
        });
        match &self.what {
            What::Entry(entry) => value["effect"] = json!(entry),
            What::Attempt(attempt, _) => value["attempt"] = json!(attempt),
            What::State => {
                value["state"] = json!(self.run.state);
                value["until"] = json!(self.run.until);
                value["approval"] = json!(self.run.approval.as_ref().map(ApprovalId::as_str));
                value["output"] = json!(self.run.output);
            }
        }
        value
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::cli::samples::{attempt, effect, entry, id, run};
    use serde_json::json;

    fn told(seen: &mut Seen, root: &RunRecord, tree: &Tree) -> Vec<String> {
        let changes = seen.changes(root, tree);
        changes
            .iter()
            .map(|change| match &change.what {
                What::State => format!("{} {}", change.run.function, change.run.state),
                What::Entry(entry) => format!(
                    "{} #{} settled {}",
                    change.run.function,
                    entry.seq,
                    entry.settled.is_some()
                ),
                What::Attempt(attempt, untold) => {
                    format!("{} attempt {} and {untold:?}", change.run.function, attempt.number)
                }
            })
            .collect()
    }

    fn tree(root: &RunRecord, below: &[RunRecord], journal: &[JournalRecord]) -> Tree {
        let runs = std::iter::once(root).chain(below).cloned().collect();
        Tree::of(runs, BTreeMap::from([(id(1), journal.to_vec())]))
    }

    #[test]
    fn each_thing_that_happens_is_told_once() {
        let mut seen = Seen::default();
        let accepted = run(1, "agent.answer", "accepted", None, json!([]));
        let nothing = tree(&accepted, &[], &[]);
        assert_eq!(told(&mut seen, &accepted, &nothing), ["answer accepted"]);
        assert_eq!(told(&mut seen, &accepted, &nothing), [""; 0]);

        let running = run(1, "agent.answer", "running", None, json!([]));
        let child = run(2, "email.send", "running", Some((1, 1)), json!([]));
        let mut asked = entry(1, "call", "CALL", "email.send");
        let begun = tree(&running, std::slice::from_ref(&child), std::slice::from_ref(&asked));
        assert_eq!(
            told(&mut seen, &running, &begun),
            ["answer #1 settled false", "answer running", "send running"]
        );

        asked.settled = serde_json::from_value(json!({
            "order": 1, "wall": 7, "passed": 0, "answer": "done", "rejected": false, "took-ms": 1, "got": null,
        }))
        .unwrap();
        let settled = tree(&running, std::slice::from_ref(&child), std::slice::from_ref(&asked));
        assert_eq!(told(&mut seen, &running, &settled), ["answer #1 settled true"]);

        // The attempt tells of one effect more, which the journal had no time to tell.
        let effects = [
            effect(1, "call", "", "CALL email.send", "done"),
            effect(2, "http", "llm", "POST /v1/chat/completions", "200"),
        ];
        let done = run(
            1,
            "agent.answer",
            "succeeded",
            None,
            json!([attempt(1, "ok", 0, &effects)]),
        );
        let over = tree(&done, &[child], &[]);
        assert_eq!(
            told(&mut seen, &done, &over),
            ["answer attempt 1 and [2]", "answer succeeded"]
        );
        assert!(told(&mut seen, &done, &over).is_empty());
    }

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
