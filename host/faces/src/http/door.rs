//! The door: what every request passes before a handler sees it.

use super::auth::{Authentication, denied};
use super::guesses::Guesses;
use super::limits::{Limits, Names, Rate, too_large, whole};
use super::refusal::Refusal;
use super::resource::METADATA;
use crate::dto::problem::Problem;
use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use fusebox_core::failure::Code;
use fusebox_core::role::Role;
use fusebox_engine::host::Host;
use fusebox_engine::ports::clock::Clock;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use http_body::Body as _;
use std::any::Any;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::sync::Semaphore;
use tower_http::catch_panic::CatchPanicLayer;

/// What a client of another version is told apart by.
const SERVER: &str = concat!("fusebox/", env!("CARGO_PKG_VERSION"));

/// Bodies up to so many bytes are small.
const SMALL: u64 = 64 << 10;

/// What requests pass.
pub(super) struct Door {
    host: Arc<Host>,
    authentication: Authentication,
    names: Names,
    limits: Limits,
    /// Places for requests that are there as a whole.
    room: Semaphore,
    /// Places for those whose large bodies are on their way: what is read of them is held meanwhile.
    senders: Semaphore,
    rate: Option<Rate>,
    guesses: Guesses,
    clock: Arc<dyn Clock>,
}

impl Door {
    pub(super) fn new(
        host: Arc<Host>,
        authentication: Authentication,
        limits: Limits,
        tls: bool,
        clock: Arc<dyn Clock>,
    ) -> Arc<Self> {
        Arc::new(Self {
            host,
            authentication,
            names: Names::new(&limits.hosts, tls),
            room: Semaphore::new(limits.requests.min(Semaphore::MAX_PERMITS)),
            senders: Semaphore::new((limits.requests / 4).clamp(1, Semaphore::MAX_PERMITS)),
            rate: limits.rate.and_then(Rate::new),
            guesses: Guesses::default(),
            clock,
            limits,
        })
    }

    /// Where a client reaches this host by the name that it used: `https://fusebox.example`.
    pub(super) fn site(&self, headers: &HeaderMap) -> String {
        self.names.site(headers)
    }

    /// `inside` is for those who are known, `outside` for everybody who reaches the host by its name.
    pub(super) fn guard(self: &Arc<Self>, inside: Router, outside: Router) -> Router {
        let inside = inside.layer(from_fn_with_state(Arc::clone(self), admit));
        outside
            .merge(inside)
            .fallback(|uri: Uri| async move { Refusal::no_such_path(uri.path()) })
            .method_not_allowed_fallback(no_such_method)
            .layer(from_fn_with_state(Arc::clone(self), named))
            .layer(from_fn(harden))
            .layer(CatchPanicLayer::custom(defect))
    }

    async fn admitted(&self, request: Request) -> Result<Request, Refusal> {
        let (mut parts, body) = request.into_parts();
        let peer = parts
            .extensions
            .get()
            .map(|ConnectInfo(peer): &ConnectInfo<SocketAddr>| *peer);
        // Without a peer nobody is on this machine.
        let peer = peer.unwrap_or_else(|| SocketAddr::from(([0, 0, 0, 0], 0)));
        let guesses = (&self.guesses, self.clock.tick());
        let caller = self
            .authentication
            .caller(&self.host, &parts.headers, peer, guesses)
            .await;
        if let Some(rate) = &self.rate {
            rate.count(match &caller {
                Ok(caller) => format!("{} {}", caller.tenant, caller.principal),
                Err(_) => peer.ip().to_string(),
            })?;
        }
        let caller = caller?;
        let uploads = parts.method == Method::POST && parts.uri.path() == "/v1/tools";
        // The largest bodies are read for those alone who may send them.
        if uploads && !caller.roles.has(Role::Deployer) {
            return Err(denied("deploying is for whoever has the role `deployer`"));
        }
        let most = if uploads { self.limits.upload } else { self.limits.body };
        if body.size_hint().lower() > most as u64 {
            return Err(too_large(most));
        }
        let large = body.size_hint().upper().is_none_or(|upper| upper > SMALL);
        let _sender = large
            .then(|| self.senders.try_acquire())
            .transpose()
            .map_err(|_| full())?;
        let body = whole(body, most, self.limits.body_time).await?;
        parts.extensions.insert(caller);
        Ok(Request::from_parts(parts, Body::from(body)))
    }
}

/// Lets those in who are known, as far as there is room. A request has no place before its body is there: whoever sends slowly would hold one
/// for as long as that takes, and at no cost.
async fn admit(State(door): State<Arc<Door>>, request: Request, next: Next) -> Response {
    if door.room.available_permits() == 0 {
        return full().into_response();
    }
    let site = door.authentication.oidc.is_some().then(|| door.site(request.headers()));
    let request = match door.admitted(request).await {
        Ok(request) => request,
        Err(refusal) => return tell_where(refusal.into_response(), site.as_deref()),
    };
    let Ok(_place) = door.room.try_acquire() else {
        return full().into_response();
    };
    next.run(request).await
}

fn full() -> Refusal {
    Refusal::later(
        503,
        "the host is full; `listen.requests` says how many requests it takes at once",
        1000,
    )
}

/// Tells whoever is not known where the issuer is named (RFC 9728, 5.1).
fn tell_where(mut response: Response, site: Option<&str>) -> Response {
    if let (StatusCode::UNAUTHORIZED, Some(site)) = (response.status(), site) {
        let value = format!("Bearer realm=\"fusebox\", resource_metadata=\"{site}{METADATA}\"");
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, value);
        }
    }
    response
}

/// Lets those in who ask for this host by its name, from no page of another site.
async fn named(State(door): State<Arc<Door>>, request: Request, next: Next) -> Response {
    match door.names.check(request.uri(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(refusal) => refusal.into_response(),
    }
}

/// Answers are for whoever asked: no cache keeps them, and no browser guesses their type.
async fn harden(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::SERVER, HeaderValue::from_static(SERVER));
    response
}

async fn no_such_method(method: Method, uri: Uri) -> Refusal {
    let detail = format!(
        "{} does not take {method}; /v1/openapi.json lists what it takes",
        uri.path()
    );
    Problem::new(405, Code::BadInput, "the method is not taken", detail).into()
}

/// A defect is told without its details, which are in the log.
fn defect(panic: Box<dyn Any + Send>) -> Response {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    tracing::error!(panic = text, "a request was lost by a defect of Fusebox");
    let detail = "the request was lost by a defect of Fusebox; the host's log has its place";
    Refusal::from(Problem::new(500, Code::Internal, "a defect of Fusebox", detail)).into_response()
}
