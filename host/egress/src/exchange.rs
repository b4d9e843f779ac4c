//! One exchange from the lookup of the name to the last byte of the answer; nothing in it is ever repeated.

use crate::address;
use crate::connect::{Broken, Connection, connect};
use crate::deadline::Deadline;
use crate::message::{Message, Place, read};
use crate::pool::{Key, Pool};
use crate::resolve::{Resolver, SystemResolver, resolve};
use crate::settings::{EgressError, NetworkSettings};
use crate::tls;
use async_trait::async_trait;
use fusebox_core::effect::NotSent;
use fusebox_core::policy::Origin;
use fusebox_engine::ports::transport::{ExchangeError, Incoming, Outgoing, Transport};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio_rustls::TlsConnector;

/// How long a connection may take, after the answer is whole, to be ready for the next exchange. One that is still
/// busy then has an upstream that answered before it had read the request.
const SETTLE: Duration = Duration::from_millis(50);

/// HTTP/1.1 and HTTP/2 over TCP and TLS.
pub struct HttpTransport {
    settings: NetworkSettings,
    resolver: Arc<dyn Resolver>,
    tls: TlsConnector,
    pool: Pool,
}

impl HttpTransport {
    /// A transport that asks the system's resolver.
    ///
    /// # Errors
    /// [`EgressError`] when the extra roots cannot be used.
    pub fn new(settings: NetworkSettings) -> Result<Self, EgressError> {
        Self::with_resolver(settings, Arc::new(SystemResolver))
    }

    /// A transport that asks that resolver.
    ///
    /// # Errors
    /// [`EgressError`] when the extra roots cannot be used.
    pub fn with_resolver(settings: NetworkSettings, resolver: Arc<dyn Resolver>) -> Result<Self, EgressError> {
        Ok(Self {
            tls: tls::connector(settings.extra_roots.as_deref())?,
            pool: Pool::new(settings.clock.clone(), settings.keep_idle, settings.max_idle),
            settings,
            resolver,
        })
    }

    /// The addresses of an origin, all of them checked.
    async fn addresses(&self, outgoing: &Outgoing, deadline: &Deadline) -> Result<Vec<IpAddr>, ExchangeError> {
        let Origin { host, port, .. } = &outgoing.origin;
        let unknown = |why: String| not_sent(outgoing, NotSent::Dns, &why);
        let addresses = match deadline.bound(resolve(self.resolver.as_ref(), host)).await {
            Some(Ok(addresses)) => addresses,
            Some(Err(error)) => return Err(unknown(format!("{host} cannot be looked up: {error}"))),
            None => return Err(unknown(format!("{host} was not found in time"))),
        };
        address::check(&self.settings.allow, host, &addresses, *port).map_err(|why| denied(outgoing, &why))?;
        Ok(addresses)
    }

    /// Sends the request over that connection, reads the answer, and keeps the connection if it is still good.
    async fn over(
        &self,
        mut connection: Connection,
        key: Key,
        message: &Message,
        outgoing: &Outgoing,
        deadline: &Deadline,
    ) -> Result<Incoming, Broken> {
        let request = message
            .request(connection.is_h2())
            .map_err(|error| Broken::Unsent(error.to_string()))?;
        let response = connection.send(request, deadline).await?;
        let answer = read(response, outgoing.max_response, deadline).await;
        let answer = answer.map_err(|(kind, why)| Broken::Lost(kind, why))?;
        // HTTP/2 was put into the pool when it was opened; after 101 the connection speaks no HTTP.
        if !connection.is_h2() && answer.status != 101 {
            let settle = Deadline::after(self.settings.clock.clone(), SETTLE);
            if connection.settled(&settle).await {
                self.pool.put(key, connection);
            }
        }
        Ok(answer)
    }
}

#[async_trait]
impl Transport for HttpTransport {
    async fn exchange(&self, outgoing: Outgoing) -> Result<Incoming, ExchangeError> {
        let message = Message::new(&outgoing).map_err(|why| denied(&outgoing, &why))?;
        let deadline = Deadline::after(self.settings.clock.clone(), outgoing.timeout);
        let addresses = self.addresses(&outgoing, &deadline).await?;
        let key = |address| Key {
            origin: outgoing.origin.clone(),
            address,
        };
        for &address in &addresses {
            let Some(connection) = self.pool.take(&key(address)) else {
                continue;
            };
            match self
                .over(connection, key(address), &message, &outgoing, &deadline)
                .await
            {
                // The upstream had closed it while it was idle. Nothing was sent, so a fresh one takes its place.
                Err(Broken::Unsent(why)) => {
                    tracing::debug!(why, "a kept connection was of no use");
                    break;
                }
                result => return result.map_err(|broken| failure(&outgoing, broken)),
            }
        }
        let each = self.settings.connect_timeout;
        let (address, connection) = connect(&self.tls, &outgoing.origin, &addresses, each, &deadline)
            .await
            .map_err(|(kind, why)| not_sent(&outgoing, kind, &why))?;
        if let Some(shared) = connection.share() {
            self.pool.put(key(address), shared);
        }
        let result = self
            .over(connection, key(address), &message, &outgoing, &deadline)
            .await;
        result.map_err(|broken| failure(&outgoing, broken))
    }
}

fn not_sent(outgoing: &Outgoing, kind: NotSent, why: &str) -> ExchangeError {
    ExchangeError::NotSent {
        kind,
        reason: format!("{} was not sent: {why}", Place(outgoing)),
    }
}

fn denied(outgoing: &Outgoing, why: &str) -> ExchangeError {
    ExchangeError::Denied {
        reason: format!("{} is denied: {why}", Place(outgoing)),
    }
}

fn failure(outgoing: &Outgoing, broken: Broken) -> ExchangeError {
    match broken {
        Broken::Unsent(why) => not_sent(outgoing, NotSent::NotWritten, &why),
        Broken::Lost(kind, why) => ExchangeError::Lost {
            kind,
            reason: format!("{} was sent, and its outcome is unknown: {why}", Place(outgoing)),
        },
    }
}
