//! Where a serving host listens, what it takes from clients, and whose tokens it believes.

use super::settings::Settings;
use fusebox_core::policy::RateLimit;
use std::time::Duration;

/// Where a serving host listens, and what it takes from clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenSettings {
    /// Address and port; `None` serves runs alone.
    pub http: Option<String>,
    /// Names under which clients reach this host besides its address and `localhost`.
    pub hosts: Vec<String>,
    /// The most of a request's body, in bytes.
    pub body: u64,
    /// The most of a deployment's body, in bytes.
    pub upload: u64,
    /// How long a connection may take to send the head of its next request.
    pub head_time: Duration,
    /// How long a request may take to send its body.
    pub body_time: Duration,
    /// Open connections.
    pub connections: usize,
    /// Requests at once.
    pub requests: usize,
    /// Requests of one principal per period; `None` as many as it likes.
    pub rate: Option<RateLimit>,
}

/// Whose tokens are taken besides API keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OidcSettings {
    /// Address of the issuer, as its tokens name it.
    pub issuer: String,
    /// Whom tokens are meant for.
    pub audience: String,
    /// The claim that names the roles.
    pub roles_claim: String,
    /// The claim that names the tenant; without it all are of the tenant `default`.
    pub tenant_claim: Option<String>,
}

pub(super) fn listen(s: &Settings) -> ListenSettings {
    let many = |key| usize::try_from(s.number(key)).unwrap_or(usize::MAX);
    ListenSettings {
        http: s.text("listen.http"),
        hosts: s.texts("listen.hosts"),
        body: s.number("listen.body"),
        upload: s.number("listen.upload"),
        head_time: s.duration("listen.head-time"),
        body_time: s.duration("listen.body-time"),
        connections: many("listen.connections"),
        requests: many("listen.requests"),
        rate: s.rate_or_none("listen.rate"),
    }
}

pub(super) fn oidc(s: &Settings) -> Option<OidcSettings> {
    Some(OidcSettings {
        issuer: s.text("oidc.issuer")?,
        audience: s.text("oidc.audience").unwrap_or_default(),
        roles_claim: s.text("oidc.roles-claim").unwrap_or_default(),
        tenant_claim: s.text("oidc.tenant-claim"),
    })
}
