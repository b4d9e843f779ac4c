//! Who asks: the bearer of an API key, the bearer of an issuer's token, or nobody on this machine, where that was allowed.

mod oidc;

pub use oidc::{Oidc, OidcTrouble};

use super::guesses::Guesses;
use super::refusal::Refusal;
use super::trace::trace_of;
use fusebox_core::failure::{Class, Code, Failure};
use fusebox_core::role::Roles;
use fusebox_core::time::Tick;
use fusebox_engine::host::Host;
use fusebox_engine::ports::sandbox::Spelling;
use fusebox_engine::requests::Caller;
use http::{HeaderMap, HeaderName, header};
use std::net::SocketAddr;
use std::sync::Arc;

/// Headers by which proxies say that they ask for somebody else: then whoever asks is not on this machine.
const FORWARDED: [HeaderName; 3] = [
    HeaderName::from_static("forwarded"),
    HeaderName::from_static("x-forwarded-for"),
    HeaderName::from_static("x-real-ip"),
];

/// Who is let in.
#[derive(Clone, Default)]
pub struct Authentication {
    /// What somebody on this machine may be without a key; `None` nobody is let in without one.
    pub open_loopback: Option<Roles>,
    /// Whose tokens are taken besides API keys.
    pub oidc: Option<Arc<Oidc>>,
}

/// How every API key begins.
const API_KEY: &str = "fbx_";

impl Authentication {
    /// Who sent a request.
    ///
    /// # Errors
    /// A token that opens nothing, or that there is none; that too many from there opened nothing.
    pub(super) async fn caller(
        &self,
        host: &Host,
        headers: &HeaderMap,
        peer: SocketAddr,
        (guesses, now): (&Guesses, Tick),
    ) -> Result<Caller, Refusal> {
        let mut caller = match (bearer(headers)?, self.open_loopback) {
            (Some(token), _) => {
                guesses.admit(peer.ip(), token, now)?;
                let known = self.bearer_of(host, token).await;
                match &known {
                    Ok(_) => guesses.right(token),
                    Err(refusal) if refusal.is_unauthenticated() => guesses.wrong(peer.ip(), token, now),
                    Err(_) => {}
                }
                known?
            }
            (None, Some(roles)) if is_here(headers, peer) => Caller {
                tenant: Arc::from("default"),
                principal: Arc::from("loopback"),
                roles,
                spelling: Spelling::Kebab,
                trace: None,
            },
            (None, _) => {
                return Err(unauthenticated(
                    "send `authorization: Bearer` and an API key; `fusebox keys create` makes one",
                ));
            }
        };
        caller.trace = trace_of(headers);
        Ok(caller)
    }

    async fn bearer_of(&self, host: &Host, token: &str) -> Result<Caller, Refusal> {
        match &self.oidc {
            Some(issuer) if !token.starts_with(API_KEY) => issuer.caller(token).await,
            _ => Ok(host.authenticate(token).await?),
        }
    }
}

/// The token of `Authorization: Bearer` (RFC 6750).
fn bearer(headers: &HeaderMap) -> Result<Option<&str>, Refusal> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let text = value.to_str().ok().filter(|_| values.next().is_none());
    let token = text.and_then(|text| {
        let (scheme, token) = text.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
    });
    match token {
        Some(token) if !token.is_empty() => Ok(Some(token)),
        _ => Err(unauthenticated("`authorization` has the form `Bearer TOKEN`, once")),
    }
}

/// Whether a request comes from this machine itself.
pub(super) fn is_here(headers: &HeaderMap, peer: SocketAddr) -> bool {
    peer.ip().to_canonical().is_loopback() && !FORWARDED.iter().any(|name| headers.contains_key(name))
}

/// Nobody, or nobody who is known.
pub(super) fn unauthenticated(detail: &str) -> Refusal {
    Refusal::from(&Failure::new(Code::Unauthenticated, Class::Control, detail))
}

/// Known, and not allowed.
pub(super) fn denied(detail: &str) -> Refusal {
    Refusal::from(&Failure::new(Code::Denied, Class::Control, detail))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn a_token_stands_once_and_after_its_scheme() {
        let read = |pairs| bearer(&headers(pairs)).ok().flatten().map(str::to_owned);
        assert_eq!(read(&[("authorization", "bearer abc")]).as_deref(), Some("abc"));
        for wrong in [
            &[("authorization", "Basic abc")][..],
            &[("authorization", "Bearer ")],
            &[("authorization", "abc")],
            &[("authorization", "Bearer a"), ("authorization", "Bearer b")],
        ] {
            assert!(bearer(&headers(wrong)).is_err(), "{wrong:?}");
        }
        assert!(bearer(&HeaderMap::new()).unwrap().is_none());
    }

    #[test]
    fn what_a_proxy_forwards_is_not_from_here() {
        let here = SocketAddr::from(([127, 0, 0, 1], 5));
        assert!(is_here(&HeaderMap::new(), here));
        assert!(is_here(&HeaderMap::new(), "[::ffff:127.0.0.1]:5".parse().unwrap()));
        assert!(!is_here(&HeaderMap::new(), SocketAddr::from(([10, 0, 0, 1], 5))));
        assert!(!is_here(&headers(&[("x-forwarded-for", "10.0.0.1")]), here));
    }
}
