//! The guest's way out: a request is buffered whole, handed to the engine in a task of its own, and its answer comes
//! back whole. An effect goes on when the instance that asked for it is gone.

use crate::limits::{Charge, HostMemory};
use crate::wasi::clock::VirtualClock;
use bytes::{Bytes, BytesMut};
use fusebox_core::effect::{Lost, NotSent};
use fusebox_engine::ports::sandbox::{EffectError, Effects, GuestRequest};
use fusebox_engine::ports::transport::Incoming;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use std::sync::Arc;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks};

/// Where requests of one attempt go.
pub(crate) struct Outbound {
    effects: Arc<dyn Effects>,
    clock: Arc<VirtualClock>,
    memory: Arc<HostMemory>,
}

impl Outbound {
    pub(crate) fn new(effects: &Arc<dyn Effects>, clock: &Arc<VirtualClock>, memory: &Arc<HostMemory>) -> Self {
        Self {
            effects: Arc::clone(effects),
            clock: Arc::clone(clock),
            memory: Arc::clone(memory),
        }
    }
}

type Report = Box<dyn Future<Output = Result<(), Error>> + Send>;
type Exchange = Box<dyn Future<Output = Result<(Response<WasiBody>, Report), Error>> + Send>;

impl WasiHttpHooks for Outbound {
    /// The service knows its own host; the guest's request stays as the guest made it.
    fn set_host_header(&mut self) -> bool {
        false
    }

    /// Time limits of the guest's own are not applied: those of the service and of the attempt are.
    fn send_request(&mut self, request: Request<WasiBody>, _: Option<RequestOptions>, _: Report) -> Exchange {
        let effects = Arc::clone(&self.effects);
        let clock = Arc::clone(&self.clock);
        let memory = Arc::clone(&self.memory);
        Box::new(async move {
            let (request, held) = buffered(request, &memory).await?;
            let exchange = tokio::spawn(async move {
                let answer = effects.http(request).await;
                drop(held);
                answer
            });
            let answer = match exchange.await {
                Ok(answer) => answer,
                Err(failed) => {
                    tracing::error!(%failed, "an effect ended without an answer");
                    Err(EffectError::Ended)
                }
            };
            clock.settle();
            let answer = answer.map_err(|error| seen_by_guest(&error))?;
            let response = response(answer, &memory)?;
            Ok((response, Box::new(async { Ok(()) }) as Report))
        })
    }
}

/// The request as the guest made it, its body whole.
async fn buffered(request: Request<WasiBody>, memory: &Arc<HostMemory>) -> Result<(GuestRequest, Vec<Charge>), Error> {
    let (head, mut body) = request.into_parts();
    let mut bytes = BytesMut::new();
    let mut held = Vec::new();
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame?.into_data() {
            let total = bytes.len().saturating_add(data.len()) as u64;
            let charge = memory.charge(data.len() as u64);
            held.push(charge.map_err(|_| Error::HttpRequestBodySize(Some(total)))?);
            bytes.extend_from_slice(&data);
        }
    }
    let headers = head.headers.iter();
    let request = GuestRequest {
        tls: head.uri.scheme() != Some(&http::uri::Scheme::HTTP),
        authority: head.uri.authority().map(ToString::to_string).unwrap_or_default(),
        method: head.method.as_str().to_owned(),
        path: head
            .uri
            .path_and_query()
            .map_or_else(|| "/".to_owned(), ToString::to_string),
        headers: headers
            .map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()))
            .collect(),
        body: bytes.freeze(),
    };
    Ok((request, held))
}

/// The answer, its body whole and held until the guest has let go of it.
fn response(answer: Incoming, memory: &Arc<HostMemory>) -> Result<Response<WasiBody>, Error> {
    let size = answer.body.len() as u64;
    let charge = memory
        .charge(size)
        .map_err(|_| Error::HttpResponseBodySize(Some(size)))?;
    let body = Bytes::from_owner(Held {
        bytes: answer.body,
        _charge: charge,
    });
    let mut headers = HeaderMap::with_capacity(answer.headers.len());
    for (name, value) in answer.headers {
        let name = HeaderName::try_from(name).map_err(|_| Error::HttpProtocolError)?;
        let value = HeaderValue::try_from(value).map_err(|_| Error::HttpProtocolError)?;
        headers.append(name, value);
    }
    let body = Full::new(body).map_err(|never| match never {}).boxed_unsync();
    let mut response = Response::builder()
        .status(answer.status)
        .body(body)
        .map_err(|_| Error::HttpProtocolError)?;
    *response.headers_mut() = headers;
    Ok(response)
}

struct Held {
    bytes: Bytes,
    _charge: Charge,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// The error code of `wasi:http` that says what happened.
fn seen_by_guest(error: &EffectError) -> Error {
    match error {
        EffectError::Denied => Error::HttpRequestDenied,
        EffectError::NotSent(NotSent::Dns) => Error::DnsError {
            rcode: None,
            info_code: None,
        },
        EffectError::NotSent(NotSent::Refused) => Error::ConnectionRefused,
        EffectError::NotSent(NotSent::ConnectTimeout) => Error::ConnectionTimeout,
        EffectError::NotSent(NotSent::Tls) => Error::TlsProtocolError,
        EffectError::NotSent(NotSent::NotWritten) => Error::ConnectionTerminated,
        EffectError::NotSent(NotSent::BreakerOpen) => Error::DestinationUnavailable,
        EffectError::NotSent(NotSent::RateLimited) => Error::ConnectionLimitReached,
        EffectError::Lost(Lost::Reset) => Error::ConnectionTerminated,
        EffectError::Lost(Lost::Timeout) => Error::HttpResponseTimeout,
        EffectError::Lost(Lost::Malformed) => Error::HttpProtocolError,
        EffectError::Ended => Error::InternalError(Some("the attempt is over".to_owned())),
    }
}
