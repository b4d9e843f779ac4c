//! The body of a request while the guest writes it: kept whole by the store, so that what the guest sees of it does not depend on how fast
//! anybody reads.

use super::request::content_length;
use crate::limits::Charge;
use crate::state::State;
use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame};
use http_body_util::BodyExt as _;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use wasmtime::component::{Resource, ResourceTable};
use wasmtime::{Error, Result};
use wasmtime_wasi::async_trait;
use wasmtime_wasi::p2::{DynOutputStream, OutputStream, Pollable, StreamError, StreamResult};
use wasmtime_wasi_http::p2::bindings::http::types::ErrorCode;
use wasmtime_wasi_http::p2::types::HostOutgoingRequest;
use wasmtime_wasi_http::{Error as HttpError, FieldMap, WasiBody};

/// What the stream takes in one write, always.
const WRITE: usize = 64 << 10;

/// The resource `outgoing-body`.
pub(crate) struct OutgoingBody {
    written: Arc<Mutex<Written>>,
    /// Until the guest takes it.
    stream: Option<Writer>,
}

impl OutgoingBody {
    /// The guest dropped it unfinished: its request is never begun.
    pub(super) fn abort(self) {
        lock(&self.written).end = End::Broken;
    }
}

/// What was written so far.
struct Written {
    bytes: BytesMut,
    held: Charge,
    /// The length that the request's headers declare.
    declared: Option<u64>,
    end: End,
    /// The request is gone: nobody will send this.
    unwanted: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Open,
    Whole,
    Broken,
}

fn lock(written: &Mutex<Written>) -> MutexGuard<'_, Written> {
    written.lock().unwrap_or_else(PoisonError::into_inner)
}

/// `outgoing-request.body`
pub(super) fn of_request(
    state: &mut State,
    request: &Resource<HostOutgoingRequest>,
) -> Result<Result<Resource<OutgoingBody>, ()>> {
    let held = state.host_memory.nothing();
    let request = state.table.get_mut(request)?;
    let (None, Ok(declared)) = (&request.body, content_length(&request.headers)) else {
        return Ok(Err(()));
    };
    let written = Arc::new(Mutex::new(Written {
        bytes: BytesMut::new(),
        held,
        declared,
        end: End::Open,
        unwanted: false,
    }));
    let body: WasiBody = Reader(Arc::clone(&written)).boxed_unsync();
    request.body = Some(body);
    let stream = Some(Writer(Arc::clone(&written)));
    let body = state.table.push(OutgoingBody { written, stream })?;
    Ok(Ok(body))
}

/// `outgoing-body.write`
pub(super) fn stream(
    table: &mut ResourceTable,
    body: &Resource<OutgoingBody>,
) -> Result<Result<Resource<DynOutputStream>, ()>> {
    let Some(stream) = table.get_mut(body)?.stream.take() else {
        return Ok(Err(()));
    };
    let stream: DynOutputStream = Box::new(stream);
    Ok(Ok(table.push_child(stream, body)?))
}

/// `outgoing-body.finish`
pub(super) fn finish(
    table: &mut ResourceTable,
    body: Resource<OutgoingBody>,
    trailers: Option<Resource<FieldMap>>,
) -> Result<Result<(), ErrorCode>> {
    let body = table.delete(body)?;
    let trailers = trailers.map(|trailers| table.delete(trailers)).transpose()?;
    let mut written = lock(&body.written);
    let length = written.bytes.len() as u64;
    let fault = if written.declared.is_some_and(|declared| declared != length) {
        Some(ErrorCode::HttpRequestBodySize(Some(length)))
    } else if trailers.is_some_and(|trailers| !trailers.is_empty()) {
        // The host sends none, and says so instead of losing them.
        Some(ErrorCode::HttpRequestTrailerSectionSize(Some(0)))
    } else {
        None
    };
    written.end = if fault.is_some() { End::Broken } else { End::Whole };
    Ok(fault.map_or(Ok(()), Err))
}

/// The guest's end of a body.
struct Writer(Arc<Mutex<Written>>);

impl OutputStream for Writer {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        let mut written = lock(&self.0);
        if written.unwanted {
            return Err(StreamError::Closed);
        }
        let length = (written.bytes.len() + bytes.len()) as u64;
        if written.declared.is_some_and(|declared| length > declared) {
            let code = ErrorCode::HttpRequestBodySize(Some(length));
            return Err(StreamError::LastOperationFailed(Error::new(code)));
        }
        let grown = written.held.grow(bytes.len() as u64);
        grown.map_err(|refusal| StreamError::Trap(refusal.into()))?;
        written.bytes.extend_from_slice(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        self.check_write().map(|_| ())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        if lock(&self.0).unwanted {
            Err(StreamError::Closed)
        } else {
            Ok(WRITE)
        }
    }
}

#[async_trait]
impl Pollable for Writer {
    async fn ready(&mut self) {}
}

/// The request's end of a body: pending until the guest has finished it, then whole.
struct Reader(Arc<Mutex<Written>>);

impl Body for Reader {
    type Data = Bytes;
    type Error = HttpError;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, HttpError>>> {
        let mut written = lock(&self.0);
        match written.end {
            End::Open => Poll::Pending,
            End::Broken => Poll::Ready(Some(Err(HttpError::HttpProtocolError))),
            End::Whole if written.bytes.is_empty() => Poll::Ready(None),
            End::Whole => {
                written.held.release();
                let bytes = std::mem::take(&mut written.bytes).freeze();
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        lock(&self.0).unwanted = true;
    }
}
