//! Calls of deployed functions.

use super::App;
use super::answers::unwritable;
use super::extract::{JsonText, Path, Query};
use super::preferences::{APPLIED, Preferences, idempotency_key};
use super::refusal::Refusal;
use crate::dto::call_reply::CallReply;
use crate::dto::problem::Problem;
use axum::Json;
use axum::extract::{Extension, State};
use axum::response::{IntoResponse, Response};
use fusebox_core::run::State as RunState;
use fusebox_engine::requests::{Call, Caller, Reply};
use fusebox_manifest::units;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;

/// How a call is made.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct CallQuery {
    /// Shorter deadline than the function's own, such as `30s`.
    deadline: Option<String>,
}

/// Call a function
///
/// The body is an object with a property for each parameter. A call whose connection is lost goes on.
#[utoipa::path(
    post, path = "/v1/tools/{tool}/functions/{function}/calls", tag = "calls",
    params(
        ("tool" = String, Path, description = "Name of the tool"),
        ("function" = String, Path, description = "Name of the function"),
        ("Idempotency-Key" = Option<String>, Header, description = "The same key never runs twice; quoted or bare, at most 255 characters"),
        ("Prefer" = Option<String>, Header, description = "`respond-async` does not wait; `wait=SECONDS` waits for the run that has the key already"),
        ("traceparent" = Option<String>, Header, description = "W3C Trace Context"),
        CallQuery
    ),
    request_body(content = serde_json::Value, content_type = "application/json"),
    responses(
        (status = 200, body = CallReply, description = "The result"),
        (status = 202, body = CallReply, description = "Accepted; `Location` is the run")
    )
)]
pub(super) async fn call(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path((tool, function)): Path<(String, String)>,
    Query(query): Query<CallQuery>,
    headers: HeaderMap,
    JsonText(input): JsonText,
) -> Result<Response, Refusal> {
    let preferences = Preferences::read(&headers);
    let call = Call {
        tool,
        function,
        input,
        key: idempotency_key(&headers)?,
        wait: preferences.wait,
        deadline: query.deadline.as_deref().map(deadline).transpose()?,
        detach: preferences.respond_async,
    };
    let reply = app.host.call(&caller, call).await?;
    let mut response = answer(&reply)?;
    if let Some(applied) = preferences.applied() {
        response.headers_mut().insert(APPLIED, applied);
    }
    Ok(response)
}

/// A reply: the result, or where to look for it.
pub(super) fn answer(reply: &Reply) -> Result<Response, Refusal> {
    let body = CallReply::try_from(reply).map_err(|error| unwritable(&error))?;
    let accepted = reply.state == RunState::Accepted;
    let status = if accepted { StatusCode::ACCEPTED } else { StatusCode::OK };
    let mut response = (status, Json(body)).into_response();
    if let (true, Some(run)) = (accepted, &reply.run)
        && let Ok(location) = HeaderValue::from_str(&format!("/v1/runs/{run}"))
    {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

/// A deadline as manifests write durations.
pub(super) fn deadline(text: &str) -> Result<Duration, Refusal> {
    let deadline = units::some_duration(text);
    deadline.map_err(|problem| Problem::bad_request(format!("query: deadline: {problem}")).into())
}
