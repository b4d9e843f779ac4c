//! A tool that was deployed, and what a version may do more than the one before.

use super::finding::Finding;
use fusebox_core::ids::Digest;
use fusebox_engine::records::text;
use serde::{Deserialize, Serialize};

/// What came of deploying one manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Deployment {
    /// The tool's name.
    pub tool: String,
    /// Number of the version that is in force now.
    pub number: i64,
    /// Version of the manifest's author.
    pub version: String,
    /// The component.
    #[serde(with = "text")]
    #[schema(value_type = String)]
    pub component: Digest,
    /// Whether it was added; `false` when the newest version was the same.
    pub new: bool,
    /// Whether it takes calls.
    pub enabled: bool,
    /// Its functions.
    pub functions: Vec<String>,
    /// Exported functions that cannot be expressed as JSON, each with the reason.
    pub left_out: Vec<(String, String)>,
    /// Bytes of the component.
    pub size: u64,
    /// Bytes of the compiled code.
    pub compiled_size: u64,
    /// Why it does not fit the pool and starts a little slower.
    pub unpooled: Option<String>,
    /// What the manifest lets happen beyond the defaults, a sentence each.
    pub widens: Vec<String>,
    /// What is worth saying of manifest and component.
    pub findings: Vec<Finding>,
}

/// What a tool would be able to do that its version before could not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Growth {
    /// The tool's name.
    pub tool: String,
    /// Number of the version before.
    pub before: i64,
    /// A sentence each.
    pub more: Vec<String>,
    /// What is accepted: this component under this manifest, and nothing else.
    pub digest: String,
}
