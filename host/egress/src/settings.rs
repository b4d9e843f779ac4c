//! What the operator decides about the network.

use fusebox_engine::ports::clock::Clock;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Whether the operator lets a connection through that the guard of addresses would refuse: the host as the service
/// names it, the address that it resolved to, the port.
pub type Allow = Arc<dyn Fn(&str, IpAddr, u16) -> bool + Send + Sync>;

/// What the operator decides about the network.
#[derive(Clone)]
pub struct NetworkSettings {
    /// Exceptions to the guard of addresses (`network.allow`).
    pub allow: Allow,
    /// A PEM file of certificates that are trusted besides the system's.
    pub extra_roots: Option<PathBuf>,
    /// The time that timeouts are measured in.
    pub clock: Arc<dyn Clock>,
    /// How long one address may take to accept a connection before the next one is tried.
    pub connect_timeout: Duration,
    /// How long a connection is kept without use.
    pub keep_idle: Duration,
    /// How many connections are kept without use, all upstreams together.
    pub max_idle: usize,
}

impl NetworkSettings {
    /// The defaults, without any exception.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            allow: Arc::new(|_, _, _| false),
            extra_roots: None,
            clock,
            connect_timeout: Duration::from_secs(10),
            keep_idle: Duration::from_secs(30),
            max_idle: 256,
        }
    }
}

/// Why there can be no transport with these settings.
#[derive(Debug, thiserror::Error)]
pub enum EgressError {
    /// The file of extra roots cannot be read.
    #[error(
        "the certificates in {path} cannot be read: {reason}; give a PEM file of CA certificates, or leave the setting out"
    )]
    Roots {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The TLS library refuses the configuration.
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
}
