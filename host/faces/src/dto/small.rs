//! Bodies of one field or two.

use serde::{Deserialize, Serialize};

/// Letters that are to be closed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Purge {
    /// Their ids.
    pub ids: Vec<String>,
}

/// Letters that were closed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Purged {
    /// Their ids; those that are not among them stay.
    pub closed: Vec<String>,
}

/// Rows whose time was over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Retained {
    /// How many are gone.
    pub gone: u64,
}

/// What a person says to a question.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Decision {
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<String>,
}
