//! Bulk replays, which serving hosts carry out.

use super::App;
use super::extract::{Json as Body, Path, id};
use super::refusal::Refusal;
use crate::dto::listed::Listed;
use axum::Json;
use axum::extract::{Extension, State};
use axum::response::{IntoResponse as _, Response};
use fusebox_engine::records::RedriveRecord;
use fusebox_engine::requests::{Caller, Redrive};
use http::{StatusCode, header};
use std::sync::Arc;

/// List bulk replays, newest first
#[utoipa::path(get, path = "/v1/redrives", tag = "bulk replays", responses((status = 200, body = Listed<RedriveRecord>)))]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<Listed<RedriveRecord>>, Refusal> {
    let items = app.host.redrives(&caller).await?;
    Ok(Json(Listed { items, next: None }))
}

/// Start a bulk replay of the letters that fit
#[utoipa::path(
    post, path = "/v1/redrives", tag = "bulk replays", request_body = Redrive,
    responses((status = 201, body = RedriveRecord, description = "`Location` says how far it is"))
)]
pub(super) async fn start(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Body(redrive): Body<Redrive>,
) -> Result<Response, Refusal> {
    let started = app.host.redrive(&caller, redrive).await?;
    let location = format!("/v1/redrives/{}", started.id);
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(started)).into_response())
}

/// Show a bulk replay
#[utoipa::path(
    get, path = "/v1/redrives/{redrive}", tag = "bulk replays",
    params(("redrive" = String, Path, description = "Id of the bulk replay")), responses((status = 200, body = RedriveRecord))
)]
pub(super) async fn show(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(redrive): Path<String>,
) -> Result<Json<RedriveRecord>, Refusal> {
    Ok(Json(app.host.redrive_of(&caller, &id(&redrive)?).await?))
}

/// End a bulk replay; the letter that it replays is finished, the rest stays untouched
#[utoipa::path(
    post, path = "/v1/redrives/{redrive}/cancel", tag = "bulk replays",
    params(("redrive" = String, Path, description = "Id of the bulk replay")), responses((status = 200, body = RedriveRecord))
)]
pub(super) async fn cancel(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(redrive): Path<String>,
) -> Result<Json<RedriveRecord>, Refusal> {
    Ok(Json(app.host.cancel_redrive(&caller, &id(&redrive)?).await?))
}
