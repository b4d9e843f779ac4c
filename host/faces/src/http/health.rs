//! What is asked about the host itself: whether it lives, whether it takes calls, its metrics, its description.

use super::App;
use super::answers::tagged;
use super::auth::denied;
use super::refusal::Refusal;
use axum::Router;
use axum::extract::{Extension, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use fusebox_core::role::Role;
use fusebox_engine::ports::store::RunFilter;
use fusebox_engine::requests::Caller;
use http::{HeaderMap, header};
use std::sync::Arc;

/// How the text format of Prometheus is declared.
const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What everybody may ask.
pub(super) fn router(description: String) -> Router<Arc<App>> {
    let described = move |headers: HeaderMap| {
        let description = description.clone();
        async move { tagged(&headers, "application/json", description.into()) }
    };
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/v1/openapi.json", get(described))
}

/// Whether calls are taken: the database answers, and the host does not drain.
async fn ready(State(app): State<Arc<App>>) -> Result<&'static str, Refusal> {
    if app.stop.is_cancelled() {
        return Err(Refusal::later(503, "the host drains", 1000));
    }
    let one = RunFilter {
        limit: 1,
        ..RunFilter::default()
    };
    app.host.runs(&Caller::local(), &one).await?;
    Ok("ok\n")
}

/// The metrics, for operators.
pub(super) async fn metrics(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
) -> Result<Response, Refusal> {
    if !caller.roles.has(Role::Operator) {
        return Err(denied("metrics are for whoever has the role `operator`"));
    }
    match &app.render_metrics {
        Some(render) => Ok(([(header::CONTENT_TYPE, METRICS)], render()).into_response()),
        None => Err(Refusal::no_such_path("/metrics")),
    }
}
