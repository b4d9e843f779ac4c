//! The lease of a claimed run: renewed while the run is executed, and asked before anything is sent.

use crate::engine::Engine;
use crate::ports::clock::Clock;
use crate::ports::store::{Fence, Store, StoreError};
use fusebox_core::ids::RunId;
use fusebox_core::time::Tick;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::OnceCell;
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;

/// A lease lasts so much longer than the exchange that it is renewed for.
pub(crate) const MARGIN: Duration = Duration::from_secs(1);

/// A run that this host owns. Dropping it stops the renewals; the lease then ends by itself.
pub(crate) struct Ownership {
    lease: Arc<Lease>,
    heartbeat: AbortHandle,
}

struct Lease {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    tenant: Arc<str>,
    run: RunId,
    fence: Fence,
    length: Duration,
    /// Until when the lease lasts for sure, by this process's monotonic clock.
    until: AtomicU64,
    /// Until when it has to last: the end of the longest exchange that was sent.
    needed: AtomicU64,
    /// The run belongs to another host.
    lost: AtomicBool,
    stop: CancellationToken,
}

impl Ownership {
    /// Keeps a lease that was taken at `taken`, before the store was asked, so that it is never thought to last longer than it does.
    /// `stop` ends the run here once it belongs to another host.
    pub(crate) fn keep(
        engine: &Engine,
        tenant: &Arc<str>,
        run: &RunId,
        fence: Fence,
        taken: Tick,
        length: Duration,
        stop: &CancellationToken,
    ) -> Self {
        let lease = Arc::new(Lease {
            store: Arc::clone(&engine.ports.store),
            clock: Arc::clone(&engine.ports.clock),
            tenant: Arc::clone(tenant),
            run: run.clone(),
            fence,
            length,
            until: AtomicU64::new((taken + length).0),
            needed: AtomicU64::new(0),
            lost: AtomicBool::new(false),
            stop: stop.clone(),
        });
        let heartbeat = tokio::spawn(beat(Arc::clone(&lease))).abort_handle();
        Self { lease, heartbeat }
    }

    /// What every write of this run carries.
    pub(crate) fn fence(&self) -> &Fence {
        &self.lease.fence
    }

    /// Whether the run belongs to another host by now.
    pub(crate) fn is_lost(&self) -> bool {
        self.lease.lost.load(Ordering::Acquire)
    }

    /// The right to send, as effects see it.
    pub(crate) fn right(&self) -> SendRight {
        SendRight(Arc::clone(&self.lease))
    }
}

/// The lease of a run, shared by the run and its effects: taken when the run is accepted, or by its first effect that may not be repeated.
#[derive(Clone, Default)]
pub(crate) struct Hold(Arc<OnceCell<Ownership>>);

impl Hold {
    /// A lease that is there.
    pub(crate) fn with(ownership: Ownership) -> Self {
        Self(Arc::new(OnceCell::new_with(Some(ownership))))
    }

    /// The lease; `None` while the run is not durable.
    pub(crate) fn get(&self) -> Option<&Ownership> {
        self.0.get()
    }

    /// The lease, taken by `claim` when nobody has taken it yet.
    pub(crate) async fn get_or_claim<E>(
        &self,
        claim: impl Future<Output = Result<Ownership, E>>,
    ) -> Result<&Ownership, E> {
        self.0.get_or_try_init(|| claim).await
    }
}

impl Drop for Ownership {
    fn drop(&mut self) {
        self.heartbeat.abort();
    }
}

/// The right to send requests for a run: only while its lease outlasts them (semantics.md §5).
#[derive(Clone)]
pub(crate) struct SendRight(Arc<Lease>);

impl SendRight {
    /// Whether the lease outlasts an exchange of that length that starts now; renews it when it does not.
    /// A host that was stopped for a while therefore wakes up without the right to send.
    pub(crate) async fn outlasts(&self, exchange: Duration) -> bool {
        let end = || self.0.clock.tick() + exchange;
        self.0.needed.fetch_max(end().0, Ordering::AcqRel);
        let lasts = || lasts_beyond(&self.0, end());
        lasts() || (renew(&self.0).await.is_ok() && lasts())
    }
}

fn lasts_beyond(lease: &Lease, end: Tick) -> bool {
    !lease.lost.load(Ordering::Acquire) && Tick(lease.until.load(Ordering::Acquire)) > end
}

async fn renew(lease: &Lease) -> Result<(), StoreError> {
    let asked = lease.clock.tick();
    // Longer than usual while an exchange is under way that lasts longer: nobody else may take the run for abandoned meanwhile.
    let exchanges = Tick(lease.needed.load(Ordering::Acquire)).since(asked);
    let length = lease.length.max(exchanges + MARGIN);
    let renewed = lease.store.renew(&lease.tenant, &lease.run, &lease.fence, length).await;
    match &renewed {
        Ok(()) => lease.until.store((asked + length).0, Ordering::Release),
        Err(StoreError::Fenced { .. }) => {
            tracing::error!(run = %lease.run, "the run belongs to another host now; it is stopped here");
            lease.lost.store(true, Ordering::Release);
            lease.stop.cancel();
        }
        Err(error) => tracing::warn!(run = %lease.run, %error, "the run's lease could not be renewed"),
    }
    renewed
}

async fn beat(lease: Arc<Lease>) {
    while !lease.lost.load(Ordering::Acquire) {
        lease.clock.sleep(lease.length / 3).await;
        // What failed was logged; the next beat tries again, and nothing is sent without the right to.
        let _ = renew(&lease).await;
        // A store that does not answer is asked again with the next beat.
        if lease
            .store
            .is_cancelled(&lease.tenant, &lease.run)
            .await
            .unwrap_or(false)
        {
            lease.stop.cancel();
        }
    }
}
