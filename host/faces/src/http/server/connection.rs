//! Connections: no more than there is room for, and none that takes what it is sent for ever.

use axum_server::accept::Accept;
use fusebox_engine::ports::clock::Clock;
use futures::future::BoxFuture;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A client that takes nothing of what it is sent for so long is gone.
const STALLED: Duration = Duration::from_secs(60);

/// Room for connections.
pub(super) struct Bounded<A> {
    inner: A,
    room: Arc<Semaphore>,
    clock: Arc<dyn Clock>,
}

impl Bounded<()> {
    /// Room for so many.
    pub(super) fn new(connections: usize, clock: Arc<dyn Clock>) -> Self {
        Self {
            inner: (),
            room: Arc::new(Semaphore::new(connections.min(Semaphore::MAX_PERMITS))),
            clock,
        }
    }

    /// The same room for what that acceptor accepts.
    pub(super) fn around<A>(self, inner: A) -> Bounded<A> {
        Bounded {
            inner,
            room: self.room,
            clock: self.clock,
        }
    }
}

impl<A: Clone> Clone for Bounded<A> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            room: Arc::clone(&self.room),
            clock: Arc::clone(&self.clock),
        }
    }
}

impl<A, S> Accept<TcpStream, S> for Bounded<A>
where
    A: Accept<TcpStream, S>,
    A::Stream: Send + 'static,
    A::Service: Send + 'static,
    A::Future: Send + 'static,
    S: Send + 'static,
{
    type Stream = Held<A::Stream>;
    type Service = A::Service;
    type Future = BoxFuture<'static, io::Result<(Self::Stream, Self::Service)>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        let Ok(place) = Arc::clone(&self.room).try_acquire_owned() else {
            // Whoever waits here would keep its connection; closed at once it can go elsewhere.
            return Box::pin(async {
                Err(io::Error::other(
                    "there are as many connections as `listen.connections` allows",
                ))
            });
        };
        // Without it answers wait for the acknowledgement of what was sent before.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection delays small packets");
        }
        let clock = Arc::clone(&self.clock);
        let accepted = self.inner.accept(stream, service);
        Box::pin(async move {
            let (stream, service) = accepted.await?;
            let held = Held {
                stream,
                clock,
                stalled: None,
                _place: place,
            };
            Ok((held, service))
        })
    }
}

/// A connection that has its place until it is closed.
pub(super) struct Held<S> {
    stream: S,
    clock: Arc<dyn Clock>,
    /// Runs while the client takes nothing.
    stalled: Option<BoxFuture<'static, ()>>,
    _place: OwnedSemaphorePermit,
}

impl<S> Held<S> {
    /// Lets a write wait for the client, for a while.
    fn patient<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let clock = Arc::clone(&self.clock);
        let stalled = self
            .stalled
            .get_or_insert_with(|| Box::pin(async move { clock.sleep(STALLED).await }));
        ready!(stalled.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client takes nothing")))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Held<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Held<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.patient(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, pieces);
        self.patient(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        self.patient(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.patient(cx, shut)
    }
}
