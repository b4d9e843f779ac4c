//! The HTTP face: `/v1`, and what is mounted beside it, behind one door that says who may come in and how much at once.

mod answers;
mod approvals;
mod audit;
mod auth;
mod breakers;
mod calls;
mod door;
mod errors;
mod events;
mod extract;
mod guesses;
mod health;
mod keys;
mod letters;
mod limits;
mod openapi;
mod pages;
mod preferences;
mod redrives;
mod refusal;
mod resource;
mod runs;
mod server;
mod tools;
mod trace;
mod who;

pub use auth::{Authentication, Oidc, OidcTrouble};
pub use limits::Limits;
pub use openapi::document;
pub use server::{Server, Tls, Trouble};

use crate::deploying::Rules;
use crate::local::Local;
use axum::Router;
use axum::routing::get;
use fusebox_engine::host::Host;
use fusebox_engine::ports::clock::Clock;
use std::sync::Arc;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// Renders the metrics as Prometheus reads them.
pub type RenderMetrics = Arc<dyn Fn() -> String + Send + Sync>;

/// What the face needs besides the host.
pub struct HttpDeps {
    /// By what the host admits manifests.
    pub rules: Arc<Rules>,
    /// Who is let in.
    pub authentication: Authentication,
    /// How much is taken.
    pub limits: Limits,
    /// Whether clients come by TLS.
    pub tls: bool,
    /// The machine's clock.
    pub clock: Arc<dyn Clock>,
    /// Cancelled when the host drains: streams end then.
    pub stop: CancellationToken,
    /// What `/metrics` answers; without it there is none.
    pub render_metrics: Option<RenderMetrics>,
    /// What answers below `/mcp`; without it there is nothing. It finds the `Caller` in each request's extensions.
    pub mcp: Option<Router>,
}

/// What handlers work with.
struct App {
    host: Arc<Host>,
    local: Local,
    clock: Arc<dyn Clock>,
    stop: CancellationToken,
    render_metrics: Option<RenderMetrics>,
    /// Room for clients that follow runs.
    followers: Arc<Semaphore>,
}

#[cfg(test)]
mod tests;

/// The whole face as one router; whoever serves it puts the peer's address into requests as `ConnectInfo`.
pub fn router(host: Arc<Host>, deps: HttpDeps) -> Router {
    let app = Arc::new(App {
        local: Local::new(Arc::clone(&host), deps.rules),
        host: Arc::clone(&host),
        clock: Arc::clone(&deps.clock),
        stop: deps.stop,
        render_metrics: deps.render_metrics,
        followers: Arc::new(Semaphore::new(events::MOST)),
    });
    let (v1, description) = openapi::routes().split_for_parts();
    let description = openapi::served(description);
    let mut inside = v1.route("/metrics", get(health::metrics)).with_state(Arc::clone(&app));
    if let Some(mcp) = deps.mcp {
        inside = inside.nest("/mcp", mcp);
    }
    let issuer = deps
        .authentication
        .oidc
        .as_ref()
        .map(|issuer| issuer.issuer().to_owned());
    let door = door::Door::new(
        Arc::clone(&host),
        deps.authentication,
        deps.limits,
        deps.tls,
        Arc::clone(&deps.clock),
    );
    let mut outside = health::router(description).with_state(app);
    if let Some(issuer) = issuer {
        outside = outside.merge(resource::router(&door, issuer));
    }
    door.guard(inside, outside)
}
