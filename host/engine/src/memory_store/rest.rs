//! Roots that nobody holds: they sleep, wait for a person, or lost their host, and are taken again.

use super::runs::{Row, ended};
use super::tenant::refused;
use super::{Tenant, span};
use crate::ports::store::{Fence, StoreError, Taken, Verdict, Wakes, cancelled};
use crate::records::{ApprovalRecord, JournalRecord, RunRecord};
use fusebox_core::ids::{ApprovalId, OwnerId, RunId};
use fusebox_core::run::State;
use std::collections::BTreeMap;
use std::time::Duration;

impl Row {
    /// From when on a host may take it, and why; `None` when only a person or a replay goes on with it, or nobody.
    fn wakes(&self) -> Option<(i64, Wakes)> {
        if self.root().is_some() {
            return None;
        }
        match State::from_name(&self.record.state)? {
            State::Accepted => self.until.map(|at| (at, Wakes::Accepted)),
            State::Sleeping => self.until.map(|at| (at, Wakes::Slept)),
            State::Suspended => self.until.map(|at| (at, Wakes::Decided)),
            State::Running => Some((self.lease_until, Wakes::Abandoned)),
            _ => None,
        }
    }
}

impl Tenant {
    pub(super) fn sleep(
        &mut self,
        fence: &Fence,
        run: RunRecord,
        journal: Vec<JournalRecord>,
        now: i64,
    ) -> Result<(), StoreError> {
        let row = self.owned(&run.id, fence, now)?;
        let until = run.until.unwrap_or(now);
        row.rest(run, "sleeping", until, journal);
        Ok(())
    }

    pub(super) fn suspend(
        &mut self,
        fence: &Fence,
        mut run: RunRecord,
        mut approval: ApprovalRecord,
        journal: Vec<JournalRecord>,
        now: i64,
    ) -> Result<(), StoreError> {
        self.owned(&run.id, fence, now)?;
        if self.approvals.contains_key(&approval.id) {
            return Err(refused(format!(
                "approval {} exists already; a new question needs a new id",
                approval.id
            )));
        }
        run.approval = Some(approval.id.clone());
        let row = self.owned(&run.id, fence, now)?;
        approval.tenant.clone_from(&run.tenant);
        approval.root.clone_from(&run.id);
        row.rest(run, "suspended", approval.expires, journal);
        self.approvals.insert(approval.id.clone(), approval);
        Ok(())
    }

    /// Roots that can be taken, of tools that are not busy: whose turn each is within the tenant, and from when on.
    pub(super) fn takeable(&self, now: i64, busy: impl Fn(&str) -> bool) -> Vec<(usize, i64, RunId)> {
        let mut tools: BTreeMap<&str, Vec<(i64, &RunId)>> = BTreeMap::new();
        for (id, row) in &self.runs {
            if let Some((at, _)) = row.wakes()
                && at <= now
                && !busy(&row.record.tool)
            {
                tools.entry(&row.record.tool).or_default().push((at, id));
            }
        }
        let mut turns = Vec::new();
        for due in tools.values_mut() {
            due.sort_unstable();
            turns.extend(due.iter().enumerate().map(|(turn, &(at, id))| (turn, at, id)));
        }
        turns.sort_unstable();
        let turns = turns.into_iter().enumerate();
        turns.map(|(turn, (_, at, id))| (turn, at, id.clone())).collect()
    }

    /// Gives the root to a new owner; `None` when it is none of those that can be taken.
    pub(super) fn take(&mut self, id: &RunId, owner: &OwnerId, lease: Duration, now: i64) -> Option<Taken> {
        let (_, why) = self.runs.get(id)?.wakes()?;
        self.give(id, owner, lease, why, now)
    }

    fn give(&mut self, id: &RunId, owner: &OwnerId, lease: Duration, why: Wakes, now: i64) -> Option<Taken> {
        let lettered = self.open_letter_of(id).is_some();
        let row = self.runs.get_mut(id)?;
        let waited_for = row.record.approval.take().filter(|_| why == Wakes::Decided);
        // The state is that of before a replay: when the lease ends, the letter is open again.
        ["running", "dead-lettered"][usize::from(lettered)].clone_into(&mut row.record.state);
        row.record.finished = None;
        row.until = None;
        row.journal_until = None;
        row.record.recoveries += u32::from(why == Wakes::Abandoned);
        let fence = row.lease(owner, now.saturating_add(span(lease)));
        let mut run = row.view(now);
        run.approval.clone_from(&waited_for);
        if let Some(approval) = waited_for.and_then(|id| self.approvals.get_mut(&id))
            && approval.state == "pending"
        {
            "expired".clone_into(&mut approval.state);
        }
        Some(Taken { run, fence, why })
    }

    pub(super) fn take_run(
        &mut self,
        id: &RunId,
        owner: &OwnerId,
        lease: Duration,
        now: i64,
    ) -> Result<Taken, StoreError> {
        let row = self.runs.get(id);
        let row = row.ok_or_else(|| refused(format!("there is no run {id}")))?;
        let letter = self.open_letter_of(id).map(|letter| &letter.id);
        if let Some(root) = row.root() {
            return Err(refused(format!("run {id} is part of run {root}; resume that")));
        }
        if row.alive(now) {
            return Err(refused(format!("run {id} is running on another host")));
        }
        let why = match (row.wakes(), State::from_name(&row.record.state), letter) {
            (Some((at, Wakes::Decided)), ..) if at > now => {
                let waits = row.record.approval.as_ref().map(ToString::to_string);
                return Err(refused(format!(
                    "run {id} waits for approval {}; decide that first",
                    waits.unwrap_or_default()
                )));
            }
            (Some((_, why)), ..) => why,
            (None, _, Some(letter)) => {
                return Err(refused(format!("run {id} is kept by letter {letter}; replay that")));
            }
            (None, Some(State::Failed | State::Cancelled), None) if row.journal_until.is_some() => {
                self.take_key_back(id)?;
                Wakes::Slept
            }
            _ => {
                return Err(refused(format!(
                    "run {id} is over ({}) and keeps no journal; call again instead",
                    row.record.state
                )));
            }
        };
        let taken = self.give(id, owner, lease, why, now);
        taken.ok_or_else(|| refused(format!("there is no run {id}")))
    }

    /// A run that is resumed after its end has its key again, unless a younger run took it.
    fn take_key_back(&mut self, id: &RunId) -> Result<(), StoreError> {
        let row = self.runs.get(id);
        let Some((call_key, fingerprint)) = row.and_then(|row| Some((row.key?, row.record.fingerprint))) else {
            return Ok(());
        };
        let key = self.keys.entry(call_key).or_insert_with(|| super::runs::Key {
            run: id.clone(),
            fingerprint,
            free_at: None,
        });
        if key.run != *id {
            return Err(refused(format!(
                "the key of run {id} belongs to run {} now; resuming would do its work twice",
                key.run
            )));
        }
        key.free_at = None;
        Ok(())
    }

    pub(super) fn cancel(&mut self, id: &RunId, now: i64) -> Result<bool, StoreError> {
        let unsettled = self.unsettled(id);
        let letter = self.open_letter_of(id).map(|letter| letter.id.clone());
        let row = self.runs.get_mut(id);
        let row = row.ok_or_else(|| refused(format!("there is no run {id}")))?;
        if let Some(root) = row.root() {
            return Err(refused(format!("run {id} is part of run {root}; cancel that")));
        }
        // What nobody knows the end of is judged by whoever takes the run over.
        if row.alive(now) || (row.record.state == "running" && unsettled) {
            row.cancel = true;
            return Ok(true);
        }
        if row.wakes().is_none() {
            return match letter {
                Some(letter) => Err(refused(format!("run {id} is kept by letter {letter}; purge that"))),
                None => Ok(false),
            };
        }
        let waited_for = row.record.approval.take();
        let mut record = row.record.clone();
        if letter.is_some() {
            // It is the replay that is cancelled.
            "dead-lettered".clone_into(&mut record.state);
            row.end(record);
        } else {
            cancelled(&mut record, now);
            row.end(record);
            self.end_key(id, true, false, now);
            self.after_end(id, now);
        }
        if let Some(approval) = waited_for.and_then(|id| self.approvals.get_mut(&id))
            && approval.state == "pending"
        {
            "expired".clone_into(&mut approval.state);
        }
        Ok(true)
    }

    /// Whether the journals of a tree hold an effect of which nobody knows the end.
    fn unsettled(&self, root: &RunId) -> bool {
        let tree = self.runs.iter();
        let tree = tree.filter(|(id, row)| *id == root || row.root() == Some(root));
        let mut records = tree.flat_map(|(_, row)| row.journal.values());
        records.any(|record| record.settled.is_none())
    }

    pub(super) fn decide(
        &mut self,
        id: &ApprovalId,
        verdict: &Verdict,
        now: i64,
    ) -> Result<ApprovalRecord, StoreError> {
        let shown = self.approval(id, now);
        let shown = shown.ok_or_else(|| refused(format!("there is no approval {id}")))?;
        if shown.state != "pending" {
            return Err(refused(format!("approval {id} is {} already", shown.state)));
        }
        let state = ["declined", "approved"][usize::from(verdict.approved)];
        let decided = ApprovalRecord {
            state: state.to_owned(),
            by: Some(verdict.by.clone()),
            reason: verdict.reason.clone(),
            decided: Some(now),
            ..shown
        };
        let row = self.runs.get_mut(&decided.root);
        if let Some(row) = row.filter(|row| row.record.state == "suspended" && row.record.approval.as_ref() == Some(id))
        {
            row.until = Some(now);
        }
        self.approvals.insert(id.clone(), decided.clone());
        Ok(decided)
    }
}

impl Row {
    /// Lets it go until then.
    fn rest(&mut self, run: RunRecord, state: &str, until: i64, journal: Vec<JournalRecord>) {
        let cancel = self.cancel;
        self.end(ended(run, None));
        self.record.finished = None;
        state.clone_into(&mut self.record.state);
        self.until = Some(until);
        // Whoever takes it next is told.
        self.cancel = cancel;
        self.write(journal);
    }
}
