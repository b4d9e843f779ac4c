//! New connections: to the checked addresses and no others, with TLS where the origin says so.

use crate::deadline::Deadline;
use crate::message::{MAX_HEAD, MAX_HEADERS, chain, lost};
use crate::tls::H2;
use crate::wire::{Count, Wire};
use bytes::Bytes;
use fusebox_core::effect::{Lost, NotSent};
use fusebox_core::policy::Origin;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::ServerName;
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;

type Body = Full<Bytes>;

/// Why there is no connection.
pub(crate) type Refusal = (NotSent, String);

/// Why a connection gave no answer.
pub(crate) enum Broken {
    /// No byte of the request was written, and none will be.
    Unsent(String),
    /// At least a byte was written, or may have been.
    Lost(Lost, String),
}

enum Sender {
    /// One exchange at a time.
    One(http1::SendRequest<Body>),
    /// Many exchanges at a time.
    Many(http2::SendRequest<Body>),
}

/// The task that moves a connection's bytes; it ends with the last exchange that holds it.
struct Driver(JoinHandle<()>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// An open connection.
pub(crate) struct Connection {
    sender: Sender,
    count: Count,
    driver: Arc<Driver>,
}

/// Connects to the first of `addresses` that accepts, and shakes hands.
///
/// # Errors
/// Nobody accepted in time, or the handshake failed. No byte of a request was written.
pub(crate) async fn connect(
    tls: &TlsConnector,
    origin: &Origin,
    addresses: &[IpAddr],
    each: Duration,
    deadline: &Deadline,
) -> Result<(IpAddr, Connection), Refusal> {
    let (address, stream) = reach(addresses, origin.port, each, deadline).await?;
    let (wire, count) = Wire::new(stream);
    if !origin.tls {
        return Ok((address, open(wire, count, false).await?));
    }
    let name = ServerName::try_from(origin.host.clone())
        .map_err(|_| (NotSent::Tls, "no certificate can carry that host's name".to_owned()))?;
    let stream = match deadline.bound(tls.connect(name, wire)).await {
        Some(Ok(stream)) => stream,
        Some(Err(error)) => return Err((NotSent::Tls, format!("the TLS handshake failed: {}", chain(&error)))),
        None => {
            return Err((
                NotSent::ConnectTimeout,
                "the TLS handshake did not end in time".to_owned(),
            ));
        }
    };
    let h2 = stream.get_ref().1.alpn_protocol() == Some(H2);
    Ok((address, open(stream, count, h2).await?))
}

async fn reach(
    addresses: &[IpAddr],
    port: u16,
    each: Duration,
    deadline: &Deadline,
) -> Result<(IpAddr, TcpStream), Refusal> {
    let mut refusal = (NotSent::Dns, "there is no address".to_owned());
    for &address in addresses {
        let target = SocketAddr::new(address, port);
        let attempt = async {
            let stream = TcpStream::connect(target).await?;
            stream.set_nodelay(true)?;
            Ok::<_, std::io::Error>(stream)
        };
        refusal = match deadline.or_after(each).bound(attempt).await {
            Some(Ok(stream)) => return Ok((address, stream)),
            Some(Err(error)) if error.kind() == ErrorKind::TimedOut => {
                (NotSent::ConnectTimeout, format!("{target} did not accept: {error}"))
            }
            Some(Err(error)) => (NotSent::Refused, format!("{target} did not accept: {error}")),
            None => (NotSent::ConnectTimeout, format!("{target} did not accept in time")),
        };
    }
    Err(refusal)
}

async fn open<S>(stream: S, count: Count, h2: bool) -> Result<Connection, Refusal>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let failed = |error: hyper::Error| {
        (
            NotSent::NotWritten,
            format!("the connection broke at once: {}", chain(&error)),
        )
    };
    let io = TokioIo::new(stream);
    let (sender, task) = if h2 {
        let mut builder = http2::Builder::new(TokioExecutor::new());
        let (sender, connection) = builder
            .max_header_list_size(MAX_HEAD)
            .handshake(io)
            .await
            .map_err(failed)?;
        (Sender::Many(sender), tokio::spawn(drive(connection)))
    } else {
        let mut builder = http1::Builder::new();
        builder.max_headers(MAX_HEADERS).max_header_size(MAX_HEAD as usize);
        let (sender, connection) = builder.handshake(io).await.map_err(failed)?;
        (Sender::One(sender), tokio::spawn(drive(connection)))
    };
    Ok(Connection {
        sender,
        count,
        driver: Arc::new(Driver(task)),
    })
}

/// The exchange in flight is told how the connection ended; when there is none, nobody needs to know.
async fn drive(connection: impl Future<Output = hyper::Result<()>>) {
    if let Err(error) = connection.await {
        tracing::debug!(error = chain(&error), "a connection ended");
    }
}

impl Connection {
    pub(crate) fn is_h2(&self) -> bool {
        matches!(self.sender, Sender::Many(_))
    }

    /// Whether the connection can take a request now.
    pub(crate) fn is_ready(&self) -> bool {
        match &self.sender {
            Sender::One(sender) => !sender.is_closed() && sender.is_ready(),
            Sender::Many(sender) => !sender.is_closed(),
        }
    }

    /// Whether the connection can take another request, once it has settled the last one within `deadline`.
    pub(crate) async fn settled(&mut self, deadline: &Deadline) -> bool {
        match &mut self.sender {
            Sender::One(sender) => matches!(deadline.bound(sender.ready()).await, Some(Ok(()))),
            Sender::Many(sender) => !sender.is_closed(),
        }
    }

    /// The same connection for another exchange at the same time, if its protocol can do that.
    pub(crate) fn share(&self) -> Option<Self> {
        match &self.sender {
            Sender::One(_) => None,
            Sender::Many(sender) => Some(Self {
                sender: Sender::Many(sender.clone()),
                count: self.count.clone(),
                driver: self.driver.clone(),
            }),
        }
    }

    /// Sends a request and waits for the head of its answer.
    ///
    /// # Errors
    /// [`Broken`].
    pub(crate) async fn send(
        &mut self,
        request: Request<Body>,
        deadline: &Deadline,
    ) -> Result<Response<Incoming>, Broken> {
        let mark = self.count.written();
        let answer = match &mut self.sender {
            Sender::One(sender) => deadline.bound(sender.try_send_request(request)).await,
            Sender::Many(sender) => deadline.bound(sender.try_send_request(request)).await,
        };
        match answer {
            Some(Ok(response)) => Ok(response),
            Some(Err(mut failure)) => {
                // hyper gives the request back when its connection ended before it took it up.
                let untouched = failure.take_message().is_some() && !self.is_h2();
                let error = failure.into_error();
                if untouched || self.nothing_left(mark) {
                    Err(Broken::Unsent(format!(
                        "the connection broke before the request: {}",
                        chain(&error)
                    )))
                } else {
                    Err(Broken::Lost(
                        lost(&error),
                        format!("no whole answer came: {}", chain(&error)),
                    ))
                }
            }
            None if self.nothing_left(mark) => Err(Broken::Unsent("no byte of it could be written in time".to_owned())),
            None => Err(Broken::Lost(Lost::Timeout, "no answer came in time".to_owned())),
        }
    }

    /// Whether nothing was written since `mark`; if so, nothing will be. HTTP/2 shares its wire with other exchanges,
    /// so that only a connection that is over can tell; otherwise the answer is no, which claims less than is known.
    fn nothing_left(&self, mark: u64) -> bool {
        match &self.sender {
            Sender::One(_) => self.count.shut() == mark,
            Sender::Many(sender) => sender.is_closed() && self.count.shut() == mark,
        }
    }
}
