//! What commands ask of a host, be it this process's own or one that is reached over HTTP.

use crate::deploying::{Refused, Upload};
use crate::dto::deployment::Deployment;
use crate::dto::policy_row::PolicyRow;
use crate::dto::tool_detail::ToolDetail;
use async_trait::async_trait;
use bytes::Bytes;
use fusebox_core::failure::Failure;
use fusebox_core::ids::{ApprovalId, Digest, LetterId, RedriveId, RunId};
use fusebox_engine::debug::DebugReport;
use fusebox_engine::host::{NewKey, Outlook};
use fusebox_engine::ports::store::{
    ApprovalFilter, AuditFilter, ErrorFilter, LetterFilter, RunFilter, ToolChange, Verdict,
};
use fusebox_engine::records::{
    ApprovalRecord, AuditRecord, AuditVerdict, BreakerRecord, ErrorRecord, JournalRecord, KeyRecord, LetterRecord,
    RedriveRecord, RunRecord, ToolRecord,
};
use fusebox_engine::requests::{
    BreakerOrder, Call, Caller, LetterStats, MemoryRange, Redrive, Replay, Replayed, Reply, Resolve,
};
use std::time::Duration;

/// An answer, or why there is none.
pub type Answer<T> = Result<T, Box<Failure>>;

/// How far a bulk replay is, told after each letter.
pub type Progress<'a> = &'a (dyn Fn(&RedriveRecord) + Send + Sync);

/// A host as commands see it. Each method says what that of the engine's facade says; the errors are its failures, and those of the way there.
#[async_trait]
pub trait Api: Send + Sync {
    /// Calls a function.
    async fn call(&self, caller: &Caller, call: Call) -> Answer<Reply>;
    /// Checks manifests with their components by the host's settings, and deploys them all, or none when anything is wrong.
    async fn deploy(
        &self,
        caller: &Caller,
        uploads: Vec<Upload>,
        accept: &[String],
    ) -> Result<Vec<Deployment>, Refused>;

    /// The newest version of every tool, by name.
    async fn tools(&self, caller: &Caller) -> Answer<Vec<ToolRecord>>;
    /// One tool with its functions.
    async fn tool(&self, caller: &Caller, name: &str) -> Answer<ToolDetail>;
    /// The effective policy of a deployed function, and who set each value.
    async fn explain(&self, caller: &Caller, tool: &str, function: &str) -> Result<Vec<PolicyRow>, Refused>;
    /// Enables, disables or removes a tool.
    async fn change_tool(&self, caller: &Caller, name: &str, change: ToolChange) -> Answer<()>;
    /// The bytes of a deployed component.
    async fn component(&self, caller: &Caller, digest: Digest) -> Answer<Bytes>;

    /// Runs, newest first.
    async fn runs(&self, caller: &Caller, filter: &RunFilter) -> Answer<Vec<RunRecord>>;
    /// One run.
    async fn run(&self, caller: &Caller, id: &RunId) -> Answer<RunRecord>;
    /// A run and the runs below it, in the order of their creation.
    async fn tree(&self, caller: &Caller, id: &RunId) -> Answer<Vec<RunRecord>>;
    /// The journal of a run, by number; empty when none is kept.
    async fn journal(&self, caller: &Caller, id: &RunId) -> Answer<Vec<JournalRecord>>;
    /// Cancels a run, wherever it is.
    async fn cancel(&self, caller: &Caller, id: &RunId) -> Answer<()>;
    /// Goes on with a run, and waits for its end.
    async fn resume(&self, caller: &Caller, id: &RunId) -> Answer<Reply>;

    /// Letters, oldest first.
    async fn letters(&self, caller: &Caller, filter: &LetterFilter) -> Answer<Vec<LetterRecord>>;
    /// One letter.
    async fn letter(&self, caller: &Caller, id: &LetterId) -> Answer<LetterRecord>;
    /// The letter of a run.
    async fn letter_of(&self, caller: &Caller, run: &RunId) -> Answer<LetterRecord>;
    /// Where a replay of a letter would go on.
    async fn outlook(&self, caller: &Caller, letter: &LetterRecord) -> Answer<Outlook>;
    /// A part of the memory that a letter keeps.
    async fn memory(&self, caller: &Caller, letter: &LetterId, range: MemoryRange) -> Answer<Vec<u8>>;
    /// A standard core dump made of what a letter keeps.
    async fn coredump(&self, caller: &Caller, letter: &LetterId) -> Answer<Vec<u8>>;
    /// A letter's last attempt run again, offline; with the guest's stack at each effect if `stacks` says so. Each replay is stopped after `time`.
    async fn debug(&self, caller: &Caller, letter: &LetterId, stacks: bool, time: Duration) -> Answer<DebugReport>;
    /// Replays a letter.
    async fn replay(&self, caller: &Caller, replay: Replay) -> Answer<Replayed>;
    /// Settles a letter in doubt.
    async fn resolve(&self, caller: &Caller, letter: &LetterId, resolve: Resolve) -> Answer<LetterRecord>;
    /// Keeps a letter from retention and purge, or lets it go.
    async fn pin(&self, caller: &Caller, letter: &LetterId, pinned: bool) -> Answer<()>;
    /// Closes letters; says which were closed.
    async fn purge(&self, caller: &Caller, ids: &[LetterId]) -> Answer<Vec<LetterId>>;
    /// The letters that retention would close now.
    async fn expired(&self, caller: &Caller) -> Answer<Vec<LetterId>>;
    /// Forgets what is kept no longer; says how many rows went.
    async fn retain(&self, caller: &Caller) -> Answer<u64>;
    /// Open letters in numbers.
    async fn stats(&self, caller: &Caller) -> Answer<LetterStats>;

    /// Starts a bulk replay.
    async fn redrive(&self, caller: &Caller, redrive: Redrive) -> Answer<RedriveRecord>;
    /// Bulk replays, newest first.
    async fn redrives(&self, caller: &Caller) -> Answer<Vec<RedriveRecord>>;
    /// One bulk replay.
    async fn redrive_of(&self, caller: &Caller, id: &RedriveId) -> Answer<RedriveRecord>;
    /// Ends a bulk replay.
    async fn cancel_redrive(&self, caller: &Caller, id: &RedriveId) -> Answer<RedriveRecord>;
    /// Sees a bulk replay through to its end: the process's own host carries it out, a remote one does so by itself.
    async fn run_redrive(&self, caller: &Caller, id: &RedriveId, progress: Progress<'_>) -> Answer<RedriveRecord>;

    /// Questions to a person, oldest first.
    async fn approvals(&self, caller: &Caller, filter: &ApprovalFilter) -> Answer<Vec<ApprovalRecord>>;
    /// One question.
    async fn approval(&self, caller: &Caller, id: &ApprovalId) -> Answer<ApprovalRecord>;
    /// Decides a question.
    async fn decide(&self, caller: &Caller, id: &ApprovalId, verdict: Verdict) -> Answer<ApprovalRecord>;

    /// Every breaker that has a history, by key.
    async fn breakers(&self, caller: &Caller) -> Answer<Vec<BreakerRecord>>;
    /// Orders a breaker.
    async fn order_breaker(&self, caller: &Caller, key: &str, order: BreakerOrder) -> Answer<BreakerRecord>;
    /// What failed and became no letter, newest first.
    async fn errors(&self, caller: &Caller, filter: &ErrorFilter) -> Answer<Vec<ErrorRecord>>;

    /// Makes an API key; the token is told here alone.
    async fn create_key(&self, caller: &Caller, new: NewKey) -> Answer<(KeyRecord, String)>;
    /// API keys, oldest first.
    async fn keys(&self, caller: &Caller) -> Answer<Vec<KeyRecord>>;
    /// Revokes an API key.
    async fn revoke_key(&self, caller: &Caller, id: &str) -> Answer<KeyRecord>;
    /// Entries of the audit trail, newest first.
    async fn audit(&self, caller: &Caller, filter: &AuditFilter) -> Answer<Vec<AuditRecord>>;
    /// Whether the audit trail is as it was written, and still has an entry of that hash.
    async fn verify_audit(&self, caller: &Caller, known: Option<Digest>) -> Answer<AuditVerdict>;
}
