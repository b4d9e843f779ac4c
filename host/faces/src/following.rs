//! What happens to a run and the runs below it, told once each: the difference between what was seen before and what the store has now.

use crate::tree::Tree;
use fusebox_core::ids::{ApprovalId, RunId};
use fusebox_core::run::State;
use fusebox_engine::records::{AttemptRecord, JournalRecord, RunRecord};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// What was told already.
#[derive(Default)]
pub(crate) struct Seen {
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
pub(crate) struct Change<'t> {
    /// The run that it happened to.
    pub(crate) run: &'t RunRecord,
    /// What.
    pub(crate) what: What<'t>,
}

/// What can happen to a run.
pub(crate) enum What<'t> {
    /// It is in another state, or waits for another answer.
    State,
    /// Its journal has an entry more, or one is settled.
    Entry(&'t JournalRecord),
    /// An attempt, and those of its effects that the journal did not tell.
    Attempt(&'t AttemptRecord, Vec<u32>),
}

/// A token is never longer, so that it fits a header.
const TOKEN: usize = 2048;

/// What was seen, without the key to every run: runs in some order, and the rest by their place in it.
#[derive(Serialize, Deserialize)]
struct Token {
    /// Id, state, what it waits for, number of the last attempt.
    runs: Vec<(String, String, Option<String>, u32)>,
    entries: Vec<(usize, u32, Option<i64>)>,
    told: Vec<(usize, u32)>,
}

impl Seen {
    /// What was seen as a line of text; `None` when it would be too long.
    pub(crate) fn token(&self) -> Option<String> {
        let place = |run: &RunId| self.states.keys().position(|known| known == run);
        let token = Token {
            runs: self
                .states
                .iter()
                .map(|(run, (state, approval))| {
                    let attempts = self.attempts.get(run).copied().unwrap_or(0);
                    let approval = approval.as_ref().map(ToString::to_string);
                    (run.to_string(), state.clone(), approval, attempts)
                })
                .collect(),
            entries: self
                .entries
                .iter()
                .filter_map(|(run, seq, settled)| Some((place(run)?, *seq, *settled)))
                .collect(),
            told: self
                .told
                .iter()
                .filter_map(|(run, seq)| Some((place(run)?, *seq)))
                .collect(),
        };
        serde_json::to_string(&token).ok().filter(|text| text.len() <= TOKEN)
    }

    /// What a token says was seen; `None` when it is none.
    pub(crate) fn from_token(text: &str) -> Option<Self> {
        let token: Token = serde_json::from_str(text).ok()?;
        let mut seen = Self::default();
        let mut runs = Vec::with_capacity(token.runs.len());
        for (run, state, approval, attempts) in token.runs {
            let run: RunId = run.parse().ok()?;
            let approval = approval.map(|approval| approval.parse()).transpose().ok()?;
            seen.states.insert(run.clone(), (state, approval));
            seen.attempts.insert(run.clone(), attempts);
            runs.push(run);
        }
        for (place, seq, settled) in token.entries {
            seen.entries.insert((runs.get(place)?.clone(), seq, settled));
        }
        for (place, seq) in token.told {
            seen.told.insert((runs.get(place)?.clone(), seq));
        }
        Some(seen)
    }

    /// What has happened since: each thing is told once.
    pub(crate) fn changes<'t>(&mut self, root: &'t RunRecord, tree: &'t Tree) -> Vec<Change<'t>> {
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
    /// The change as data.
    pub(crate) fn json(&self) -> Value {
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

/// Whether nothing happens to a run by itself any more: it is over, or a letter keeps it.
pub(crate) fn is_over(run: &RunRecord) -> bool {
    State::from_name(&run.state).is_none_or(|state| state.is_over() || state.has_letter())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::samples::{attempt, effect, entry, id, run};
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
    fn whoever_comes_back_is_told_what_they_missed() {
        let mut seen = Seen::default();
        let running = run(
            1,
            "agent.answer",
            "running",
            None,
            json!([attempt(1, "transient", 0, &[])]),
        );
        let asked = entry(1, "call", "CALL", "email.send");
        let begun = tree(&running, &[], std::slice::from_ref(&asked));
        assert_eq!(told(&mut seen, &running, &begun).len(), 3);

        let mut back = Seen::from_token(&seen.token().unwrap()).unwrap();
        assert!(told(&mut back, &running, &begun).is_empty());
        let attempts = json!([attempt(1, "transient", 0, &[]), attempt(2, "ok", 0, &[])]);
        let done = run(1, "agent.answer", "succeeded", None, attempts);
        assert_eq!(
            told(&mut back, &done, &tree(&done, &[], &[])),
            ["answer attempt 2 and []", "answer succeeded"]
        );
        assert!(Seen::from_token("{}").is_none() && Seen::from_token("run_1").is_none());
        assert!(Seen::from_token(r#"{"runs":[],"entries":[[7,1,null]],"told":[]}"#).is_none());
    }
}
