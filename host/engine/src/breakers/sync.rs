//! Breakers and the store: transitions are written by compare-and-set off the call path, those of other hosts taken over within a second.

use super::{Breakers, Cell, Cells, Links, Order};
use crate::ports::clock::Clock;
use crate::ports::entropy::Entropy;
use crate::ports::fleet::{Fleet, Topic};
use crate::ports::store::Store;
use crate::records::BreakerRecord;
use crate::refusals;
use crate::requests::BreakerOrder;
use fusebox_core::failure::Failure;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// How often the store is asked for what other hosts changed.
const POLL: Duration = Duration::from_secs(1);
/// Writes of one breaker in a row before the rest is left to the next poll: it changes faster than it can be written.
const WRITES: u32 = 3;

/// What became of writing a breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Published {
    /// The store holds its state now.
    Ours,
    /// The store cannot be reached; this host goes on with its own.
    Alone,
    /// Another host was first, and its state was taken over.
    Theirs,
}

impl Breakers {
    /// The breakers of a host, with the two tasks that keep them and the store together; these end with the registry.
    pub(crate) fn start(
        store: Arc<dyn Store>,
        fleet: Arc<dyn Fleet>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Arc<Self> {
        let (changes, changed) = mpsc::unbounded_channel();
        let told = fleet.told(Topic::Breakers);
        let breakers = Arc::new(Self {
            store,
            fleet,
            links: Links::new(Arc::clone(&clock), entropy, changes),
            cells: Mutex::new(Cells::default()),
        });
        tokio::spawn(write(Arc::downgrade(&breakers), changed));
        tokio::spawn(poll(Arc::downgrade(&breakers), clock, told));
        breakers
    }

    /// What the store holds for a tenant; nothing when it cannot be reached, and the breakers start as new.
    pub(crate) async fn stored(&self, tenant: &str) -> Vec<BreakerRecord> {
        if !self.links.shared.is_known() {
            self.learn_time().await;
        }
        match self.store.breakers(tenant).await {
            Ok(stored) => stored,
            Err(error) => {
                tracing::warn!(tenant, %error, "stored breakers cannot be read; this host goes on with its own");
                Vec::new()
            }
        }
    }

    /// Asks for the database's time. Without an answer the clock that is known goes on.
    async fn learn_time(&self) {
        let asked = self.links.clock.tick();
        match self.store.time().await {
            Ok(time) => self.links.shared.learn(time, asked, self.links.clock.tick()),
            Err(error) => tracing::debug!(%error, "the database's time cannot be read"),
        }
    }

    /// Writes a breaker's transitions, or takes over what another host wrote first.
    pub(crate) async fn publish(&self, cell: &Arc<Cell>) -> Published {
        let _turn = cell.publishing.lock().await;
        for _ in 0..WRITES {
            let record = cell.record();
            let expected = cell.lock().stored_epoch;
            if record.epoch == expected {
                break;
            }
            if let Some(outcome) = self.swap(cell, expected, &record).await {
                return outcome;
            }
        }
        Published::Ours
    }

    async fn swap(&self, cell: &Arc<Cell>, expected: i64, record: &BreakerRecord) -> Option<Published> {
        match self.store.swap_breaker(&cell.tenant, expected, record).await {
            Ok(None) => {
                self.fleet.tell(Topic::Breakers);
                let mut inner = cell.lock();
                inner.stored_epoch = record.epoch;
                inner.stored_failures = record.failures;
                None
            }
            Ok(Some(theirs)) => {
                cell.adopt(&theirs);
                Some(Published::Theirs)
            }
            Err(error) => {
                tracing::warn!(breaker = cell.key(), %error, "the breaker's state cannot be stored; this host goes on alone and tries again");
                Some(Published::Alone)
            }
        }
    }

    /// Writes what is not written yet, failures in a row too, so that a process that ends loses no count.
    pub(crate) async fn flush(&self) {
        for tenant in self.tenants() {
            for cell in self.of_tenant(&tenant) {
                self.publish(&cell).await;
                let _turn = cell.publishing.lock().await;
                let record = cell.record();
                let (epoch, failures) = {
                    let inner = cell.lock();
                    (inner.stored_epoch, inner.stored_failures)
                };
                if record.epoch == epoch && record.failures != failures {
                    self.swap(&cell, epoch, &record).await;
                }
            }
        }
    }

    /// Does what an operator orders, and returns once the store knows, so that every other host will.
    ///
    /// # Errors
    /// That the store could not be told: the order holds in this process alone.
    pub(crate) async fn order(&self, cell: &Arc<Cell>, order: BreakerOrder) -> Result<BreakerRecord, Box<Failure>> {
        let order = match order {
            BreakerOrder::ForceOpen => Order::ForceOpen,
            BreakerOrder::Disable => Order::Disable,
            BreakerOrder::Close => Order::Close,
        };
        loop {
            cell.order(order, self.links.clock.tick());
            match self.publish(cell).await {
                Published::Ours => return Ok(cell.record()),
                Published::Alone => return Err(refusals::order_not_stored(cell.key())),
                // Another host's transition in between does not stand in the way of an order.
                Published::Theirs => {}
            }
        }
    }

    /// Takes over what other hosts changed, and writes what could not be written before.
    async fn catch_up(&self) {
        let tenants = self.tenants();
        if !tenants.is_empty() {
            self.learn_time().await;
        }
        for tenant in tenants {
            let stored = self.stored(&tenant).await;
            let stored: HashMap<_, _> = stored.iter().map(|record| (record.key.as_str(), record)).collect();
            for cell in self.of_tenant(&tenant) {
                if let Some(record) = stored.get(cell.key())
                    && record.epoch > cell.epoch()
                {
                    cell.adopt(record);
                }
                self.publish(&cell).await;
            }
        }
    }
}

async fn write(breakers: Weak<Breakers>, mut changed: mpsc::UnboundedReceiver<Arc<Cell>>) {
    while let Some(cell) = changed.recv().await {
        let Some(breakers) = breakers.upgrade() else { return };
        breakers.publish(&cell).await;
    }
}

async fn poll(breakers: Weak<Breakers>, clock: Arc<dyn Clock>, mut told: watch::Receiver<u64>) {
    loop {
        told.mark_unchanged();
        tokio::select! {
            () = clock.sleep(POLL) => {}
            Ok(()) = told.changed() => {}
        }
        let Some(breakers) = breakers.upgrade() else { return };
        breakers.catch_up().await;
    }
}
