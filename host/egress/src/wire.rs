//! A TCP stream that counts what it writes and can be shut between two writes, so that "no byte was written" is a fact.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

#[derive(Debug, Default)]
struct State {
    written: u64,
    shut: bool,
}

/// The count of a stream, held by those who need to know.
#[derive(Clone, Debug, Default)]
pub(crate) struct Count(Arc<Mutex<State>>);

impl Count {
    /// The lock is held over a write that does not block; nothing in it can panic.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes that the socket took so far.
    pub(crate) fn written(&self) -> u64 {
        self.state().written
    }

    /// Lets no further byte out, and tells how many got out before.
    pub(crate) fn shut(&self) -> u64 {
        let mut state = self.state();
        state.shut = true;
        state.written
    }

    fn write(&self, write: impl FnOnce() -> Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        let mut state = self.state();
        if state.shut {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let result = write();
        if let Poll::Ready(Ok(count)) = result {
            state.written += u64::try_from(count).unwrap_or(u64::MAX);
        }
        result
    }
}

/// The stream. It belongs below TLS: what TLS holds back has not been written.
#[derive(Debug)]
pub(crate) struct Wire<S> {
    stream: S,
    count: Count,
}

impl<S> Wire<S> {
    pub(crate) fn new(stream: S) -> (Self, Count) {
        let count = Count::default();
        let wire = Self {
            stream,
            count: count.clone(),
        };
        (wire, count)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Wire<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Wire<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let Self { stream, count } = self.get_mut();
        count.write(|| Pin::new(stream).poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let Self { stream, count } = self.get_mut();
        count.write(|| Pin::new(stream).poll_write_vectored(cx, slices))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test]
    async fn counts_what_was_taken_and_nothing_after_it_was_shut() {
        let (near, mut far) = tokio::io::duplex(4);
        let (mut wire, count) = Wire::new(near);
        assert_eq!(wire.write(b"abcdef").await.unwrap(), 4);
        assert_eq!(count.written(), 4);
        assert_eq!(count.shut(), 4);
        let mut read = [0; 4];
        far.read_exact(&mut read).await.unwrap();
        assert_eq!(wire.write(b"ef").await.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
        assert_eq!(count.written(), 4);
    }

    #[tokio::test]
    async fn a_write_that_waits_is_no_write() {
        let (near, _far) = tokio::io::duplex(1);
        let (mut wire, count) = Wire::new(near);
        wire.write_all(b"a").await.unwrap();
        assert!(futures::poll!(Box::pin(wire.write(b"b"))).is_pending());
        assert_eq!(count.shut(), 1);
    }
}
