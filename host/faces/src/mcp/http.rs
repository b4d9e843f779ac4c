//! MCP over streamable HTTP: without sessions since protocol 2026-07-28, with one for each older client.

use super::Mcp;
use super::server::Connection;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use fusebox_engine::requests::Caller;
use rmcp::model::ProtocolVersion;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::{StreamableHttpServerConfig, StreamableHttpService};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes of a message at most.
const LARGEST_MESSAGE: usize = 16 << 20;

/// Sessions of older clients at once; each ends after five idle minutes.
const MOST_SESSIONS: usize = 1024;

/// Where a session's id stands.
const SESSION: &str = "mcp-session-id";

/// Whose sessions are whose.
#[derive(Clone, Default)]
struct Sessions {
    manager: Arc<LocalSessionManager>,
    owners: Arc<Mutex<HashMap<String, Owner>>>,
}

#[derive(Clone, PartialEq, Eq)]
struct Owner {
    tenant: Arc<str>,
    principal: Arc<str>,
}

impl Mcp {
    /// What is nested at `/mcp`. Who calls is told by a [`Caller`] in the extensions of each request; hosts and origins were looked at before.
    pub fn router(&self) -> Router {
        let config = StreamableHttpServerConfig::default()
            .disable_allowed_hosts()
            .disable_allowed_origins()
            .with_json_response(true)
            .with_max_request_body_bytes(LARGEST_MESSAGE)
            .with_cancellation_token(self.0.closing.child_token());
        let sessions = Sessions::default();
        let mcp = self.clone();
        let service = StreamableHttpService::new(
            move || Ok(Connection::new(mcp.clone(), None)),
            Arc::clone(&sessions.manager),
            config,
        );
        Router::new()
            .route_service("/", service)
            .layer(middleware::from_fn_with_state(sessions, guard))
    }
}

/// A session belongs to who began it: to everybody else it is as good as absent.
async fn guard(State(sessions): State<Sessions>, request: Request, next: Next) -> Response {
    let Some(owner) = request.extensions().get::<Caller>().map(|caller| Owner {
        tenant: Arc::clone(&caller.tenant),
        principal: Arc::clone(&caller.principal),
    }) else {
        return (StatusCode::UNAUTHORIZED, "nobody has said who calls").into_response();
    };
    match session_of(request.headers()) {
        Some(session) => {
            let known = sessions.owner_of(&session);
            if known.is_some_and(|known| known != owner) {
                return (StatusCode::NOT_FOUND, "Not Found: Session not found").into_response();
            }
            let ends = request.method() == Method::DELETE;
            let mut response = next.run(request).await;
            // The session is over by now; clients complain of a 202, which promises that it will be.
            if ends && response.status() == StatusCode::ACCEPTED {
                *response.status_mut() = StatusCode::NO_CONTENT;
            }
            response
        }
        None => {
            if sessions.is_full().await && may_begin_one(request.headers()) {
                let wait = [(header::RETRY_AFTER, "60")];
                return (
                    StatusCode::SERVICE_UNAVAILABLE,
                    wait,
                    "as many sessions as the host takes are open",
                )
                    .into_response();
            }
            let response = next.run(request).await;
            if let Some(session) = session_of(response.headers()) {
                sessions.begins(session, owner).await;
            }
            response
        }
    }
}

impl Sessions {
    fn owner_of(&self, session: &str) -> Option<Owner> {
        let owners = self.owners.lock().unwrap_or_else(PoisonError::into_inner);
        owners.get(session).cloned()
    }

    async fn is_full(&self) -> bool {
        self.manager.sessions.read().await.len() >= MOST_SESSIONS
    }

    /// Those that have ended are forgotten meanwhile.
    async fn begins(&self, session: String, owner: Owner) {
        let open = self.manager.sessions.read().await;
        let mut owners = self.owners.lock().unwrap_or_else(PoisonError::into_inner);
        owners.retain(|known, _| open.contains_key(known.as_str()));
        owners.insert(session, owner);
    }
}

/// Since 2026-07-28 there are no sessions; requests of that version say so in a header.
fn may_begin_one(headers: &HeaderMap) -> bool {
    let version = headers
        .get("mcp-protocol-version")
        .and_then(|version| version.to_str().ok());
    version.is_none_or(|version| version < ProtocolVersion::V_2026_07_28.as_str())
}

fn session_of(headers: &HeaderMap) -> Option<String> {
    Some(headers.get(SESSION)?.to_str().ok()?.to_owned())
}
