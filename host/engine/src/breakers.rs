//! Every breaker of this host: admission and settlement by the effects, its transitions handed over to be stored.

mod lock;
mod shared_time;
mod sync;
#[cfg(test)]
mod tests;

use lock::{Lock, Locked};
use shared_time::SharedTime;
pub(crate) use sync::Published;

use crate::meters::BreakerMeters;
use crate::ports::clock::Clock;
use crate::ports::entropy::Entropy;
use crate::ports::fleet::Fleet;
use crate::ports::store::Store;
use crate::records::BreakerRecord;
use fusebox_core::breaker::{Breaker, Order, Permit, Refusal, State, Stored, Transition, Verdict};
use fusebox_core::policy::BreakerPolicy;
use fusebox_core::time::{Tick, Wall};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;

/// Breakers kept before those that nobody uses, closed and without failures, are forgotten.
const KEPT: usize = 10_000;

/// One breaker, shared by all that reach its service.
pub(crate) struct Cell {
    tenant: Arc<str>,
    key: Arc<str>,
    links: Arc<Links>,
    meters: BreakerMeters,
    inner: Lock<Inner>,
    /// Held while the state is written, so that two writers of one host do not take each other for another host.
    publishing: tokio::sync::Mutex<()>,
}

struct Inner {
    breaker: Breaker,
    /// Drawn ahead, so that the path without a transition draws nothing.
    jitter: f64,
    /// What the store holds, as far as this host knows.
    stored_epoch: i64,
    stored_failures: u32,
    changed: Wall,
}

/// What every breaker of a host needs.
struct Links {
    clock: Arc<dyn Clock>,
    /// The time as it is stored: by the database's clock, so that a cooldown ends for all hosts at once, whatever their own clocks say.
    shared: SharedTime,
    entropy: Arc<dyn Entropy>,
    changes: mpsc::UnboundedSender<Arc<Cell>>,
}

impl Links {
    fn new(clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>, changes: mpsc::UnboundedSender<Arc<Cell>>) -> Arc<Self> {
        Arc::new(Self {
            shared: SharedTime::new(&*clock),
            clock,
            entropy,
            changes,
        })
    }

    /// One instant by the monotonic clock and by the database's.
    fn now(&self) -> (Tick, Wall) {
        let now = self.clock.tick();
        (now, self.shared.at(now))
    }
}

impl Cell {
    fn new(
        links: &Arc<Links>,
        tenant: &Arc<str>,
        key: &str,
        policy: &BreakerPolicy,
        stored: Option<&BreakerRecord>,
        meters: BreakerMeters,
    ) -> Self {
        let (now, wall) = links.now();
        let known = stored.and_then(|record| Some((record, stored_of(record, wall)?)));
        let breaker = match &known {
            Some((_, stored)) => Breaker::restore(policy.clone(), stored, now),
            None => Breaker::new(policy.clone()),
        };
        Self {
            tenant: Arc::clone(tenant),
            key: Arc::from(key),
            inner: Lock::new(Inner {
                breaker,
                jitter: links.entropy.fraction(),
                stored_epoch: known.as_ref().map_or(0, |(record, _)| record.epoch),
                stored_failures: known.as_ref().map_or(0, |(record, _)| record.failures),
                changed: known.as_ref().map_or(wall, |(record, _)| Wall(record.changed)),
            }),
            links: Arc::clone(links),
            meters,
            publishing: tokio::sync::Mutex::new(()),
        }
    }

    /// A breaker that nobody shares and nothing stores.
    pub(crate) fn alone(
        clock: &Arc<dyn Clock>,
        entropy: &Arc<dyn Entropy>,
        key: &str,
        policy: &BreakerPolicy,
    ) -> Arc<Self> {
        let links = Links::new(Arc::clone(clock), Arc::clone(entropy), mpsc::unbounded_channel().0);
        Arc::new(Self::new(
            &links,
            &Arc::from(""),
            key,
            policy,
            None,
            BreakerMeters::none(),
        ))
    }

    fn lock(&self) -> Locked<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whose it is: `search`, `TOOL/search` or `tool:TOOL`.
    pub(crate) fn key(&self) -> &str {
        &self.key
    }

    /// The same, to be kept.
    pub(crate) fn key_shared(&self) -> &Arc<str> {
        &self.key
    }

    /// Where it is.
    pub(crate) fn state(&self) -> State {
        let now = self.links.clock.tick();
        self.lock().breaker.stored(now).state
    }

    /// Whether a call has a chance, so that it need not start in order to be refused.
    ///
    /// # Errors
    /// [`Refusal`] while the breaker is open or held open.
    pub(crate) fn peek(&self, now: Tick) -> Result<(), Refusal> {
        self.lock().breaker.peek(now)
    }

    /// Asks for the right to send once.
    ///
    /// # Errors
    /// [`Refusal`] while the breaker is open, held open, or waits for its probes.
    pub(crate) fn admit(self: &Arc<Self>, now: Tick) -> Result<Held, Refusal> {
        let mut inner = self.lock();
        let jitter = inner.jitter;
        let admission = inner.breaker.admit(now, jitter);
        self.note(&mut inner, admission.changed);
        drop(inner);
        admission.permit.map(|permit| Held {
            cell: Arc::clone(self),
            permit: Some(permit),
            caused: admission.changed.is_some(),
        })
    }

    /// Hands a transition over to be stored, and draws the jitter of the next one.
    fn note(self: &Arc<Self>, inner: &mut Inner, changed: Option<Transition>) {
        let Some(changed) = changed else { return };
        inner.jitter = self.links.entropy.fraction();
        inner.changed = self.links.now().1;
        self.meters.changed(changed.to);
        tracing::info!(
            breaker = &*self.key,
            tenant = &*self.tenant,
            from = changed.from.name(),
            to = changed.to.name(),
            epoch = changed.epoch,
            "the breaker changed: {}",
            changed.cause
        );
        if self.links.changes.send(Arc::clone(self)).is_err() {
            tracing::debug!(breaker = &*self.key, "the host has ended; the transition is not stored");
        }
    }

    fn epoch(&self) -> i64 {
        self.lock().breaker.epoch()
    }

    fn reconfigure(self: &Arc<Self>, policy: &BreakerPolicy) {
        let mut inner = self.lock();
        let changed = inner.breaker.reconfigure(policy.clone());
        self.note(&mut inner, changed);
    }

    fn order(self: &Arc<Self>, order: Order, now: Tick) {
        let mut inner = self.lock();
        let changed = inner.breaker.order(order, now);
        self.note(&mut inner, changed);
    }

    /// Takes over what another host stored.
    fn adopt(&self, record: &BreakerRecord) {
        let (now, wall) = self.links.now();
        let Some(stored) = stored_of(record, wall) else {
            tracing::error!(
                breaker = record.key,
                state = record.state,
                "the stored breaker is in a state that this version does not know"
            );
            return;
        };
        let mut inner = self.lock();
        tracing::info!(
            breaker = &*self.key,
            to = record.state,
            epoch = record.epoch,
            "the breaker was changed by another host"
        );
        inner.breaker.adopt(&stored, now);
        inner.stored_epoch = record.epoch;
        inner.stored_failures = record.failures;
        inner.changed = Wall(record.changed);
    }

    /// The breaker as a row: what is stored and shown.
    pub(crate) fn record(&self) -> BreakerRecord {
        let (now, wall) = self.links.now();
        let inner = self.lock();
        let stored = inner.breaker.stored(now);
        BreakerRecord {
            key: self.key.to_string(),
            state: stored.state.name().to_owned(),
            epoch: stored.epoch,
            failures: stored.failures,
            reopenings: stored.reopenings,
            until: stored.remaining.map(|remaining| (wall + remaining).0),
            changed: inner.changed.0,
        }
    }
}

fn stored_of(record: &BreakerRecord, wall: Wall) -> Option<Stored> {
    Some(Stored {
        state: State::from_name(&record.state)?,
        epoch: record.epoch,
        failures: record.failures,
        reopenings: record.reopenings,
        remaining: record.until.map(|until| Wall(until).since(wall)),
    })
}

/// The right to send once. Dropped without a verdict, by a panic too, it is given back and counts as nothing.
#[must_use]
pub(crate) struct Held {
    cell: Arc<Cell>,
    permit: Option<Permit>,
    caused: bool,
}

impl Held {
    /// Whether asking for it opened the half-open state: the store is then asked before anything is sent, so that
    /// the hosts of one database send one probe.
    pub(crate) fn began_probing(&self) -> bool {
        self.caused && self.permit.as_ref().is_some_and(Permit::is_probe)
    }

    /// Reports how the effect ended.
    pub(crate) fn settle(mut self, verdict: Verdict, took: Duration, now: Tick) {
        if let Some(permit) = self.permit.take() {
            let mut inner = self.cell.lock();
            let jitter = inner.jitter;
            let changed = inner.breaker.settle(permit, verdict, took, now, jitter);
            self.cell.note(&mut inner, changed);
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(permit) = self.permit.take() {
            self.cell.lock().breaker.release(permit);
        }
    }
}

/// The breakers of one host, by tenant and key.
pub(crate) struct Breakers {
    store: Arc<dyn Store>,
    fleet: Arc<dyn Fleet>,
    links: Arc<Links>,
    cells: Mutex<Cells>,
}

#[derive(Default)]
struct Cells {
    by_tenant: HashMap<Arc<str>, HashMap<Arc<str>, Arc<Cell>>>,
    count: usize,
    sweep_at: usize,
}

impl Breakers {
    /// The breaker of that key under that policy: the one in memory, else as it is stored, else a new one.
    pub(crate) fn configured(
        &self,
        tenant: &Arc<str>,
        key: &str,
        policy: &BreakerPolicy,
        stored: &[BreakerRecord],
    ) -> Arc<Cell> {
        let mut cells = self.lock();
        let known = cells.by_tenant.get(tenant).and_then(|cells| cells.get(key)).cloned();
        match known {
            Some(cell) => {
                drop(cells);
                cell.reconfigure(policy);
                cell
            }
            None => {
                let stored = stored.iter().find(|record| record.key == key);
                let cell = Arc::new(Cell::new(
                    &self.links,
                    tenant,
                    key,
                    policy,
                    stored,
                    BreakerMeters::new(key),
                ));
                cells.insert(&cell, self.links.clock.tick());
                cell
            }
        }
    }

    /// Breakers of a tenant that are in memory.
    pub(crate) fn of_tenant(&self, tenant: &str) -> Vec<Arc<Cell>> {
        let cells = self.lock();
        cells
            .by_tenant
            .get(tenant)
            .map_or_else(Vec::new, |cells| cells.values().cloned().collect())
    }

    /// Every breaker that is in memory, of every tenant.
    pub(crate) fn all(&self) -> Vec<Arc<Cell>> {
        let cells = self.lock();
        cells.by_tenant.values().flat_map(HashMap::values).cloned().collect()
    }

    fn tenants(&self) -> Vec<Arc<str>> {
        self.lock().by_tenant.keys().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Cells> {
        self.cells.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Cells {
    fn insert(&mut self, cell: &Arc<Cell>, now: Tick) {
        if self.count >= self.sweep_at.max(KEPT) {
            self.sweep(now);
            self.sweep_at = self.count * 2;
        }
        let cells = self.by_tenant.entry(Arc::clone(&cell.tenant)).or_default();
        if cells.insert(Arc::clone(&cell.key), Arc::clone(cell)).is_none() {
            self.count += 1;
        }
    }

    /// Forgets breakers that no tool uses and that would be the same when they were made anew.
    fn sweep(&mut self, now: Tick) {
        for cells in self.by_tenant.values_mut() {
            cells.retain(|_, cell| Arc::strong_count(cell) > 1 || !cell.lock().breaker.is_evictable(now));
        }
        self.by_tenant.retain(|_, cells| !cells.is_empty());
        self.count = self.by_tenant.values().map(HashMap::len).sum();
    }
}
