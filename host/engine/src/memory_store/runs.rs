//! Runs and idempotency keys of one tenant.

use super::{Tenant, listed, span};
use crate::ports::store::{Claim, Fence, Finish, JOURNAL_KEPT, LetterChange, NewRun, RunFilter, Space, StoreError};
use crate::records::{AttemptRecord, JournalRecord, RunRecord};
use fusebox_core::idempotency::{self, Holder};
use fusebox_core::ids::{Digest, LetterId, OwnerId, RunId};
use fusebox_core::run::State;
use fusebox_core::time::Wall;
use std::collections::BTreeMap;
use std::time::Duration;

/// When a nested run's key is free: with its row, which goes with its root's.
pub(super) const FOREVER: i64 = i64::MAX;

/// A run and who owns it.
pub(super) struct Row {
    pub(super) record: RunRecord,
    pub(super) owner: Option<OwnerId>,
    pub(super) epoch: i64,
    pub(super) lease_until: i64,
    pub(super) key: Option<Digest>,
    key_lifetime: Duration,
    /// Accepted: since when. Sleeping: till when. Suspended: when the answer comes too late, or when it came.
    pub(super) until: Option<i64>,
    /// Whether somebody wants it cancelled.
    pub(super) cancel: bool,
    pub(super) journal: BTreeMap<u32, JournalRecord>,
    /// While a run that failed may be resumed: till when its journal is kept.
    pub(super) journal_until: Option<i64>,
    /// When nobody waited for it any more, though it was not over.
    caller_lost: Option<i64>,
    /// What it has in common with calls that are alike, as it was accepted.
    likeness: Option<Digest>,
}

/// Which run has a key.
pub(super) struct Key {
    pub(super) run: RunId,
    pub(super) fingerprint: Digest,
    /// When it is free again, unless the run's letter is open; `None` while the run is not over.
    pub(super) free_at: Option<i64>,
}

pub(super) fn exists(run: &RunId) -> StoreError {
    StoreError::Refused {
        what: format!("run {run} exists already; a new run needs a new id"),
    }
}

/// The run belongs to somebody else now.
pub(super) fn lost(run: &RunId) -> StoreError {
    StoreError::Fenced {
        what: format!("run {run}"),
    }
}

impl Row {
    fn new(record: RunRecord, key: Option<Digest>, key_lifetime: Duration) -> Self {
        let succeeded = State::from_name(&record.state) == Some(State::Succeeded);
        Self {
            likeness: Some(&record).filter(|_| !succeeded).and_then(RunRecord::likeness),
            record,
            owner: None,
            epoch: 0,
            lease_until: 0,
            key,
            key_lifetime,
            until: None,
            cancel: false,
            journal: BTreeMap::new(),
            journal_until: None,
            caller_lost: None,
        }
    }

    /// The root of its tree, unless it is one.
    pub(super) fn root(&self) -> Option<&RunId> {
        self.record.nested.as_ref().map(|nested| &nested.root)
    }

    /// Whether it waits for time or a person, and nobody holds it.
    pub(super) fn rests(&self) -> bool {
        matches!(self.record.state.as_str(), "sleeping" | "suspended")
    }

    /// Notes whether somebody waits for it, unless it is over.
    pub(super) fn lose_caller(&mut self, lost: bool, now: i64) {
        let over = State::from_name(&self.record.state).is_none_or(State::is_over);
        if self.likeness.is_some() && !(lost && over) {
            self.caller_lost = Some(now).filter(|_| lost);
        }
    }

    /// Whether a like call may join it.
    fn is_joinable(&self, since: i64) -> bool {
        match self.record.state.as_str() {
            "sleeping" | "suspended" | "dead-lettered" | "in-doubt" => true,
            "failed" | "cancelled" => false,
            _ => self.caller_lost.is_some_and(|at| at >= since),
        }
    }

    /// Whether somebody holds a lease that has not ended.
    pub(super) fn alive(&self, now: i64) -> bool {
        self.owner.is_some() && self.lease_until > now
    }

    /// The run as it is shown: whoever holds a lease on it is running it.
    pub(super) fn view(&self, now: i64) -> RunRecord {
        let mut run = self.record.clone();
        if self.alive(now) {
            "running".clone_into(&mut run.state);
            run.finished = None;
        }
        run.until = self.until.filter(|_| run.state == "sleeping");
        run.approval = run.approval.filter(|_| run.state == "suspended");
        run
    }

    /// Writes the run as its owner leaves it, and lets it go.
    pub(super) fn end(&mut self, mut record: RunRecord) {
        record.recoveries = self.record.recoveries;
        record.seed = self.record.seed;
        self.record = record;
        self.owner = None;
        self.until = None;
        self.cancel = false;
        self.journal_until = None;
    }

    /// Ends a run that nobody will replay any more: its failure stands.
    pub(super) fn give_up(&mut self, now: i64) {
        if self.record.finished.is_none() {
            "failed".clone_into(&mut self.record.state);
            self.record.finished = Some(now);
        }
    }

    pub(super) fn add_attempt(&mut self, attempt: AttemptRecord) {
        let attempts = &mut self.record.attempts;
        attempts.retain(|known| known.number != attempt.number);
        attempts.push(attempt);
        attempts.sort_by_key(|attempt| attempt.number);
    }

    /// Takes the lease for a new owner.
    pub(super) fn lease(&mut self, owner: &OwnerId, until: i64) -> Fence {
        self.owner = Some(owner.clone());
        self.epoch += 1;
        self.lease_until = until;
        Fence {
            owner: owner.clone(),
            epoch: self.epoch,
        }
    }
}

impl Tenant {
    pub(super) fn claim(&mut self, new: NewRun, now: i64) -> Result<Claim, StoreError> {
        if let Some(key) = new.call_key.and_then(|key| self.keys.get(&key)) {
            let row = self.runs.get(&key.run);
            let lettered = self.open_letter_of(&key.run).is_some();
            let holder = Holder {
                fingerprint: key.fingerprint,
                over: key.free_at.is_some() && !lettered,
                expired: key.free_at.is_some_and(|at| at <= now),
            };
            let decided = idempotency::claim(row.map(|_| &holder), new.run.fingerprint);
            match (decided, row) {
                (idempotency::Claim::Conflict, _) => return Ok(Claim::Conflict(key.run.clone())),
                (idempotency::Claim::Stored, Some(row)) => return Ok(Claim::Stored(Box::new(row.view(now)))),
                (idempotency::Claim::Joins, Some(row)) => {
                    return Ok(Claim::Joined {
                        run: Box::new(row.view(now)),
                        alive: row.alive(now),
                    });
                }
                _ => {}
            }
        }
        self.insert_run(new, now)
    }

    fn insert_run(&mut self, new: NewRun, now: i64) -> Result<Claim, StoreError> {
        if self.runs.contains_key(&new.run.id) {
            return Err(exists(&new.run.id));
        }
        if let Some(key) = new.call_key {
            self.keys.insert(
                key,
                Key {
                    run: new.run.id.clone(),
                    fingerprint: new.run.fingerprint,
                    free_at: None,
                },
            );
        }
        let mut row = Row::new(new.run, new.call_key, new.key_lifetime);
        let fence = if row.root().is_some() || row.record.state == "accepted" {
            row.until = Some(now).filter(|_| row.root().is_none());
            Fence {
                owner: new.owner,
                epoch: 0,
            }
        } else {
            row.lease(&new.owner, now.saturating_add(span(new.lease)))
        };
        self.runs.insert(row.record.id.clone(), row);
        Ok(Claim::Fresh(fence))
    }

    /// The run, if the fence still holds.
    pub(super) fn owned(&mut self, run: &RunId, fence: &Fence, now: i64) -> Result<&mut Row, StoreError> {
        let row = self.runs.get_mut(run);
        row.filter(|row| row.alive(now) && row.owner.as_ref() == Some(&fence.owner) && row.epoch == fence.epoch)
            .ok_or_else(|| lost(run))
    }

    pub(super) fn finish(&mut self, fence: &Fence, finish: Finish, now: i64) -> Result<(), StoreError> {
        let id = finish.run.id.clone();
        self.owned(&id, fence, now)?;
        self.may_enqueue(&finish)?;
        let letter = self.change_letter(&id, &finish);
        let enqueued = matches!(finish.letter, LetterChange::Enqueue(_));
        self.end_key(&id, finish.keep_key, enqueued, now);
        if let Some(row) = self.runs.get_mut(&id) {
            row.end(ended(finish.run, letter));
            row.write(finish.journal);
        }
        self.after_end(&id, now);
        Ok(())
    }

    /// Lets the key of a run that is over go when its lifetime is, or at once; a letter keeps it beyond that.
    pub(super) fn end_key(&mut self, id: &RunId, keep: bool, enqueued: bool, now: i64) {
        let Some(row) = self.runs.get(id) else { return };
        let Some(call_key) = row.key else { return };
        let kept = idempotency::key_expires(Some(Wall(now)), false, row.key_lifetime).filter(|_| keep);
        // By now the key may be free and taken by a younger run.
        let Some(key) = self.keys.get_mut(&call_key).filter(|key| key.run == *id) else {
            return;
        };
        if keep || enqueued {
            key.free_at = Some(kept.map_or(now, |at| at.0));
        } else {
            self.keys.remove(&call_key);
        }
    }

    /// What the end of a root means for its tree: a success leaves no journal, a failure keeps it for a while, and a letter as long as itself.
    pub(super) fn after_end(&mut self, id: &RunId, now: i64) {
        let open = self.open_letter_of(id).is_some();
        let Some(row) = self.runs.get_mut(id) else { return };
        let state = State::from_name(&row.record.state);
        if state == Some(State::Succeeded) {
            self.drop_journals(id);
        } else if state.is_some_and(State::is_over) && !open && !row.journal.is_empty() {
            row.journal_until = Some(now.saturating_add(span(JOURNAL_KEPT)));
        }
        if state.is_some_and(State::is_over) {
            self.end_tree(id, now);
        }
    }

    /// Forgets the journals of a tree.
    pub(super) fn drop_journals(&mut self, root: &RunId) {
        if let Some(row) = self.runs.get_mut(root) {
            row.journal.clear();
            row.journal_until = None;
        }
        self.below(root).for_each(|row| row.journal.clear());
    }

    /// Whether a run may be recorded that was not accepted before.
    pub(super) fn may_record(&self, finish: &Finish) -> Result<(), StoreError> {
        if self.runs.contains_key(&finish.run.id) {
            return Err(exists(&finish.run.id));
        }
        self.may_enqueue(finish)
    }

    pub(super) fn record_finished(&mut self, finish: Finish, now: i64) {
        let letter = self.change_letter(&finish.run.id, &finish);
        let id = finish.run.id.clone();
        let mut row = Row::new(ended(finish.run, letter), None, Duration::ZERO);
        row.write(finish.journal);
        self.runs.insert(id.clone(), row);
        self.after_end(&id, now);
    }

    pub(super) fn alike(&self, likeness: Digest, since: i64, now: i64) -> Option<RunRecord> {
        let joinable = self.runs.values().filter(|row| row.is_joinable(since));
        let alike = joinable.filter(|row| row.likeness == Some(likeness));
        let newest = alike.max_by_key(|row| (row.record.created, &row.record.id));
        newest.map(|row| row.view(now))
    }

    pub(super) fn list_runs(&self, filter: &RunFilter, now: i64) -> Vec<RunRecord> {
        let mut runs: Vec<_> = self.runs.values().map(|row| row.view(now)).collect();
        runs.retain(|run| {
            filter.tool.as_ref().is_none_or(|tool| *tool == run.tool)
                && filter.state.as_ref().is_none_or(|state| *state == run.state)
                && filter.since.is_none_or(|since| run.created >= since)
                && filter
                    .principal
                    .as_ref()
                    .is_none_or(|principal| *principal == run.principal)
        });
        runs.sort_by(|a, b| (b.created, &b.id).cmp(&(a.created, &a.id)));
        if let Some(after) = &filter.after {
            let at = self.runs.get(after).map_or(after.made().0, |last| last.record.created);
            runs.retain(|run| (run.created, &run.id) < (at, after));
        }
        runs.truncate(listed(filter.limit));
        runs
    }

    /// Forgets keys that are free, journals that nobody resumed in time, and roots that ended at or before `ended` and are needed by no
    /// key, letter, journal or owner, with their trees.
    pub(super) fn forget_runs(&mut self, ended: i64, now: i64) -> u64 {
        let open: Vec<RunId> = self.open_letters().map(|letter| letter.run.id.clone()).collect();
        let before = self.keys.len();
        self.keys
            .retain(|_, key| open.contains(&key.run) || key.free_at.is_none_or(|at| at > now));
        let mut gone = before - self.keys.len();
        let over = |row: &&Row| row.journal_until.is_some_and(|until| until <= now);
        let unwanted: Vec<_> = self
            .runs
            .values()
            .filter(over)
            .map(|row| row.record.id.clone())
            .collect();
        unwanted.iter().for_each(|root| self.drop_journals(root));
        let pinned = self.letters.values().filter(|letter| letter.pinned);
        let pinned: Vec<_> = pinned.map(|letter| letter.run.id.clone()).collect();
        let forgotten = self.runs.iter().filter(|(id, row)| {
            row.root().is_none()
                && row.record.finished.is_some_and(|finished| finished <= ended)
                && row.journal_until.is_none()
                && !row.alive(now)
                && !open.contains(id)
                && !pinned.contains(id)
                && !self.keys.values().any(|key| key.run == **id)
        });
        let forgotten: Vec<RunId> = forgotten.map(|(id, _)| id.clone()).collect();
        let before = self.runs.len();
        self.runs
            .retain(|id, row| !forgotten.contains(row.root().unwrap_or(id)));
        gone += before - self.runs.len();
        self.forget_what_runs_had();
        u64::try_from(gone).unwrap_or(u64::MAX)
    }

    /// Forgets what belongs to runs that are gone.
    fn forget_what_runs_had(&mut self) {
        let runs = &self.runs;
        self.keys.retain(|_, key| runs.contains_key(&key.run));
        self.letters.retain(|_, letter| runs.contains_key(&letter.run.id));
        self.approvals.retain(|_, approval| runs.contains_key(&approval.root));
        self.state.retain(|(space, _), _| match space {
            Space::Run(run) => runs.contains_key(run),
            Space::Tool(_) => true,
        });
    }
}

/// The run as it is kept: attempts in order, each once, and the letter that it has.
pub(super) fn ended(mut run: RunRecord, letter: Option<LetterId>) -> RunRecord {
    run.letter = letter.or(run.letter);
    let attempts = std::mem::take(&mut run.attempts);
    let by_number: BTreeMap<_, _> = attempts.into_iter().map(|a| (a.number, a)).collect();
    run.attempts = by_number.into_values().collect();
    run
}
