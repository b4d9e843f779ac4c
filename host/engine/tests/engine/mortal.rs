//! A host whose process dies at one point of its life: what it did by then stays done, and nothing of it is ever heard again.

use crate::world::{World, ports};
use async_trait::async_trait;
use fusebox_engine::host::Host;
use fusebox_engine::ports::transport::{ExchangeError, Incoming, Outgoing, Transport};
use fusebox_engine::testing::faulty_store::{FaultyStore, When};
use fusebox_engine::testing::scripted_transport::ScriptedTransport;
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The points of a life: one before and one after each call of the store and each exchange.
pub(crate) struct Life {
    passed: AtomicU64,
    last: u64,
}

impl Life {
    /// A life that ends at point `last`, counted from 1.
    pub(crate) fn until(last: u64) -> Arc<Self> {
        Arc::new(Self {
            passed: AtomicU64::new(0),
            last,
        })
    }

    /// A life without end.
    pub(crate) fn long() -> Arc<Self> {
        Self::until(u64::MAX)
    }

    /// Points passed.
    pub(crate) fn passed(&self) -> u64 {
        self.passed.load(Ordering::SeqCst)
    }

    pub(crate) fn is_over(&self) -> bool {
        self.passed() >= self.last
    }

    /// The process dies now.
    pub(crate) fn end(&self) {
        self.passed.store(self.last, Ordering::SeqCst);
    }

    /// Passes a point; says whether the process lives on.
    fn goes_on(&self) -> bool {
        !self.is_over() && self.passed.fetch_add(1, Ordering::SeqCst) + 1 < self.last
    }

    fn at_call(&self) -> Option<When> {
        match (self.goes_on(), self.goes_on()) {
            (false, _) => Some(When::Gone),
            (true, false) => Some(When::GoneAfter),
            (true, true) => None,
        }
    }
}

struct MortalTransport {
    life: Arc<Life>,
    inner: Arc<ScriptedTransport>,
}

#[async_trait]
impl Transport for MortalTransport {
    async fn exchange(&self, request: Outgoing) -> Result<Incoming, ExchangeError> {
        if !self.life.goes_on() {
            return pending().await;
        }
        let answered = self.inner.exchange(request).await;
        if !self.life.goes_on() {
            return pending().await;
        }
        answered
    }
}

impl World {
    /// Another host of the same database and upstream, which lives so long.
    pub(crate) async fn mortal(&self, life: &Arc<Life>, seed: u64) -> Self {
        let at_call = Arc::clone(life);
        let store = FaultyStore::planned(Arc::clone(&self.store), move |_| at_call.at_call());
        let mut ports = ports(
            &(Arc::new(store) as _),
            &self.clock,
            &self.sandbox,
            &self.policies,
            &self.transport,
            seed,
        );
        ports.transport = Arc::new(MortalTransport {
            life: Arc::clone(life),
            inner: Arc::clone(&self.transport),
        });
        Self {
            host: Host::start(ports, self.settings.clone()).await.unwrap(),
            // What the test itself looks up is there, whoever is dead.
            store: Arc::clone(&self.store),
            clock: Arc::clone(&self.clock),
            sandbox: Arc::clone(&self.sandbox),
            transport: Arc::clone(&self.transport),
            policies: Arc::clone(&self.policies),
            settings: self.settings.clone(),
        }
    }
}
