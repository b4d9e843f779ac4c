//! For whom a host takes the caller, and what the host is.

use fusebox_engine::requests::Caller;
use serde::{Deserialize, Serialize};

/// The caller as the host sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Who {
    /// Whose data is meant.
    pub tenant: String,
    /// Who asks.
    pub principal: String,
    /// What they may be to the host.
    pub roles: Vec<String>,
    /// The host's version.
    pub version: String,
}

impl Who {
    /// That caller, at a host of this version.
    #[must_use]
    pub fn of(caller: &Caller) -> Self {
        Self {
            tenant: caller.tenant.to_string(),
            principal: caller.principal.to_string(),
            roles: caller.roles.iter().map(|role| role.name().to_owned()).collect(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }
}
