//! A store that fails on demand: before it did what it was asked, or after, when only the answer is lost.

use crate::ports::store::{Claim, Fence, Finish, LetterFilter, NewRun, RunFilter, Store, StoreError, ToolChange};
use crate::records::{AttemptRecord, BreakerRecord, ErrorRecord, LetterRecord, Page, RunRecord, ToolRecord};
use async_trait::async_trait;
use bytes::Bytes;
use fusebox_core::ids::{Digest, LetterId, OwnerId, RunId};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Which side of the work the failure is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Nothing was done.
    Before,
    /// It was done, and the caller does not hear of it.
    After,
    /// It is done, after so long.
    Late(Duration),
}

/// A store that fails at one call, or from one call on.
pub struct FaultyStore {
    inner: Arc<dyn Store>,
    calls: AtomicU64,
    first: u64,
    last: u64,
    when: When,
}

impl FaultyStore {
    /// Fails at call `n`, counted from 1 over all methods; 0 never fails.
    #[must_use]
    pub fn failing_at(inner: Arc<dyn Store>, n: u64, when: When) -> Self {
        Self {
            inner,
            calls: AtomicU64::new(0),
            first: n,
            last: n,
            when,
        }
    }

    /// Fails at call `n` and at every later one, before doing anything: the database is gone.
    #[must_use]
    pub fn gone_from(inner: Arc<dyn Store>, n: u64) -> Self {
        Self {
            last: u64::MAX,
            ..Self::failing_at(inner, n, When::Before)
        }
    }

    /// Does everything from call `n` on so much later: the database is overloaded.
    #[must_use]
    pub fn slow_from(inner: Arc<dyn Store>, n: u64, by: Duration) -> Self {
        Self {
            last: u64::MAX,
            ..Self::failing_at(inner, n, When::Late(by))
        }
    }

    /// How many calls it has had.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::SeqCst)
    }

    /// Counts a call; which side of it fails, if any.
    fn next(&self) -> Option<When> {
        let call = self.calls.fetch_add(1, Ordering::SeqCst) + 1;
        (self.first..=self.last).contains(&call).then_some(self.when)
    }

    async fn pass<T>(&self, work: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        let fault = self.next();
        let failed = || StoreError::Unavailable {
            reason: "a test made this call fail".to_owned(),
        };
        match fault {
            Some(When::Before) => Err(failed()),
            Some(When::After) => work.await.and(Err(failed())),
            Some(When::Late(by)) => {
                late(by).await;
                work.await
            }
            None => work.await,
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "on tokio's paused clock, as the fake clock is")]
async fn late(by: Duration) {
    tokio::time::sleep(by).await;
}

/// Passes each method on through [`FaultyStore::pass`].
macro_rules! pass_on {
    ($(async fn $name:ident(&self $(, $arg:ident: $type:ty)*) -> $result:ty;)*) => {
        #[async_trait]
        impl Store for FaultyStore {
            $(async fn $name(&self $(, $arg: $type)*) -> Result<$result, StoreError> {
                self.pass(self.inner.$name($($arg),*)).await
            })*
        }
    };
}

pass_on! {
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
    async fn letters(&self, tenant: &str, filter: &LetterFilter) -> Vec<LetterRecord>;
    async fn letter(&self, tenant: &str, id: &LetterId) -> Option<LetterRecord>;
    async fn letter_of(&self, tenant: &str, run: &RunId) -> Option<LetterRecord>;
    async fn lease_letter(&self, tenant: &str, id: &LetterId, owner: &OwnerId, lease: Duration) -> (LetterRecord, Fence);
    async fn release_letter(&self, tenant: &str, id: &LetterId, fence: &Fence) -> ();
    async fn purge(&self, tenant: &str, ids: &[LetterId]) -> Vec<LetterId>;
    async fn retain(&self, tenant: &str, keep_runs: Duration) -> u64;
    async fn put_pages(&self, tenant: &str, pages: &[Page]) -> ();
    async fn page(&self, tenant: &str, digest: Digest) -> Option<Bytes>;
    async fn breakers(&self, tenant: &str) -> Vec<BreakerRecord>;
    async fn swap_breaker(&self, tenant: &str, expected: i64, breaker: &BreakerRecord) -> Option<BreakerRecord>;
    async fn append_errors(&self, errors: Vec<ErrorRecord>) -> ();
    async fn errors(&self, tenant: &str, tool: Option<&str>, limit: u32) -> Vec<ErrorRecord>;
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::memory_store::MemoryStore;
    use crate::testing::store_contract::samples::{TENANT, new_run, run_id};

    async fn claim_and_look(store: &FaultyStore) -> (bool, bool) {
        let claimed = store.claim(new_run(1, None)).await.is_ok();
        let there = store.inner.run(TENANT, &run_id(1)).await.unwrap().is_some();
        (claimed, there)
    }

    #[tokio::test]
    async fn it_fails_on_the_side_of_the_work_that_was_asked_for() {
        let faulty = |n, when| FaultyStore::failing_at(Arc::new(MemoryStore::new()), n, when);
        assert_eq!(claim_and_look(&faulty(1, When::Before)).await, (false, false));
        assert_eq!(claim_and_look(&faulty(1, When::After)).await, (false, true));
        assert_eq!(claim_and_look(&faulty(0, When::Before)).await, (true, true));
        let second = faulty(2, When::Before);
        assert_eq!(claim_and_look(&second).await, (true, true));
        assert!(second.tools(TENANT).await.is_err());
        assert!(second.tools(TENANT).await.is_ok());
        assert_eq!(second.calls(), 3);
    }

    #[tokio::test]
    async fn a_store_that_is_gone_stays_gone() {
        let store = FaultyStore::gone_from(Arc::new(MemoryStore::new()), 2);
        assert!(store.tools(TENANT).await.is_ok());
        for _ in 0..3 {
            assert!(store.tools(TENANT).await.is_err());
        }
    }
}
