//! The store: business transitions, each one transaction. Every method says what a crash before and after it means.
//!
//! Leases end by the store's own clock. Every write of an owner carries a [`Fence`] and changes nothing once it is lost.

mod backlog;
mod filters;
mod going_on;
mod methods;
mod runs;

pub use backlog::Backlog;
pub use filters::{ApprovalFilter, AuditFilter, ErrorFilter, LetterFilter, Likeness, RunFilter};
pub use going_on::{Append, Cut, Lane, Resolution, Space, StateWrite, Taken, Verdict, Wakes, cancelled};
pub(crate) use methods::methods;
pub use runs::{Claim, Fence, Finish, LetterChange, NewRun};

use crate::records::{
    ApprovalRecord, AttemptRecord, AuditEntry, AuditHead, AuditRecord, BreakerRecord, ErrorRecord, JournalRecord,
    KeyRecord, LetterRecord, Page, RedriveRecord, RunRecord, StoredKey, ToolRecord,
};
use async_trait::async_trait;
use bytes::Bytes;
use fusebox_core::ids::{ApprovalId, Digest, LetterId, OwnerId, RedriveId, RunId};
use fusebox_core::time::Wall;
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

/// How long the journal of a run that failed and became no letter is kept, so that it can be resumed.
pub const JOURNAL_KEPT: Duration = Duration::from_secs(7 * 24 * 3600);

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
    /// The newest root without a key that was called in the same way and that waits for something: asleep, suspended, in doubt,
    /// dead-lettered; or that lost its caller at or after `since`, milliseconds since 1970, and has not failed.
    async fn alike(&self, tenant: &str, likeness: &Likeness<'_>, since: i64) -> Result<Option<RunRecord>, StoreError>;
    /// Notes that nobody waits any more for a run that is not over, or, if not `lost`, that somebody does again. What is over, keyed or
    /// unknown stays as it is. Crash before: a like call does not find it by that.
    async fn lose_caller(&self, tenant: &str, run: &RunId, lost: bool) -> Result<(), StoreError>;
    /// Every tenant that has a run, and so perhaps a letter, a bulk replay or an entry of the error log.
    async fn tenants(&self) -> Result<Vec<String>, StoreError>;

    // --- journal -----------------------------------------------------------------------------------------------------

    /// Adds to the journal of a run of the tree of `root`. Crash before: what it records has not been told to the guest, or has not been sent.
    /// After: it is served to whoever resumes the run. `Fenced` fails this append alone.
    async fn append(&self, tenant: &str, root: &RunId, fence: &Fence, append: Append) -> Result<(), StoreError>;
    /// The journal of one run, by number.
    async fn journal(&self, tenant: &str, run: &RunId) -> Result<Vec<JournalRecord>, StoreError>;
    /// Keeps a failed attempt and cuts the journal back to the resume point, in one transaction.
    /// Crash before: whoever resumes the run finds the same resume point by itself.
    async fn go_on(
        &self,
        tenant: &str,
        run: &RunId,
        root: &RunId,
        fence: &Fence,
        attempt: Option<&AttemptRecord>,
        cut: &Cut,
    ) -> Result<(), StoreError>;
    /// Accepts a nested call, owned through its root: fresh, or what has its key. The fence is the root's. A child that is not over is
    /// `Joined`, not `alive`: nobody but the owner of the root can go on with it. Its key and outcome stay as long as the tree.
    async fn claim_nested(&self, new: NewRun, fence: &Fence) -> Result<Claim, StoreError>;
    /// Ends a nested run, and nothing else: no letter, no lease. Crash before: the root's resumption finds it not over.
    /// One that may go on is `dead-lettered` until the end of its root makes it `failed`; one that succeeded stays so.
    async fn finish_nested(&self, fence: &Fence, finish: Finish) -> Result<(), StoreError>;
    /// The runs of a tree below its root, in the order of their creation.
    async fn tree(&self, tenant: &str, root: &RunId) -> Result<Vec<RunRecord>, StoreError>;

    // --- rest and wake -----------------------------------------------------------------------------------------------

    /// Lets a root go until `run.until`: `sleeping`, without a lease. `journal` is what is not stored yet. Also a hand-over: until now.
    /// Crash before: the lease ends, and another host takes the run over.
    async fn sleep(&self, fence: &Fence, run: RunRecord, journal: Vec<JournalRecord>) -> Result<(), StoreError>;
    /// Lets a root go until a person has decided: `suspended`, without a lease; the question is stored with it.
    /// Crash before: the lease ends, and whoever takes the run over asks again.
    async fn suspend(
        &self,
        fence: &Fence,
        run: RunRecord,
        approval: ApprovalRecord,
        journal: Vec<JournalRecord>,
    ) -> Result<(), StoreError>;
    /// Takes roots that can go on, of every tenant, at most `limit`: accepted, slept, decided, abandoned; none of a lane in `busy`.
    /// Tenants take turns, so do the tools of a tenant, and of one tool the oldest is first: whoever has many runs waiting holds up nobody else.
    /// Each is owned and `running` then; `recoveries` of an abandoned one is one more. Crash after: the leases end.
    /// One whose letter is open, because its replay slept or asked, is not taken a second time: when the lease ends, the letter is open again.
    async fn take(&self, owner: &OwnerId, lease: Duration, limit: u32, busy: &[Lane])
    -> Result<Vec<Taken>, StoreError>;
    /// Takes one root, sleeping or not; `Refused` says who has it or what it waits for. A failed one whose journal is kept can be taken too.
    async fn take_run(&self, tenant: &str, run: &RunId, owner: &OwnerId, lease: Duration) -> Result<Taken, StoreError>;
    /// Cancels a root that no host holds; on one that is held, or whose journal has an effect that nobody knows the end of, leaves word
    /// ([`Store::is_cancelled`]) for whoever holds it or takes it next. `false` when it is over; `Refused` when a letter keeps it, unless
    /// its replay sleeps or waits for a person: then that ends, and the letter is open again.
    async fn cancel(&self, tenant: &str, run: &RunId) -> Result<bool, StoreError>;
    /// Whether somebody asked for the run to be cancelled while a host holds it.
    async fn is_cancelled(&self, tenant: &str, run: &RunId) -> Result<bool, StoreError>;

    // --- approvals ---------------------------------------------------------------------------------------------------

    /// Questions, oldest first.
    async fn approvals(&self, tenant: &str, filter: &ApprovalFilter) -> Result<Vec<ApprovalRecord>, StoreError>;
    /// One question.
    async fn approval(&self, tenant: &str, id: &ApprovalId) -> Result<Option<ApprovalRecord>, StoreError>;
    /// Decides a pending question; `Refused` when it is decided, used or expired. Its run can be taken then.
    async fn decide(&self, tenant: &str, id: &ApprovalId, verdict: &Verdict) -> Result<ApprovalRecord, StoreError>;

    // --- keyed state -------------------------------------------------------------------------------------------------

    /// The value of a key.
    async fn state(&self, tenant: &str, space: &Space, key: &str) -> Result<Option<Bytes>, StoreError>;
    /// Keys that begin so, in order, at most 1,000.
    async fn state_keys(&self, tenant: &str, space: &Space, prefix: &str) -> Result<Vec<String>, StoreError>;

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
    /// Settles a letter in doubt that nobody has leased. What happened, or not, makes it `retryable` once nothing in the tree is in doubt
    /// any more; `Close` ends run and letter. `Refused` while it is leased, when it is not in doubt, or when the journal lacks the effect.
    async fn resolve(&self, tenant: &str, id: &LetterId, resolution: Resolution) -> Result<LetterRecord, StoreError>;
    /// Pins a letter, so that neither retention nor purge takes it, or lets it go; `false` when there is none.
    async fn pin(&self, tenant: &str, id: &LetterId, pinned: bool) -> Result<bool, StoreError>;
    /// Letters that retention would close now: by kind, then oldest first. [`Store::purge`] says which stay.
    async fn expired(&self, tenant: &str) -> Result<Vec<LetterId>, StoreError>;
    /// Open letters that replay by themselves once their service is well, of every tenant: fewest replayed first, then oldest. Those whose
    /// `not_before` is to come are left out.
    async fn waiting(&self, limit: u32) -> Result<Vec<LetterRecord>, StoreError>;
    /// What waits for somebody, every tenant together.
    async fn backlog(&self) -> Result<Backlog, StoreError>;
    /// Keeps a bulk replay: a new one, or how far it is.
    async fn put_redrive(&self, redrive: &RedriveRecord) -> Result<(), StoreError>;
    /// Bulk replays of every tenant that are not over, oldest first.
    async fn running_redrives(&self) -> Result<Vec<RedriveRecord>, StoreError>;
    /// Gives a bulk replay to an owner for so long, or renews that; `false` when somebody else has it, or when there is none that is not over.
    /// Crash after: others wait until that time is over. A time of zero gives it back.
    async fn hold_redrive(
        &self,
        tenant: &str,
        id: &RedriveId,
        owner: &OwnerId,
        time: Duration,
    ) -> Result<bool, StoreError>;
    /// Bulk replays, newest first.
    async fn redrives(&self, tenant: &str) -> Result<Vec<RedriveRecord>, StoreError>;
    /// Gives a leased letter back untouched: state, run and `replays` as before the lease.
    async fn release_letter(&self, tenant: &str, id: &LetterId, fence: &Fence) -> Result<(), StoreError>;
    /// Closes open letters: `purged`, and ends their runs: `failed`, with the failure that they have. Leased, in-doubt and pinned ones stay,
    /// and those whose tree holds a request that may not be repeated and whose end nobody knows: their replay was cut off, and nobody has
    /// seen the doubt yet. Returns the ids of those closed; blobs that nothing needs go with them.
    async fn purge(&self, tenant: &str, ids: &[LetterId]) -> Result<Vec<LetterId>, StoreError>;
    /// Closes letters, and forgets runs, keys and errors, whose time is over. Returns how many rows went. Leased, in-doubt and pinned letters stay.
    async fn retain(&self, tenant: &str, keep_runs: Duration) -> Result<u64, StoreError>;
    /// As `retain`, for every tenant, and what the store has to do from time to time. A store that keeps runs by their days forgets them by
    /// their days: so many of them together cost little, and some stay for a day longer.
    async fn retain_all(&self, keep_runs: Duration) -> Result<u64, StoreError>;

    // --- blobs -----------------------------------------------------------------------------------------------------

    /// Keeps pages by digest, those it has already skipped. Crash after, before their letter: orphans, removed by `retain` after a day.
    async fn put_pages(&self, tenant: &str, pages: &[Page]) -> Result<(), StoreError>;
    /// One page, compressed with zstd.
    async fn page(&self, tenant: &str, digest: Digest) -> Result<Option<Bytes>, StoreError>;

    // --- breakers --------------------------------------------------------------------------------------------------

    /// The clock of the database, which hosts agree on: cooldowns end by it.
    async fn time(&self) -> Result<Wall, StoreError>;
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
    async fn errors(&self, tenant: &str, filter: &ErrorFilter) -> Result<Vec<ErrorRecord>, StoreError>;

    // --- API keys --------------------------------------------------------------------------------------------------

    /// Keeps a new key; `Refused` when its id is taken. Crash before: there is no such key. After: it is good, though nobody may know it.
    async fn put_key(&self, key: StoredKey) -> Result<(), StoreError>;
    /// The key of that id, of whatever tenant: who has it proves its tenant by it.
    async fn key(&self, id: &str) -> Result<Option<StoredKey>, StoreError>;
    /// Keys of the tenant, oldest first, those that are good no longer included.
    async fn keys(&self, tenant: &str) -> Result<Vec<KeyRecord>, StoreError>;
    /// Revokes a key now, for every host at once; one that is revoked stays as it was. `None` when the tenant has none of that id.
    async fn revoke_key(&self, tenant: &str, id: &str) -> Result<Option<KeyRecord>, StoreError>;

    // --- audit -----------------------------------------------------------------------------------------------------

    /// Adds to the trail of the entry's tenant, behind its last one. Crash before: what it tells of has not begun. After: it may have.
    async fn append_audit(&self, entry: AuditEntry) -> Result<AuditRecord, StoreError>;
    /// Entries of the tenant's trail, newest first.
    async fn audit(&self, tenant: &str, filter: &AuditFilter) -> Result<Vec<AuditRecord>, StoreError>;
    /// The trail in its order, from behind that number on, at most `limit`: every entry that is there, whatever has become of it.
    async fn audit_trail(&self, tenant: &str, after: i64, limit: u32) -> Result<Vec<AuditRecord>, StoreError>;
    /// The trail's end, as it is kept apart from the entries.
    async fn audit_head(&self, tenant: &str) -> Result<AuditHead, StoreError>;
}
