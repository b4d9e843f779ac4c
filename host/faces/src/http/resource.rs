//! Which issuer's tokens open this host (RFC 9728), so that a client that is told 401 finds out by itself.

use super::door::Door;
use axum::extract::{Path, State};
use axum::routing::get;
use axum::{Json, Router};
use http::HeaderMap;
use serde_json::{Value, json};
use std::sync::Arc;

/// Where that stands.
pub(super) const METADATA: &str = "/.well-known/oauth-protected-resource";

#[derive(Clone)]
struct Resource {
    door: Arc<Door>,
    issuer: Arc<str>,
}

/// The metadata of the host, and of what is below it.
pub(super) fn router(door: &Arc<Door>, issuer: String) -> Router {
    let resource = Resource {
        door: Arc::clone(door),
        issuer: Arc::from(issuer),
    };
    Router::new()
        .route(METADATA, get(whole))
        .route("/.well-known/oauth-protected-resource/{*path}", get(part))
        .with_state(resource)
}

async fn whole(State(resource): State<Resource>, headers: HeaderMap) -> Json<Value> {
    resource.described(&headers, "")
}

/// A resource below the host has its metadata at the host's, with its own path behind (RFC 9728, 3.1).
async fn part(State(resource): State<Resource>, Path(path): Path<String>, headers: HeaderMap) -> Json<Value> {
    resource.described(&headers, &format!("/{path}"))
}

impl Resource {
    fn described(&self, headers: &HeaderMap, path: &str) -> Json<Value> {
        Json(json!({
            "resource": format!("{}{path}", self.door.site(headers)),
            "resource_name": "Fusebox",
            "authorization_servers": [&*self.issuer],
            "bearer_methods_supported": ["header"],
        }))
    }
}
