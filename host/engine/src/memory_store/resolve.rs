//! Letters in doubt: a person says what became of an effect, and the run may go on, or is over.

use super::Tenant;
use super::runs::ended;
use super::tenant::refused;
use crate::ports::store::{Resolution, StoreError};
use crate::records::{LetterRecord, RunRecord, Seed};
use fusebox_core::effect::Kind;
use fusebox_core::ids::{LetterId, RunId};

impl Tenant {
    pub(super) fn resolve(
        &mut self,
        id: &LetterId,
        resolution: Resolution,
        now: i64,
    ) -> Result<LetterRecord, StoreError> {
        let found = self.letters.get(id);
        let letter = found.ok_or_else(|| refused(format!("there is no letter {id}")))?;
        if letter.state != "open" || letter.kind != "in-doubt" {
            let is = if letter.state == "open" {
                &letter.kind
            } else {
                &letter.state
            };
            return Err(refused(format!("letter {id} is {is}: nothing of it is in doubt")));
        }
        if self.leased(letter, now) {
            return Err(refused(format!("letter {id} is being replayed by another host")));
        }
        let root = letter.run.id.clone();
        match resolution {
            Resolution::Happened { run, record, drop } => {
                self.settle_doubt(&root, &run, record.seq, &drop)?;
                if let Some(row) = self.runs.get_mut(&run) {
                    row.write(vec![*record]);
                }
                self.go_on_undoubted(id, &root, now);
            }
            Resolution::NotHappened { run, seq, mut drop } => {
                drop.push(seq);
                self.settle_doubt(&root, &run, seq, &drop)?;
                self.go_on_undoubted(id, &root, now);
            }
            Resolution::Close { run } => self.close(id, &root, *run, now)?,
        }
        let letter = self.letters.get(id);
        letter
            .map(|letter| self.letter_view(letter, now))
            .ok_or_else(|| refused(format!("there is no letter {id}")))
    }

    /// Takes the effect off the list of those in doubt, and what is dropped out of the journal, in which the effect has to be.
    fn settle_doubt(&mut self, root: &RunId, run: &RunId, seq: u32, drop: &[u32]) -> Result<(), StoreError> {
        let row = self.runs.get_mut(run);
        let row = row.filter(|row| run == root || row.root() == Some(root));
        let row = row.ok_or_else(|| refused(format!("run {run} is not part of run {root}")))?;
        if !row.journal.contains_key(&seq) {
            return Err(refused(format!(
                "the journal of run {run} has no effect {seq}; close the letter instead"
            )));
        }
        row.journal.retain(|known, _| !drop.contains(known));
        row.record
            .in_doubt
            .retain(|doubt| *doubt != seq && !drop.contains(doubt));
        Ok(())
    }

    /// Once nothing in the tree is in doubt any more, the letter may be replayed. A call is not in doubt by itself: its run is.
    fn go_on_undoubted(&mut self, id: &LetterId, root: &RunId, now: i64) {
        let tree = self.runs.iter();
        let mut tree = tree.filter(|(id, row)| *id == root || row.root() == Some(root));
        let doubt = tree.any(|(_, row)| {
            let mut doubts = row.record.in_doubt.iter();
            doubts.any(|seq| {
                let record = row.journal.get(seq);
                record.is_none_or(|record| record.kind != Kind::Call.name())
            })
        });
        let Some(row) = self.runs.get_mut(root) else { return };
        if !doubt {
            "dead-lettered".clone_into(&mut row.record.state);
        }
        let run = RunRecord {
            seed: Seed::default(),
            ..row.view(now)
        };
        if let Some(letter) = self.letters.get_mut(id) {
            letter.run = run;
            if !doubt {
                "retryable".clone_into(&mut letter.kind);
            }
        }
    }

    fn close(&mut self, id: &LetterId, root: &RunId, run: RunRecord, now: i64) -> Result<(), StoreError> {
        if run.id != *root {
            return Err(refused(format!("letter {id} is that of run {root}, not of {}", run.id)));
        }
        if let Some(letter) = self.letters.get_mut(id) {
            "resolved".clone_into(&mut letter.state);
        }
        if let Some(row) = self.runs.get_mut(root) {
            row.end(ended(run, Some(id.clone())));
        }
        self.drop_journals(root);
        self.end_key(root, true, false, now);
        self.end_tree(root, now);
        Ok(())
    }
}
