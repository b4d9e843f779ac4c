//! The keys that an issuer publishes (OpenID Connect Discovery 1.0, RFC 7517): fetched when needed, kept for a while, and not fetched more
//! often because somebody sends tokens that no key fits.

use super::OidcTrouble;
use crate::http::refusal::Refusal;
use bytes::{Bytes, BytesMut};
use fusebox_core::time::Tick;
use fusebox_engine::ports::clock::Clock;
use http::Uri;
use jsonwebtoken::jwk::Jwk;
use reqwest::Client;
use reqwest::redirect::Policy;
use rustls::{ClientConfig, RootCertStore};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;

/// Keys are fetched again after so long.
const FRESH: Duration = Duration::from_secs(600);
/// Keys that could not be fetched again are believed no longer after so long.
const BELIEVED: Duration = Duration::from_secs(3600);
/// Nothing is fetched twice within so long.
const PAUSE: Duration = Duration::from_secs(10);
/// The issuer answers within so long.
const TIME: Duration = Duration::from_secs(10);
/// The most of a document, in bytes, and the most keys in it.
const DOCUMENT: usize = 256 << 10;
const MOST: usize = 100;

/// The keys of an issuer.
pub(super) struct Keys {
    issuer: String,
    client: Client,
    clock: Arc<dyn Clock>,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    keys: Vec<Jwk>,
    /// When they were fetched.
    fetched: Option<Tick>,
    /// When it was tried last.
    tried: Option<Tick>,
}

/// The part of an issuer's description that matters here.
#[derive(Deserialize)]
struct Description {
    issuer: String,
    jwks_uri: String,
}

/// Keys, of kinds that may be unknown.
#[derive(Deserialize)]
struct Published {
    keys: Vec<Value>,
}

impl Keys {
    pub(super) fn new(issuer: String, clock: Arc<dyn Clock>) -> Result<Self, OidcTrouble> {
        let tls = |error: &dyn std::fmt::Display| OidcTrouble::Tls(error.to_string());
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| tls(&error))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let client = Client::builder()
            .tls_backend_preconfigured(config)
            .redirect(Policy::none())
            .timeout(TIME);
        Ok(Self {
            client: client.build().map_err(|error| tls(&error))?,
            issuer,
            clock,
            known: Mutex::default(),
        })
    }

    /// The key of that id, or the only one that fits where none is named.
    ///
    /// # Errors
    /// That they cannot be fetched.
    pub(super) async fn find(&self, id: Option<&str>, fits: impl Fn(&Jwk) -> bool) -> Result<Option<Jwk>, Refusal> {
        let mut known = self.known.lock().await;
        let mut found = known.find(id, &fits);
        let age = |since: Option<Tick>| since.map_or(Duration::MAX, |since| self.clock.tick().since(since));
        let stale = found.is_none() || age(known.fetched) > FRESH;
        if stale && age(known.tried) > PAUSE {
            known.tried = Some(self.clock.tick());
            match self.fetch().await {
                Ok(keys) => {
                    known.keys = keys;
                    known.fetched = Some(self.clock.tick());
                }
                Err(reason) => tracing::warn!(issuer = self.issuer, reason, "the issuer's keys cannot be fetched"),
            }
            found = known.find(id, &fits);
        }
        if age(known.fetched) > BELIEVED {
            return Err(Refusal::later(
                503,
                "the keys of the issuer cannot be fetched; the host's log says why",
                10_000,
            ));
        }
        Ok(found)
    }

    async fn fetch(&self) -> Result<Vec<Jwk>, String> {
        let address = format!("{}/.well-known/openid-configuration", self.issuer.trim_end_matches('/'));
        let description: Description = self.document(&address).await?;
        if description.issuer != self.issuer {
            return Err(format!("the issuer calls itself {:?}", description.issuer));
        }
        if !is_safe(&description.jwks_uri) {
            return Err(format!(
                "its keys are at {:?}, which is no https address",
                description.jwks_uri
            ));
        }
        let published: Published = self.document(&description.jwks_uri).await?;
        // A kind of key that is not known is for others.
        let keys = published
            .keys
            .into_iter()
            .take(MOST)
            .filter_map(|key| serde_json::from_value(key).ok());
        Ok(keys.collect())
    }

    async fn document<T: DeserializeOwned>(&self, address: &str) -> Result<T, String> {
        let told = |error: reqwest::Error| format!("{address}: {}", error.without_url());
        let response = self.client.get(address).send().await.map_err(told)?;
        let mut response = response.error_for_status().map_err(told)?;
        let mut text = BytesMut::new();
        while let Some(piece) = response.chunk().await.map_err(told)? {
            if text.len() + piece.len() > DOCUMENT {
                return Err(format!("{address}: more than {DOCUMENT} bytes"));
            }
            text.extend_from_slice(&piece);
        }
        serde_json::from_slice(&Bytes::from(text)).map_err(|error| format!("{address}: {error}"))
    }
}

impl Known {
    fn find(&self, id: Option<&str>, fits: impl Fn(&Jwk) -> bool) -> Option<Jwk> {
        let mut fitting = self.keys.iter().filter(|key| fits(key));
        match id {
            Some(_) => fitting.find(|key| key.common.key_id.as_deref() == id).cloned(),
            None => fitting.next().filter(|_| fitting.next().is_none()).cloned(),
        }
    }
}

/// Whether what comes from there is the issuer's word: over TLS, or from this machine itself.
pub(super) fn is_safe(address: &str) -> bool {
    let Ok(uri) = address.parse::<Uri>() else { return false };
    let host = uri
        .host()
        .unwrap_or_default()
        .trim_start_matches('[')
        .trim_end_matches(']');
    let here = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    match uri.scheme_str() {
        Some("https") => !host.is_empty(),
        Some("http") => here,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_over_tls_or_from_this_machine() {
        for address in [
            "https://issuer.example/realms/a",
            "http://127.0.0.1:8080",
            "http://localhost",
            "http://[::1]:1",
        ] {
            assert!(is_safe(address), "{address}");
        }
        for address in [
            "http://issuer.example",
            "http://127.0.0.1.issuer.example",
            "file:///etc",
            "issuer.example",
            "",
        ] {
            assert!(!is_safe(address), "{address}");
        }
    }
}
