//! Every method of the store, for decorators that treat them alike.

/// Hands every method of [`Store`](super::Store) to a macro, as `async fn NAME(&self, ARGUMENTS) -> ANSWER;`. The types are looked up where
/// it is used.
macro_rules! methods {
    ($decorate:ident) => {
        $decorate! {
            async fn deploy(&self, tool: ToolRecord, component: Bytes) -> (ToolRecord, bool);
            async fn tools(&self, tenant: &str) -> Vec<ToolRecord>;
            async fn tool(&self, tenant: &str, name: &str) -> Option<ToolRecord>;
            async fn tool_version(&self, tenant: &str, name: &str, number: i64) -> Option<ToolRecord>;
            async fn change_tool(&self, tenant: &str, name: &str, change: ToolChange) -> bool;
            async fn component(&self, tenant: &str, digest: Digest) -> Option<Bytes>;
            async fn claim(&self, new: NewRun) -> Claim;
            async fn renew(&self, tenant: &str, run: &RunId, fence: &Fence, lease: Duration) -> ();
            async fn record_attempt(&self, tenant: &str, run: &RunId, fence: &Fence, attempt: &AttemptRecord) -> ();
            async fn finish(&self, fence: &Fence, finish: Finish) -> ();
            async fn record_finished(&self, finished: Vec<Finish>) -> ();
            async fn runs(&self, tenant: &str, filter: &RunFilter) -> Vec<RunRecord>;
            async fn run(&self, tenant: &str, id: &RunId) -> Option<RunRecord>;
            async fn alike(&self, tenant: &str, likeness: &Likeness<'_>, since: i64) -> Option<RunRecord>;
            async fn lose_caller(&self, tenant: &str, run: &RunId, lost: bool) -> ();
            async fn tenants(&self) -> Vec<String>;
            async fn append(&self, tenant: &str, root: &RunId, fence: &Fence, append: Append) -> ();
            async fn journal(&self, tenant: &str, run: &RunId) -> Vec<JournalRecord>;
            async fn go_on(&self, tenant: &str, run: &RunId, root: &RunId, fence: &Fence, attempt: Option<&AttemptRecord>, cut: &Cut) -> ();
            async fn claim_nested(&self, new: NewRun, fence: &Fence) -> Claim;
            async fn finish_nested(&self, fence: &Fence, finish: Finish) -> ();
            async fn tree(&self, tenant: &str, root: &RunId) -> Vec<RunRecord>;
            async fn sleep(&self, fence: &Fence, run: RunRecord, journal: Vec<JournalRecord>) -> ();
            async fn suspend(&self, fence: &Fence, run: RunRecord, approval: ApprovalRecord, journal: Vec<JournalRecord>) -> ();
            async fn take(&self, owner: &OwnerId, lease: Duration, limit: u32, busy: &[Lane]) -> Vec<Taken>;
            async fn take_run(&self, tenant: &str, run: &RunId, owner: &OwnerId, lease: Duration) -> Taken;
            async fn cancel(&self, tenant: &str, run: &RunId) -> bool;
            async fn is_cancelled(&self, tenant: &str, run: &RunId) -> bool;
            async fn approvals(&self, tenant: &str, filter: &ApprovalFilter) -> Vec<ApprovalRecord>;
            async fn approval(&self, tenant: &str, id: &ApprovalId) -> Option<ApprovalRecord>;
            async fn decide(&self, tenant: &str, id: &ApprovalId, verdict: &Verdict) -> ApprovalRecord;
            async fn state(&self, tenant: &str, space: &Space, key: &str) -> Option<Bytes>;
            async fn state_keys(&self, tenant: &str, space: &Space, prefix: &str) -> Vec<String>;
            async fn letters(&self, tenant: &str, filter: &LetterFilter) -> Vec<LetterRecord>;
            async fn letter(&self, tenant: &str, id: &LetterId) -> Option<LetterRecord>;
            async fn letter_of(&self, tenant: &str, run: &RunId) -> Option<LetterRecord>;
            async fn lease_letter(&self, tenant: &str, id: &LetterId, owner: &OwnerId, lease: Duration) -> (LetterRecord, Fence);
            async fn resolve(&self, tenant: &str, id: &LetterId, resolution: Resolution) -> LetterRecord;
            async fn pin(&self, tenant: &str, id: &LetterId, pinned: bool) -> bool;
            async fn expired(&self, tenant: &str) -> Vec<LetterId>;
            async fn waiting(&self, limit: u32) -> Vec<LetterRecord>;
            async fn backlog(&self) -> Backlog;
            async fn put_redrive(&self, redrive: &RedriveRecord) -> ();
            async fn running_redrives(&self) -> Vec<RedriveRecord>;
            async fn hold_redrive(&self, tenant: &str, id: &RedriveId, owner: &OwnerId, time: Duration) -> bool;
            async fn redrives(&self, tenant: &str) -> Vec<RedriveRecord>;
            async fn release_letter(&self, tenant: &str, id: &LetterId, fence: &Fence) -> ();
            async fn purge(&self, tenant: &str, ids: &[LetterId]) -> Vec<LetterId>;
            async fn retain(&self, tenant: &str, keep_runs: Duration) -> u64;
            async fn retain_all(&self, keep_runs: Duration) -> u64;
            async fn put_pages(&self, tenant: &str, pages: &[Page]) -> ();
            async fn page(&self, tenant: &str, digest: Digest) -> Option<Bytes>;
            async fn time(&self) -> Wall;
            async fn breakers(&self, tenant: &str) -> Vec<BreakerRecord>;
            async fn swap_breaker(&self, tenant: &str, expected: i64, breaker: &BreakerRecord) -> Option<BreakerRecord>;
            async fn append_errors(&self, errors: Vec<ErrorRecord>) -> ();
            async fn errors(&self, tenant: &str, filter: &ErrorFilter) -> Vec<ErrorRecord>;
            async fn put_key(&self, key: StoredKey) -> ();
            async fn key(&self, id: &str) -> Option<StoredKey>;
            async fn keys(&self, tenant: &str) -> Vec<KeyRecord>;
            async fn revoke_key(&self, tenant: &str, id: &str) -> Option<KeyRecord>;
            async fn append_audit(&self, entry: AuditEntry) -> AuditRecord;
            async fn audit(&self, tenant: &str, filter: &AuditFilter) -> Vec<AuditRecord>;
            async fn audit_trail(&self, tenant: &str, after: i64, limit: u32) -> Vec<AuditRecord>;
            async fn audit_head(&self, tenant: &str) -> AuditHead;
        }
    };
}

pub(crate) use methods;
