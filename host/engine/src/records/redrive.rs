//! A bulk replay, as it is stored and shown: what it takes, and how far it is.

use super::{maybe_text, role_names, text};
use fusebox_core::ids::{LetterId, RedriveId};
use fusebox_core::role::Roles;
use serde::{Deserialize, Serialize};

/// What a bulk replay is to take, and how far it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub struct RedriveRecord {
    /// Its id.
    #[serde(with = "text")]
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub id: RedriveId,
    /// Its tenant.
    pub tenant: String,
    /// `running`, `done`, `cancelled`, `stopped` (too many failures).
    pub state: String,
    /// Who started it.
    pub principal: String,
    /// What they were to the host then; the replays are authorized by them.
    #[serde(
        default = "role_names::caller_alone",
        skip_serializing_if = "role_names::is_caller_alone",
        with = "role_names"
    )]
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<String>, required = false))]
    pub roles: Roles,
    /// Only letters of that service.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub service: Option<String>,
    /// Only letters of that tool.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub tool: Option<String>,
    /// Only letters of that class.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub class: Option<String>,
    /// Only letters that failed last at or after, milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub since: Option<i64>,
    /// At most so many letters; zero means all.
    pub max: u32,
    /// Letters per minute; zero means as fast as they end.
    pub per_minute: u32,
    /// Stops after so many failures; zero never.
    pub stop_after_failures: u32,
    /// Letters that it is to take, counted when it started.
    pub total: u32,
    /// Letters that succeeded.
    pub succeeded: u32,
    /// Letters that failed again.
    pub failed: u32,
    /// Letters that were left as they were: held back, leased by somebody else, refused.
    pub skipped: u32,
    /// The last letter that it took: letters are taken in the order of their ids.
    #[serde(skip_serializing_if = "Option::is_none", default, with = "maybe_text")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub last: Option<LetterId>,
    /// Started, milliseconds since 1970.
    pub started: i64,
    /// Ended, milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub ended: Option<i64>,
}
