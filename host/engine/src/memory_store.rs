//! A store in memory: the model that every other store is held to, and the store of a host that needs no database.

mod audit;
mod handle;
mod journal;
mod keys;
mod letters;
mod nested;
mod resolve;
mod rest;
mod runs;
mod tenant;
mod tools;

use crate::ports::store::{
    Append, ApprovalFilter, AuditFilter, Backlog, Claim, Cut, ERRORS_KEPT, ErrorFilter, Fence, Finish, LISTED, Lane,
    LetterChange, LetterFilter, Likeness, NewRun, ORPHAN_AFTER, Resolution, RunFilter, Space, Store, StoreError, Taken,
    ToolChange, Verdict,
};
use crate::records::{
    ApprovalRecord, AttemptRecord, AuditEntry, AuditHead, AuditRecord, BreakerRecord, ErrorRecord, JournalRecord,
    KeyRecord, LetterRecord, Page, RedriveRecord, RunRecord, StoredKey, ToolRecord, millis,
};
use async_trait::async_trait;
use bytes::Bytes;
use fusebox_core::ids::{ApprovalId, Digest, LetterId, OwnerId, RedriveId, RunId};
use fusebox_core::time::Wall;
pub use handle::MemoryStore;
use std::collections::BTreeSet;
use std::time::Duration;
use tenant::Tenant;

/// Whole milliseconds as stored times have them, saturating.
fn span(time: Duration) -> i64 {
    i64::try_from(millis(time)).unwrap_or(i64::MAX)
}

/// How many rows a list gives.
fn listed(limit: u32) -> usize {
    let limit = if limit == 0 { LISTED } else { limit };
    usize::try_from(limit).unwrap_or(usize::MAX)
}

#[async_trait]
impl Store for MemoryStore {
    async fn deploy(&self, tool: ToolRecord, component: Bytes) -> Result<(ToolRecord, bool), StoreError> {
        self.with(&tool.tenant.clone(), |tenant| tenant.deploy(tool, component))
    }

    async fn tools(&self, tenant: &str) -> Result<Vec<ToolRecord>, StoreError> {
        Ok(self.with(tenant, |tenant| {
            tenant.tools.values().filter_map(|all| all.last().cloned()).collect()
        }))
    }

    async fn tool(&self, tenant: &str, name: &str) -> Result<Option<ToolRecord>, StoreError> {
        Ok(self.with(tenant, |tenant| {
            tenant.tools.get(name).and_then(|all| all.last().cloned())
        }))
    }

    async fn tool_version(&self, tenant: &str, name: &str, number: i64) -> Result<Option<ToolRecord>, StoreError> {
        Ok(self.with(tenant, |tenant| {
            let mut versions = tenant.tools.get(name)?.iter();
            versions.find(|tool| tool.number == number).cloned()
        }))
    }

    async fn change_tool(&self, tenant: &str, name: &str, change: ToolChange) -> Result<bool, StoreError> {
        Ok(self.with(tenant, |tenant| tenant.change_tool(name, change)))
    }

    async fn component(&self, tenant: &str, digest: Digest) -> Result<Option<Bytes>, StoreError> {
        Ok(self.with(tenant, |tenant| tenant.components.get(&digest).cloned()))
    }

    async fn claim(&self, new: NewRun) -> Result<Claim, StoreError> {
        self.at(&new.run.tenant.clone(), |tenant, now| tenant.claim(new, now))
    }

    async fn renew(&self, tenant: &str, run: &RunId, fence: &Fence, lease: Duration) -> Result<(), StoreError> {
        self.at(tenant, |tenant, now| {
            tenant.owned(run, fence, now)?.lease_until = now.saturating_add(span(lease));
            Ok(())
        })
    }

    async fn record_attempt(
        &self,
        tenant: &str,
        run: &RunId,
        fence: &Fence,
        attempt: &AttemptRecord,
    ) -> Result<(), StoreError> {
        self.at(tenant, |tenant, now| {
            tenant.owned(run, fence, now)?.add_attempt(attempt.clone());
            Ok(())
        })
    }

    async fn finish(&self, fence: &Fence, finish: Finish) -> Result<(), StoreError> {
        self.at(&finish.run.tenant.clone(), |tenant, now| {
            tenant.finish(fence, finish, now)
        })
    }

    async fn record_finished(&self, finished: Vec<Finish>) -> Result<(), StoreError> {
        let now = self.now();
        let mut state = self.state();
        let mut seen = BTreeSet::new();
        for finish in &finished {
            let tenant = state.tenants.entry(finish.run.tenant.clone()).or_default();
            tenant.may_record(finish)?;
            let letter = match &finish.letter {
                LetterChange::Enqueue(letter) => Some(letter.id.as_str()),
                LetterChange::None | LetterChange::Close => None,
            };
            for id in [finish.run.id.as_str()].into_iter().chain(letter) {
                if !seen.insert((&finish.run.tenant, id)) {
                    return Err(runs::exists(&finish.run.id));
                }
            }
        }
        for finish in finished {
            let tenant = state.tenants.entry(finish.run.tenant.clone()).or_default();
            tenant.record_finished(finish, now);
        }
        Ok(())
    }

    async fn runs(&self, tenant: &str, filter: &RunFilter) -> Result<Vec<RunRecord>, StoreError> {
        Ok(self.at(tenant, |tenant, now| tenant.list_runs(filter, now)))
    }

    async fn run(&self, tenant: &str, id: &RunId) -> Result<Option<RunRecord>, StoreError> {
        Ok(self.at(tenant, |tenant, now| tenant.runs.get(id).map(|row| row.view(now))))
    }

    async fn alike(&self, tenant: &str, likeness: &Likeness<'_>, since: i64) -> Result<Option<RunRecord>, StoreError> {
        Ok(self.at(tenant, |tenant, now| tenant.alike(likeness.digest(), since, now)))
    }

    async fn lose_caller(&self, tenant: &str, run: &RunId, lost: bool) -> Result<(), StoreError> {
        self.at(tenant, |tenant, now| {
            if let Some(row) = tenant.runs.get_mut(run) {
                row.lose_caller(lost, now);
            }
        });
        Ok(())
    }

    async fn tenants(&self) -> Result<Vec<String>, StoreError> {
        let state = self.state();
        let used = state.tenants.iter().filter(|(_, tenant)| tenant.is_used());
        Ok(used.map(|(name, _)| name.clone()).collect())
    }

    async fn append(&self, tenant: &str, root: &RunId, fence: &Fence, append: Append) -> Result<(), StoreError> {
        self.at(tenant, |tenant, now| tenant.append(root, fence, append, now))
    }

    async fn journal(&self, tenant: &str, run: &RunId) -> Result<Vec<JournalRecord>, StoreError> {
        Ok(self.with(tenant, |tenant| tenant.journal(run)))
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
        self.at(tenant, |tenant, now| tenant.go_on(run, root, fence, attempt, cut, now))
    }

    async fn claim_nested(&self, new: NewRun, fence: &Fence) -> Result<Claim, StoreError> {
        self.at(&new.run.tenant.clone(), |tenant, now| {
            tenant.claim_nested(new, fence, now)
        })
    }

    async fn finish_nested(&self, fence: &Fence, finish: Finish) -> Result<(), StoreError> {
        self.at(&finish.run.tenant.clone(), |tenant, now| {
            tenant.finish_nested(fence, finish, now)
        })
    }

    async fn tree(&self, tenant: &str, root: &RunId) -> Result<Vec<RunRecord>, StoreError> {
        Ok(self.at(tenant, |tenant, now| tenant.tree(root, now)))
    }

    async fn sleep(&self, fence: &Fence, run: RunRecord, journal: Vec<JournalRecord>) -> Result<(), StoreError> {
        self.at(&run.tenant.clone(), |tenant, now| {
            tenant.sleep(fence, run, journal, now)
        })
    }

    async fn suspend(
        &self,
        fence: &Fence,
        run: RunRecord,
        approval: ApprovalRecord,
        journal: Vec<JournalRecord>,
    ) -> Result<(), StoreError> {
        self.at(&run.tenant.clone(), |tenant, now| {
            tenant.suspend(fence, run, approval, journal, now)
        })
    }

    async fn take(
        &self,
        owner: &OwnerId,
        lease: Duration,
        limit: u32,
        busy: &[Lane],
    ) -> Result<Vec<Taken>, StoreError> {
        let now = self.now();
        let mut state = self.state();
        let mut due = Vec::new();
        for (name, tenant) in &state.tenants {
            let turns = tenant.takeable(now, |tool| {
                busy.iter().any(|lane| lane.tenant == *name && lane.tool == tool)
            });
            due.extend(turns.into_iter().map(|(turn, at, run)| (turn, at, name.clone(), run)));
        }
        due.sort();
        due.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        let taken = due.into_iter().filter_map(|(_, _, name, run)| {
            let tenant = state.tenants.get_mut(&name)?;
            tenant.take(&run, owner, lease, now)
        });
        Ok(taken.collect())
    }

    async fn take_run(&self, tenant: &str, run: &RunId, owner: &OwnerId, lease: Duration) -> Result<Taken, StoreError> {
        self.at(tenant, |tenant, now| tenant.take_run(run, owner, lease, now))
    }

    async fn cancel(&self, tenant: &str, run: &RunId) -> Result<bool, StoreError> {
        self.at(tenant, |tenant, now| tenant.cancel(run, now))
    }

    async fn is_cancelled(&self, tenant: &str, run: &RunId) -> Result<bool, StoreError> {
        Ok(self.with(tenant, |tenant| tenant.runs.get(run).is_some_and(|row| row.cancel)))
    }

    async fn approvals(&self, tenant: &str, filter: &ApprovalFilter) -> Result<Vec<ApprovalRecord>, StoreError> {
        Ok(self.at(tenant, |tenant, now| tenant.list_approvals(filter, now)))
    }

    async fn approval(&self, tenant: &str, id: &ApprovalId) -> Result<Option<ApprovalRecord>, StoreError> {
        Ok(self.at(tenant, |tenant, now| tenant.approval(id, now)))
    }

    async fn decide(&self, tenant: &str, id: &ApprovalId, verdict: &Verdict) -> Result<ApprovalRecord, StoreError> {
        self.at(tenant, |tenant, now| tenant.decide(id, verdict, now))
    }

    async fn state(&self, tenant: &str, space: &Space, key: &str) -> Result<Option<Bytes>, StoreError> {
        let key = (space.clone(), key.to_owned());
        Ok(self.with(tenant, |tenant| tenant.state.get(&key).cloned()))
    }

    async fn state_keys(&self, tenant: &str, space: &Space, prefix: &str) -> Result<Vec<String>, StoreError> {
        Ok(self.with(tenant, |tenant| tenant.state_keys(space, prefix)))
    }

    async fn letters(&self, tenant: &str, filter: &LetterFilter) -> Result<Vec<LetterRecord>, StoreError> {
        Ok(self.at(tenant, |tenant, now| tenant.list_letters(filter, now)))
    }

    async fn letter(&self, tenant: &str, id: &LetterId) -> Result<Option<LetterRecord>, StoreError> {
        Ok(self.at(tenant, |tenant, now| {
            tenant.letters.get(id).map(|letter| tenant.letter_view(letter, now))
        }))
    }

    async fn letter_of(&self, tenant: &str, run: &RunId) -> Result<Option<LetterRecord>, StoreError> {
        Ok(self.at(tenant, |tenant, now| tenant.letter_of(run, now)))
    }

    async fn lease_letter(
        &self,
        tenant: &str,
        id: &LetterId,
        owner: &OwnerId,
        lease: Duration,
    ) -> Result<(LetterRecord, Fence), StoreError> {
        self.at(tenant, |tenant, now| tenant.lease_letter(id, owner, lease, now))
    }

    async fn resolve(&self, tenant: &str, id: &LetterId, resolution: Resolution) -> Result<LetterRecord, StoreError> {
        self.at(tenant, |tenant, now| tenant.resolve(id, resolution, now))
    }

    async fn pin(&self, tenant: &str, id: &LetterId, pinned: bool) -> Result<bool, StoreError> {
        Ok(self.with(tenant, |tenant| {
            let letter = tenant.letters.get_mut(id);
            letter.map(|letter| letter.pinned = pinned).is_some()
        }))
    }

    async fn expired(&self, tenant: &str) -> Result<Vec<LetterId>, StoreError> {
        Ok(self.at(tenant, |tenant, now| tenant.expired(now)))
    }

    async fn waiting(&self, limit: u32) -> Result<Vec<LetterRecord>, StoreError> {
        let now = self.now();
        let state = self.state();
        let mut waiting: Vec<_> = state.tenants.values().flat_map(|tenant| tenant.waiting(now)).collect();
        waiting.sort_by(|a, b| {
            let order = |letter: &LetterRecord| {
                (
                    letter.replays,
                    letter.first_failed,
                    letter.tenant.clone(),
                    letter.id.clone(),
                )
            };
            order(a).cmp(&order(b))
        });
        waiting.truncate(listed(limit));
        Ok(waiting)
    }

    async fn backlog(&self) -> Result<Backlog, StoreError> {
        let now = self.now();
        let mut backlog = Backlog::default();
        for tenant in self.state().tenants.values() {
            tenant.add_to(&mut backlog, now);
        }
        Ok(backlog)
    }

    async fn put_redrive(&self, redrive: &RedriveRecord) -> Result<(), StoreError> {
        self.with(&redrive.tenant, |tenant| {
            tenant.redrives.insert(redrive.id.clone(), redrive.clone());
        });
        Ok(())
    }

    async fn running_redrives(&self) -> Result<Vec<RedriveRecord>, StoreError> {
        let state = self.state();
        let redrives = state.tenants.values().flat_map(|tenant| tenant.redrives.values());
        let mut running: Vec<_> = redrives.filter(|redrive| redrive.ended.is_none()).cloned().collect();
        running.sort_by(|a, b| (a.started, &a.id).cmp(&(b.started, &b.id)));
        Ok(running)
    }

    async fn hold_redrive(
        &self,
        tenant: &str,
        id: &RedriveId,
        owner: &OwnerId,
        time: Duration,
    ) -> Result<bool, StoreError> {
        Ok(self.at(tenant, |tenant, now| {
            let runs = tenant.redrives.get(id).is_some_and(|redrive| redrive.ended.is_none());
            let taken = tenant
                .holders
                .get(id)
                .is_some_and(|(holder, until)| holder != owner && *until > now);
            if runs && !taken {
                tenant
                    .holders
                    .insert(id.clone(), (owner.clone(), now.saturating_add(span(time))));
            }
            runs && !taken
        }))
    }

    async fn redrives(&self, tenant: &str) -> Result<Vec<RedriveRecord>, StoreError> {
        let mut redrives: Vec<_> = self.with(tenant, |tenant| tenant.redrives.values().cloned().collect());
        redrives.sort_by(|a: &RedriveRecord, b| (b.started, &b.id).cmp(&(a.started, &a.id)));
        Ok(redrives)
    }

    async fn release_letter(&self, tenant: &str, id: &LetterId, fence: &Fence) -> Result<(), StoreError> {
        self.at(tenant, |tenant, now| tenant.release_letter(id, fence, now))
    }

    async fn purge(&self, tenant: &str, ids: &[LetterId]) -> Result<Vec<LetterId>, StoreError> {
        Ok(self.at(tenant, |tenant, now| {
            ids.iter().filter(|id| tenant.purge(id, now)).cloned().collect()
        }))
    }

    async fn retain(&self, tenant: &str, keep_runs: Duration) -> Result<u64, StoreError> {
        Ok(self.at(tenant, |tenant, now| {
            let gone = tenant.retain(now.saturating_sub(span(keep_runs)), now);
            tenant.drop_orphans(None, now.saturating_sub(span(ORPHAN_AFTER)));
            gone
        }))
    }

    async fn retain_all(&self, keep_runs: Duration) -> Result<u64, StoreError> {
        let mut gone = 0;
        for tenant in self.tenants().await? {
            gone += self.retain(&tenant, keep_runs).await?;
        }
        Ok(gone)
    }

    async fn put_pages(&self, tenant: &str, pages: &[Page]) -> Result<(), StoreError> {
        self.at(tenant, |tenant, now| {
            for page in pages {
                let stored = tenant
                    .pages
                    .entry(page.digest)
                    .or_insert_with(|| (Bytes::copy_from_slice(&page.zstd), now));
                stored.1 = now;
            }
        });
        Ok(())
    }

    async fn page(&self, tenant: &str, digest: Digest) -> Result<Option<Bytes>, StoreError> {
        Ok(self.with(tenant, |tenant| tenant.pages.get(&digest).map(|(zstd, _)| zstd.clone())))
    }

    async fn time(&self) -> Result<Wall, StoreError> {
        Ok(Wall(self.now()))
    }

    async fn breakers(&self, tenant: &str) -> Result<Vec<BreakerRecord>, StoreError> {
        Ok(self.with(tenant, |tenant| tenant.breakers.values().cloned().collect()))
    }

    async fn swap_breaker(
        &self,
        tenant: &str,
        expected: i64,
        breaker: &BreakerRecord,
    ) -> Result<Option<BreakerRecord>, StoreError> {
        Ok(self.with(tenant, |tenant| match tenant.breakers.get(&breaker.key) {
            Some(stored) if stored.epoch != expected => Some(stored.clone()),
            _ => {
                tenant.breakers.insert(breaker.key.clone(), breaker.clone());
                None
            }
        }))
    }

    async fn append_errors(&self, errors: Vec<ErrorRecord>) -> Result<(), StoreError> {
        let mut state = self.state();
        for mut error in errors {
            state.last_error += 1;
            error.id = state.last_error;
            let log = &mut state.tenants.entry(error.tenant.clone()).or_default().errors;
            log.push_back(error);
            if log.len() > listed(ERRORS_KEPT) {
                log.pop_front();
            }
        }
        Ok(())
    }

    async fn errors(&self, tenant: &str, filter: &ErrorFilter) -> Result<Vec<ErrorRecord>, StoreError> {
        Ok(self.with(tenant, |tenant| {
            let newest = tenant.errors.iter().rev();
            let asked = newest.filter(|error| {
                filter.tool.as_ref().is_none_or(|tool| error.tool == *tool)
                    && filter.after.is_none_or(|after| error.id < after)
            });
            asked.take(listed(filter.limit)).cloned().collect()
        }))
    }

    async fn put_key(&self, key: StoredKey) -> Result<(), StoreError> {
        self.state().put_key(key)
    }

    async fn key(&self, id: &str) -> Result<Option<StoredKey>, StoreError> {
        Ok(self.state().keys.get(id).cloned())
    }

    async fn keys(&self, tenant: &str) -> Result<Vec<KeyRecord>, StoreError> {
        Ok(self.state().keys_of(tenant))
    }

    async fn revoke_key(&self, tenant: &str, id: &str) -> Result<Option<KeyRecord>, StoreError> {
        let now = self.now();
        Ok(self.state().revoke_key(tenant, id, now))
    }

    async fn append_audit(&self, entry: AuditEntry) -> Result<AuditRecord, StoreError> {
        Ok(self.with(&entry.tenant.clone(), |tenant| tenant.append_audit(entry)))
    }

    async fn audit(&self, tenant: &str, filter: &AuditFilter) -> Result<Vec<AuditRecord>, StoreError> {
        Ok(self.with(tenant, |tenant| tenant.list_audit(filter)))
    }

    async fn audit_trail(&self, tenant: &str, after: i64, limit: u32) -> Result<Vec<AuditRecord>, StoreError> {
        Ok(self.with(tenant, |tenant| {
            let behind = tenant.audit.iter().filter(|entry| entry.number > after);
            behind.take(listed(limit)).cloned().collect()
        }))
    }

    async fn audit_head(&self, tenant: &str) -> Result<AuditHead, StoreError> {
        Ok(self.with(tenant, |tenant| tenant.audit_head()))
    }
}
