//! One value of an effective policy, who set it, and what cut it.

use fusebox_manifest::Row;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct PolicyRow {
    /// Its key.
    pub key: String,
    /// The value in force.
    pub value: String,
    /// The line, preset or default that set it.
    pub set_by: String,
    /// What cut it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub clamp: Option<Cut>,
}

/// A ceiling that cut a value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Cut {
    /// The value before.
    pub asked: String,
    /// The ceiling's key and who set it.
    pub by: String,
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cut from {} by {}", self.asked, self.by)
    }
}

impl From<&Row> for PolicyRow {
    fn from(row: &Row) -> Self {
        Self {
            key: row.key.clone(),
            value: row.value.clone(),
            set_by: row.set_by.to_string(),
            clamp: row.clamp.as_ref().map(|clamp| Cut {
                asked: clamp.asked.clone(),
                by: clamp.by.clone(),
            }),
        }
    }
}
