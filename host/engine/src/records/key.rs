//! API keys as they are stored and shown: never with their secret part.

use super::role_names;
use fusebox_core::ids::Digest;
use fusebox_core::role::Roles;
use fusebox_core::time::Wall;
use serde::{Deserialize, Serialize};

/// An API key without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub struct KeyRecord {
    /// Its id: the part of the token that is no secret.
    pub id: String,
    /// Whose data it opens.
    pub tenant: String,
    /// What people call it; whoever has it is the principal `key:NAME`.
    pub name: String,
    /// What whoever has it may be to the host.
    #[serde(with = "role_names")]
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<String>))]
    pub roles: Roles,
    /// Created, milliseconds since 1970.
    pub created: i64,
    /// Till when it is good, milliseconds since 1970; `None` until it is revoked.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub expires: Option<i64>,
    /// Revoked, milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub revoked: Option<i64>,
}

impl KeyRecord {
    /// Whether it opens anything at that time.
    #[must_use]
    pub fn is_live(&self, now: Wall) -> bool {
        self.revoked.is_none() && self.expires.is_none_or(|at| now.0 < at)
    }

    /// `live`, `expired` or `revoked` at that time.
    #[must_use]
    pub fn state(&self, now: Wall) -> &'static str {
        match self.revoked {
            Some(_) => "revoked",
            None if self.is_live(now) => "live",
            None => "expired",
        }
    }
}

/// An API key as a store keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredKey {
    /// What is shown.
    pub key: KeyRecord,
    /// SHA-256 of the secret part: 256 random bits need no slow hash.
    pub secret: Digest,
}
