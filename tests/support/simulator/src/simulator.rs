//! The simulator as a value: five listeners that live as long as it does, and what tests order and ask.

use crate::admin;
use crate::fault::Fault;
use crate::listener;
use crate::record::Recorded;
use crate::service::{Ports, Service};
use crate::services::ledger::LedgerView;
use crate::services::llm::ScriptedMessage;
use crate::services::mail::Mail;
use crate::world::{RateLimit, World};
use std::io;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

/// Why the simulator does not do as told.
#[derive(Debug)]
pub enum SimulatorError {
    /// A port cannot be opened.
    Port {
        /// Which; 0 stands for any.
        port: u16,
        /// What the system said.
        source: io::Error,
    },
    /// The order makes no sense.
    Order(String),
}

impl std::fmt::Display for SimulatorError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Port { port, source } => write!(
                f,
                "port {port} of 127.0.0.1 cannot be opened: {source}; choose others with --base-port"
            ),
            Self::Order(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for SimulatorError {}

/// Running upstreams; they end when this is dropped.
pub struct Simulator {
    world: Arc<World>,
    ports: Ports,
    _stop: DropGuard,
}

impl Simulator {
    /// Starts on `base_port` and the four after it; 0 takes five free ports.
    ///
    /// # Errors
    /// [`SimulatorError::Port`] when a port is taken.
    pub async fn start(base_port: u16) -> Result<Self, SimulatorError> {
        let world = Arc::new(World::default());
        let stop = CancellationToken::new();
        let (admin, admin_port) = open(base_port, 0)?;
        let mut ports = [0; 4];
        for (offset, service) in (1..).zip(Service::ALL) {
            let (listener, port) = open(base_port, offset)?;
            ports[service.index()] = port;
            tokio::spawn(listener::serve(world.clone(), service, listener, stop.clone()));
        }
        let [search, llm, mail, ledger] = ports;
        let app = admin::router(world.clone());
        let ended = stop.clone().cancelled_owned();
        tokio::spawn(async move { axum::serve(admin, app).with_graceful_shutdown(ended).await });
        Ok(Self {
            world,
            ports: Ports {
                admin: admin_port,
                search,
                llm,
                mail,
                ledger,
            },
            _stop: stop.drop_guard(),
        })
    }

    /// Where everything listens.
    #[must_use]
    pub fn ports(&self) -> Ports {
        self.ports
    }

    /// Appends a fault to a service's script, for that many requests; `None`: until it is cleared.
    ///
    /// # Errors
    /// [`SimulatorError::Order`] for zero times, or a counted refusal.
    pub async fn fault(&self, service: Service, fault: Fault, times: Option<u64>) -> Result<(), SimulatorError> {
        self.world
            .script(service, fault, times)
            .await
            .map_err(SimulatorError::Order)
    }

    /// Empties the script of one service, or of all.
    ///
    /// # Errors
    /// [`SimulatorError::Order`] when a port cannot be opened again.
    pub async fn clear_faults(&self, service: Option<Service>) -> Result<(), SimulatorError> {
        self.world.clear_faults(service).await.map_err(SimulatorError::Order)
    }

    /// Sets or lifts a rate limit.
    pub fn rate_limit(&self, service: Service, limit: Option<RateLimit>) {
        self.world.limit(service, limit);
    }

    /// Makes the model say these messages next, whatever it is asked; an empty list takes back what is left of an earlier one.
    ///
    /// # Errors
    /// [`SimulatorError::Order`] for a message without content and calls.
    pub fn script_llm(&self, script: Vec<ScriptedMessage>) -> Result<(), SimulatorError> {
        self.world.script_llm(script).map_err(SimulatorError::Order)
    }

    /// Everything as at the start: no faults, no limits, nothing recorded, all balances as at first.
    ///
    /// # Errors
    /// [`SimulatorError::Order`] when a port cannot be opened again.
    pub async fn reset(&self) -> Result<(), SimulatorError> {
        self.world.reset().await.map_err(SimulatorError::Order)
    }

    /// Every request to one service, or to all, in order.
    #[must_use]
    pub fn requests(&self, service: Option<Service>) -> Vec<Recorded> {
        self.world.requests(service)
    }

    /// The mails that were sent.
    #[must_use]
    pub fn mails(&self) -> Vec<Mail> {
        self.world.mails()
    }

    /// What the ledger did.
    #[must_use]
    pub fn ledger(&self) -> LedgerView {
        self.world.ledger()
    }
}

fn open(base: u16, offset: u16) -> Result<(TcpListener, u16), SimulatorError> {
    let port = match base {
        0 => 0,
        base => base
            .checked_add(offset)
            .ok_or_else(|| SimulatorError::Order("the base port is at most 65531".to_owned()))?,
    };
    let failed = |source| SimulatorError::Port { port, source };
    let listener = listener::open(port).map_err(failed)?;
    let port = listener.local_addr().map_err(failed)?.port();
    Ok((listener, port))
}
