//! API keys: made, listed, revoked.

use super::App;
use super::extract::{Json as Body, Path};
use super::refusal::Refusal;
use crate::dto::key_request::{KeyMade, KeyRequest};
use crate::dto::listed::Listed;
use crate::dto::problem::Problem;
use axum::Json;
use axum::extract::{Extension, State};
use axum::response::{IntoResponse as _, Response};
use fusebox_engine::host::NewKey;
use fusebox_engine::records::KeyRecord;
use fusebox_engine::requests::Caller;
use http::StatusCode;
use std::sync::Arc;

/// List API keys, oldest first, those that are good no longer included
#[utoipa::path(get, path = "/v1/keys", tag = "keys", responses((status = 200, body = Listed<KeyRecord>)))]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<Listed<KeyRecord>>, Refusal> {
    let items = app.host.keys(&caller).await?;
    Ok(Json(Listed { items, next: None }))
}

/// Make an API key; its token is told here and never again
#[utoipa::path(post, path = "/v1/keys", tag = "keys", request_body = KeyRequest, responses((status = 201, body = KeyMade)))]
pub(super) async fn create(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Body(request): Body<KeyRequest>,
) -> Result<Response, Refusal> {
    let new = NewKey::try_from(request).map_err(Problem::bad_request)?;
    let (key, token) = app.host.create_key(&caller, new).await?;
    Ok((StatusCode::CREATED, Json(KeyMade { key, token })).into_response())
}

/// Revoke an API key: it opens nothing from now on
#[utoipa::path(
    delete, path = "/v1/keys/{key}", tag = "keys",
    params(("key" = String, Path, description = "Id of the key")), responses((status = 200, body = KeyRecord))
)]
pub(super) async fn revoke(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(key): Path<String>,
) -> Result<Json<KeyRecord>, Refusal> {
    Ok(Json(app.host.revoke_key(&caller, &key).await?))
}
