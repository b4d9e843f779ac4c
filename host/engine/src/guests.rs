//! The runtime that guests run on, apart from I/O: a guest that spins delays other guests by a few ticks, and no socket at all.

use futures::FutureExt as _;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::JoinHandle;

/// A handle on the guests' runtime; the runtime ends with its last handle.
#[derive(Clone, Debug)]
pub struct GuestRuntime {
    handle: Handle,
    owned: Option<Arc<Owned>>,
}

/// Something ended before it gave its result: by a panic, or with its runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lost;

/// A runtime may not be dropped inside another one's task unless it is told not to wait.
#[derive(Debug)]
struct Owned(Option<Runtime>);

impl Drop for Owned {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl GuestRuntime {
    /// A runtime of its own with so many threads, at least one.
    ///
    /// # Errors
    /// The system's, when it refuses threads.
    pub fn start(threads: usize) -> std::io::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(threads.max(1))
            .thread_name("fusebox-guest")
            .enable_time()
            // A guest yields after a tick of some milliseconds: timers and new calls are looked at after few of them.
            .event_interval(4)
            .global_queue_interval(2)
            .build()?;
        Ok(Self {
            handle: runtime.handle().clone(),
            owned: Some(Arc::new(Owned(Some(runtime)))),
        })
    }

    /// The runtime that the caller is on: for tests whose guests are scripts.
    #[must_use]
    pub fn current() -> Self {
        Self {
            handle: Handle::current(),
            owned: None,
        }
    }

    /// Runs a future to its end and waits for it. On the runtime of the caller it needs no task of its own.
    ///
    /// # Errors
    /// [`Lost`] when it panicked, or its runtime ended.
    pub async fn run<F>(&self, future: F) -> Result<F::Output, Lost>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        if self.owned.is_some() {
            return self.spawn(future).await.map_err(|_| Lost);
        }
        AssertUnwindSafe(future).catch_unwind().await.map_err(|_| Lost)
    }

    /// Runs a future to its end, whether or not anybody waits for it.
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.handle.spawn(future)
    }
}
