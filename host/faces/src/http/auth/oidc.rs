//! Tokens of an OpenID Connect issuer: JWTs signed by a key that the issuer publishes, meant for this host.

mod claims;
mod keys;

use super::denied;
use crate::http::refusal::Refusal;
use claims::Claims;
use fusebox_core::failure::{Class, Code, Failure};
use fusebox_engine::ports::clock::Clock;
use fusebox_engine::ports::sandbox::Spelling;
use fusebox_engine::requests::Caller;
use fusebox_manifest::OidcSettings;
use jsonwebtoken::jwk::{AlgorithmParameters, Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use keys::Keys;
use std::sync::Arc;

/// Signatures that are believed: of keys that the issuer alone has. What is signed by a shared secret, or not at all, is not.
const ALGORITHMS: [Algorithm; 9] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];
/// How far the issuer's clock may be off, in seconds.
const LEEWAY: u64 = 60;

/// Why no issuer can be believed.
#[derive(Debug, thiserror::Error)]
pub enum OidcTrouble {
    /// The issuer's address is none that its keys may come from.
    #[error("`oidc.issuer`: {0} is no address that begins with https://")]
    Address(String),
    /// TLS cannot be set up.
    #[error("TLS cannot be set up: {0}")]
    Tls(String),
}

/// An issuer, and whom its tokens are meant for.
pub struct Oidc {
    settings: OidcSettings,
    keys: Keys,
}

impl Oidc {
    /// That issuer; nothing is fetched before the first token comes.
    ///
    /// # Errors
    /// An address that is no `https` one, or TLS that cannot be set up.
    pub fn new(settings: OidcSettings, clock: Arc<dyn Clock>) -> Result<Self, OidcTrouble> {
        if !keys::is_safe(&settings.issuer) {
            return Err(OidcTrouble::Address(settings.issuer));
        }
        Ok(Self {
            keys: Keys::new(settings.issuer.clone(), clock)?,
            settings,
        })
    }

    /// The issuer's address.
    pub(in crate::http) fn issuer(&self) -> &str {
        &self.settings.issuer
    }

    /// Who has that token.
    ///
    /// # Errors
    /// One that is not the issuer's, not for this host, or not good now; that the issuer's keys cannot be fetched.
    pub(super) async fn caller(&self, token: &str) -> Result<Caller, Refusal> {
        let header = decode_header(token).map_err(|_| refused("it is neither an API key nor a JWT"))?;
        if !ALGORITHMS.contains(&header.alg) {
            return Err(refused("it is signed in a way that is not believed"));
        }
        let key = self
            .keys
            .find(header.kid.as_deref(), |key| fits(key, header.alg))
            .await?;
        let key = key.ok_or_else(|| refused("the issuer has no key that it could be signed with"))?;
        let key = DecodingKey::from_jwk(&key).map_err(|_| refused("the issuer's key cannot be used"))?;
        let mut validation = Validation::new(header.alg);
        validation.leeway = LEEWAY;
        validation.validate_nbf = true;
        validation.set_issuer(&[&self.settings.issuer]);
        validation.set_audience(&[&self.settings.audience]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        // The library's words name the claim, never a part of the token.
        let decoded = decode::<Claims>(token, &key, &validation).map_err(|error| refused(&error.to_string()))?;
        self.known(&decoded.claims)
    }

    fn known(&self, claims: &Claims) -> Result<Caller, Refusal> {
        let subject = claims.subject().ok_or_else(|| refused("its `sub` names nobody"))?;
        let tenant = match &self.settings.tenant_claim {
            None => "default",
            Some(claim) => claims
                .name(claim)
                .ok_or_else(|| denied(&format!("the token's claim `{claim}` names no tenant")))?,
        };
        Ok(Caller {
            tenant: Arc::from(tenant),
            principal: Arc::from(format!("oidc:{subject}")),
            roles: claims.roles(&self.settings.roles_claim),
            spelling: Spelling::Kebab,
            trace: None,
        })
    }
}

/// Whether a token signed that way can be of that key.
fn fits(key: &Jwk, algorithm: Algorithm) -> bool {
    let shared = matches!(key.algorithm, AlgorithmParameters::OctetKey(_));
    let signs = !matches!(key.common.public_key_use, Some(PublicKeyUse::Encryption));
    let named = key
        .common
        .key_algorithm
        .is_none_or(|named| named.to_string() == format!("{algorithm:?}"));
    !shared && signs && named && key.is_supported()
}

fn refused(why: &str) -> Refusal {
    let message = format!("the token opens nothing: {why}");
    Refusal::from(&Failure::new(Code::Unauthenticated, Class::Control, message))
}
