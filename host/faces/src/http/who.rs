//! For whom the host takes whoever asks.

use crate::dto::who::Who;
use axum::Json;
use axum::extract::Extension;
use fusebox_engine::requests::Caller;

/// Show for whom the host takes you: tenant, principal and roles, and its own version
#[utoipa::path(get, path = "/v1/whoami", tag = "keys", responses((status = 200, body = Who)))]
pub(super) async fn who(Extension(caller): Extension<Caller>) -> Json<Who> {
    Json(Who::of(&caller))
}
