//! Parts of requests, read strictly: what does not fit is a problem that says where.

use super::refusal::Refusal;
use crate::dto::problem::Problem;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Request};
use fusebox_core::failure::Code;
use http::request::Parts;
use http::{HeaderMap, header};
use serde::de::DeserializeOwned;
use std::fmt::Display;
use std::str::FromStr;

/// Variables of the path.
pub(super) struct Path<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let found = axum::extract::Path::<T>::from_request_parts(parts, state).await;
        found
            .map(|axum::extract::Path(value)| Self(value))
            .map_err(|error: PathRejection| Problem::bad_request(format!("path: {}", error.body_text())).into())
    }
}

/// Parameters of the query.
pub(super) struct Query<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let found = axum::extract::Query::<T>::from_request_parts(parts, state).await;
        found
            .map(|axum::extract::Query(value)| Self(value))
            .map_err(|error: QueryRejection| Problem::bad_request(format!("query: {}", error.body_text())).into())
    }
}

/// A body of JSON as it was written.
pub(super) struct JsonText(pub(super) String);

impl<S: Send + Sync> FromRequest<S> for JsonText {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refusal> {
        let declared = is_json(request.headers());
        let text = String::from_request(request, state).await;
        let text = text.map_err(|error| Problem::bad_request(format!("body: {}", error.body_text())))?;
        if text.is_empty() || declared {
            return Ok(Self(text));
        }
        Err(Problem::new(
            415,
            Code::BadInput,
            "the body is of a type that is not taken",
            "send JSON, and `content-type: application/json`",
        )
        .into())
    }
}

/// A body of JSON; an empty one is an empty object.
pub(super) struct Json<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refusal> {
        let JsonText(text) = JsonText::from_request(request, state).await?;
        let text = if text.is_empty() { "{}" } else { &text };
        let value = serde_json::from_str(text);
        value
            .map(Self)
            .map_err(|error| Problem::bad_request(format!("body: {error}")).into())
    }
}

/// `application/json`, or a type that ends with `+json`.
fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let kind = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("application/json")
        || (kind.len() > 5
            && kind.is_char_boundary(kind.len() - 5)
            && kind[kind.len() - 5..].eq_ignore_ascii_case("+json"))
}

/// An id as its type reads it.
pub(super) fn id<T: FromStr>(text: &str) -> Result<T, Refusal>
where
    T::Err: Display,
{
    text.parse()
        .map_err(|error: T::Err| Problem::bad_request(error.to_string()).into())
}
