//! Runs: what was called, how it went, and going on with what is not over.

use super::App;
use super::answers::tagged_json;
use super::calls::answer;
use super::extract::{Path, Query, id};
use super::pages::{limit, page};
use super::refusal::Refusal;
use crate::dto::call_reply::CallReply;
use crate::dto::listed::Listed;
use axum::Json;
use axum::extract::{Extension, State};
use axum::response::Response;
use fusebox_engine::ports::store::RunFilter;
use fusebox_engine::records::{JournalRecord, LetterRecord, RunRecord};
use fusebox_engine::requests::Caller;
use http::HeaderMap;
use serde::Deserialize;
use std::sync::Arc;

/// Which runs are listed.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct RunQuery {
    /// Only of that tool.
    tool: Option<String>,
    /// Only in that state.
    state: Option<String>,
    /// Only created at or after, milliseconds since 1970.
    since: Option<i64>,
    /// Rows of the page; 100 without it.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// Where the page begins: `next` of the page before.
    after: Option<String>,
}

/// List runs, newest first
#[utoipa::path(get, path = "/v1/runs", tag = "runs", params(RunQuery), responses((status = 200, body = Listed<RunRecord>)))]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Query(query): Query<RunQuery>,
) -> Result<Json<Listed<RunRecord>>, Refusal> {
    let limit = limit(query.limit)?;
    let filter = RunFilter {
        tool: query.tool,
        state: query.state,
        since: query.since,
        principal: None,
        after: query.after.as_deref().map(id).transpose()?,
        limit: limit + 1,
    };
    let runs = app.host.runs(&caller, &filter).await?;
    Ok(Json(page(runs, limit, |run| run.id.to_string())))
}

/// Show a run
#[utoipa::path(
    get, path = "/v1/runs/{run}", tag = "runs",
    params(("run" = String, Path, description = "Id of the run"), ("If-None-Match" = Option<String>, Header, description = "Tags that the client has")),
    responses((status = 200, body = RunRecord), (status = 304, description = "As the client has it"))
)]
pub(super) async fn show(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(run): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    tagged_json(&headers, &app.host.run(&caller, &id(&run)?).await?)
}

/// Show a run and the runs below it, in the order of their creation
#[utoipa::path(
    get, path = "/v1/runs/{run}/tree", tag = "runs",
    params(("run" = String, Path, description = "Id of the run")),
    responses((status = 200, body = Listed<RunRecord>))
)]
pub(super) async fn tree(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(run): Path<String>,
) -> Result<Json<Listed<RunRecord>>, Refusal> {
    let items = app.host.tree(&caller, &id(&run)?).await?;
    Ok(Json(Listed { items, next: None }))
}

/// Show the journal of a run, by number; empty when none is kept
#[utoipa::path(
    get, path = "/v1/runs/{run}/journal", tag = "runs",
    params(("run" = String, Path, description = "Id of the run")),
    responses((status = 200, body = Listed<JournalRecord>))
)]
pub(super) async fn journal(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(run): Path<String>,
) -> Result<Json<Listed<JournalRecord>>, Refusal> {
    let run = id(&run)?;
    // A run that is not there is told from one whose journal is kept no longer.
    app.host.run(&caller, &run).await?;
    let items = app.host.journal(&caller, &run).await?;
    Ok(Json(Listed { items, next: None }))
}

/// Show the letter of a run
#[utoipa::path(
    get, path = "/v1/runs/{run}/dead-letter", tag = "runs",
    params(("run" = String, Path, description = "Id of the run")),
    responses((status = 200, body = LetterRecord))
)]
pub(super) async fn letter(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(run): Path<String>,
) -> Result<Json<LetterRecord>, Refusal> {
    Ok(Json(app.host.letter_of(&caller, &id(&run)?).await?))
}

/// Cancel a run, wherever it is
///
/// Effects in flight are waited for: the run that is answered may not be over yet.
#[utoipa::path(
    post, path = "/v1/runs/{run}/cancel", tag = "runs",
    params(("run" = String, Path, description = "Id of the run")),
    responses((status = 200, body = RunRecord))
)]
pub(super) async fn cancel(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(run): Path<String>,
) -> Result<Json<RunRecord>, Refusal> {
    let run = id(&run)?;
    // One that is not there is told from one that is over.
    app.host.run(&caller, &run).await?;
    app.host.cancel(&caller, &run).await?;
    Ok(Json(app.host.run(&caller, &run).await?))
}

/// Go on with a run, and wait for its end
#[utoipa::path(
    post, path = "/v1/runs/{run}/resume", tag = "runs",
    params(("run" = String, Path, description = "Id of the run")),
    responses((status = 200, body = CallReply))
)]
pub(super) async fn resume(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(run): Path<String>,
) -> Result<Response, Refusal> {
    let run = id(&run)?;
    // One that is not there is told from one that cannot go on.
    app.host.run(&caller, &run).await?;
    answer(&app.host.resume(&caller, &run).await?)
}
