//! Answers that name their content, so that a client that has it already gets no second copy.

use super::refusal::Refusal;
use crate::dto::problem::Problem;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use fusebox_core::failure::Code;
use fusebox_engine::requests::digest_of;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::Serialize;

/// A value as JSON, or 304 when the client has it.
///
/// # Errors
/// A value that is no JSON, which is a defect.
pub(super) fn tagged_json<T: Serialize>(headers: &HeaderMap, value: &T) -> Result<Response, Refusal> {
    let text = serde_json::to_vec(value).map_err(|error| unwritable(&error))?;
    Ok(tagged(headers, "application/json", text.into()))
}

/// Content with its tag (RFC 9110, 8.8.3), or 304 when the client has it.
pub(super) fn tagged(headers: &HeaderMap, kind: &'static str, content: Bytes) -> Response {
    let digest = digest_of(&content).to_string();
    let tag = format!("\"{}\"", &digest["sha256:".len()..]);
    let has_it = headers
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|known| known.trim() == "*" || known.trim().trim_start_matches("W/") == tag);
    let mut response = if has_it {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        ([(header::CONTENT_TYPE, kind)], content).into_response()
    };
    let headers = response.headers_mut();
    // Hexadecimal digits in quotes are always the value of a header.
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        headers.insert(header::ETAG, tag);
    }
    // It may be kept, and is asked for again each time: another principal may not see it.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    response
}

/// An answer that is no JSON: a defect.
pub(super) fn unwritable(error: &serde_json::Error) -> Refusal {
    let detail = format!("the answer cannot be written: {error}");
    Refusal::from(Problem::new(500, Code::Internal, "a defect of Fusebox", detail))
}
