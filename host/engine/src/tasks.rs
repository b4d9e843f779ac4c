//! Calls in flight: how many are taken on, how one is cancelled, how all of them are waited for.

use crate::following::Following;
use crate::runs::Facts;
use fusebox_core::ids::RunId;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError};
use tokio::task::Id;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Why a call is not taken on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Full {
    /// As many calls as the host takes are in flight.
    Calls,
    /// The host is shutting down.
    Draining,
}

/// The calls of one host.
pub(crate) struct Tasks {
    places: Arc<Semaphore>,
    size: usize,
    tracker: TaskTracker,
    stop: CancellationToken,
    draining: CancellationToken,
    running: Arc<Mutex<HashMap<RunId, Entry>>>,
}

impl Tasks {
    pub(crate) fn new(max_calls: usize) -> Self {
        Self {
            places: Arc::new(Semaphore::new(max_calls.min(Semaphore::MAX_PERMITS))),
            size: max_calls.min(Semaphore::MAX_PERMITS),
            tracker: TaskTracker::new(),
            stop: CancellationToken::new(),
            draining: CancellationToken::new(),
            running: Arc::default(),
        }
    }

    /// A place for one call, given back when it is dropped.
    pub(crate) fn admit(&self) -> Result<OwnedSemaphorePermit, Full> {
        Arc::clone(&self.places)
            .try_acquire_owned()
            .map_err(|refused| match refused {
                TryAcquireError::NoPermits => Full::Calls,
                TryAcquireError::Closed => Full::Draining,
            })
    }

    /// As [`Self::admit`], once there is one.
    pub(crate) async fn place(&self) -> Result<OwnedSemaphorePermit, Full> {
        let place = Arc::clone(&self.places).acquire_owned().await;
        place.map_err(|_closed| Full::Draining)
    }

    /// Calls that have a place.
    pub(crate) fn in_flight(&self) -> usize {
        self.size.saturating_sub(self.places.available_permits())
    }

    /// The tasks that a drain waits for.
    pub(crate) fn tracker(&self) -> &TaskTracker {
        &self.tracker
    }

    /// Cancelled when the host gives up waiting for its calls.
    pub(crate) fn stopping(&self) -> &CancellationToken {
        &self.stop
    }

    /// Whether the host takes no more calls, and hands over the runs that it has.
    pub(crate) fn is_draining(&self) -> bool {
        self.draining.is_cancelled()
    }

    /// Cancelled when the host drains.
    pub(crate) fn draining(&self) -> &CancellationToken {
        &self.draining
    }

    /// Attempts end at their next effect from now on.
    pub(crate) fn drain(&self) {
        self.draining.cancel();
    }

    /// Makes a run known, so that it can be cancelled, until the entry is dropped.
    pub(crate) fn enter(
        &self,
        facts: &Arc<Facts>,
        cancel: &CancellationToken,
        following: Option<Following>,
    ) -> Running {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = Entry {
            facts: Arc::clone(facts),
            cancel: cancel.clone(),
            following,
            task: tokio::task::try_id(),
        };
        running.insert(facts.id.clone(), entry);
        Running {
            run: facts.id.clone(),
            running: Arc::clone(&self.running),
        }
    }

    /// Cancels a run of this process; `false` when the tenant, or that principal, has none of that id.
    pub(crate) fn cancel(&self, tenant: &str, principal: Option<&str>, run: &RunId) -> bool {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let own = |entry: &&Entry| principal.is_none_or(|principal| *entry.facts.principal == *principal);
        let entry = running
            .get(run)
            .filter(|entry| *entry.facts.tenant == *tenant)
            .filter(own);
        entry.map(|entry| entry.cancel.cancel()).is_some()
    }

    /// The run that a task executes: its tenant and its id.
    pub(crate) fn carried_out_by(&self, task: Id) -> Option<(Arc<str>, RunId)> {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let mut entries = running.iter();
        let (run, entry) = entries.find(|(_, entry)| entry.task == Some(task))?;
        Some((Arc::clone(&entry.facts.tenant), run.clone()))
    }

    /// A run of this process that equals that call and whose caller has left; the newest of them.
    pub(crate) fn alike(&self, call: &Facts) -> Option<(RunId, Following)> {
        let fingerprint = call.input.fingerprint();
        let equals = |facts: &Facts| {
            facts.key.is_none()
                && facts.nested.is_none()
                && facts.tenant == call.tenant
                && facts.principal == call.principal
                && facts.tool.policy.name == call.tool.policy.name
                && facts.function.name == call.function.name
                && facts.input.fingerprint() == fingerprint
        };
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let left = running.iter().filter_map(|(run, entry)| {
            let following = entry.following.as_ref().filter(|following| following.is_left())?;
            equals(&entry.facts).then_some((run, following))
        });
        left.max_by_key(|(run, _)| run.as_str())
            .map(|(run, following)| (run.clone(), following.clone()))
    }

    /// Takes no more calls.
    pub(crate) fn close(&self) {
        self.places.close();
        self.tracker.close();
    }
}

struct Entry {
    facts: Arc<Facts>,
    cancel: CancellationToken,
    following: Option<Following>,
    /// The task that executes it.
    task: Option<Id>,
}

/// The entry of a run that is being executed.
pub(crate) struct Running {
    run: RunId,
    running: Arc<Mutex<HashMap<RunId, Entry>>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.remove(&self.run);
    }
}
