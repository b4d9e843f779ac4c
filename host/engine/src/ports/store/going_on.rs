//! What is written of a run that goes on: its journal and state, who takes it, what a person says.

use super::Fence;
use crate::records::{FailureRecord, JournalRecord, RunRecord};
use bytes::Bytes;
use fusebox_core::failure::{Class, Code, Failure};
use fusebox_core::ids::{ApprovalId, RunId};
use fusebox_core::run::State;

/// What is written of a run's journal at once.
#[derive(Clone, Debug, Default)]
pub struct Append {
    /// The run of the tree whose journal it is.
    pub run: Option<RunId>,
    /// Intents and settled effects: new ones, or those that settle an intent.
    pub records: Vec<JournalRecord>,
    /// The guest's wall clock was set to the present when this served effect was let in: its number, and the new `wall`. Number 0: it starts
    /// there, since nothing was served.
    pub rewound: Option<(u32, i64)>,
    /// Writes to the keyed store, applied with the settled record that they belong to, once.
    pub state: Vec<StateWrite>,
    /// An approval that is used up by the call that starts now. `Refused` when it is not `approved` or has expired.
    pub uses: Option<ApprovalId>,
}

/// A key of the keyed store and its new value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateWrite {
    /// Whose key.
    pub space: Space,
    /// The key.
    pub key: String,
    /// The value; `None` removes it.
    pub value: Option<Bytes>,
}

/// Whose keys.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Space {
    /// A tool's.
    Tool(String),
    /// A run's; forgotten with it.
    Run(RunId),
}

/// What of a journal is taken back before the run goes on from its resume point.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cut {
    /// Effects that are forgotten.
    pub drop: Vec<u32>,
    /// Effects that become intents again: they are sent once more under their key.
    pub reopen: Vec<u32>,
}

/// Why a run can be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wakes {
    /// It was accepted and nobody has started it.
    Accepted,
    /// Its sleep is over, it was handed over, or it had failed and somebody resumes it by name.
    Slept,
    /// Its approval was decided or has expired; [`Taken::run`] still names it.
    Decided,
    /// Its owner is gone: a recovery.
    Abandoned,
}

/// The runs of one tool of one tenant.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lane {
    /// The tenant.
    pub tenant: String,
    /// Name of the tool.
    pub tool: String,
}

/// A run that was taken: owned by the caller, and `running`.
#[derive(Clone, Debug)]
pub struct Taken {
    /// The root, with its attempts.
    pub run: RunRecord,
    /// The right to write to its tree.
    pub fence: Fence,
    /// Why it could be taken.
    pub why: Wakes,
}

/// What a person says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Whether the call may be made.
    pub approved: bool,
    /// Who says so.
    pub by: String,
    /// Why.
    pub reason: Option<String>,
}

/// How a person settles a letter in doubt.
#[derive(Clone, Debug)]
pub enum Resolution {
    /// The effect happened: this is its settled record.
    Happened {
        /// The run of the tree whose effect it is.
        run: RunId,
        /// The record, settled.
        record: Box<JournalRecord>,
        /// Numbers of what the guest asked for after it saw the effect fail: forgotten.
        drop: Vec<u32>,
    },
    /// The effect did not happen: it is forgotten, and made anew when the run goes on.
    NotHappened {
        /// The run of the tree whose effect it is.
        run: RunId,
        /// Its number.
        seq: u32,
        /// Numbers of what the guest asked for after it saw the effect fail: forgotten.
        drop: Vec<u32>,
    },
    /// The run is over, and the letter closed: `resolved`.
    Close {
        /// The run in its last state, with its outcome.
        run: Box<RunRecord>,
    },
}

/// Ends a run that was cancelled while no host held it.
pub fn cancelled(run: &mut RunRecord, at: i64) {
    State::Cancelled.name().clone_into(&mut run.state);
    run.finished = Some(at);
    run.failure = Some(FailureRecord::from(&Failure::new(
        Code::Cancelled,
        Class::Control,
        "the run was cancelled while no host held it",
    )));
}
