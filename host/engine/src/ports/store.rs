//! The store: business transitions, each one transaction. Every method says what a crash before and after it means.
//!
//! Leases end by the store's own clock. Every write of an owner carries a [`Fence`] and changes nothing once it is lost.

use crate::records::{AttemptRecord, BreakerRecord, ErrorRecord, LetterRecord, Page, RunRecord, ToolRecord};
use async_trait::async_trait;
use bytes::Bytes;
use fusebox_core::ids::{Digest, LetterId, OwnerId, RunId};
use std::time::Duration;

/// Why the store did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The lease or epoch was lost: somebody else owns the row now. Nothing was written.
    #[error("{what} belongs to another host now; nothing was written")]
    Fenced {
        /// Which row.
        what: String,
    },
    /// The row is in a state that does not allow it. Nothing was written.
    #[error("{what}")]
    Refused {
        /// Which row, its state, and what to do next.
        what: String,
    },
    /// The database cannot be reached, is full, or is broken.
    #[error("the store failed: {reason}")]
    Unavailable {
        /// What the database said.
        reason: String,
    },
}

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
    /// Who will own it.
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
}

/// Which runs are listed, newest first.
#[derive(Clone, Debug, Default)]
pub struct RunFilter {
    /// Only of that tool.
    pub tool: Option<String>,
    /// Only in that state.
    pub state: Option<String>,
    /// Only created at or after, milliseconds since 1970.
    pub since: Option<i64>,
    /// At most so many; zero means 100.
    pub limit: u32,
}

/// Which letters are listed, oldest first.
#[derive(Clone, Debug, Default)]
pub struct LetterFilter {
    /// Only of that service.
    pub service: Option<String>,
    /// Only of that tool.
    pub tool: Option<String>,
    /// Only of that class.
    pub class: Option<String>,
    /// Only that failed last at or after, milliseconds since 1970.
    pub since: Option<i64>,
    /// Closed letters too.
    pub closed: bool,
    /// At most so many; zero means 100.
    pub limit: u32,
}

/// A tool's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ToolChange {
    /// Takes calls.
    Enable,
    /// Refuses calls.
    Disable,
    /// Forgotten with all its versions; runs and letters stay, and so do the numbers: what is deployed later never gets one that a
    /// run may be pinned to.
    Remove,
}

/// Rows that a list gives when its limit is zero.
pub const LISTED: u32 = 100;
/// Rows of the error log that are kept for each tenant.
pub const ERRORS_KEPT: u32 = 10_000;
/// A page that no snapshot needs is removed by `retain` when it was put so long ago.
pub const ORPHAN_AFTER: Duration = Duration::from_secs(24 * 3600);
/// A page that was put so recently may belong to a letter that is about to be written: `purge` leaves it to `retain`.
pub const PAGE_GRACE: Duration = Duration::from_secs(600);

/// What lasts.
#[async_trait]
pub trait Store: Send + Sync {
    // --- tools -----------------------------------------------------------------------------------------------------

    /// Adds a version of a tool and its component; the number is given by the store. All of it or nothing.
    /// A version equal to the newest one in manifest and component adds nothing and is returned with `false`.
    async fn deploy(&self, tool: ToolRecord, component: Bytes) -> Result<(ToolRecord, bool), StoreError>;
    /// The newest version of every tool of the tenant, by name.
    async fn tools(&self, tenant: &str) -> Result<Vec<ToolRecord>, StoreError>;
    /// The newest version of one tool.
    async fn tool(&self, tenant: &str, name: &str) -> Result<Option<ToolRecord>, StoreError>;
    /// One version of one tool.
    async fn tool_version(&self, tenant: &str, name: &str, number: i64) -> Result<Option<ToolRecord>, StoreError>;
    /// Enables, disables or removes a tool; `false` when there is none.
    async fn change_tool(&self, tenant: &str, name: &str, change: ToolChange) -> Result<bool, StoreError>;
    /// The bytes of a component.
    async fn component(&self, tenant: &str, digest: Digest) -> Result<Option<Bytes>, StoreError>;

    // --- runs ------------------------------------------------------------------------------------------------------

    /// Accepts a call. Crash before: nothing was accepted. After: the run is there, and its key with it; nobody else gets the key.
    async fn claim(&self, new: NewRun) -> Result<Claim, StoreError>;
    /// Extends the lease; `Fenced` when it was lost.
    async fn renew(&self, tenant: &str, run: &RunId, fence: &Fence, lease: Duration) -> Result<(), StoreError>;
    /// Adds an attempt that failed before the next one starts. Crash before: the count of attempts lacks it.
    async fn record_attempt(
        &self,
        tenant: &str,
        run: &RunId,
        fence: &Fence,
        attempt: &AttemptRecord,
    ) -> Result<(), StoreError>;
    /// Ends a run: outcome, key and letter in one transaction, with the pages that the letter needs already stored.
    /// Crash before: the run is still leased, and its lease will end. After: it is over.
    async fn finish(&self, fence: &Fence, finish: Finish) -> Result<(), StoreError>;
    /// Accepts and ends runs in one transaction: those that were not made durable before they started.
    /// Crash before: as if the calls had never been made.
    async fn record_finished(&self, finished: Vec<Finish>) -> Result<(), StoreError>;
    /// Runs of the tenant, newest first; attempts included.
    async fn runs(&self, tenant: &str, filter: &RunFilter) -> Result<Vec<RunRecord>, StoreError>;
    /// One run.
    async fn run(&self, tenant: &str, id: &RunId) -> Result<Option<RunRecord>, StoreError>;

    // --- dead letters ----------------------------------------------------------------------------------------------

    /// Letters of the tenant, oldest first. A row that cannot be read is skipped and named in the log, not in the way.
    async fn letters(&self, tenant: &str, filter: &LetterFilter) -> Result<Vec<LetterRecord>, StoreError>;
    /// One letter.
    async fn letter(&self, tenant: &str, id: &LetterId) -> Result<Option<LetterRecord>, StoreError>;
    /// The letter of a run, the newest first.
    async fn letter_of(&self, tenant: &str, run: &RunId) -> Result<Option<LetterRecord>, StoreError>;
    /// Takes an open letter and its run for a replay: both are owned by the caller, the run is `running` again, `replays` is one more.
    /// `Refused` while somebody else has it, or when it is closed. Crash after: the lease ends and the letter is open again.
    async fn lease_letter(
        &self,
        tenant: &str,
        id: &LetterId,
        owner: &OwnerId,
        lease: Duration,
    ) -> Result<(LetterRecord, Fence), StoreError>;
    /// Gives a leased letter back untouched: state, run and `replays` as before the lease.
    async fn release_letter(&self, tenant: &str, id: &LetterId, fence: &Fence) -> Result<(), StoreError>;
    /// Closes open letters: `purged`, and ends their runs: `failed`, with the failure that they have. Leased and in-doubt ones stay. Returns the ids of those closed; blobs that nothing needs go with them.
    async fn purge(&self, tenant: &str, ids: &[LetterId]) -> Result<Vec<LetterId>, StoreError>;
    /// Closes letters, and forgets runs, keys and errors, whose time is over. Returns how many rows went. Leased and in-doubt letters stay.
    async fn retain(&self, tenant: &str, keep_runs: Duration) -> Result<u64, StoreError>;

    // --- blobs -----------------------------------------------------------------------------------------------------

    /// Keeps pages by digest, those it has already skipped. Crash after, before their letter: orphans, removed by `retain` after a day.
    async fn put_pages(&self, tenant: &str, pages: &[Page]) -> Result<(), StoreError>;
    /// One page, compressed with zstd.
    async fn page(&self, tenant: &str, digest: Digest) -> Result<Option<Bytes>, StoreError>;

    // --- breakers --------------------------------------------------------------------------------------------------

    /// Every stored breaker of the tenant.
    async fn breakers(&self, tenant: &str) -> Result<Vec<BreakerRecord>, StoreError>;
    /// Writes a breaker if the stored epoch is `expected` (0: none is stored); else returns the stored one, unchanged.
    async fn swap_breaker(
        &self,
        tenant: &str,
        expected: i64,
        breaker: &BreakerRecord,
    ) -> Result<Option<BreakerRecord>, StoreError>;

    // --- errors ----------------------------------------------------------------------------------------------------

    /// Appends to the error log; the newest 10,000 of a tenant are kept.
    async fn append_errors(&self, errors: Vec<ErrorRecord>) -> Result<(), StoreError>;
    /// The error log, newest first.
    async fn errors(&self, tenant: &str, tool: Option<&str>, limit: u32) -> Result<Vec<ErrorRecord>, StoreError>;
}
