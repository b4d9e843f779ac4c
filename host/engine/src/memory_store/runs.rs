//! Runs and idempotency keys of one tenant.

use super::{Tenant, listed, span};
use crate::ports::store::{Claim, Fence, Finish, LetterChange, NewRun, RunFilter, StoreError};
use crate::records::{AttemptRecord, RunRecord};
use fusebox_core::idempotency::{self, Holder};
use fusebox_core::ids::{Digest, LetterId, OwnerId, RunId};

/// A run and who owns it.
pub(super) struct Row {
    pub(super) record: RunRecord,
    pub(super) owner: Option<OwnerId>,
    pub(super) epoch: i64,
    pub(super) lease_until: i64,
    key: Option<Digest>,
    key_lifetime: i64,
}

/// Which run has a key.
pub(super) struct Key {
    run: RunId,
    fingerprint: Digest,
    /// When it is free again, unless the run's letter is open; `None` while the run is not over.
    free_at: Option<i64>,
}

pub(super) fn exists(run: &RunId) -> StoreError {
    StoreError::Refused {
        what: format!("run {run} exists already; a new run needs a new id"),
    }
}

impl Row {
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
        run
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
        let mut row = Row {
            record: new.run,
            owner: None,
            epoch: 0,
            lease_until: 0,
            key: new.call_key,
            key_lifetime: span(new.key_lifetime),
        };
        let fence = row.lease(&new.owner, now.saturating_add(span(new.lease)));
        self.runs.insert(row.record.id.clone(), row);
        Ok(Claim::Fresh(fence))
    }

    /// The run, if the fence still holds.
    pub(super) fn owned(&mut self, run: &RunId, fence: &Fence, now: i64) -> Result<&mut Row, StoreError> {
        let row = self.runs.get_mut(run);
        row.filter(|row| row.alive(now) && row.owner.as_ref() == Some(&fence.owner) && row.epoch == fence.epoch)
            .ok_or_else(|| StoreError::Fenced {
                what: format!("run {run}"),
            })
    }

    pub(super) fn finish(&mut self, fence: &Fence, finish: Finish, now: i64) -> Result<(), StoreError> {
        let id = finish.run.id.clone();
        self.owned(&id, fence, now)?;
        self.may_enqueue(&finish)?;
        let letter = self.change_letter(&id, &finish);
        let Some(row) = self.runs.get_mut(&id) else {
            return Ok(());
        };
        let enqueued = matches!(finish.letter, LetterChange::Enqueue(_));
        let free_at = if finish.keep_key {
            now.saturating_add(row.key_lifetime)
        } else {
            now
        };
        if let Some(call_key) = row.key {
            // By now the key may be free and taken by a younger run.
            let own = self.keys.get_mut(&call_key).filter(|key| key.run == id);
            if let Some(key) = own {
                if finish.keep_key || enqueued {
                    key.free_at = Some(free_at);
                } else {
                    self.keys.remove(&call_key);
                }
            }
        }
        row.owner = None;
        row.record = ended(finish.run, letter);
        Ok(())
    }

    /// Whether a run may be recorded that was not accepted before.
    pub(super) fn may_record(&self, finish: &Finish) -> Result<(), StoreError> {
        if self.runs.contains_key(&finish.run.id) {
            return Err(exists(&finish.run.id));
        }
        self.may_enqueue(finish)
    }

    pub(super) fn record_finished(&mut self, finish: Finish) {
        let letter = self.change_letter(&finish.run.id, &finish);
        let record = ended(finish.run, letter);
        let row = Row {
            record,
            owner: None,
            epoch: 0,
            lease_until: 0,
            key: None,
            key_lifetime: 0,
        };
        self.runs.insert(row.record.id.clone(), row);
    }

    pub(super) fn list_runs(&self, filter: &RunFilter, now: i64) -> Vec<RunRecord> {
        let mut runs: Vec<_> = self.runs.values().map(|row| row.view(now)).collect();
        runs.retain(|run| {
            filter.tool.as_ref().is_none_or(|tool| *tool == run.tool)
                && filter.state.as_ref().is_none_or(|state| *state == run.state)
                && filter.since.is_none_or(|since| run.created >= since)
        });
        runs.sort_by(|a, b| (b.created, &b.id).cmp(&(a.created, &a.id)));
        runs.truncate(listed(filter.limit));
        runs
    }

    /// Forgets keys that are free, and runs that ended at or before `ended` and are needed by no key, letter or owner.
    pub(super) fn forget_runs(&mut self, ended: i64, now: i64) -> u64 {
        let open: Vec<RunId> = self.open_letters().map(|letter| letter.run.id.clone()).collect();
        let before = self.keys.len() + self.runs.len();
        self.keys
            .retain(|_, key| open.contains(&key.run) || key.free_at.is_none_or(|at| at > now));
        let keys = &self.keys;
        self.runs.retain(|id, row| {
            row.record.finished.is_none_or(|finished| finished > ended)
                || row.alive(now)
                || open.contains(id)
                || keys.values().any(|key| key.run == *id)
        });
        let runs = &self.runs;
        self.letters.retain(|_, letter| runs.contains_key(&letter.run.id));
        u64::try_from(before - self.keys.len() - self.runs.len()).unwrap_or(u64::MAX)
    }
}

/// The run as it is kept: attempts in order, each once, and the letter that it has.
fn ended(mut run: RunRecord, letter: Option<LetterId>) -> RunRecord {
    run.letter = letter.or(run.letter);
    let attempts = std::mem::take(&mut run.attempts);
    let by_number: std::collections::BTreeMap<_, _> = attempts.into_iter().map(|a| (a.number, a)).collect();
    run.attempts = by_number.into_values().collect();
    run
}
