//! A page of a list.

use serde::{Deserialize, Serialize};

/// Rows, and where the next ones begin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Listed<T> {
    /// The rows.
    pub items: Vec<T>,
    /// What `after` has to be for the next page; absent when there is none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub next: Option<String>,
}
