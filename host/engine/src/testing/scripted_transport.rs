//! A transport that follows a script and counts what was really sent.

use crate::ports::transport::{ExchangeError, Incoming, Outgoing, Transport};
use async_trait::async_trait;
use bytes::Bytes;
use fusebox_core::effect::{Lost, NotSent};
use futures::future::BoxFuture;
use std::sync::{Arc, Mutex, PoisonError};

/// What an upstream does with one request; requests are counted from 1.
pub type Upstream = Arc<dyn Fn(u32, Outgoing) -> BoxFuture<'static, Result<Incoming, ExchangeError>> + Send + Sync>;

/// Answers every request by a closure and keeps what it was asked.
pub struct ScriptedTransport {
    upstream: Upstream,
    sent: Mutex<Vec<Outgoing>>,
}

impl ScriptedTransport {
    /// A transport whose upstream is that closure.
    pub fn new<F>(upstream: F) -> Self
    where
        F: Fn(u32, Outgoing) -> BoxFuture<'static, Result<Incoming, ExchangeError>> + Send + Sync + 'static,
    {
        Self {
            upstream: Arc::new(upstream),
            sent: Mutex::new(Vec::new()),
        }
    }

    /// A transport that answers each request by the closure at once.
    pub fn answering<F>(answer: F) -> Self
    where
        F: Fn(u32, &Outgoing) -> Result<Incoming, ExchangeError> + Send + Sync + 'static,
    {
        Self::new(move |number, request| {
            let answer = answer(number, &request);
            Box::pin(async move { answer })
        })
    }

    /// Every request, in the order in which they were sent.
    #[must_use]
    pub fn sent(&self) -> Vec<Outgoing> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[async_trait]
impl Transport for ScriptedTransport {
    async fn exchange(&self, request: Outgoing) -> Result<Incoming, ExchangeError> {
        let number = {
            let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
            sent.push(request.clone());
            u32::try_from(sent.len()).unwrap_or(u32::MAX)
        };
        (self.upstream)(number, request).await
    }
}

/// An answer of that status without a body.
///
/// # Errors
/// Never; the type is that of an exchange.
pub fn status(status: u16) -> Result<Incoming, ExchangeError> {
    Ok(Incoming {
        status,
        headers: Vec::new(),
        body: Bytes::new(),
    })
}

/// An answer of that status with one header.
///
/// # Errors
/// Never; the type is that of an exchange.
pub fn status_with(status: u16, name: &str, value: &str) -> Result<Incoming, ExchangeError> {
    Ok(Incoming {
        status,
        headers: vec![(name.to_owned(), value.as_bytes().to_vec())],
        body: Bytes::new(),
    })
}

/// A request that was written and never answered.
///
/// # Errors
/// Always.
pub fn lost(kind: Lost) -> Result<Incoming, ExchangeError> {
    Err(ExchangeError::Lost {
        kind,
        reason: format!("{kind:?} by the script"),
    })
}

/// A request of which no byte was written.
///
/// # Errors
/// Always.
pub fn not_sent(kind: NotSent) -> Result<Incoming, ExchangeError> {
    Err(ExchangeError::NotSent {
        kind,
        reason: format!("{kind:?} by the script"),
    })
}
