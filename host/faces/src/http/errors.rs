//! What failed and became no letter.

use super::App;
use super::extract::Query;
use super::pages::{limit, page};
use super::refusal::Refusal;
use crate::dto::listed::Listed;
use axum::Json;
use axum::extract::{Extension, State};
use fusebox_engine::ports::store::ErrorFilter;
use fusebox_engine::records::ErrorRecord;
use fusebox_engine::requests::Caller;
use serde::Deserialize;
use std::sync::Arc;

/// Which errors are listed.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ErrorQuery {
    /// Only of that tool.
    tool: Option<String>,
    /// Rows of the page; 100 without it.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// Where the page begins: `next` of the page before.
    after: Option<i64>,
}

/// List errors, newest first
#[utoipa::path(get, path = "/v1/errors", tag = "errors", params(ErrorQuery), responses((status = 200, body = Listed<ErrorRecord>)))]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Query(query): Query<ErrorQuery>,
) -> Result<Json<Listed<ErrorRecord>>, Refusal> {
    let limit = limit(query.limit)?;
    let filter = ErrorFilter {
        tool: query.tool,
        after: query.after,
        limit: limit + 1,
    };
    let errors = app.host.errors(&caller, &filter).await?;
    Ok(Json(page(errors, limit, |error| error.id.to_string())))
}
