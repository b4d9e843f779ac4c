//! Everything of one tenant: another tenant's data cannot even be named.

use super::runs::{Key, Row};
use super::{letters, listed};
use crate::ports::store::{ApprovalFilter, Space, StoreError};
use crate::records::{
    ApprovalRecord, AuditRecord, BreakerRecord, ErrorRecord, JournalRecord, LetterRecord, RedriveRecord, RunRecord,
    ToolRecord,
};
use bytes::Bytes;
use fusebox_core::ids::{ApprovalId, Digest, LetterId, OwnerId, RedriveId, RunId};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

#[derive(Default)]
pub(super) struct Tenant {
    pub(super) components: BTreeMap<Digest, Bytes>,
    /// Versions of each tool, oldest first.
    pub(super) tools: BTreeMap<String, Vec<ToolRecord>>,
    /// The highest number that a version of each name has had, removed ones included.
    pub(super) numbers: BTreeMap<String, i64>,
    pub(super) runs: BTreeMap<RunId, Row>,
    pub(super) keys: BTreeMap<Digest, Key>,
    pub(super) approvals: BTreeMap<ApprovalId, ApprovalRecord>,
    pub(super) state: BTreeMap<(Space, String), Bytes>,
    pub(super) letters: BTreeMap<LetterId, LetterRecord>,
    pub(super) redrives: BTreeMap<RedriveId, RedriveRecord>,
    /// Who carries out a bulk replay, and till when nobody else does.
    pub(super) holders: BTreeMap<RedriveId, (OwnerId, i64)>,
    /// Pages, and when each was put last.
    pub(super) pages: BTreeMap<Digest, (Bytes, i64)>,
    pub(super) breakers: BTreeMap<String, BreakerRecord>,
    /// Oldest first.
    pub(super) audit: Vec<AuditRecord>,
    /// Oldest first.
    pub(super) errors: VecDeque<ErrorRecord>,
}

pub(super) fn refused(what: String) -> StoreError {
    StoreError::Refused { what }
}

impl Tenant {
    /// Removes pages that no snapshot needs and that were put at or before `until`: those among `asked`, or all.
    pub(super) fn drop_orphans(&mut self, asked: Option<&BTreeSet<Digest>>, until: i64) {
        let needed: BTreeSet<_> = self.letters.values().flat_map(letters::pages).collect();
        self.pages.retain(|digest, (_, put)| {
            needed.contains(digest) || *put > until || asked.is_some_and(|asked| !asked.contains(digest))
        });
    }

    /// Whether anything of it is retained for a time only.
    pub(super) fn is_used(&self) -> bool {
        !(self.runs.is_empty() && self.redrives.is_empty() && self.errors.is_empty())
    }

    /// Whether the tree of a root holds a request that may not be repeated and whose end nobody knows.
    pub(super) fn leaves_open(&self, root: &RunId) -> bool {
        let tree = self
            .runs
            .iter()
            .filter(|(id, row)| *id == root || row.root() == Some(root));
        tree.flat_map(|(_, row)| row.journal.values())
            .any(JournalRecord::is_left_open)
    }

    /// The runs of a tree below its root.
    pub(super) fn below<'t>(&'t mut self, root: &'t RunId) -> impl Iterator<Item = &'t mut Row> {
        self.runs.values_mut().filter(move |row| row.root() == Some(root))
    }

    pub(super) fn tree(&self, root: &RunId, now: i64) -> Vec<RunRecord> {
        let nested = self.runs.values().filter(|row| row.root() == Some(root));
        let mut nested: Vec<_> = nested.map(|row| row.view(now)).collect();
        nested.sort_by(|a, b| (a.created, &a.id).cmp(&(b.created, &b.id)));
        nested
    }

    pub(super) fn journal(&self, run: &RunId) -> Vec<JournalRecord> {
        let row = self.runs.get(run);
        row.map(|row| row.journal.values().cloned().collect())
            .unwrap_or_default()
    }

    pub(super) fn list_approvals(&self, filter: &ApprovalFilter, now: i64) -> Vec<ApprovalRecord> {
        let asked = self.approvals.values().map(|approval| approval_view(approval, now));
        let mut asked: Vec<_> = asked
            .filter(|approval| filter.all || approval.state == "pending")
            .filter(|approval| filter.root.as_ref().is_none_or(|root| *root == approval.root))
            .collect();
        asked.sort_by(|a, b| (a.asked, &a.id).cmp(&(b.asked, &b.id)));
        if let Some(after) = &filter.after {
            let at = self.approvals.get(after).map_or(after.made().0, |last| last.asked);
            asked.retain(|approval| (approval.asked, &approval.id) > (at, after));
        }
        asked.truncate(listed(filter.limit));
        asked
    }

    pub(super) fn approval(&self, id: &ApprovalId, now: i64) -> Option<ApprovalRecord> {
        self.approvals.get(id).map(|approval| approval_view(approval, now))
    }

    pub(super) fn state_keys(&self, space: &Space, prefix: &str) -> Vec<String> {
        let from = (space.clone(), prefix.to_owned());
        let keys = self.state.range(from..).map(|((of, key), _)| (of, key));
        let keys = keys.take_while(|(of, key)| *of == space && key.starts_with(prefix));
        keys.map(|(_, key)| key.clone()).take(STATE_KEYS).collect()
    }
}

/// Keys that a list of them gives.
const STATE_KEYS: usize = 1000;

/// The question as it is shown: one that nobody answered in time has expired.
fn approval_view(approval: &ApprovalRecord, now: i64) -> ApprovalRecord {
    let mut approval = approval.clone();
    if approval.state == "pending" && approval.expires <= now {
        "expired".clone_into(&mut approval.state);
    }
    approval
}
