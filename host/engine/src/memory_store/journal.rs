//! Journals of one tenant's runs: every write to a tree is fenced by its root.

use super::Tenant;
use super::runs::lost;
use super::tenant::refused;
use crate::ports::store::{Append, Cut, Fence, StoreError};
use crate::records::{AttemptRecord, JournalRecord};
use fusebox_core::ids::{ApprovalId, RunId};

impl Tenant {
    /// Whether `run` belongs to the tree of `root`, and the fence of the root holds.
    pub(super) fn owned_in(&mut self, root: &RunId, run: &RunId, fence: &Fence, now: i64) -> Result<(), StoreError> {
        self.owned(root, fence, now).map_err(|_| lost(run))?;
        let row = self.runs.get(run);
        let inside = row.is_some_and(|row| run == root || row.root() == Some(root));
        if inside { Ok(()) } else { Err(lost(run)) }
    }

    pub(super) fn append(&mut self, root: &RunId, fence: &Fence, append: Append, now: i64) -> Result<(), StoreError> {
        let run = append.run.unwrap_or_else(|| root.clone());
        self.owned_in(root, &run, fence, now)?;
        if let Some(approval) = &append.uses {
            self.use_up(root, approval, now)?;
        }
        if let Some(row) = self.runs.get_mut(&run) {
            row.write(append.records);
            if let Some((0, wall)) = append.rewound {
                row.record.clock = wall;
            } else if let Some((seq, wall)) = append.rewound {
                let record = row.journal.get_mut(&seq);
                if let Some(settled) = record.and_then(|record| record.settled.as_mut()) {
                    settled.wall = wall;
                }
            }
        }
        for write in append.state {
            let key = (write.space, write.key);
            match write.value {
                Some(value) => self.state.insert(key, value),
                None => self.state.remove(&key),
            };
        }
        Ok(())
    }

    /// Uses up an approval by the call that starts now.
    fn use_up(&mut self, root: &RunId, id: &ApprovalId, now: i64) -> Result<(), StoreError> {
        let found = self.approvals.get_mut(id).filter(|approval| approval.root == *root);
        let approval = found.ok_or_else(|| refused(format!("approval {id} is none of run {root}")))?;
        if approval.state != "approved" {
            return Err(refused(format!("approval {id} is {}", approval.state)));
        }
        if approval.expires <= now {
            return Err(refused(format!("approval {id} has expired")));
        }
        "used".clone_into(&mut approval.state);
        Ok(())
    }

    pub(super) fn go_on(
        &mut self,
        run: &RunId,
        root: &RunId,
        fence: &Fence,
        attempt: Option<&AttemptRecord>,
        cut: &Cut,
        now: i64,
    ) -> Result<(), StoreError> {
        self.owned_in(root, run, fence, now)?;
        if let Some(row) = self.runs.get_mut(run) {
            attempt.into_iter().for_each(|attempt| row.add_attempt(attempt.clone()));
            row.journal.retain(|seq, _| !cut.drop.contains(seq));
            for seq in &cut.reopen {
                if let Some(record) = row.journal.get_mut(seq) {
                    record.settled = None;
                }
            }
        }
        Ok(())
    }
}

impl super::runs::Row {
    /// Adds to the journal; what has a number already is replaced.
    pub(super) fn write(&mut self, records: Vec<JournalRecord>) {
        self.journal
            .extend(records.into_iter().map(|record| (record.seq, record)));
    }
}
