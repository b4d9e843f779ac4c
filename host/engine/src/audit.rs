//! The audit trail: who did what to the host itself, written before it is done. No entry, no deed.

mod walk;

use crate::engine::Engine;
use crate::ports::store::Store;
use crate::records::{AuditEntry, AuditVerdict};
use crate::refusals;
use crate::requests::Caller;
use fusebox_core::failure::Failure;
use fusebox_core::ids::Digest;
use serde_json::{Value, json};
use std::sync::Arc;
use tracing::Instrument as _;
use walk::Walk;

/// Entries of one step along the trail.
const PAGE: u32 = 500;

/// What is done to a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deed {
    Deploy,
    Enable,
    Disable,
    Remove,
    Approve,
    Decline,
    Replay,
    Resolve,
    Purge,
    Pin,
    Unpin,
    Redrive,
    CancelRedrive,
    OpenBreaker,
    DisableBreaker,
    CloseBreaker,
    CreateKey,
    RevokeKey,
    CopyDatabase,
    /// Other rules have come into force.
    ChangeRules,
    /// The rules have refused something.
    Refuse,
}

impl Deed {
    /// As it stands in the trail.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Deploy => "tool.deploy",
            Self::Enable => "tool.enable",
            Self::Disable => "tool.disable",
            Self::Remove => "tool.remove",
            Self::Approve => "approval.approve",
            Self::Decline => "approval.deny",
            Self::Replay => "letter.replay",
            Self::Resolve => "letter.resolve",
            Self::Purge => "letter.purge",
            Self::Pin => "letter.pin",
            Self::Unpin => "letter.unpin",
            Self::Redrive => "redrive.start",
            Self::CancelRedrive => "redrive.cancel",
            Self::OpenBreaker => "breaker.open",
            Self::DisableBreaker => "breaker.disable",
            Self::CloseBreaker => "breaker.close",
            Self::CreateKey => "key.create",
            Self::RevokeKey => "key.revoke",
            Self::CopyDatabase => "database.copy",
            Self::ChangeRules => "rules.change",
            Self::Refuse => "rules.refuse",
        }
    }
}

/// How a deed stands when its entry is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It is about to be done; without a `failed` after it, it was, unless the host died first.
    Begun,
    /// It failed.
    Failed,
    /// It was seen to have happened.
    Done,
}

impl Outcome {
    fn name(self) -> &'static str {
        match self {
            Self::Begun => "begun",
            Self::Failed => "failed",
            Self::Done => "done",
        }
    }
}

/// What is written to the trail.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) deed: Deed,
    /// What it is done to.
    pub(crate) subject: String,
    /// More of it: names, ids, digests and numbers, never inputs, outputs or secrets.
    pub(crate) detail: Value,
    pub(crate) outcome: Outcome,
}

impl Entry {
    /// What has happened without this host's doing.
    pub(crate) fn done(deed: Deed, subject: impl ToString, detail: Value) -> Self {
        Self {
            outcome: Outcome::Done,
            ..Self::begun(deed, subject, detail)
        }
    }

    /// A deed that is about to be done.
    pub(crate) fn begun(deed: Deed, subject: impl ToString, detail: Value) -> Self {
        Self {
            deed,
            subject: subject.to_string(),
            detail,
            outcome: Outcome::Begun,
        }
    }
}

/// Writes an entry.
pub(crate) async fn record(engine: &Engine, caller: &Caller, entry: Entry) -> Result<(), Box<Failure>> {
    let entry = AuditEntry {
        tenant: caller.tenant.to_string(),
        at: engine.ports.clock.wall().0,
        principal: caller.principal.to_string(),
        action: entry.deed.name().to_owned(),
        subject: entry.subject,
        detail: entry.detail.to_string(),
        outcome: entry.outcome.name().to_owned(),
    };
    let written = engine.ports.store.append_audit(entry).await;
    let unwritten = |error| refusals::store("nothing was done: the audit trail cannot be written", &error);
    written.map(|_| ()).map_err(unwritten)
}

/// Does what the entry tells of, once that is written; a failure of it is a second entry. It is a task of its own: whoever asked for it
/// may hang up in the middle of it, and the trail has its end all the same.
pub(crate) async fn around<T: Send + 'static, Doing>(
    engine: &Arc<Engine>,
    caller: &Caller,
    entry: Entry,
    deed: impl FnOnce(Arc<Engine>, Caller) -> Doing + Send + 'static,
) -> Result<T, Box<Failure>>
where
    Doing: Future<Output = Result<T, Box<Failure>>> + Send + 'static,
{
    let task = carry_out(Arc::clone(engine), caller.clone(), entry, deed).in_current_span();
    let ended = engine.tasks.tracker().spawn_on(task, &engine.io).await;
    ended.unwrap_or_else(|error| {
        tracing::error!(%error, "the task of a deed ended before the deed did");
        Err(refusals::internal(
            "the deed was lost by a defect of Fusebox; the log has its place",
        ))
    })
}

async fn carry_out<T, Doing>(
    engine: Arc<Engine>,
    caller: Caller,
    entry: Entry,
    deed: impl FnOnce(Arc<Engine>, Caller) -> Doing,
) -> Result<T, Box<Failure>>
where
    Doing: Future<Output = Result<T, Box<Failure>>>,
{
    record(&engine, &caller, entry.clone()).await?;
    let done = deed(Arc::clone(&engine), caller.clone()).await;
    if let Err(failure) = &done {
        let failed = Entry {
            detail: json!({ "code": failure.code.name() }),
            outcome: Outcome::Failed,
            ..entry
        };
        let (deed, subject) = (failed.deed.name(), failed.subject.clone());
        if let Err(error) = record(&engine, &caller, failed).await {
            // The deed's own failure is the one to tell.
            tracing::error!(%error, deed, subject, "the failure of a deed is not in the audit trail");
        }
    }
    done
}

/// Walks along the whole trail, a page at a time. `known` is the hash of an entry that was kept elsewhere.
pub(crate) async fn verify(
    store: &dyn Store,
    tenant: &str,
    known: Option<Digest>,
) -> Result<AuditVerdict, Box<Failure>> {
    let unread = |error| refusals::store("the audit trail cannot be read", &error);
    // What is written meanwhile only adds to it.
    let head = store.audit_head(tenant).await.map_err(unread)?;
    let mut walk = Walk::to(head, known);
    loop {
        let page = store.audit_trail(tenant, walk.last(), PAGE).await.map_err(unread)?;
        if page.is_empty() {
            break;
        }
        page.iter().for_each(|entry| walk.step(entry));
    }
    let end = store.audit_head(tenant).await.map_err(unread)?;
    Ok(walk.end(end))
}
