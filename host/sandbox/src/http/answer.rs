//! What a guest sees of an exchange: its answer, whole, or the error code that says what happened.

use crate::limits::Charge;
use bytes::Bytes;
use fusebox_core::effect::{Lost, NotSent};
use fusebox_engine::ports::sandbox::EffectError;
use fusebox_engine::ports::transport::Incoming;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http_body_util::{BodyExt as _, Full};
use wasmtime_wasi_http::p2::bindings::http::types::{DnsErrorPayload, ErrorCode};
use wasmtime_wasi_http::p2::body::HostIncomingBody;
use wasmtime_wasi_http::p2::types::HostIncomingResponse;
use wasmtime_wasi_http::{FieldMap, WasiHttpHooks};

/// The answer, its body whole and held until the guest has let go of it.
pub(super) fn response(
    hooks: &mut dyn WasiHttpHooks,
    answer: Incoming,
    charge: Charge,
) -> Result<HostIncomingResponse, ErrorCode> {
    let mut headers = HeaderMap::with_capacity(answer.headers.len());
    for (name, value) in answer.headers {
        let name = HeaderName::try_from(name).map_err(|_| ErrorCode::HttpProtocolError)?;
        let value = HeaderValue::try_from(value).map_err(|_| ErrorCode::HttpProtocolError)?;
        headers.append(name, value);
    }
    let body = Bytes::from_owner(Held {
        bytes: answer.body,
        _charge: charge,
    });
    let body = Full::new(body).map_err(|never| match never {}).boxed_unsync();
    Ok(HostIncomingResponse {
        status: answer.status,
        headers: FieldMap::new_immutable(hooks, headers),
        body: Some(HostIncomingBody::new(body)),
    })
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
pub(super) fn code(error: &EffectError) -> ErrorCode {
    match error {
        EffectError::Denied => ErrorCode::HttpRequestDenied,
        EffectError::NotSent(NotSent::Dns) => ErrorCode::DnsError(DnsErrorPayload {
            rcode: None,
            info_code: None,
        }),
        EffectError::NotSent(NotSent::Refused) => ErrorCode::ConnectionRefused,
        EffectError::NotSent(NotSent::ConnectTimeout) => ErrorCode::ConnectionTimeout,
        EffectError::NotSent(NotSent::Tls) => ErrorCode::TlsProtocolError,
        EffectError::NotSent(NotSent::NotWritten) => ErrorCode::ConnectionTerminated,
        EffectError::NotSent(NotSent::BreakerOpen) => ErrorCode::DestinationUnavailable,
        EffectError::NotSent(NotSent::RateLimited) => ErrorCode::ConnectionLimitReached,
        EffectError::Lost(Lost::Reset) => ErrorCode::ConnectionTerminated,
        EffectError::Lost(Lost::Timeout) => ErrorCode::HttpResponseTimeout,
        EffectError::Lost(Lost::Malformed) => ErrorCode::HttpProtocolError,
        EffectError::Ended => ErrorCode::InternalError(Some("the attempt is over".to_owned())),
    }
}
