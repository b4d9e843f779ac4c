//! A store that fails on demand: before it did what it was asked, or after, when only the answer is lost.

use crate::ports::store::{
    Append, ApprovalFilter, AuditFilter, Backlog, Claim, Cut, ErrorFilter, Fence, Finish, Lane, LetterFilter, Likeness,
    NewRun, Resolution, RunFilter, Space, Store, StoreError, Taken, ToolChange, Verdict, methods,
};
use crate::records::{
    ApprovalRecord, AttemptRecord, AuditEntry, AuditHead, AuditRecord, BreakerRecord, ErrorRecord, JournalRecord,
    KeyRecord, LetterRecord, Page, RedriveRecord, RunRecord, StoredKey, ToolRecord,
};
use async_trait::async_trait;
use bytes::Bytes;
use fusebox_core::ids::{ApprovalId, Digest, LetterId, OwnerId, RedriveId, RunId};
use fusebox_core::time::Wall;
use std::future::pending;
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
    /// Nothing was done, and there is nobody left to be told: the caller's process is gone.
    Gone,
    /// It was done, and there is nobody left to be told.
    GoneAfter,
    /// The process ends here and now, before anything was done.
    Die,
    /// The process ends here and now, after it was done.
    DieAfter,
}

/// What happens at which call of which method, the calls counted from 1 over all methods.
type Plan = Box<dyn Fn(&'static str, u64) -> Option<When> + Send + Sync>;

/// A store that fails at one call, or from one call on, or by any other plan.
pub struct FaultyStore {
    inner: Arc<dyn Store>,
    calls: AtomicU64,
    plan: Plan,
}

impl FaultyStore {
    /// Fails as the plan says, which is asked at every call.
    pub fn planned(inner: Arc<dyn Store>, plan: impl Fn(u64) -> Option<When> + Send + Sync + 'static) -> Self {
        Self::by_method(inner, move |_, call| plan(call))
    }

    /// Fails as the plan says, which is asked at every call and told the method.
    pub fn by_method(
        inner: Arc<dyn Store>,
        plan: impl Fn(&'static str, u64) -> Option<When> + Send + Sync + 'static,
    ) -> Self {
        Self {
            inner,
            calls: AtomicU64::new(0),
            plan: Box::new(plan),
        }
    }

    /// Fails at call `n`, counted from 1 over all methods; 0 never fails.
    #[must_use]
    pub fn failing_at(inner: Arc<dyn Store>, n: u64, when: When) -> Self {
        Self::planned(inner, move |call| (call == n).then_some(when))
    }

    /// Fails at call `n` and at every later one, before doing anything: the database is gone.
    #[must_use]
    pub fn gone_from(inner: Arc<dyn Store>, n: u64) -> Self {
        Self::planned(inner, move |call| (call >= n).then_some(When::Before))
    }

    /// Does everything from call `n` on so much later: the database is overloaded.
    #[must_use]
    pub fn slow_from(inner: Arc<dyn Store>, n: u64, by: Duration) -> Self {
        Self::planned(inner, move |call| (call >= n).then_some(When::Late(by)))
    }

    /// How many calls it has had.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::SeqCst)
    }

    /// Counts a call; which side of it fails, if any.
    fn next(&self, method: &'static str) -> Option<When> {
        let call = self.calls.fetch_add(1, Ordering::SeqCst) + 1;
        (self.plan)(method, call)
    }

    async fn pass<T>(
        &self,
        method: &'static str,
        work: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let fault = self.next(method);
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
            Some(When::Gone) => pending().await,
            Some(When::GoneAfter) => {
                // What came of it is nobody's to know.
                let _ = work.await;
                pending().await
            }
            Some(When::Die) => std::process::abort(),
            Some(When::DieAfter) => {
                // What came of it is nobody's to know.
                let _ = work.await;
                std::process::abort()
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
                self.pass(stringify!($name), self.inner.$name($($arg),*)).await
            })*
        }
    };
}

methods!(pass_on);

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
