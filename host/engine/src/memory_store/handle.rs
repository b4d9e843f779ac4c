//! The store itself: its clock, its lock, and one transaction at a time.

use super::span;
use super::tenant::Tenant;
use crate::ports::clock::{Clock, SystemClock};
use crate::records::StoredKey;
use std::collections::BTreeMap;
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
pub(super) struct State {
    pub(super) tenants: BTreeMap<String, Tenant>,
    pub(super) last_error: i64,
    /// API keys by id.
    pub(super) keys: BTreeMap<String, StoredKey>,
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

    pub(super) fn now(&self) -> i64 {
        self.clock.wall().0.saturating_add(self.ahead.load(Ordering::SeqCst))
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs one transaction on one tenant.
    pub(super) fn with<T>(&self, tenant: &str, act: impl FnOnce(&mut Tenant) -> T) -> T {
        act(self.state().tenants.entry(tenant.to_owned()).or_default())
    }

    /// Runs one transaction on one tenant that depends on the time.
    pub(super) fn at<T>(&self, tenant: &str, act: impl FnOnce(&mut Tenant, i64) -> T) -> T {
        let now = self.now();
        self.with(tenant, |tenant| act(tenant, now))
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}
