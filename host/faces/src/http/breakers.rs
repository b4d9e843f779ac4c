//! Circuit breakers: their state, and an operator's word over it.

use super::App;
use super::extract::Path;
use super::refusal::Refusal;
use crate::dto::listed::Listed;
use axum::Json;
use axum::extract::{Extension, State};
use fusebox_engine::records::BreakerRecord;
use fusebox_engine::requests::{BreakerOrder, Caller};
use std::sync::Arc;

/// List breakers that have a history, by key
#[utoipa::path(get, path = "/v1/breakers", tag = "breakers", responses((status = 200, body = Listed<BreakerRecord>)))]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<Listed<BreakerRecord>>, Refusal> {
    let items = app.host.breakers(&caller).await?;
    Ok(Json(Listed { items, next: None }))
}

/// Refuse everything until told otherwise
#[utoipa::path(
    post, path = "/v1/breakers/{key}/open", tag = "breakers",
    params(("key" = String, Path, description = "Key of the breaker, percent-encoded")), responses((status = 200, body = BreakerRecord))
)]
pub(super) async fn open(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(key): Path<String>,
) -> Result<Json<BreakerRecord>, Refusal> {
    order(&app, &caller, &key, BreakerOrder::ForceOpen).await
}

/// Let everything through and count nothing until told otherwise
#[utoipa::path(
    post, path = "/v1/breakers/{key}/disable", tag = "breakers",
    params(("key" = String, Path, description = "Key of the breaker, percent-encoded")), responses((status = 200, body = BreakerRecord))
)]
pub(super) async fn disable(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(key): Path<String>,
) -> Result<Json<BreakerRecord>, Refusal> {
    order(&app, &caller, &key, BreakerOrder::Disable).await
}

/// Back to closed, with all counts at zero
#[utoipa::path(
    post, path = "/v1/breakers/{key}/close", tag = "breakers",
    params(("key" = String, Path, description = "Key of the breaker, percent-encoded")), responses((status = 200, body = BreakerRecord))
)]
pub(super) async fn close(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(key): Path<String>,
) -> Result<Json<BreakerRecord>, Refusal> {
    order(&app, &caller, &key, BreakerOrder::Close).await
}

async fn order(app: &App, caller: &Caller, key: &str, order: BreakerOrder) -> Result<Json<BreakerRecord>, Refusal> {
    Ok(Json(app.host.order_breaker(caller, key, order).await?))
}
