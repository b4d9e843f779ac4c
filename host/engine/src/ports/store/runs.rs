//! Runs as they come to a store, and as they end there.

use crate::records::{JournalRecord, LetterRecord, RunRecord};
use fusebox_core::ids::{Digest, OwnerId, RunId};
use std::time::Duration;

/// The right to write to one run or letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fence {
    /// Who owns it.
    pub owner: OwnerId,
    /// The lease's epoch; each new lease of a row adds one.
    pub epoch: i64,
}

/// A call that wants to become a run.
#[derive(Clone, Debug)]
pub struct NewRun {
    /// The run, in state `running`, without attempts.
    pub run: RunRecord,
    /// Digest of tenant, tool, function and the caller's key; `None` for an unkeyed call.
    pub call_key: Option<Digest>,
    /// Who will own it; unused for a detached run, which is in state `accepted` and waits for a host.
    pub owner: OwnerId,
    /// How long the lease lasts without renewal.
    pub lease: Duration,
    /// How long the key and its outcome are kept after the end; at least 24 h.
    pub key_lifetime: Duration,
}

/// What became of a claim.
#[derive(Clone, Debug, PartialEq)]
pub enum Claim {
    /// The run is new and owned by the caller.
    Fresh(Fence),
    /// A run with this key and fingerprint is over and its outcome is stored.
    Stored(Box<RunRecord>),
    /// A run with this key and fingerprint is not over: running, or dead-lettered.
    Joined {
        /// That run; its `letter` is set when it is dead-lettered or in doubt.
        run: Box<RunRecord>,
        /// Whether somebody holds a lease on it that has not ended.
        alive: bool,
    },
    /// The key was used with another fingerprint, by this run.
    Conflict(RunId),
}

/// What the end of a run does to its letter.
#[derive(Clone, Debug)]
pub enum LetterChange {
    /// Nothing.
    None,
    /// The run is dead-lettered: a new letter, or, when the run's letter is open, that letter updated and its lease let go.
    Enqueue(Box<LetterRecord>),
    /// The run succeeded, so its letter is closed: `replayed`.
    Close,
}

/// The end of a run.
#[derive(Clone, Debug)]
pub struct Finish {
    /// The run in its last state, with outcome and every attempt.
    pub run: RunRecord,
    /// Whether a later call with the same key gets this outcome; else the key is free again.
    pub keep_key: bool,
    /// What happens to the letter.
    pub letter: LetterChange,
    /// What of the journal is not stored yet and must outlive the run's end: for its letter, or for whoever resumes it. A run that succeeded
    /// leaves no journal.
    pub journal: Vec<JournalRecord>,
}
