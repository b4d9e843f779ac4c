//! Calls whose callers were told to ask later, as long as this process knows more of them than the store.

use super::catalogue::Entry;
use fusebox_core::ids::RunId;
use fusebox_core::time::Tick;
use fusebox_engine::following::Following;
use fusebox_engine::requests::Caller;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long the outcome of a function that leaves no record is kept for its caller.
const KEPT: Duration = Duration::from_secs(600);

/// More calls than a host takes on are never kept.
const MOST: usize = 4096;

/// A call in this process.
#[derive(Clone)]
pub(super) struct Kept {
    pub(super) following: Following,
    pub(super) entry: Arc<Entry>,
    tenant: Arc<str>,
    principal: Arc<str>,
    since: Tick,
}

/// Calls by their runs.
#[derive(Default)]
pub(super) struct Pending {
    calls: Mutex<HashMap<RunId, Kept>>,
}

impl Pending {
    /// Keeps a call for its caller to ask after.
    pub(super) fn keep(&self, run: RunId, caller: &Caller, following: Following, entry: Arc<Entry>, now: Tick) {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        calls.retain(|_, call| now.since(call.since) < KEPT || call.following.seen().borrow().outcome.is_none());
        if calls.len() >= MOST {
            let oldest = calls
                .iter()
                .min_by_key(|(_, call)| call.since)
                .map(|(run, _)| run.clone());
            if let Some(oldest) = oldest {
                calls.remove(&oldest);
            }
        }
        let kept = Kept {
            following,
            entry,
            tenant: Arc::clone(&caller.tenant),
            principal: Arc::clone(&caller.principal),
            since: now,
        };
        calls.insert(run, kept);
    }

    /// A call of that caller.
    pub(super) fn find(&self, caller: &Caller, run: &RunId) -> Option<Kept> {
        let calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = calls.get(run)?;
        (kept.tenant == caller.tenant && kept.principal == caller.principal).then(|| kept.clone())
    }
}
