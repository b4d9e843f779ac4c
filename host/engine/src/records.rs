//! What is stored and printed: one shape for the body of a row, for `--json`, and for the HTTP face.

mod approval;
mod audit;
mod journal;
mod key;
pub mod maybe_text;
mod redrive;
pub mod role_names;
mod seed;
mod snapshot;
pub mod text;

pub use approval::ApprovalRecord;
pub use audit::{AuditEntry, AuditFault, AuditHead, AuditRecord, AuditVerdict};
pub use journal::{JournalRecord, SettledRecord};
pub use key::{KeyRecord, StoredKey};
pub use redrive::RedriveRecord;
pub use seed::Seed;
pub use snapshot::{Frame, GlobalState, InstanceState, MemoryState, Page, Snapshot, StoredPage};

use crate::ports::store::Likeness;
use fusebox_core::effect::Kind;
use fusebox_core::failure::{Class, Code, Failure};
use fusebox_core::ids::{ApprovalId, Digest, LetterId, RunId};
use fusebox_core::role::Roles;
use fusebox_core::time::Wall;
use fusebox_core::trace::TraceContext;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What a guest printed: the start and the end of it, when it was more than its limit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Log {
    /// Lines from the start, oldest first; `out` for stdout, `err` for stderr.
    pub head: Vec<LogLine>,
    /// Bytes left out between head and tail.
    pub dropped: u64,
    /// Lines from the end, oldest first; empty unless something was left out.
    pub tail: Vec<LogLine>,
}

/// One line that a guest printed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LogLine {
    /// Whether it came on stderr.
    pub err: bool,
    /// Its text, invalid UTF-8 replaced.
    pub text: String,
}

/// A failure as data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub struct FailureRecord {
    /// Name of its code.
    pub code: String,
    /// Name of its class.
    pub class: String,
    /// What happened, where, and what to change or type next.
    pub message: String,
    /// The service that failed, or whose breaker is open.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub service: Option<String>,
    /// Case of the function's error type.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub case: Option<String>,
    /// The component's error value, as JSON text.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub error: Option<String>,
    /// Milliseconds to wait before trying again.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub retry_after_ms: Option<u64>,
    /// Milliseconds since 1970 before which a replay is not worth it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub not_before: Option<i64>,
    /// The run that failed, or that holds the key.
    #[serde(skip_serializing_if = "Option::is_none", default, with = "maybe_text")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub run: Option<RunId>,
    /// The letter that was written.
    #[serde(skip_serializing_if = "Option::is_none", default, with = "maybe_text")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub letter: Option<LetterId>,
    /// The question that a person has to answer first.
    #[serde(skip_serializing_if = "Option::is_none", default, with = "maybe_text")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub approval: Option<ApprovalId>,
    /// Causes, outermost first.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub chain: Vec<String>,
}

impl From<&Failure> for FailureRecord {
    fn from(failure: &Failure) -> Self {
        Self {
            code: failure.code.name().to_owned(),
            class: failure.class.name().to_owned(),
            message: failure.message.clone(),
            service: failure.service.clone(),
            case: failure.case.clone(),
            error: failure.error.clone(),
            retry_after_ms: failure.retry_after.map(millis),
            not_before: failure.not_before.map(|at| at.0),
            run: failure.run.clone(),
            letter: failure.letter.clone(),
            approval: failure.approval.clone(),
            chain: failure.chain.clone(),
        }
    }
}

impl From<&FailureRecord> for Failure {
    /// A code or class that this version does not know, from a database of a newer one, becomes `internal` and `fault`.
    fn from(record: &FailureRecord) -> Self {
        Self {
            code: Code::from_name(&record.code).unwrap_or(Code::Internal),
            class: Class::from_name(&record.class).unwrap_or(Class::Fault),
            message: record.message.clone(),
            service: record.service.clone(),
            case: record.case.clone(),
            error: record.error.clone(),
            retry_after: record.retry_after_ms.map(Duration::from_millis),
            not_before: record.not_before.map(Wall),
            run: record.run.clone(),
            letter: record.letter.clone(),
            approval: record.approval.clone(),
            chain: record.chain.clone(),
        }
    }
}

/// Whole milliseconds, saturating.
#[must_use]
pub fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// One effect of an attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub struct EffectRecord {
    /// Number within the run, from 1.
    pub seq: u32,
    /// Name of its kind (`fusebox_core::effect::Kind`).
    #[serde(default = "http")]
    pub kind: String,
    /// The service that it went to; empty when it was denied before one was found.
    pub service: String,
    /// Method and path, as the guest made them.
    pub request: String,
    /// Whether it may be repeated.
    pub repeatable: bool,
    /// Whether it is in doubt: not to be repeated, and nobody knows, or a 5xx.
    pub in_doubt: bool,
    /// What came of it: `200`, `not-sent: refused`, `lost: reset`, `denied`.
    pub answer: String,
    /// Milliseconds after the start of its attempt.
    pub at_ms: u64,
    /// Milliseconds that it took.
    pub took_ms: u64,
}

/// The kind of the effects that were recorded before there were others.
fn http() -> String {
    Kind::Http.name().to_owned()
}

/// One attempt of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub struct AttemptRecord {
    /// Number within the run, from 1, over all replays.
    pub number: u32,
    /// Start, milliseconds since 1970.
    pub started: i64,
    /// Milliseconds that it took.
    pub took_ms: u64,
    /// `ok`, the class of its failure, or `unfinished`.
    pub outcome: String,
    /// How it ended, in a sentence.
    pub message: String,
    /// Milliseconds waited before the next one; `None` after the last.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub then_waited_ms: Option<u64>,
    /// How many effects the journal served, so that they did not happen again.
    #[serde(skip_serializing_if = "is_zero", default)]
    pub served: u32,
    /// What it did to the world.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub effects: Vec<EffectRecord>,
}

/// Where a run stands in its tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub struct Nested {
    /// The root: lease, suspension, letter and replay are its.
    #[serde(with = "text")]
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub root: RunId,
    /// The run that called.
    #[serde(with = "text")]
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub parent: RunId,
    /// The number of the call among the parent's effects.
    pub seq: u32,
    /// How deep: 1 for a call that a root made.
    pub depth: u32,
}

/// One run: one accepted call of one function.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub struct RunRecord {
    /// Its id.
    #[serde(with = "text")]
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub id: RunId,
    /// Its tenant.
    pub tenant: String,
    /// Tool, function.
    pub tool: String,
    /// Exported function.
    pub function: String,
    /// The component that it is pinned to.
    #[serde(with = "text")]
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub component: Digest,
    /// Number of the manifest version that it is pinned to.
    pub version: i64,
    /// Who called.
    pub principal: String,
    /// What they were to the host then; calls that the run makes are authorized by them.
    #[serde(
        default = "role_names::caller_alone",
        skip_serializing_if = "role_names::is_caller_alone",
        with = "role_names"
    )]
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<String>, required = false))]
    pub roles: Roles,
    /// Name of its state (`fusebox_core::run`).
    pub state: String,
    /// The caller's idempotency key.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub key: Option<String>,
    /// Digest of the decoded input.
    #[serde(with = "text")]
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub fingerprint: Digest,
    /// The input as the caller wrote it.
    pub input: String,
    /// Acceptance, milliseconds since 1970.
    pub created: i64,
    /// End, milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub finished: Option<i64>,
    /// The result, as JSON text.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub output: Option<String>,
    /// The failure.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub failure: Option<FailureRecord>,
    /// Its attempts, in order.
    pub attempts: Vec<AttemptRecord>,
    /// Numbers of its effects that are in doubt.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub in_doubt: Vec<u32>,
    /// Its letter, when it was dead-lettered; replays of the letter are attempts of the same run.
    #[serde(skip_serializing_if = "Option::is_none", default, with = "maybe_text")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub letter: Option<LetterId>,
    /// The span that called it, as a `traceparent` and, after a blank, the `tracestate`, if there was one: whoever goes on with it goes on in
    /// that trace.
    #[serde(skip_serializing_if = "Option::is_none", default, with = "maybe_text")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub trace: Option<TraceContext>,
    /// Where it stands in its tree; `None` for a root.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub nested: Option<Nested>,
    /// Whether nobody waits for it.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub detached: bool,
    /// How often a host took it over from one that was gone.
    #[serde(skip_serializing_if = "is_zero", default)]
    pub recoveries: u32,
    /// While it sleeps: when it wakes, milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub until: Option<i64>,
    /// While it is suspended: what it waits for.
    #[serde(skip_serializing_if = "Option::is_none", default, with = "maybe_text")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub approval: Option<ApprovalId>,
    /// Milliseconds of its deadline that were left when a host held it last.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub left_ms: Option<u64>,
    /// Where the guest's wall clock starts in its attempts, milliseconds since 1970.
    #[serde(default)]
    pub clock: i64,
    /// The guest's randomness: kept like a secret, in a column of its own and in no output.
    #[serde(skip)]
    pub seed: Seed,
}

impl RunRecord {
    /// What it has in common with calls that are alike; `None` for keyed and nested runs, which none is like.
    #[must_use]
    pub fn likeness(&self) -> Option<Digest> {
        let likeness = Likeness {
            principal: &self.principal,
            tool: &self.tool,
            function: &self.function,
            fingerprint: self.fingerprint,
        };
        (self.key.is_none() && self.nested.is_none()).then(|| likeness.digest())
    }

    /// Where the guest's wall clock starts; rows of before there were journals do not say, and began when they were accepted.
    pub(crate) fn guest_started(&self) -> Wall {
        Wall(if self.clock == 0 { self.created } else { self.clock })
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature is serde's")]
fn is_zero(count: &u32) -> bool {
    *count == 0
}

/// A breaker as a letter or a list shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub struct BreakerRecord {
    /// `search` for a shared service, `TOOL/search` for a tool's own, `tool:TOOL` for the tool itself.
    pub key: String,
    /// `closed`, `open`, `half-open`, `forced-open`, `disabled`.
    pub state: String,
    /// Transitions so far; the fence of every write.
    pub epoch: i64,
    /// Failures in a row.
    pub failures: u32,
    /// How often it opened without a close in between.
    pub reopenings: u32,
    /// Milliseconds since 1970 when the cooldown ends, while open, by the clock of the database.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub until: Option<i64>,
    /// Last change, milliseconds since 1970, by the clock of the database.
    pub changed: i64,
}

/// One dead letter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub struct LetterRecord {
    /// Its id.
    #[serde(with = "text")]
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub id: LetterId,
    /// Its tenant.
    pub tenant: String,
    /// `open`, `replaying`, or how it was closed: `replayed`, `resolved`, `purged`.
    pub state: String,
    /// `retryable`, `known-bad`, `in-doubt`.
    pub kind: String,
    /// Class of the last failure.
    pub class: String,
    /// Service of the last failure.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub service: Option<String>,
    /// Groups equal known-bad letters (semantics.md §6).
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub fingerprint: Option<String>,
    /// The run, with its input, digests, principal, keys and every attempt.
    pub run: RunRecord,
    /// The last failure.
    pub failure: FailureRecord,
    /// Symbolised frames of the guest, innermost first.
    pub backtrace: Vec<String>,
    /// The end of what the guest printed.
    pub log: Log,
    /// Breakers of the tool's services when it failed.
    pub breakers: Vec<BreakerRecord>,
    /// State of the component, when it could be read.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub snapshot: Option<Snapshot>,
    /// Why there is no snapshot.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub no_snapshot: Option<String>,
    /// First failure, milliseconds since 1970.
    pub first_failed: i64,
    /// Last failure, milliseconds since 1970.
    pub last_failed: i64,
    /// A replay before this is not worth it, milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub not_before: Option<i64>,
    /// When it may be forgotten, milliseconds since 1970; `None` never.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub expires: Option<i64>,
    /// How often it was replayed.
    pub replays: u32,
    /// How often of these by itself (`auto-replay`).
    #[serde(skip_serializing_if = "is_zero", default)]
    pub auto_replays: u32,
    /// Whether it replays by itself once its service is well.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub auto_replay: bool,
    /// Whether somebody pinned it: retention and purge leave it.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub pinned: bool,
}

/// What failed and became no letter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub struct ErrorRecord {
    /// Row number; newer is larger. Zero until it is stored.
    pub id: i64,
    /// Its tenant.
    pub tenant: String,
    /// When, milliseconds since 1970.
    pub at: i64,
    /// Tool that was called.
    pub tool: String,
    /// Function that was called.
    pub function: String,
    /// Who called.
    pub principal: String,
    /// The failure.
    pub failure: FailureRecord,
    /// The input as the caller wrote it, cut at 4 KiB.
    pub input: String,
}

/// One deployed version of a tool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub struct ToolRecord {
    /// Its tenant.
    pub tenant: String,
    /// Its name.
    pub name: String,
    /// Number of this version, from 1; a deploy adds one.
    pub number: i64,
    /// Version of the manifest's author.
    pub version: String,
    /// The component.
    #[serde(with = "text")]
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub component: Digest,
    /// The manifest as it was deployed.
    pub manifest: String,
    /// Where the manifest was read, for messages.
    pub source: String,
    /// Deployed, milliseconds since 1970.
    pub deployed: i64,
    /// Whether calls are taken.
    pub enabled: bool,
    /// Who provides what it imports of other tools.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub links: Vec<LinkRecord>,
}

/// An interface of another tool that a tool imports, and the version that it is pinned to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub struct LinkRecord {
    /// As it is imported, such as `acme:search/api@1.0.0`.
    pub interface: String,
    /// The tool that exports it.
    pub tool: String,
    /// As that tool exports it.
    pub exported: String,
    /// Number of that tool's version.
    pub version: i64,
    /// That tool's component.
    #[serde(with = "text")]
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub component: Digest,
}
