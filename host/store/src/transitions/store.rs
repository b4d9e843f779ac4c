//! Every transition of the store, each in one transaction, written once for each database that there is a `dialect` of.

#[macro_use]
mod sql;

mod approvals;
mod audit;
mod backlog;
mod blobs;
mod breakers;
mod copying;
mod errors;
mod finish;
mod holds;
mod journal;
mod keys;
mod letters;
mod nested;
pub(super) mod objects;
mod reads;
mod redrives;
mod resolve;
mod rest;
pub(super) mod retention;
mod runs;
pub(super) mod schema;
pub(super) mod sealing;
mod state;
#[cfg(test)]
pub(super) mod statements;
mod tools;

use super::dialect::{self, Handle};
use crate::blobs::{Blob, Kind};
use async_trait::async_trait;
use bytes::Bytes;
use fusebox_core::ids::{ApprovalId, Digest, LetterId, OwnerId, RedriveId, RunId};
use fusebox_core::time::Wall;
use fusebox_engine::ports::store::{
    Append, ApprovalFilter, AuditFilter, Backlog, Claim, Cut, ErrorFilter, Fence, Finish, LISTED, Lane, LetterFilter,
    Likeness, NewRun, Resolution, RunFilter, Space, Store, StoreError, Taken, ToolChange, Verdict,
};
use fusebox_engine::records::{
    ApprovalRecord, AttemptRecord, AuditEntry, AuditHead, AuditRecord, BreakerRecord, ErrorRecord, JournalRecord,
    KeyRecord, LetterRecord, Page, RedriveRecord, RunRecord, StoredKey, ToolRecord,
};
use sql::listed;
use sqlx::{Row as _, query};
use std::time::Duration;

impl Handle {
    /// The same store, which keeps the journals of failed runs that became no letter for another time than [`fusebox_engine::ports::store::JOURNAL_KEPT`].
    #[must_use]
    pub fn keep_failed_journals(self, failed_journals: Duration) -> Self {
        Self {
            failed_journals,
            ..self
        }
    }
}

#[async_trait]
impl Store for Handle {
    async fn deploy(&self, tool: ToolRecord, component: Bytes) -> Result<(ToolRecord, bool), StoreError> {
        self.deploy_whole(tool, component).await
    }

    async fn tools(&self, tenant: &str) -> Result<Vec<ToolRecord>, StoreError> {
        self.all(query(tools::NEWEST_OF_ALL).bind(tenant), |_, row| tools::tool(row))
            .await
    }

    async fn tool(&self, tenant: &str, name: &str) -> Result<Option<ToolRecord>, StoreError> {
        let query = query(tools::NEWEST).bind(tenant).bind(name);
        self.one(query, |_, row| tools::tool(row)).await
    }

    async fn tool_version(&self, tenant: &str, name: &str, number: i64) -> Result<Option<ToolRecord>, StoreError> {
        let query = query(tools::VERSION).bind(tenant).bind(name).bind(number);
        self.one(query, |_, row| tools::tool(row)).await
    }

    async fn change_tool(&self, tenant: &str, name: &str, change: ToolChange) -> Result<bool, StoreError> {
        let (tenant, name) = (tenant.to_owned(), name.to_owned());
        let changed = self.write(move |c, _| Box::pin(async move { tools::change(c, &tenant, &name, change).await }));
        let (found, gone) = changed.await?;
        self.remove_objects(gone).await;
        Ok(found)
    }

    async fn component(&self, tenant: &str, digest: Digest) -> Result<Option<Bytes>, StoreError> {
        self.blob(&Blob::new(Kind::Component, tenant, digest)).await
    }

    async fn claim(&self, new: NewRun) -> Result<Claim, StoreError> {
        self.write(move |c, vault| Box::pin(runs::claim(c, vault, new))).await
    }

    async fn renew(&self, tenant: &str, run: &RunId, fence: &Fence, lease: Duration) -> Result<(), StoreError> {
        let (tenant, run, fence) = (tenant.to_owned(), run.clone(), fence.clone());
        self.write(move |c, _| Box::pin(async move { runs::renew(c, &tenant, &run, &fence, lease).await }))
            .await
    }

    async fn record_attempt(
        &self,
        tenant: &str,
        run: &RunId,
        fence: &Fence,
        attempt: &AttemptRecord,
    ) -> Result<(), StoreError> {
        let (tenant, run, fence, attempt) = (tenant.to_owned(), run.clone(), fence.clone(), attempt.clone());
        self.write(move |c, _| Box::pin(async move { runs::add_attempt(c, &tenant, &run, &fence, &attempt).await }))
            .await
    }

    async fn finish(&self, fence: &Fence, finish: Finish) -> Result<(), StoreError> {
        let fence = fence.clone();
        self.write(move |c, vault| Box::pin(finish::finish(c, vault, fence, finish)))
            .await
    }

    async fn record_finished(&self, finished: Vec<Finish>) -> Result<(), StoreError> {
        self.write(move |c, vault| Box::pin(finish::record_finished(c, vault, finished)))
            .await
    }

    async fn runs(&self, tenant: &str, filter: &RunFilter) -> Result<Vec<RunRecord>, StoreError> {
        let Some(principal) = &filter.principal else {
            return self.all(runs::list(tenant, filter).build(), runs::run).await;
        };
        // Who called stands in the body, which may be sealed.
        let wanted = usize::try_from(listed(filter.limit)).unwrap_or(usize::MAX);
        let mut page = RunFilter {
            principal: None,
            limit: LISTED,
            ..filter.clone()
        };
        let mut runs = Vec::new();
        while runs.len() < wanted {
            let rows = self.all(runs::list(tenant, &page).build(), runs::run).await?;
            let Some(last) = rows.last() else { break };
            page.after = Some(last.id.clone());
            runs.extend(rows.into_iter().filter(|run| run.principal == *principal));
        }
        runs.truncate(wanted);
        Ok(runs)
    }

    async fn run(&self, tenant: &str, id: &RunId) -> Result<Option<RunRecord>, StoreError> {
        self.one(query(runs::ONE).bind(tenant).bind(id.as_str()), runs::run)
            .await
    }

    async fn alike(&self, tenant: &str, likeness: &Likeness<'_>, since: i64) -> Result<Option<RunRecord>, StoreError> {
        let digest = likeness.digest();
        let query = query(runs::ALIKE).bind(tenant).bind(digest.0.to_vec()).bind(since);
        self.one(query, runs::run).await
    }

    async fn lose_caller(&self, tenant: &str, run: &RunId, lost: bool) -> Result<(), StoreError> {
        let (tenant, run) = (tenant.to_owned(), run.clone());
        self.write(move |c, _| Box::pin(async move { runs::lose_caller(c, &tenant, &run, lost).await }))
            .await
    }

    async fn tenants(&self) -> Result<Vec<String>, StoreError> {
        self.all(query(retention::TENANTS), |_, row| Ok(row.try_get("tenant")?))
            .await
    }

    async fn append(&self, tenant: &str, root: &RunId, fence: &Fence, append: Append) -> Result<(), StoreError> {
        let (tenant, root, fence) = (tenant.to_owned(), root.clone(), fence.clone());
        self.write(move |c, vault| {
            Box::pin(async move { journal::append(c, vault, &tenant, &root, &fence, append).await })
        })
        .await
    }

    async fn journal(&self, tenant: &str, run: &RunId) -> Result<Vec<JournalRecord>, StoreError> {
        // A journal with a gap would have what stood there happen again.
        self.whole(query(journal::ALL).bind(tenant).bind(run.as_str()), journal::record)
            .await
    }

    async fn go_on(
        &self,
        tenant: &str,
        run: &RunId,
        root: &RunId,
        fence: &Fence,
        attempt: Option<&AttemptRecord>,
        cut: &Cut,
    ) -> Result<(), StoreError> {
        let (tenant, run, root, fence) = (tenant.to_owned(), run.clone(), root.clone(), fence.clone());
        let (attempt, cut) = (attempt.cloned(), cut.clone());
        self.write(move |c, vault| {
            Box::pin(async move {
                let at = journal::GoOn {
                    tenant: &tenant,
                    run: &run,
                    root: &root,
                    fence: &fence,
                };
                journal::go_on(c, vault, at, attempt.as_ref(), &cut).await
            })
        })
        .await
    }

    async fn claim_nested(&self, new: NewRun, fence: &Fence) -> Result<Claim, StoreError> {
        let fence = fence.clone();
        self.write(move |c, vault| Box::pin(nested::claim(c, vault, new, fence)))
            .await
    }

    async fn finish_nested(&self, fence: &Fence, finish: Finish) -> Result<(), StoreError> {
        let fence = fence.clone();
        self.write(move |c, vault| Box::pin(nested::finish(c, vault, fence, finish)))
            .await
    }

    async fn tree(&self, tenant: &str, root: &RunId) -> Result<Vec<RunRecord>, StoreError> {
        self.all(query(nested::TREE).bind(tenant).bind(root.as_str()), runs::run)
            .await
    }

    async fn sleep(&self, fence: &Fence, run: RunRecord, journal: Vec<JournalRecord>) -> Result<(), StoreError> {
        let fence = fence.clone();
        self.write(move |c, vault| Box::pin(rest::sleep(c, vault, fence, run, journal)))
            .await
    }

    async fn suspend(
        &self,
        fence: &Fence,
        run: RunRecord,
        approval: ApprovalRecord,
        journal: Vec<JournalRecord>,
    ) -> Result<(), StoreError> {
        let fence = fence.clone();
        self.write(move |c, vault| Box::pin(rest::suspend(c, vault, fence, run, approval, journal)))
            .await
    }

    async fn take(
        &self,
        owner: &OwnerId,
        lease: Duration,
        limit: u32,
        busy: &[Lane],
    ) -> Result<Vec<Taken>, StoreError> {
        // Every host asks each second, and holds places for calls meanwhile: only what is there to be taken is worth a turn to write.
        if self.one(query(rest::ANY_DUE), |_, _| Ok(())).await?.is_none() {
            return Ok(Vec::new());
        }
        let (owner, busy) = (owner.clone(), rest::lanes(busy));
        self.write(move |c, vault| Box::pin(rest::take(c, vault, owner, lease, limit, busy)))
            .await
    }

    async fn take_run(&self, tenant: &str, run: &RunId, owner: &OwnerId, lease: Duration) -> Result<Taken, StoreError> {
        let (tenant, run, owner) = (tenant.to_owned(), run.clone(), owner.clone());
        self.write(move |c, vault| Box::pin(async move { rest::take_run(c, vault, &tenant, &run, owner, lease).await }))
            .await
    }

    async fn cancel(&self, tenant: &str, run: &RunId) -> Result<bool, StoreError> {
        let (tenant, run) = (tenant.to_owned(), run.clone());
        self.write(move |c, vault| Box::pin(async move { rest::cancel(c, vault, &tenant, &run).await }))
            .await
    }

    async fn is_cancelled(&self, tenant: &str, run: &RunId) -> Result<bool, StoreError> {
        let wish = self
            .one(query(rest::CANCELLED).bind(tenant).bind(run.as_str()), |_, row| {
                rest::wish(row)
            })
            .await?;
        Ok(wish == Some(true))
    }

    async fn approvals(&self, tenant: &str, filter: &ApprovalFilter) -> Result<Vec<ApprovalRecord>, StoreError> {
        self.all(approvals::list(tenant, filter).build(), approvals::approval)
            .await
    }

    async fn approval(&self, tenant: &str, id: &ApprovalId) -> Result<Option<ApprovalRecord>, StoreError> {
        self.one(
            query(approvals::ONE).bind(tenant).bind(id.as_str()),
            approvals::approval,
        )
        .await
    }

    async fn decide(&self, tenant: &str, id: &ApprovalId, verdict: &Verdict) -> Result<ApprovalRecord, StoreError> {
        let (tenant, id, verdict) = (tenant.to_owned(), id.clone(), verdict.clone());
        self.write(move |c, vault| Box::pin(async move { approvals::decide(c, vault, &tenant, &id, verdict).await }))
            .await
    }

    async fn state(&self, tenant: &str, space: &Space, key: &str) -> Result<Option<Bytes>, StoreError> {
        let query = query(state::ONE).bind(tenant).bind(state::name(space)).bind(key);
        self.one(query, state::value).await
    }

    async fn state_keys(&self, tenant: &str, space: &Space, prefix: &str) -> Result<Vec<String>, StoreError> {
        let query = query(state::BEGIN_SO)
            .bind(tenant)
            .bind(state::name(space))
            .bind(prefix);
        let query = query.bind(state::after(prefix)).bind(state::KEYS);
        self.whole(query, |_, row| state::key(row)).await
    }

    async fn letters(&self, tenant: &str, filter: &LetterFilter) -> Result<Vec<LetterRecord>, StoreError> {
        self.all(letters::list(tenant, filter).build(), letters::letter).await
    }

    async fn letter(&self, tenant: &str, id: &LetterId) -> Result<Option<LetterRecord>, StoreError> {
        self.one(query(letters::ONE).bind(tenant).bind(id.as_str()), letters::letter)
            .await
    }

    async fn letter_of(&self, tenant: &str, run: &RunId) -> Result<Option<LetterRecord>, StoreError> {
        let query = query(letters::NEWEST_OF_RUN).bind(tenant).bind(run.as_str());
        self.one(query, letters::letter).await
    }

    async fn lease_letter(
        &self,
        tenant: &str,
        id: &LetterId,
        owner: &OwnerId,
        lease: Duration,
    ) -> Result<(LetterRecord, Fence), StoreError> {
        let (tenant, id, owner) = (tenant.to_owned(), id.clone(), owner.clone());
        self.write(move |c, vault| Box::pin(async move { letters::lease(c, vault, &tenant, &id, owner, lease).await }))
            .await
    }

    async fn resolve(&self, tenant: &str, id: &LetterId, resolution: Resolution) -> Result<LetterRecord, StoreError> {
        let (tenant, id) = (tenant.to_owned(), id.clone());
        self.write(move |c, vault| Box::pin(async move { resolve::resolve(c, vault, &tenant, &id, resolution).await }))
            .await
    }

    async fn pin(&self, tenant: &str, id: &LetterId, pinned: bool) -> Result<bool, StoreError> {
        let (tenant, id) = (tenant.to_owned(), id.clone());
        self.write(move |c, _| Box::pin(async move { letters::pin(c, &tenant, &id, pinned).await }))
            .await
    }

    async fn expired(&self, tenant: &str) -> Result<Vec<LetterId>, StoreError> {
        self.expired_letters(tenant).await
    }

    async fn waiting(&self, limit: u32) -> Result<Vec<LetterRecord>, StoreError> {
        let waiting = letters::waiting(&self.readers, &self.vault, limit).await;
        waiting.map_err(|error| self.failed(error))
    }

    async fn backlog(&self) -> Result<Backlog, StoreError> {
        let backlog = backlog::backlog(&self.readers).await;
        backlog.map_err(|error| self.failed(error))
    }

    async fn put_redrive(&self, redrive: &RedriveRecord) -> Result<(), StoreError> {
        let redrive = redrive.clone();
        self.write(move |c, _| Box::pin(redrives::put(c, redrive))).await
    }

    async fn running_redrives(&self) -> Result<Vec<RedriveRecord>, StoreError> {
        self.all(query(redrives::RUNNING), |_, row| redrives::redrive(row))
            .await
    }

    async fn hold_redrive(
        &self,
        tenant: &str,
        id: &RedriveId,
        owner: &OwnerId,
        time: Duration,
    ) -> Result<bool, StoreError> {
        let (tenant, id, owner) = (tenant.to_owned(), id.clone(), owner.clone());
        self.write(move |c, _| Box::pin(async move { redrives::hold(c, &tenant, &id, &owner, time).await }))
            .await
    }

    async fn redrives(&self, tenant: &str) -> Result<Vec<RedriveRecord>, StoreError> {
        self.all(query(redrives::ALL).bind(tenant), |_, row| redrives::redrive(row))
            .await
    }

    async fn release_letter(&self, tenant: &str, id: &LetterId, fence: &Fence) -> Result<(), StoreError> {
        let (tenant, id, fence) = (tenant.to_owned(), id.clone(), fence.clone());
        self.write(move |c, _| Box::pin(async move { letters::release(c, &tenant, &id, &fence).await }))
            .await
    }

    async fn purge(&self, tenant: &str, ids: &[LetterId]) -> Result<Vec<LetterId>, StoreError> {
        self.purge_in_parts(tenant, ids, false).await
    }

    async fn retain(&self, tenant: &str, keep_runs: Duration) -> Result<u64, StoreError> {
        self.retain_in_parts(tenant, keep_runs).await
    }

    async fn retain_all(&self, keep_runs: Duration) -> Result<u64, StoreError> {
        self.retain_everything(keep_runs).await
    }

    async fn put_pages(&self, tenant: &str, pages: &[Page]) -> Result<(), StoreError> {
        self.put_pages_whole(tenant, pages).await
    }

    async fn page(&self, tenant: &str, digest: Digest) -> Result<Option<Bytes>, StoreError> {
        let page = Blob::new(Kind::Page, tenant, digest);
        let stored = self.blob(&page).await?;
        let opened = stored.map(|stored| blobs::opened(&self.vault, &page, &stored));
        opened.transpose().map_err(|error| self.failed(error))
    }

    async fn time(&self) -> Result<Wall, StoreError> {
        Ok(Wall(self.now().await?))
    }

    async fn breakers(&self, tenant: &str) -> Result<Vec<BreakerRecord>, StoreError> {
        self.all(query(breakers::ALL).bind(tenant), |_, row| breakers::breaker(row))
            .await
    }

    async fn swap_breaker(
        &self,
        tenant: &str,
        expected: i64,
        breaker: &BreakerRecord,
    ) -> Result<Option<BreakerRecord>, StoreError> {
        let (tenant, breaker) = (tenant.to_owned(), breaker.clone());
        self.write(move |c, _| Box::pin(async move { breakers::swap(c, &tenant, expected, &breaker).await }))
            .await
    }

    async fn append_errors(&self, errors: Vec<ErrorRecord>) -> Result<(), StoreError> {
        self.write(move |c, vault| Box::pin(errors::append(c, vault, errors)))
            .await
    }

    async fn errors(&self, tenant: &str, filter: &ErrorFilter) -> Result<Vec<ErrorRecord>, StoreError> {
        self.all(errors::list(tenant, filter).build(), errors::error).await
    }

    async fn put_key(&self, key: StoredKey) -> Result<(), StoreError> {
        self.write(move |c, _| Box::pin(keys::put(c, key))).await
    }

    async fn key(&self, id: &str) -> Result<Option<StoredKey>, StoreError> {
        self.one(query(keys::ONE).bind(id), |_, row| keys::stored(row)).await
    }

    async fn keys(&self, tenant: &str) -> Result<Vec<KeyRecord>, StoreError> {
        self.all(query(keys::ALL).bind(tenant), |_, row| keys::record(row))
            .await
    }

    async fn revoke_key(&self, tenant: &str, id: &str) -> Result<Option<KeyRecord>, StoreError> {
        let (tenant, id) = (tenant.to_owned(), id.to_owned());
        self.write(move |c, _| Box::pin(async move { keys::revoke(c, &tenant, &id).await }))
            .await
    }

    async fn append_audit(&self, entry: AuditEntry) -> Result<AuditRecord, StoreError> {
        self.write(move |c, _| Box::pin(audit::append(c, entry))).await
    }

    async fn audit(&self, tenant: &str, filter: &AuditFilter) -> Result<Vec<AuditRecord>, StoreError> {
        self.all(audit::list(tenant, filter).build(), |_, row| audit::record(row))
            .await
    }

    async fn audit_trail(&self, tenant: &str, after: i64, limit: u32) -> Result<Vec<AuditRecord>, StoreError> {
        let query = query(audit::TRAIL).bind(tenant).bind(after).bind(listed(limit));
        // An entry that cannot be read is not passed over.
        self.whole(query, |_, row| audit::record(row)).await
    }

    async fn audit_head(&self, tenant: &str) -> Result<AuditHead, StoreError> {
        let head = self.one(query(audit::HEAD).bind(tenant), |_, row| audit::head(row));
        Ok(head.await?.unwrap_or(AuditHead::EMPTY))
    }
}
