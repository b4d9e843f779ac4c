//! This process's own host, as commands see it.

use crate::api::{Answer, Api, Progress};
use crate::deploying::{self, Refused, Rules, Upload};
use crate::dto::deployment::Deployment;
use crate::dto::policy_row::PolicyRow;
use crate::dto::tool_detail::ToolDetail;
use async_trait::async_trait;
use bytes::Bytes;
use fusebox_core::ids::{ApprovalId, Digest, LetterId, RedriveId, RunId};
use fusebox_engine::debug::DebugReport;
use fusebox_engine::host::{Host, NewKey, Outlook};
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
use std::sync::Arc;
use std::time::Duration;

/// A host of this process, and the rules by which it admits manifests.
pub struct Local {
    host: Arc<Host>,
    rules: Arc<Rules>,
}

impl Local {
    /// That host under those rules.
    #[must_use]
    pub fn new(host: Arc<Host>, rules: Arc<Rules>) -> Self {
        Self { host, rules }
    }
}

#[async_trait]
impl Api for Local {
    async fn call(&self, caller: &Caller, call: Call) -> Answer<Reply> {
        self.host.call(caller, call).await
    }

    async fn deploy(
        &self,
        caller: &Caller,
        uploads: Vec<Upload>,
        accept: &[String],
    ) -> Result<Vec<Deployment>, Refused> {
        deploying::deploy(&self.host, caller, &self.rules, uploads, accept).await
    }

    async fn tools(&self, caller: &Caller) -> Answer<Vec<ToolRecord>> {
        self.host.tools(caller).await
    }

    async fn tool(&self, caller: &Caller, name: &str) -> Answer<ToolDetail> {
        Ok(ToolDetail::of(&self.host.tool(caller, name).await?))
    }

    async fn explain(&self, caller: &Caller, tool: &str, function: &str) -> Result<Vec<PolicyRow>, Refused> {
        deploying::explain(&self.host, caller, &self.rules, tool, function).await
    }

    async fn change_tool(&self, caller: &Caller, name: &str, change: ToolChange) -> Answer<()> {
        self.host.change_tool(caller, name, change).await
    }

    async fn component(&self, caller: &Caller, digest: Digest) -> Answer<Bytes> {
        self.host.component(caller, digest).await
    }

    async fn runs(&self, caller: &Caller, filter: &RunFilter) -> Answer<Vec<RunRecord>> {
        self.host.runs(caller, filter).await
    }

    async fn run(&self, caller: &Caller, id: &RunId) -> Answer<RunRecord> {
        self.host.run(caller, id).await
    }

    async fn tree(&self, caller: &Caller, id: &RunId) -> Answer<Vec<RunRecord>> {
        self.host.tree(caller, id).await
    }

    async fn journal(&self, caller: &Caller, id: &RunId) -> Answer<Vec<JournalRecord>> {
        self.host.journal(caller, id).await
    }

    async fn cancel(&self, caller: &Caller, id: &RunId) -> Answer<()> {
        self.host.cancel(caller, id).await
    }

    async fn resume(&self, caller: &Caller, id: &RunId) -> Answer<Reply> {
        self.host.resume(caller, id).await
    }

    async fn letters(&self, caller: &Caller, filter: &LetterFilter) -> Answer<Vec<LetterRecord>> {
        self.host.letters(caller, filter).await
    }

    async fn letter(&self, caller: &Caller, id: &LetterId) -> Answer<LetterRecord> {
        self.host.letter(caller, id).await
    }

    async fn letter_of(&self, caller: &Caller, run: &RunId) -> Answer<LetterRecord> {
        self.host.letter_of(caller, run).await
    }

    async fn outlook(&self, caller: &Caller, letter: &LetterRecord) -> Answer<Outlook> {
        self.host.outlook(caller, letter).await
    }

    async fn memory(&self, caller: &Caller, letter: &LetterId, range: MemoryRange) -> Answer<Vec<u8>> {
        self.host.memory(caller, letter, range).await
    }

    async fn coredump(&self, caller: &Caller, letter: &LetterId) -> Answer<Vec<u8>> {
        self.host.coredump(caller, letter).await
    }

    async fn debug(&self, caller: &Caller, letter: &LetterId, stacks: bool, time: Duration) -> Answer<DebugReport> {
        self.host.debugging(caller, letter, time).await?.report(stacks).await
    }

    async fn replay(&self, caller: &Caller, replay: Replay) -> Answer<Replayed> {
        self.host.replay(caller, replay).await
    }

    async fn resolve(&self, caller: &Caller, letter: &LetterId, resolve: Resolve) -> Answer<LetterRecord> {
        self.host.resolve(caller, letter, resolve).await
    }

    async fn pin(&self, caller: &Caller, letter: &LetterId, pinned: bool) -> Answer<()> {
        self.host.pin(caller, letter, pinned).await
    }

    async fn purge(&self, caller: &Caller, ids: &[LetterId]) -> Answer<Vec<LetterId>> {
        self.host.purge(caller, ids).await
    }

    async fn expired(&self, caller: &Caller) -> Answer<Vec<LetterId>> {
        self.host.expired(caller).await
    }

    async fn retain(&self, caller: &Caller) -> Answer<u64> {
        self.host.retain(caller).await
    }

    async fn stats(&self, caller: &Caller) -> Answer<LetterStats> {
        self.host.stats(caller).await
    }

    async fn redrive(&self, caller: &Caller, redrive: Redrive) -> Answer<RedriveRecord> {
        self.host.redrive(caller, redrive).await
    }

    async fn redrives(&self, caller: &Caller) -> Answer<Vec<RedriveRecord>> {
        self.host.redrives(caller).await
    }

    async fn redrive_of(&self, caller: &Caller, id: &RedriveId) -> Answer<RedriveRecord> {
        self.host.redrive_of(caller, id).await
    }

    async fn cancel_redrive(&self, caller: &Caller, id: &RedriveId) -> Answer<RedriveRecord> {
        self.host.cancel_redrive(caller, id).await
    }

    async fn run_redrive(&self, caller: &Caller, id: &RedriveId, progress: Progress<'_>) -> Answer<RedriveRecord> {
        self.host.run_redrive(caller, id, progress).await
    }

    async fn approvals(&self, caller: &Caller, filter: &ApprovalFilter) -> Answer<Vec<ApprovalRecord>> {
        self.host.approvals(caller, filter).await
    }

    async fn approval(&self, caller: &Caller, id: &ApprovalId) -> Answer<ApprovalRecord> {
        self.host.approval(caller, id).await
    }

    async fn decide(&self, caller: &Caller, id: &ApprovalId, verdict: Verdict) -> Answer<ApprovalRecord> {
        self.host.decide(caller, id, verdict).await
    }

    async fn breakers(&self, caller: &Caller) -> Answer<Vec<BreakerRecord>> {
        self.host.breakers(caller).await
    }

    async fn order_breaker(&self, caller: &Caller, key: &str, order: BreakerOrder) -> Answer<BreakerRecord> {
        self.host.order_breaker(caller, key, order).await
    }

    async fn errors(&self, caller: &Caller, filter: &ErrorFilter) -> Answer<Vec<ErrorRecord>> {
        self.host.errors(caller, filter).await
    }

    async fn create_key(&self, caller: &Caller, new: NewKey) -> Answer<(KeyRecord, String)> {
        self.host.create_key(caller, new).await
    }

    async fn keys(&self, caller: &Caller) -> Answer<Vec<KeyRecord>> {
        self.host.keys(caller).await
    }

    async fn revoke_key(&self, caller: &Caller, id: &str) -> Answer<KeyRecord> {
        self.host.revoke_key(caller, id).await
    }

    async fn audit(&self, caller: &Caller, filter: &AuditFilter) -> Answer<Vec<AuditRecord>> {
        self.host.audit(caller, filter).await
    }

    async fn verify_audit(&self, caller: &Caller, known: Option<Digest>) -> Answer<AuditVerdict> {
        self.host.verify_audit(caller, known).await
    }
}
