//! Calls of tools by runs: runs of their own, owned through their root.

use super::Tenant;
use super::runs::{FOREVER, ended, lost};
use super::tenant::refused;
use crate::ports::store::{Claim, Fence, Finish, NewRun, StoreError};
use crate::records::{Nested, RunRecord};
use fusebox_core::run::State;

/// Where a nested run stands in its tree.
fn place(run: &RunRecord) -> Result<&Nested, StoreError> {
    run.nested
        .as_ref()
        .ok_or_else(|| refused(format!("run {} is a root; it is owned by itself", run.id)))
}

impl Tenant {
    pub(super) fn claim_nested(&mut self, new: NewRun, fence: &Fence, now: i64) -> Result<Claim, StoreError> {
        let root = place(&new.run)?.root.clone();
        self.owned(&root, fence, now)?;
        match self.claim(new, now)? {
            Claim::Fresh(_) => Ok(Claim::Fresh(fence.clone())),
            other => Ok(other),
        }
    }

    pub(super) fn finish_nested(&mut self, fence: &Fence, finish: Finish, now: i64) -> Result<(), StoreError> {
        let (id, root) = (finish.run.id.clone(), place(&finish.run)?.root.clone());
        self.owned_in(&root, &id, fence, now)?;
        let row = self.runs.get_mut(&id).filter(|row| row.record.state != "succeeded");
        let row = row.ok_or_else(|| lost(&id))?;
        row.write(finish.journal);
        if finish.run.state == "succeeded" {
            row.journal.clear();
        }
        row.end(ended(finish.run, None));
        let over = State::from_name(&row.record.state).is_some_and(State::is_over);
        let call_key = row.key;
        let own = call_key
            .and_then(|key| self.keys.get_mut(&key))
            .filter(|key| key.run == id);
        if let (Some(key), Some(call_key)) = (own, call_key) {
            if finish.keep_key || !over {
                key.free_at = Some(FOREVER).filter(|_| over);
            } else {
                self.keys.remove(&call_key);
            }
        }
        Ok(())
    }

    /// Ends what is not over below a root that is over: nobody goes on with it any more.
    pub(super) fn end_tree(&mut self, root: &fusebox_core::ids::RunId, now: i64) {
        for row in self.below(root) {
            if State::from_name(&row.record.state).is_some_and(State::is_over) {
                continue;
            }
            let cut_off = row.record.state == "running";
            ["failed", "cancelled"][usize::from(cut_off)].clone_into(&mut row.record.state);
            row.record.finished = Some(now);
        }
    }
}
