//! HTTP exchanges as the engine orders them: one whole request, one whole answer, or the evidence of what went wrong.

use async_trait::async_trait;
use bytes::Bytes;
use fusebox_core::effect::{Lost, NotSent};
use fusebox_core::policy::Origin;
use std::time::Duration;

/// A request, whole, with the headers that the host added.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// Where it goes.
    pub origin: Origin,
    /// Upper-case method.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Headers in order; names in lower case. No hop-by-hop header, no `host`, no `content-length`.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body.
    pub body: Bytes,
    /// From the lookup of the name to the last byte of the answer.
    pub timeout: Duration,
    /// Largest answer body, in bytes.
    pub max_response: u64,
}

/// An answer, whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incoming {
    /// HTTP status; redirects are answers.
    pub status: u16,
    /// Headers in order; names in lower case.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body.
    pub body: Bytes,
}

/// Why there is no whole answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExchangeError {
    /// No byte of the request was written.
    #[error("{reason}")]
    NotSent {
        /// What stopped it.
        kind: NotSent,
        /// What happened, and where.
        reason: String,
    },
    /// At least a byte was written.
    #[error("{reason}")]
    Lost {
        /// What broke it.
        kind: Lost,
        /// What happened, and where.
        reason: String,
    },
    /// The address may not be reached.
    #[error("{reason}")]
    Denied {
        /// Which rule refused, and which key of the operator's file would allow it.
        reason: String,
    },
}

/// Carries out exchanges.
#[async_trait]
pub trait Transport: Send + Sync {
    /// Sends one request and waits for its whole answer. Never repeats anything, follows no redirect.
    ///
    /// # Errors
    /// [`ExchangeError`], which tells whether a byte was written.
    async fn exchange(&self, request: Outgoing) -> Result<Incoming, ExchangeError>;
}
