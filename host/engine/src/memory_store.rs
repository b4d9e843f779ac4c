//! A store in memory: the model that every other store is held to, and the store of a host that needs no database.

mod letters;
mod runs;
mod tools;

use crate::ports::clock::{Clock, SystemClock};
use crate::ports::store::{
    Claim, ERRORS_KEPT, Fence, Finish, LISTED, LetterChange, LetterFilter, NewRun, ORPHAN_AFTER, RunFilter, Store,
    StoreError, ToolChange,
};
use crate::records::{AttemptRecord, BreakerRecord, ErrorRecord, LetterRecord, Page, RunRecord, ToolRecord, millis};
use async_trait::async_trait;
use bytes::Bytes;
use fusebox_core::ids::{Digest, LetterId, OwnerId, RunId};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A store that forgets everything when it is dropped.
pub struct MemoryStore {
    clock: Arc<dyn Clock>,
    /// Milliseconds that its clock is ahead of `clock`.
    ahead: AtomicI64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    tenants: BTreeMap<String, Tenant>,
    last_error: i64,
}

/// Everything of one tenant: another tenant's data cannot even be named.
#[derive(Default)]
struct Tenant {
    components: BTreeMap<Digest, Bytes>,
    /// Versions of each tool, oldest first.
    tools: BTreeMap<String, Vec<ToolRecord>>,
    /// The highest number that a version of each name has had, removed ones included.
    numbers: BTreeMap<String, i64>,
    runs: BTreeMap<RunId, runs::Row>,
    keys: BTreeMap<Digest, runs::Key>,
    letters: BTreeMap<LetterId, LetterRecord>,
    /// Pages, and when each was put last.
    pages: BTreeMap<Digest, (Bytes, i64)>,
    breakers: BTreeMap<String, BreakerRecord>,
    /// Oldest first.
    errors: VecDeque<ErrorRecord>,
}

impl MemoryStore {
    /// An empty store on the machine's clock.
    #[must_use]
    pub fn new() -> Self {
        Self::with_clock(Arc::new(SystemClock::new()))
    }

    /// An empty store whose leases end by the wall time of `clock`.
    #[must_use]
    pub fn with_clock(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            ahead: AtomicI64::new(0),
            state: Mutex::default(),
        }
    }

    /// Sets its clock forward.
    pub fn pass(&self, time: Duration) {
        self.ahead.fetch_add(span(time), Ordering::SeqCst);
    }

    fn now(&self) -> i64 {
        self.clock.wall().0.saturating_add(self.ahead.load(Ordering::SeqCst))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs one transaction on one tenant.
    fn with<T>(&self, tenant: &str, act: impl FnOnce(&mut Tenant) -> T) -> T {
        act(self.state().tenants.entry(tenant.to_owned()).or_default())
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

/// Whole milliseconds as stored times have them, saturating.
fn span(time: Duration) -> i64 {
    i64::try_from(millis(time)).unwrap_or(i64::MAX)
}

/// How many rows a list gives.
fn listed(limit: u32) -> usize {
    let limit = if limit == 0 { LISTED } else { limit };
    usize::try_from(limit).unwrap_or(usize::MAX)
}

impl Tenant {
    /// Removes pages that no snapshot needs and that were put at or before `until`: those among `asked`, or all.
    fn drop_orphans(&mut self, asked: Option<&BTreeSet<Digest>>, until: i64) {
        let needed: BTreeSet<_> = self.letters.values().flat_map(letters::pages).collect();
        self.pages.retain(|digest, (_, put)| {
            needed.contains(digest) || *put > until || asked.is_some_and(|asked| !asked.contains(digest))
        });
    }
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
        let now = self.now();
        self.with(&new.run.tenant.clone(), |tenant| tenant.claim(new, now))
    }

    async fn renew(&self, tenant: &str, run: &RunId, fence: &Fence, lease: Duration) -> Result<(), StoreError> {
        let now = self.now();
        self.with(tenant, |tenant| {
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
        let now = self.now();
        self.with(tenant, |tenant| {
            tenant.owned(run, fence, now)?.add_attempt(attempt.clone());
            Ok(())
        })
    }

    async fn finish(&self, fence: &Fence, finish: Finish) -> Result<(), StoreError> {
        let now = self.now();
        self.with(&finish.run.tenant.clone(), |tenant| tenant.finish(fence, finish, now))
    }

    async fn record_finished(&self, finished: Vec<Finish>) -> Result<(), StoreError> {
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
            tenant.record_finished(finish);
        }
        Ok(())
    }

    async fn runs(&self, tenant: &str, filter: &RunFilter) -> Result<Vec<RunRecord>, StoreError> {
        let now = self.now();
        Ok(self.with(tenant, |tenant| tenant.list_runs(filter, now)))
    }

    async fn run(&self, tenant: &str, id: &RunId) -> Result<Option<RunRecord>, StoreError> {
        let now = self.now();
        Ok(self.with(tenant, |tenant| tenant.runs.get(id).map(|row| row.view(now))))
    }

    async fn letters(&self, tenant: &str, filter: &LetterFilter) -> Result<Vec<LetterRecord>, StoreError> {
        let now = self.now();
        Ok(self.with(tenant, |tenant| tenant.list_letters(filter, now)))
    }

    async fn letter(&self, tenant: &str, id: &LetterId) -> Result<Option<LetterRecord>, StoreError> {
        let now = self.now();
        Ok(self.with(tenant, |tenant| {
            tenant.letters.get(id).map(|letter| tenant.letter_view(letter, now))
        }))
    }

    async fn letter_of(&self, tenant: &str, run: &RunId) -> Result<Option<LetterRecord>, StoreError> {
        let now = self.now();
        Ok(self.with(tenant, |tenant| tenant.letter_of(run, now)))
    }

    async fn lease_letter(
        &self,
        tenant: &str,
        id: &LetterId,
        owner: &OwnerId,
        lease: Duration,
    ) -> Result<(LetterRecord, Fence), StoreError> {
        let now = self.now();
        self.with(tenant, |tenant| tenant.lease_letter(id, owner, lease, now))
    }

    async fn release_letter(&self, tenant: &str, id: &LetterId, fence: &Fence) -> Result<(), StoreError> {
        let now = self.now();
        self.with(tenant, |tenant| tenant.release_letter(id, fence, now))
    }

    async fn purge(&self, tenant: &str, ids: &[LetterId]) -> Result<Vec<LetterId>, StoreError> {
        let now = self.now();
        Ok(self.with(tenant, |tenant| {
            ids.iter().filter(|id| tenant.purge(id, now)).cloned().collect()
        }))
    }

    async fn retain(&self, tenant: &str, keep_runs: Duration) -> Result<u64, StoreError> {
        let now = self.now();
        Ok(self.with(tenant, |tenant| {
            let gone = tenant.retain(now.saturating_sub(span(keep_runs)), now);
            tenant.drop_orphans(None, now.saturating_sub(span(ORPHAN_AFTER)));
            gone
        }))
    }

    async fn put_pages(&self, tenant: &str, pages: &[Page]) -> Result<(), StoreError> {
        let now = self.now();
        self.with(tenant, |tenant| {
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

    async fn errors(&self, tenant: &str, tool: Option<&str>, limit: u32) -> Result<Vec<ErrorRecord>, StoreError> {
        Ok(self.with(tenant, |tenant| {
            let newest = tenant.errors.iter().rev();
            let asked = newest.filter(|error| tool.is_none_or(|tool| error.tool == tool));
            asked.take(listed(limit)).cloned().collect()
        }))
    }
}
