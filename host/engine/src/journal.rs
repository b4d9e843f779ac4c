//! The journal of a run in memory: what it asked of the world and what it got, as evidence and as what is served to its next attempt.

use crate::catalog::Tool;
use crate::effects::answers;
use crate::ports::sandbox::{Got, Moment};
use crate::ports::store::Cut;
use crate::records::{JournalRecord, SettledRecord, millis};
use fusebox_core::classify;
use fusebox_core::effect::{Effect, Kind};
use fusebox_core::journal;
use fusebox_core::time::Wall;
use std::sync::Arc;
use std::time::Duration;

/// How an effect ended, and what the guest gets for it.
#[derive(Clone, Debug)]
pub(crate) struct Settlement {
    /// Which of the run's effects it was to end, from 1.
    pub(crate) order: u32,
    /// Where the guest's clocks stand once it is let in.
    pub(crate) at: Moment,
    pub(crate) got: Got,
    /// Why there is no answer, for a person.
    pub(crate) reason: Option<String>,
}

/// How much of an entry is in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stored {
    Nothing,
    Intent,
    Whole,
}

/// One effect of a run.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) effect: Effect,
    /// Numbers that were let in since the guest asked for the effect before this one.
    pub(crate) saw: Vec<u32>,
    /// When it was asked for first: how old its key is.
    pub(crate) asked: Wall,
    /// Whether it was sent before, and is sent again under its key.
    pub(crate) resent: bool,
    /// Whether its key alone lets it be repeated.
    pub(crate) by_key: bool,
    pub(crate) settled: Option<Settlement>,
    pub(crate) stored: Stored,
}

impl Entry {
    /// The entry as a row.
    pub(crate) fn record(&self) -> JournalRecord {
        let effect = &self.effect;
        JournalRecord {
            seq: effect.seq,
            kind: effect.kind.name().to_owned(),
            service: effect.service.to_string(),
            method: effect.method.clone(),
            path: effect.path.clone(),
            request: effect.request,
            occurrence: effect.occurrence,
            repeatable: effect.repeatable,
            safe: effect.safe,
            saw: self.saw.clone(),
            asked: self.asked.0,
            resent: self.resent,
            settled: self.settled.as_ref().map(|settled| {
                let (got, body) = answers::write(&settled.got);
                SettledRecord {
                    order: settled.order,
                    wall: settled.at.wall.0,
                    passed: u64::try_from(settled.at.passed.as_nanos()).unwrap_or(u64::MAX),
                    answer: answers::shown(effect.answer.as_ref()),
                    rejected: effect.rejected_before_effect,
                    took_ms: millis(effect.took),
                    reason: settled.reason.clone(),
                    got,
                    body,
                }
            }),
        }
    }

    /// A row as an entry again, judged by the services as they are today and by how old its key is by now.
    ///
    /// # Errors
    /// What about the row this version does not understand.
    pub(crate) fn read(record: JournalRecord, tool: &Tool, now: Wall) -> Result<Self, String> {
        let kind = Kind::from_name(&record.kind).ok_or_else(|| {
            format!(
                "effect {} is a `{}`, which this version does not know",
                record.seq, record.kind
            )
        })?;
        let settled = record.settled;
        let answer = settled
            .as_ref()
            .and_then(|settled| answers::read_answer(&settled.answer));
        let service = tool.service(&record.service);
        let key_age = service
            .filter(|service| service.policy.idempotency_header.is_some())
            .map(|_| now.since(Wall(record.asked)));
        let may = |key_age| match (kind, service) {
            (Kind::Http, Some(service)) => {
                classify::is_repeatable(&record.method, &record.path, key_age, &service.policy)
            }
            _ => record.repeatable,
        };
        let (repeatable, by_key) = (may(key_age), key_age.is_some() && !may(None));
        let effect = Effect {
            seq: record.seq,
            kind,
            service: Arc::from(record.service),
            method: record.method,
            path: record.path,
            request: record.request,
            occurrence: record.occurrence,
            repeatable,
            safe: record.safe,
            rejected_before_effect: settled.as_ref().is_some_and(|settled| settled.rejected),
            answer,
            took: Duration::from_millis(settled.as_ref().map_or(0, |settled| settled.took_ms)),
        };
        let settlement = settled.map(|settled| {
            Ok::<_, String>(Settlement {
                order: settled.order,
                at: Moment {
                    passed: Duration::from_nanos(settled.passed),
                    wall: Wall(settled.wall),
                },
                got: answers::read(settled.got, settled.body)
                    .map_err(|error| format!("what effect {} got cannot be read: {error}", effect.seq))?,
                reason: settled.reason,
            })
        });
        let settled = settlement.transpose()?;
        Ok(Self {
            saw: record.saw,
            asked: Wall(record.asked),
            // Without an end nobody knows whether it was sent; a timer is never sent.
            resent: record.resent || (settled.is_none() && kind != Kind::Timer),
            by_key,
            stored: if settled.is_some() {
                Stored::Whole
            } else {
                Stored::Intent
            },
            settled,
            effect,
        })
    }
}

/// The journal of one run, in the order of the numbers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Journal {
    /// What is known of each effect, by its number less one; `None` for one that was in flight when its host went, and of which nothing
    /// had to be written.
    pub(crate) entries: Vec<Option<Entry>>,
}

impl Journal {
    /// The journal that these rows are.
    ///
    /// # Errors
    /// What about a row this version does not understand.
    pub(crate) fn read(records: Vec<JournalRecord>, tool: &Tool, now: Wall) -> Result<Self, String> {
        let mut journal = Self::default();
        for record in records {
            let entry = Entry::read(record, tool, now)?;
            journal.put(entry);
        }
        Ok(journal)
    }

    pub(crate) fn put(&mut self, entry: Entry) {
        let index = entry.effect.seq.saturating_sub(1) as usize;
        if self.entries.len() <= index {
            self.entries.resize_with(index + 1, || None);
        }
        self.entries[index] = Some(entry);
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().flatten()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.iter().all(Option::is_none)
    }

    /// The journal as the decisions of the core take it.
    pub(crate) fn evidence(&self) -> Vec<journal::Entry> {
        let entries = self.iter().map(|entry| journal::Entry {
            effect: entry.effect.clone(),
            saw: entry.saw.clone(),
            order: entry.settled.as_ref().map(|settled| settled.order),
            by_key: entry.by_key,
            resent: entry.resent,
        });
        entries.collect()
    }

    /// Takes back what the next attempt makes anew; returns what of it is in the store.
    pub(crate) fn cut(&mut self, cut: &journal::Cut) -> Cut {
        let mut stored = Cut::default();
        for seq in &cut.drop {
            let entry = self
                .entries
                .get_mut(seq.saturating_sub(1) as usize)
                .and_then(Option::take);
            if entry.is_some_and(|entry| entry.stored > Stored::Nothing) {
                stored.drop.push(*seq);
            }
        }
        for seq in &cut.reopen {
            let Some(entry) = self
                .entries
                .get_mut(seq.saturating_sub(1) as usize)
                .and_then(Option::as_mut)
            else {
                continue;
            };
            entry.settled = None;
            entry.effect.answer = None;
            entry.resent = true;
            if entry.stored > Stored::Nothing {
                entry.stored = Stored::Intent;
                stored.reopen.push(*seq);
            }
        }
        while self.entries.last().is_some_and(Option::is_none) {
            self.entries.pop();
        }
        // What was let in and is forgotten was never seen.
        let gone = |seq: &u32| cut.drop.contains(seq) || cut.reopen.contains(seq);
        for entry in self.entries.iter_mut().flatten() {
            entry.saw.retain(|seq| !gone(seq));
        }
        stored
    }

    /// Entries of which something is not in the store yet, as rows; they count as stored from then on.
    pub(crate) fn unstored(&mut self) -> Vec<JournalRecord> {
        let mut records = Vec::new();
        for entry in self.entries.iter_mut().flatten() {
            let whole = if entry.settled.is_some() {
                Stored::Whole
            } else {
                Stored::Intent
            };
            if entry.stored < whole {
                records.push(entry.record());
                entry.stored = whole;
            }
        }
        records
    }
}
