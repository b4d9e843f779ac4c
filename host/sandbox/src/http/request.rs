//! The head of a request as the guest made it.

use fusebox_engine::ports::sandbox::GuestRequest;
use http::header::{CONTENT_LENGTH, HeaderMap};
use http::uri::{Scheme, Uri};
use wasmtime_wasi_http::p2::bindings::http::types::{self, ErrorCode};
use wasmtime_wasi_http::p2::http_request_error;
use wasmtime_wasi_http::p2::types::HostOutgoingRequest;

/// The request without its body; `body` says whether it has one.
///
/// # Errors
/// The error code that `handle` answers with.
pub(super) fn head(request: HostOutgoingRequest, body: bool) -> Result<GuestRequest, ErrorCode> {
    let length = content_length(&request.headers)
        .map_err(|()| ErrorCode::InternalError(Some("the header `content-length` is no number".to_owned())))?;
    if !body && length.is_some_and(|length| length != 0) {
        return Err(ErrorCode::HttpRequestBodySize(Some(0)));
    }
    let tls = match request.scheme {
        None | Some(types::Scheme::Https) => true,
        Some(types::Scheme::Http) => false,
        Some(types::Scheme::Other(_)) => return Err(ErrorCode::HttpProtocolError),
    };
    let method: http::Method = request
        .method
        .try_into()
        .map_err(|_| ErrorCode::HttpRequestMethodInvalid)?;
    let mut uri = Uri::builder()
        .scheme(if tls { Scheme::HTTPS } else { Scheme::HTTP })
        .authority(request.authority.unwrap_or_default());
    if let Some(path) = request.path_with_query {
        uri = uri.path_and_query(path);
    }
    let uri = uri.build().map_err(http_request_error)?;
    let headers = request.headers.iter();
    Ok(GuestRequest {
        tls,
        authority: uri.authority().map(ToString::to_string).unwrap_or_default(),
        method: method.as_str().to_owned(),
        path: uri.path_and_query().map_or_else(|| "/".to_owned(), ToString::to_string),
        headers: headers
            .map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()))
            .collect(),
        body: bytes::Bytes::new(),
    })
}

/// The length that the headers declare, in bytes.
///
/// # Errors
/// It is declared twice, or is no run of digits (RFC 9110, section 8.6).
pub(super) fn content_length(headers: &HeaderMap) -> Result<Option<u64>, ()> {
    let mut declared = headers.get_all(CONTENT_LENGTH).iter();
    match (declared.next(), declared.next()) {
        (None, _) => Ok(None),
        (Some(value), None) if value.as_bytes().iter().all(u8::is_ascii_digit) => {
            let number = value.to_str().ok().and_then(|digits| digits.parse().ok());
            number.map(Some).ok_or(())
        }
        _ => Err(()),
    }
}
