//! Questions to a person, and what the person says.

use super::App;
use super::extract::{Json as Body, Path, Query, id};
use super::pages::{limit, page};
use super::refusal::Refusal;
use crate::dto::listed::Listed;
use crate::dto::small::Decision;
use axum::Json;
use axum::extract::{Extension, State};
use fusebox_engine::ports::store::{ApprovalFilter, Verdict};
use fusebox_engine::records::ApprovalRecord;
use fusebox_engine::requests::Caller;
use serde::Deserialize;
use std::sync::Arc;

/// Which questions are listed.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ApprovalQuery {
    /// Decided and expired ones too.
    #[serde(default)]
    all: bool,
    /// Only of that root run.
    root: Option<String>,
    /// Rows of the page; 100 without it.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// Where the page begins: `next` of the page before.
    after: Option<String>,
}

/// List questions, oldest first
#[utoipa::path(get, path = "/v1/approvals", tag = "approvals", params(ApprovalQuery), responses((status = 200, body = Listed<ApprovalRecord>)))]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Query(query): Query<ApprovalQuery>,
) -> Result<Json<Listed<ApprovalRecord>>, Refusal> {
    let limit = limit(query.limit)?;
    let filter = ApprovalFilter {
        all: query.all,
        root: query.root.as_deref().map(id).transpose()?,
        after: query.after.as_deref().map(id).transpose()?,
        limit: limit + 1,
    };
    let approvals = app.host.approvals(&caller, &filter).await?;
    Ok(Json(page(approvals, limit, |approval| approval.id.to_string())))
}

/// Show a question
#[utoipa::path(
    get, path = "/v1/approvals/{approval}", tag = "approvals",
    params(("approval" = String, Path, description = "Id of the question")), responses((status = 200, body = ApprovalRecord))
)]
pub(super) async fn show(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(approval): Path<String>,
) -> Result<Json<ApprovalRecord>, Refusal> {
    Ok(Json(app.host.approval(&caller, &id(&approval)?).await?))
}

/// Agree: the call is made
#[utoipa::path(
    post, path = "/v1/approvals/{approval}/approve", tag = "approvals",
    params(("approval" = String, Path, description = "Id of the question")),
    request_body = Decision, responses((status = 200, body = ApprovalRecord))
)]
pub(super) async fn approve(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(approval): Path<String>,
    Body(decision): Body<Decision>,
) -> Result<Json<ApprovalRecord>, Refusal> {
    decide(&app, &caller, &approval, decision, true).await
}

/// Decline: the call is not made
#[utoipa::path(
    post, path = "/v1/approvals/{approval}/deny", tag = "approvals",
    params(("approval" = String, Path, description = "Id of the question")),
    request_body = Decision, responses((status = 200, body = ApprovalRecord))
)]
pub(super) async fn deny(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(approval): Path<String>,
    Body(decision): Body<Decision>,
) -> Result<Json<ApprovalRecord>, Refusal> {
    decide(&app, &caller, &approval, decision, false).await
}

async fn decide(
    app: &App,
    caller: &Caller,
    approval: &str,
    decision: Decision,
    approved: bool,
) -> Result<Json<ApprovalRecord>, Refusal> {
    let approval = id(approval)?;
    // One that is not there is told from one that is decided already.
    app.host.approval(caller, &approval).await?;
    let verdict = Verdict {
        approved,
        by: caller.principal.to_string(),
        reason: decision.reason,
    };
    Ok(Json(app.host.decide(caller, &approval, verdict).await?))
}
