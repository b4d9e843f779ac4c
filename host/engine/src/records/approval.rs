//! A question to a person, as it is stored and shown.

use super::text;
use fusebox_core::ids::{ApprovalId, Digest, RunId};
use serde::{Deserialize, Serialize};

/// One question to a person: may this call be made?
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub struct ApprovalRecord {
    /// Its id.
    #[serde(with = "text")]
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub id: ApprovalId,
    /// Its tenant.
    pub tenant: String,
    /// `pending`, `approved`, `declined`, `expired`, or `used`: approved, and the call has started.
    pub state: String,
    /// The root whose run waits.
    #[serde(with = "text")]
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub root: RunId,
    /// The run of the tree that asked.
    #[serde(with = "text")]
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub run: RunId,
    /// Tool that is to be called, or that asks.
    pub tool: String,
    /// Function that is to be called, or that asks.
    pub function: String,
    /// The component that is to be called.
    #[serde(with = "text")]
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub component: Digest,
    /// What the answer is bound to: component, function, input, run, step, rules, expiry (semantics.md §7).
    #[serde(with = "text")]
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub binding: Digest,
    /// What the person reads: the question of a guest; empty for a call.
    pub question: String,
    /// The input of the call, or the details of a guest's question, as JSON text.
    pub input: String,
    /// Why a person is asked: the manifest's key, or the rule.
    pub because: String,
    /// Who called the root.
    pub principal: String,
    /// Asked, milliseconds since 1970.
    pub asked: i64,
    /// When an answer comes too late, milliseconds since 1970.
    pub expires: i64,
    /// Who decided.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub by: Option<String>,
    /// Why, in the person's words.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<String>,
    /// Decided, milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub decided: Option<i64>,
}
