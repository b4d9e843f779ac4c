//! Dead letters of one tenant.

use super::tenant::refused;
use super::{Tenant, listed, span};
use crate::ports::store::{Backlog, Fence, Finish, LetterChange, LetterFilter, PAGE_GRACE, StoreError};
use crate::records::{LetterRecord, Seed};
use fusebox_core::dead_letter::{Kind, State, may_purge};
use fusebox_core::ids::{Digest, LetterId, OwnerId, RunId};
use std::collections::BTreeSet;
use std::time::Duration;

/// Digests of the pages that a letter's snapshot needs.
pub(super) fn pages(letter: &LetterRecord) -> impl Iterator<Item = Digest> {
    let instances = letter.snapshot.iter().flat_map(|snapshot| &snapshot.instances);
    let memories = instances.flat_map(|instance| &instance.memories);
    memories.flat_map(|memory| &memory.stored).map(|page| page.digest)
}

impl Tenant {
    /// Letters that are not closed, leased ones included.
    pub(super) fn open_letters(&self) -> impl Iterator<Item = &LetterRecord> {
        self.letters.values().filter(|letter| letter.state == "open")
    }

    /// The letter of a run that is not closed.
    pub(super) fn open_letter_of(&self, run: &RunId) -> Option<&LetterRecord> {
        self.open_letters().find(|letter| letter.run.id == *run)
    }

    /// Whether its run is being replayed, be it that the replay sleeps or waits for a person.
    pub(super) fn leased(&self, letter: &LetterRecord, now: i64) -> bool {
        let row = self.runs.get(&letter.run.id);
        row.is_some_and(|row| row.alive(now) || row.rests())
    }

    /// The letter as it is shown: an open one whose run goes on is being replayed.
    pub(super) fn letter_view(&self, letter: &LetterRecord, now: i64) -> LetterRecord {
        let mut letter = letter.clone();
        if letter.state == "open" && self.leased(&letter, now) {
            "replaying".clone_into(&mut letter.state);
        }
        letter
    }

    pub(super) fn list_letters(&self, filter: &LetterFilter, now: i64) -> Vec<LetterRecord> {
        let mut letters: Vec<_> = self.letters.values().collect();
        letters.retain(|letter| {
            (filter.closed || letter.state == "open")
                && (filter.service.is_none() || filter.service == letter.service)
                && filter.tool.as_ref().is_none_or(|tool| *tool == letter.run.tool)
                && filter.class.as_ref().is_none_or(|class| *class == letter.class)
                && filter.since.is_none_or(|since| letter.last_failed >= since)
        });
        letters.sort_by_key(|letter| (letter.first_failed, &letter.id));
        if let Some(after) = &filter.after {
            let at = self.letters.get(after).map_or(after.made().0, |last| last.first_failed);
            letters.retain(|letter| (letter.first_failed, &letter.id) > (at, after));
        }
        let shown = letters.into_iter().take(listed(filter.limit));
        shown.map(|letter| self.letter_view(letter, now)).collect()
    }

    pub(super) fn letter_of(&self, run: &RunId, now: i64) -> Option<LetterRecord> {
        let of_run = self.letters.values().filter(|letter| letter.run.id == *run);
        let newest = of_run.max_by_key(|letter| (letter.first_failed, &letter.id))?;
        Some(self.letter_view(newest, now))
    }

    pub(super) fn lease_letter(
        &mut self,
        id: &LetterId,
        owner: &OwnerId,
        lease: Duration,
        now: i64,
    ) -> Result<(LetterRecord, Fence), StoreError> {
        let letter = self.letters.get_mut(id);
        let letter = letter.ok_or_else(|| refused(format!("there is no letter {id}")))?;
        let row = self.runs.get_mut(&letter.run.id);
        let row = row.ok_or_else(|| refused(format!("the run of letter {id} is gone")))?;
        if letter.state != "open" {
            return Err(refused(format!("letter {id} is closed: {}", letter.state)));
        }
        if letter.kind == "in-doubt" {
            return Err(refused(format!(
                "letter {id} is in doubt: an effect may have happened, and a replay could make it happen twice; resolve it first"
            )));
        }
        if row.alive(now) {
            return Err(refused(format!("letter {id} is being replayed by another host")));
        }
        if row.rests() {
            return Err(refused(format!(
                "letter {id} is being replayed: its run is {}",
                row.record.state
            )));
        }
        letter.replays += 1;
        let fence = row.lease(owner, now.saturating_add(span(lease)));
        let mut leased = letter.clone();
        leased.run = row.view(now);
        "replaying".clone_into(&mut leased.state);
        Ok((leased, fence))
    }

    pub(super) fn release_letter(&mut self, id: &LetterId, fence: &Fence, now: i64) -> Result<(), StoreError> {
        let fenced = || StoreError::Fenced {
            what: format!("letter {id}"),
        };
        let letter = self.letters.get(id).filter(|letter| letter.state == "open");
        let run = letter.ok_or_else(fenced)?.run.id.clone();
        self.owned(&run, fence, now).map_err(|_| fenced())?.owner = None;
        if let Some(letter) = self.letters.get_mut(id) {
            letter.replays = letter.replays.saturating_sub(1);
        }
        Ok(())
    }

    /// Whether it can be put away: open, and neither leased, in doubt, pinned, nor with a request whose end nobody knows.
    pub(super) fn may_close(&self, letter: &LetterRecord, now: i64) -> bool {
        let state = State::from_name(&self.letter_view(letter, now).state);
        let known = state.zip(Kind::from_name(&letter.kind));
        known.is_some_and(|(state, kind)| may_purge(state, kind, letter.pinned)) && !self.leaves_open(&letter.run.id)
    }

    /// Closes an open letter, ends its run and drops its snapshot and journals; `false` when it cannot be put away, or is unknown.
    pub(super) fn purge(&mut self, id: &LetterId, now: i64) -> bool {
        let may = self.letters.get(id).is_some_and(|letter| self.may_close(letter, now));
        let Some(letter) = self.letters.get_mut(id).filter(|_| may) else {
            return false;
        };
        let (run, unneeded) = (letter.run.id.clone(), pages(letter).collect::<BTreeSet<_>>());
        "purged".clone_into(&mut letter.state);
        letter.snapshot = None;
        if let Some(row) = self.runs.get_mut(&run) {
            row.give_up(now);
        }
        self.drop_journals(&run);
        self.end_tree(&run, now);
        self.drop_orphans(Some(&unneeded), now.saturating_sub(span(PAGE_GRACE)));
        true
    }

    /// Open letters that replay by themselves, that nobody replays and whose time has come.
    pub(super) fn waiting(&self, now: i64) -> Vec<LetterRecord> {
        let waiting = self.open_letters().filter(|letter| {
            letter.auto_replay
                && letter.kind == "retryable"
                && letter.not_before.is_none_or(|at| at <= now)
                && !self.leased(letter, now)
        });
        waiting.cloned().collect()
    }

    /// What of this tenant waits for somebody.
    pub(super) fn add_to(&self, backlog: &mut Backlog, now: i64) {
        for letter in self.open_letters() {
            backlog.add(&letter.kind, 1, letter.first_failed);
        }
        let pending = self.approvals.values();
        for approval in pending.filter(|approval| approval.state == "pending" && approval.expires > now) {
            backlog.approvals += 1;
            let oldest = backlog
                .oldest_approval
                .map_or(approval.asked, |known| known.min(approval.asked));
            backlog.oldest_approval = Some(oldest);
        }
    }

    /// Letters that retention would close now: by kind, then oldest first.
    pub(super) fn expired(&self, now: i64) -> Vec<LetterId> {
        let over = self.open_letters();
        let mut over: Vec<_> = over
            .filter(|letter| letter.expires.is_some_and(|at| at <= now) && self.may_close(letter, now))
            .collect();
        over.sort_by_key(|letter| (&letter.kind, letter.first_failed, &letter.id));
        over.into_iter().map(|letter| letter.id.clone()).collect()
    }

    /// Closes letters, and forgets keys, runs and errors, whose time is over.
    pub(super) fn retain(&mut self, ended: i64, now: i64) -> u64 {
        let over = self.expired(now);
        let closed = over.iter().filter(|id| self.purge(id, now)).count();
        let before = self.errors.len();
        self.errors.retain(|error| error.at > ended);
        let errors = before - self.errors.len();
        let before = self.redrives.len();
        self.redrives
            .retain(|_, redrive| redrive.ended.is_none_or(|at| at > ended));
        self.holders.retain(|id, _| self.redrives.contains_key(id));
        let redrives = before - self.redrives.len();
        let rows = u64::try_from(closed + errors + redrives).unwrap_or(u64::MAX);
        rows.saturating_add(self.forget_runs(ended, now))
    }

    /// Whether the letter of a finish can be written as a new one or into the run's open one.
    pub(super) fn may_enqueue(&self, finish: &Finish) -> Result<(), StoreError> {
        let LetterChange::Enqueue(letter) = &finish.letter else {
            return Ok(());
        };
        if self.open_letter_of(&finish.run.id).is_none() && self.letters.contains_key(&letter.id) {
            return Err(refused(format!(
                "letter {} exists already; a new letter needs a new id",
                letter.id
            )));
        }
        Ok(())
    }

    /// Applies the end of a run to its letter; returns the letter that was written.
    pub(super) fn change_letter(&mut self, run: &RunId, finish: &Finish) -> Option<LetterId> {
        let open = self.open_letter_of(run).cloned();
        match &finish.letter {
            LetterChange::None => None,
            LetterChange::Close => {
                self.drop_journals(run);
                let letter = self.letters.get_mut(&open?.id)?;
                "replayed".clone_into(&mut letter.state);
                Some(letter.id.clone())
            }
            LetterChange::Enqueue(letter) => {
                let mut letter = (**letter).clone();
                if let Some(open) = open {
                    letter.id = open.id;
                    letter.first_failed = open.first_failed;
                    letter.replays = open.replays;
                    letter.pinned = open.pinned;
                }
                "open".clone_into(&mut letter.state);
                letter.tenant.clone_from(&finish.run.tenant);
                letter.run.letter = Some(letter.id.clone());
                letter.run.seed = Seed::default();
                if let Some(snapshot) = &mut letter.snapshot {
                    snapshot.pages.clear();
                }
                let id = letter.id.clone();
                self.letters.insert(id.clone(), letter);
                Some(id)
            }
        }
    }
}
