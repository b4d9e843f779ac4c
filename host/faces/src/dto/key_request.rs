//! An API key that is wanted, and one that was made.

use fusebox_core::role::Role;
use fusebox_engine::host::NewKey;
use fusebox_engine::records::KeyRecord;
use fusebox_manifest::units;
use serde::{Deserialize, Serialize};

/// An API key that is wanted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct KeyRequest {
    /// What people call it.
    pub name: String,
    /// What whoever has it may be to the host: `caller`, `approver`, `operator`, `deployer`.
    pub roles: Vec<String>,
    /// How long it is good, such as `90d`; without it until it is revoked.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub expires: Option<String>,
    /// Its tenant; none but the maker's own.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub tenant: Option<String>,
}

/// An API key that was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct KeyMade {
    /// The key.
    pub key: KeyRecord,
    /// What opens the host: told here and never again.
    pub token: String,
}

impl From<&NewKey> for KeyRequest {
    fn from(new: &NewKey) -> Self {
        Self {
            name: new.name.clone(),
            roles: new.roles.iter().map(|role| role.name().to_owned()).collect(),
            expires: new.expires.map(|time| format!("{}ms", time.as_millis())),
            tenant: new.tenant.clone(),
        }
    }
}

impl TryFrom<KeyRequest> for NewKey {
    type Error = String;

    fn try_from(request: KeyRequest) -> Result<Self, String> {
        let role = |name: &String| {
            let known = Role::ALL.map(Role::name).join(", ");
            Role::from_name(name).ok_or_else(|| format!("`roles`: `{name}` is none of {known}"))
        };
        let expires = request.expires.as_deref().map(units::some_duration).transpose();
        Ok(Self {
            name: request.name,
            roles: request.roles.iter().map(role).collect::<Result<_, _>>()?,
            expires: expires.map_err(|problem| format!("`expires`: {problem}"))?,
            tenant: request.tenant,
        })
    }
}
