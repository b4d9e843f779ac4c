//! The journal of a run as it is stored: what it asked of the world, and what it got (durability.md, "The journal").

use super::text;
use bytes::Bytes;
use fusebox_core::effect::Kind;
use fusebox_core::ids::Digest;
use serde::{Deserialize, Serialize};

/// One effect of a run. Without `settled` it is an intent: written before an effect is sent that may not be repeated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub struct JournalRecord {
    /// Number within the run, from 1, in the order in which the guest asked.
    pub seq: u32,
    /// Name of its kind (`fusebox_core::effect::Kind`).
    pub kind: String,
    /// The service that it went to; empty when it went to none.
    pub service: String,
    /// Method, or a word such as `CALL`.
    pub method: String,
    /// Path and query; for a call the function, as `tool.function`.
    pub path: String,
    /// Digest of what was asked, as the guest asked it.
    #[serde(with = "text")]
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub request: Digest,
    /// Which of the equal requests it is (`fusebox_core::idempotency::occurrence`).
    pub occurrence: u32,
    /// Whether it may be repeated.
    pub repeatable: bool,
    /// Whether it changes nothing.
    pub safe: bool,
    /// Numbers of the effects that were let in to the guest since it asked for the effect before this one, in order.
    pub saw: Vec<u32>,
    /// When it was asked for first, milliseconds since 1970.
    pub asked: i64,
    /// Whether it was sent before, and sent again under its key.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub resent: bool,
    /// How it ended.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub settled: Option<SettledRecord>,
}

impl JournalRecord {
    /// Whether it does no harm when nobody knows its end: no request, or one that may be repeated.
    #[must_use]
    pub fn is_harmless(&self) -> bool {
        self.repeatable || self.kind != Kind::Http.name()
    }

    /// Whether it is a request that may not be repeated and whose end nobody knows.
    #[must_use]
    pub fn is_left_open(&self) -> bool {
        self.settled.is_none() && !self.is_harmless()
    }
}

/// How an effect ended, and what the guest gets for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub struct SettledRecord {
    /// Which of the run's effects it was to end, from 1: they are let in to the guest in this order.
    pub order: u32,
    /// Where the guest's wall clock stands once it is let in, milliseconds since 1970.
    pub wall: i64,
    /// Where the guest's monotonic clock stands then, in nanoseconds.
    pub passed: u64,
    /// The evidence (`fusebox_core::effect::Answer`), as `effects::account` writes it.
    pub answer: String,
    /// Whether the answer's status proves that nothing happened.
    pub rejected: bool,
    /// Milliseconds that it took.
    pub took_ms: u64,
    /// Why there is no answer, for a person.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<String>,
    /// What the guest gets, without the body.
    pub got: serde_json::Value,
    /// The body of what the guest gets: stored beside the record.
    #[serde(skip)]
    pub body: Bytes,
}
