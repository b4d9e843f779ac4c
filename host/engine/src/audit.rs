//! The audit trail: who did what to the host itself, written before it is done. No entry, no deed.

use crate::engine::Engine;
use crate::ports::store::Store;
use crate::records::{AuditEntry, AuditFault, AuditVerdict};
use crate::refusals;
use crate::requests::Caller;
use fusebox_core::failure::Failure;
use fusebox_core::ids::Digest;
use serde_json::{Value, json};

/// Entries of one step along the trail.
const PAGE: u32 = 500;
/// Faults that are told.
const FAULTS: usize = 100;

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
}

impl Outcome {
    fn name(self) -> &'static str {
        match self {
            Self::Begun => "begun",
            Self::Failed => "failed",
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

/// Does what the entry tells of, once that is written; a failure of it is a second entry.
pub(crate) async fn around<T>(
    engine: &Engine,
    caller: &Caller,
    entry: Entry,
    deed: impl Future<Output = Result<T, Box<Failure>>>,
) -> Result<T, Box<Failure>> {
    record(engine, caller, entry.clone()).await?;
    let done = deed.await;
    if let Err(failure) = &done {
        let failed = Entry {
            detail: json!({ "code": failure.code.name() }),
            outcome: Outcome::Failed,
            ..entry
        };
        let (deed, subject) = (failed.deed.name(), failed.subject.clone());
        if let Err(error) = record(engine, caller, failed).await {
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
    let mut walk = Walk::new(known);
    loop {
        let page = store.audit_trail(tenant, walk.last, PAGE).await.map_err(unread)?;
        if page.is_empty() {
            break;
        }
        for entry in &page {
            if walk.last == head.number {
                walk.meets(head.hash);
            }
            walk.step(entry);
        }
    }
    if walk.last == head.number {
        walk.meets(head.hash);
    }
    let end = store.audit_head(tenant).await.map_err(unread)?;
    if walk.last < head.number {
        let last = walk.last;
        let missing = format!("the end is missing: entries {} to {}", last + 1, head.number);
        walk.fault(last + 1, missing);
    }
    if walk.last > end.number {
        let added = format!("entries were added behind the trail's end, which is {}", end.number);
        walk.fault(end.number + 1, added);
    }
    Ok(walk.verdict())
}

struct Walk {
    last: i64,
    hash: Digest,
    entries: u64,
    known: Option<Digest>,
    faults: Vec<AuditFault>,
}

impl Walk {
    fn new(known: Option<Digest>) -> Self {
        let start = crate::records::AuditHead::EMPTY;
        Self {
            last: start.number,
            hash: start.hash,
            entries: 0,
            known: known.filter(|known| *known != start.hash),
            faults: Vec::new(),
        }
    }

    fn fault(&mut self, number: i64, fault: String) {
        if self.faults.len() < FAULTS {
            self.faults.push(AuditFault { number, fault });
        }
    }

    /// The end that is kept apart is that of the entries.
    fn meets(&mut self, head: Digest) {
        if self.hash != head {
            self.fault(self.last, "it is not the entry that the trail ended with".to_owned());
        }
    }

    fn step(&mut self, entry: &crate::records::AuditRecord) {
        let next = self.last + 1;
        if entry.number > next {
            let gone = match entry.number - 1 {
                last if last == next => format!("entry {next} was removed"),
                last => format!("entries {next} to {last} were removed"),
            };
            self.fault(next, gone);
        }
        if entry.computed_hash() != entry.hash {
            self.fault(entry.number, "it was changed".to_owned());
        } else if entry.previous != self.hash && entry.number == next {
            let fault = "it does not follow the entry before it: one of the two was changed, inserted or moved";
            self.fault(entry.number, fault.to_owned());
        }
        self.known = self.known.filter(|known| *known != entry.hash);
        self.last = entry.number;
        self.hash = entry.hash;
        self.entries += 1;
    }

    fn verdict(mut self) -> AuditVerdict {
        if let Some(known) = self.known {
            let lost = format!("no entry has the hash {known}: the trail was rewritten since that was noted down");
            self.fault(self.last, lost);
        }
        AuditVerdict {
            whole: self.faults.is_empty(),
            entries: self.entries,
            last: self.last,
            head: self.hash,
            faults: self.faults,
        }
    }
}
