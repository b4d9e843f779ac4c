//! The listening socket: TLS, how many connections there may be, how slow they may be, and how they end.
//!
//! HTTP/1.1 alone is spoken: one request at a time for each connection, so that the limit of connections is one of requests too.
//! A proxy in front speaks the later versions.

mod apart;
mod connection;

use axum::Router;
use axum_server::Handle;
use axum_server::accept::{Accept, DefaultAcceptor};
use axum_server::service::SendService;
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use connection::Bounded;
use fusebox_engine::ports::clock::Clock;
use fusebox_manifest::ListenSettings;
use http::Request;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

/// The most of a request's head, in bytes, and the most headers in it.
const HEAD: usize = 32 << 10;
const HEADERS: usize = 64;
/// How long answers may still take once the host has drained.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// Why nothing listens.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// The address is none, or is taken.
    #[error("{address} cannot be listened on: {reason}")]
    Address {
        /// As it was given.
        address: String,
        /// What the system said.
        reason: io::Error,
    },
    /// A certificate or key cannot be used.
    #[error("{} gives no {what}: {reason}", path.display())]
    Tls {
        /// The file.
        path: PathBuf,
        /// `certificate` or `key`.
        what: &'static str,
        /// Why.
        reason: String,
    },
}

/// Files of a certificate and its key, both PEM.
#[derive(Clone, Debug)]
pub struct Tls {
    /// The certificate and those of the authorities between it and a root.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// A socket that listens and answers nobody yet.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    tls: Option<RustlsConfig>,
    connections: usize,
    head_time: Duration,
    clock: Arc<dyn Clock>,
}

impl Server {
    /// Listens on an address.
    ///
    /// # Errors
    /// An address that is none or is taken, or a certificate that cannot be used.
    pub async fn bind(
        address: &str,
        tls: Option<&Tls>,
        settings: &ListenSettings,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, Trouble> {
        let tls = tls.map(config).transpose()?;
        let trouble = |reason| Trouble::Address {
            address: address.to_owned(),
            reason,
        };
        let listener = tokio::net::TcpListener::bind(address).await.map_err(trouble)?;
        let listener = listener.into_std().map_err(trouble)?;
        Ok(Self {
            address: listener.local_addr().map_err(trouble)?,
            listener,
            tls,
            connections: settings.connections,
            head_time: settings.head_time,
            clock,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it listens, for people and clients.
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// Answers until `stop`; then takes no more connections, and gives those that there are `drain` to finish what they are at.
    ///
    /// # Errors
    /// Those of the system.
    pub async fn serve(self, router: Router, stop: CancellationToken, drain: Duration) -> io::Result<()> {
        let handle = Handle::new();
        let ending = handle.clone();
        let stopped = async move {
            stop.cancelled().await;
            ending.graceful_shutdown(Some(drain.saturating_add(LAST_WORDS)));
            std::future::pending::<()>().await;
        };
        let bounded = Bounded::new(self.connections, self.clock);
        let served = async {
            let plain = axum_server::from_tcp(self.listener)?;
            match self.tls {
                None => {
                    answer(
                        plain.acceptor(bounded.around(DefaultAcceptor)),
                        router,
                        self.head_time,
                        handle,
                    )
                    .await
                }
                Some(tls) => {
                    let tls = RustlsAcceptor::new(tls).handshake_timeout(self.head_time);
                    answer(plain.acceptor(bounded.around(tls)), router, self.head_time, handle).await
                }
            }
        };
        tokio::select! {
            served = served => served,
            () = stopped => Ok(()),
        }
    }
}

/// What a router becomes for each connection.
type Connected = axum::middleware::AddExtension<Router, axum::extract::ConnectInfo<SocketAddr>>;

async fn answer<A>(
    server: axum_server::Server<SocketAddr, A>,
    router: Router,
    head_time: Duration,
    handle: Handle<SocketAddr>,
) -> io::Result<()>
where
    A: Accept<TcpStream, Connected> + Clone + Send + Sync + 'static,
    A::Stream: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send,
    A::Service: SendService<Request<hyper::body::Incoming>> + Send,
    A::Future: Send,
{
    let mut server = server.http1_only().handle(handle);
    // The time of a head begins when the one before it was answered: it ends idle connections too.
    let mut http1 = server.http_builder().http1();
    http1
        .header_read_timeout(head_time)
        .max_headers(HEADERS)
        .max_buf_size(HEAD);
    server
        .serve(router.into_make_service_with_connect_info::<SocketAddr>())
        .await
}

fn config(tls: &Tls) -> Result<RustlsConfig, Trouble> {
    let trouble = |path: &Path, what, reason: String| Trouble::Tls {
        path: path.to_owned(),
        what,
        reason,
    };
    let certificates = CertificateDer::pem_file_iter(&tls.certificate).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let certificates = certificates.map_err(|error| trouble(&tls.certificate, "certificate", error.to_string()))?;
    let key = PrivateKeyDer::from_pem_file(&tls.key);
    let key = key.map_err(|error| trouble(&tls.key, "key", error.to_string()))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|versions| versions.with_no_client_auth().with_single_cert(certificates, key));
    let mut config = config.map_err(|error| trouble(&tls.certificate, "certificate", error.to_string()))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(RustlsConfig::from_config(Arc::new(config)))
}
