//! The audit trail: listed, and held to what was written.

use super::App;
use super::extract::{Query, id};
use super::pages::{limit, page};
use super::refusal::Refusal;
use crate::dto::listed::Listed;
use axum::Json;
use axum::extract::{Extension, State};
use fusebox_engine::ports::store::AuditFilter;
use fusebox_engine::records::{AuditRecord, AuditVerdict};
use fusebox_engine::requests::Caller;
use serde::Deserialize;
use std::sync::Arc;

/// Which entries are listed.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct AuditQuery {
    /// Only of that action.
    action: Option<String>,
    /// Only of that principal.
    principal: Option<String>,
    /// Only about that subject.
    subject: Option<String>,
    /// Only written at or after, milliseconds since 1970.
    since: Option<i64>,
    /// Rows of the page; 100 without it.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// Where the page begins: `next` of the page before.
    after: Option<i64>,
}

/// List entries of the audit trail, newest first
#[utoipa::path(get, path = "/v1/audit", tag = "audit", params(AuditQuery), responses((status = 200, body = Listed<AuditRecord>)))]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Query(query): Query<AuditQuery>,
) -> Result<Json<Listed<AuditRecord>>, Refusal> {
    let limit = limit(query.limit)?;
    let filter = AuditFilter {
        action: query.action,
        principal: query.principal,
        subject: query.subject,
        since: query.since,
        after: query.after,
        limit: limit + 1,
    };
    let entries = app.host.audit(&caller, &filter).await?;
    Ok(Json(page(entries, limit, |entry| entry.number.to_string())))
}

/// What was kept elsewhere.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[into_params(parameter_in = Query)]
pub(super) struct VerifyQuery {
    /// Hash of an entry that was kept elsewhere: it must still be there.
    from_head: Option<String>,
}

/// Whether the audit trail is as it was written
#[utoipa::path(get, path = "/v1/audit/verify", tag = "audit", params(VerifyQuery), responses((status = 200, body = AuditVerdict)))]
pub(super) async fn verify(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Query(query): Query<VerifyQuery>,
) -> Result<Json<AuditVerdict>, Refusal> {
    let known = query.from_head.as_deref().map(id).transpose()?;
    Ok(Json(app.host.verify_audit(&caller, known).await?))
}
