//! Points at which this process dies on command, for the tests of crashes. No binary that is shipped has them.
//!
//! `FUSEBOX_FAILPOINT` names one, as `METHOD:before:N` or `METHOD:after:N`: a method of the store, or `exchange` for a request to an
//! upstream. The process ends at its N-th call, before anything of it was done, or once it was done and before anybody hears of it.

use async_trait::async_trait;
use fusebox_engine::ports::store::Store;
use fusebox_engine::ports::transport::{self, ExchangeError, Incoming, Outgoing};
use fusebox_engine::testing::faulty_store::{FaultyStore, When};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The variable that names the point.
const VARIABLE: &str = "FUSEBOX_FAILPOINT";

/// One point.
struct Point {
    method: String,
    after: bool,
    call: u64,
    seen: AtomicU64,
}

impl Point {
    /// The point that the environment names.
    #[expect(clippy::disallowed_methods, reason = "a test's own switch, no setting")]
    fn named() -> Option<Self> {
        let text = std::env::var(VARIABLE).ok()?;
        let mut parts = text.split(':');
        Some(Self {
            method: parts.next()?.to_owned(),
            after: parts.next()? == "after",
            call: parts.next()?.parse().ok()?,
            seen: AtomicU64::new(0),
        })
    }

    /// Whether this call of that method is it.
    fn is_hit(&self, method: &str) -> bool {
        method == self.method && self.seen.fetch_add(1, Ordering::SeqCst) + 1 == self.call
    }
}

/// The store, with the point.
pub(crate) fn store(inner: Arc<dyn Store>) -> Arc<dyn Store> {
    let Some(point) = Point::named() else { return inner };
    Arc::new(FaultyStore::by_method(inner, move |method, _| {
        point
            .is_hit(method)
            .then_some(if point.after { When::DieAfter } else { When::Die })
    }))
}

/// What sends requests, with the point.
pub(crate) struct Transport<T> {
    inner: T,
    point: Option<Point>,
}

impl<T> Transport<T> {
    /// Around one that sends.
    pub(crate) fn around(inner: T) -> Self {
        Self {
            inner,
            point: Point::named(),
        }
    }
}

#[async_trait]
impl<T: transport::Transport> transport::Transport for Transport<T> {
    async fn exchange(&self, request: Outgoing) -> Result<Incoming, ExchangeError> {
        let hit = self.point.as_ref().filter(|point| point.is_hit("exchange"));
        if hit.is_some_and(|point| !point.after) {
            std::process::abort();
        }
        let answer = self.inner.exchange(request).await;
        if hit.is_some() {
            std::process::abort();
        }
        answer
    }
}
