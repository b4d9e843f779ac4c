//! The effects of one attempt: those that the journal serves and those that are performed, let in to the guest one at a time in the order in
//! which they ended; and the evidence that the attempt is judged by.

mod entries;
mod evidence;

pub(crate) use evidence::Settled;

use super::Stop;
use crate::journal::{Entry, Journal, Settlement, Stored};
use crate::ports::sandbox::{Delivery, Got, Moment, Stopped};
use crate::records::{EffectRecord, JournalRecord};
use crate::services::Service;
use entries::{Entries, Slot, is_sent_again};
use evidence::{kept, reasons, services};
use fusebox_core::classify;
use fusebox_core::effect::{Answer, Effect};
use fusebox_core::idempotency;
use fusebox_core::journal;
use fusebox_core::time::{Tick, Wall};
use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// Effects of one run at most: a guest that asks for what it is denied, over and over, must not fill the host's memory.
const MOST: usize = 10_000;

/// The effects of one attempt.
pub(crate) struct Ledger {
    started: Tick,
    /// Where the guest's monotonic clock goes on once the journal was served.
    base: Duration,
    /// Effects whose tasks have not ended.
    in_flight: AtomicUsize,
    idle: Notify,
    /// Something can be let in, or the attempt was stopped.
    changed: Notify,
    entries: Mutex<Entries>,
}

/// What an effect is, before it is entered.
pub(super) struct Asked {
    pub(super) effect: Effect,
    pub(super) service: Option<Arc<Service>>,
    /// When a timer is over.
    pub(super) due: Option<Tick>,
    /// Whether an occurrence number is needed, for a key.
    pub(super) keyed: bool,
    /// Whether its key alone lets it be repeated.
    pub(super) by_key: bool,
}

/// What happens to an effect that was asked for.
pub(super) enum Opened {
    /// The journal serves it.
    Served(u32),
    /// It is performed.
    Live {
        seq: u32,
        occurrence: u32,
        /// When it was asked for first.
        asked: Wall,
        /// It is in the store as an intent.
        known: bool,
    },
}

/// How an effect ended.
pub(super) struct Ending {
    pub(super) answer: Answer,
    pub(super) got: Got,
    pub(super) reason: Option<String>,
    pub(super) took: Duration,
    pub(super) cut: bool,
    pub(super) rejected: bool,
}

impl Ledger {
    /// The ledger of an attempt that starts now, at that wall time of its guest, and is served from that journal. `moved`: the guest's clock
    /// starts elsewhere than the store knows.
    pub(crate) fn new(started: Tick, wall: Wall, journal: Journal, written: bool, moved: bool) -> Self {
        let settled = || journal.iter().filter_map(|entry| entry.settled.as_ref());
        let base = settled().map(|settled| settled.at.passed).max().unwrap_or_default();
        let order = settled().map(|settled| settled.order).max().unwrap_or_default();
        let to_serve = settled().count();
        let reopened = journal
            .iter()
            .filter(|entry| entry.settled.is_none() && is_sent_again(entry))
            .count();
        let slot = |entry: Entry| Slot {
            entry,
            at: Duration::ZERO,
            service: None,
            cut: false,
            live: false,
            durable: true,
            due: None,
            shows: Duration::ZERO,
            abandoned: false,
        };
        let slots = journal.entries.into_iter().map(|entry| entry.map(slot)).collect();
        Self {
            started,
            base,
            in_flight: AtomicUsize::new(0),
            idle: Notify::new(),
            changed: Notify::new(),
            entries: Mutex::new(Entries {
                slots,
                asked: 0,
                order,
                ready: BTreeMap::new(),
                saw: Vec::new(),
                to_serve,
                served: 0,
                reopened,
                rewound: moved.then_some((0, wall.0)),
                last: Moment {
                    passed: Duration::ZERO,
                    wall,
                },
                written,
                closed: false,
                stop: None,
            }),
        }
    }

    /// Enters an effect: served when the journal has it.
    pub(super) fn open(&self, asked: Asked, now: Tick, wall: Wall) -> Result<Opened, Stopped> {
        let mut entries = self.lock();
        if entries.closed || entries.stop.is_some() {
            return Err(Stopped);
        }
        let seq = entries.asked + 1;
        let index = entries.asked as usize;
        if index >= MOST {
            return Err(self.stopped(&mut entries, Stop::TooMany(MOST)));
        }
        let at = now.since(self.started);
        let waits = asked.due.map(|due| due.since(now));
        let shows = entries.last.passed + waits.unwrap_or_default();
        let Entries { slots, saw, ready, .. } = &mut *entries;
        if let Some(Some(slot)) = slots.get_mut(index) {
            let known = journal::Entry {
                effect: slot.entry.effect.clone(),
                saw: Vec::new(),
                order: None,
                by_key: slot.entry.by_key,
                resent: slot.entry.resent,
            };
            if let Err(diverged) = journal::matches(&known, &Effect { seq, ..asked.effect }) {
                // What was sent and may have happened is not sent in another form.
                let stop = match slot.entry.settled {
                    None if !slot.entry.effect.repeatable || slot.entry.stored > Stored::Nothing => {
                        Stop::Doubt(diverged)
                    }
                    _ => Stop::Diverged(diverged),
                };
                return Err(self.stopped(&mut entries, stop));
            }
            slot.at = at;
            slot.service = asked.service;
            saw.clear();
            let opened = match &slot.entry.settled {
                Some(settled) => {
                    ready.insert(settled.order, seq);
                    Opened::Served(seq)
                }
                None => {
                    slot.live = true;
                    // What passed since it was asked for first is waited for.
                    let waited = wall.since(slot.entry.asked);
                    slot.due = waits.map(|waits| now + waits.saturating_sub(waited));
                    slot.shows = shows;
                    Opened::Live {
                        seq,
                        occurrence: slot.entry.effect.occurrence,
                        asked: slot.entry.asked,
                        known: slot.entry.stored > Stored::Nothing,
                    }
                }
            };
            entries.asked = seq;
            drop(entries);
            self.changed.notify_waiters();
            return Ok(opened);
        }
        let occurrence = if asked.keyed {
            let earlier = entries.slots.iter().flatten().map(|slot| &slot.entry.effect);
            idempotency::occurrence(earlier, asked.effect.request)
        } else {
            0
        };
        let entry = Entry {
            effect: Effect {
                seq,
                occurrence,
                ..asked.effect
            },
            saw: std::mem::take(&mut entries.saw),
            asked: wall,
            resent: false,
            by_key: asked.by_key,
            settled: None,
            stored: Stored::Nothing,
        };
        let slot = Slot {
            entry,
            at,
            service: asked.service,
            cut: false,
            live: true,
            durable: false,
            due: asked.due,
            shows,
            abandoned: false,
        };
        if index < entries.slots.len() {
            entries.slots[index] = Some(slot);
        } else {
            entries.slots.push(Some(slot));
        }
        entries.asked = seq;
        Ok(Opened::Live {
            seq,
            occurrence,
            asked: wall,
            known: false,
        })
    }

    /// What of the journal is not in the store yet, with the intent of that effect; it counts as stored.
    pub(super) fn intent(&self, seq: u32) -> (Vec<JournalRecord>, Option<(u32, i64)>) {
        let mut entries = self.lock();
        entries.written = true;
        let mut records = Vec::new();
        for slot in entries.slots.iter_mut().flatten() {
            let entry = &mut slot.entry;
            let stored = match entry.settled {
                Some(_) => Stored::Whole,
                None if entry.effect.seq == seq => Stored::Intent,
                None => continue,
            };
            if entry.stored < stored {
                records.push(entry.record());
                entry.stored = stored;
            }
        }
        (records, entries.rewound.take())
    }

    /// Enters how an effect ended; returns its row when it has to be written before it is let in.
    pub(super) fn settle(&self, seq: u32, end: Ending, now: Tick, wall: Wall) -> Settling {
        let mut entries = self.lock();
        let durable = entries.written;
        entries.order += 1;
        let order = entries.order;
        let elapsed = self.base + now.since(self.started);
        let rewound = if durable { entries.rewound.take() } else { None };
        let Some(Some(slot)) = entries.slots.get_mut(seq.saturating_sub(1) as usize) else {
            return Settling::default();
        };
        let entry = &mut slot.entry;
        entry.effect.rejected_before_effect = end.rejected;
        entry.effect.answer = Some(end.answer);
        entry.effect.took = end.took;
        let passed = slot.due.map_or(elapsed, |_| elapsed.max(slot.shows));
        entry.settled = Some(Settlement {
            order,
            at: Moment { passed, wall },
            got: end.got,
            reason: end.reason,
        });
        slot.cut = end.cut;
        slot.durable = !durable;
        let was_reopened = is_sent_again(entry);
        let record = durable.then(|| {
            entry.stored = Stored::Whole;
            entry.record()
        });
        entries.ready.insert(order, seq);
        if was_reopened {
            entries.reopened = entries.reopened.saturating_sub(1);
        }
        drop(entries);
        self.changed.notify_waiters();
        Settling { record, rewound }
    }

    /// A nested call failed at that service: breaker, budget and letter go by it.
    pub(super) fn at_service(&self, seq: u32, service: &str) {
        let mut entries = self.lock();
        if let Some(Some(slot)) = entries.slots.get_mut(seq.saturating_sub(1) as usize) {
            slot.entry.effect.service = Arc::from(service);
        }
    }

    /// What was taken for stored is perhaps not: whoever writes next writes it again.
    pub(super) fn unwritten(&self, seqs: &[u32]) {
        let mut entries = self.lock();
        for seq in seqs {
            if let Some(Some(slot)) = entries.slots.get_mut(seq.saturating_sub(1) as usize) {
                slot.entry.stored = Stored::Intent;
            }
        }
    }

    /// What was written is durable: the guest may see it.
    pub(super) fn written(&self, seq: u32) {
        let mut entries = self.lock();
        if let Some(Some(slot)) = entries.slots.get_mut(seq.saturating_sub(1) as usize) {
            slot.durable = true;
        }
        drop(entries);
        self.changed.notify_waiters();
    }

    /// Nobody waits for it any more; `true` when it is a timer that may be forgotten.
    pub(super) fn abandon(&self, seq: u32) {
        let mut entries = self.lock();
        if let Some(Some(slot)) = entries.slots.get_mut(seq.saturating_sub(1) as usize) {
            slot.abandoned = true;
        }
        drop(entries);
        self.changed.notify_waiters();
    }

    /// Waits until a timer is abandoned or the attempt ends.
    pub(super) async fn abandoned(&self, seq: u32) {
        self.until(|entries| {
            let slot = entries.slots.get(seq.saturating_sub(1) as usize);
            (entries.closed || entries.stop.is_some() || matches!(slot, Some(Some(slot)) if slot.abandoned))
                .then_some(())
        })
        .await;
    }

    /// The next effect that is let in.
    pub(super) async fn next(
        &self,
        wall: impl Fn() -> Wall,
        idle: impl Fn(&[Tick]) -> Option<Stop>,
    ) -> Result<Delivery, Stopped> {
        self.until(|entries| {
            if entries.closed || entries.stop.is_some() {
                return Some(Err(Stopped));
            }
            if let Some((order, seq)) = entries.ready.first_key_value().map(|(order, seq)| (*order, *seq)) {
                return entries.let_in(order, seq, &wall).map(Ok);
            }
            let open = || {
                entries
                    .slots
                    .iter()
                    .take(entries.asked as usize)
                    .flatten()
                    .filter(|slot| slot.entry.settled.is_none() && !slot.abandoned)
            };
            if open().next().is_none() && entries.to_serve > 0 {
                // The guest waits for nothing that could come, where the journal has it ask for more.
                let stop = entries.unasked().map(Stop::Diverged);
                if let Some(stop) = stop {
                    entries.stop = Some(stop);
                    return Some(Err(Stopped));
                }
            }
            let timers: Option<Vec<_>> = open().map(|slot| slot.due).collect();
            if let Some(stop) = timers
                .filter(|timers| !timers.is_empty())
                .and_then(|timers| idle(&timers))
            {
                entries.stop = Some(stop);
                return Some(Err(Stopped));
            }
            None
        })
        .await
    }

    /// Waits until `look` finds something.
    async fn until<T>(&self, mut look: impl FnMut(&mut Entries) -> Option<T>) -> T {
        loop {
            let mut changed = pin!(self.changed.notified());
            changed.as_mut().enable();
            if let Some(found) = look(&mut self.lock()) {
                return found;
            }
            changed.await;
        }
    }

    /// Ends the attempt; the first reason stays.
    pub(crate) fn stop(&self, stop: Stop) {
        let mut entries = self.lock();
        let _ = self.stopped(&mut entries, stop);
    }

    fn stopped(&self, entries: &mut Entries, stop: Stop) -> Stopped {
        entries.stop.get_or_insert(stop);
        self.changed.notify_waiters();
        Stopped
    }

    /// Whether everything in the journal was let in.
    pub(super) fn is_live(&self) -> bool {
        self.lock().to_serve == 0
    }

    /// Lets no more effects in, and names those in flight, with those that the end of the attempt's time broke off before its guest was stopped.
    pub(crate) fn close(&self) -> Vec<u32> {
        let mut entries = self.lock();
        entries.closed = true;
        let asked = entries.asked as usize;
        let open = entries.slots.iter().take(asked).flatten();
        let open = open.filter(|slot| slot.live && (slot.entry.effect.answer.is_none() || slot.cut));
        let open = open.map(|slot| slot.entry.effect.seq).collect();
        drop(entries);
        self.changed.notify_waiters();
        open
    }

    /// Waits for the effects in flight, each to its own timeout, and takes the evidence.
    pub(crate) async fn settled(&self, in_flight: Vec<u32>) -> Settled {
        // The attempt is the only one who waits; an end between the look and the wait is remembered.
        while self.in_flight.load(Ordering::Acquire) > 0 {
            self.idle.notified().await;
        }
        let mut entries = self.lock();
        let asked = entries.asked as usize;
        let slots = std::mem::take(&mut entries.slots);
        let (unasked, stop) = (entries.unasked_in(&slots), entries.stop.take());
        let served = entries.served;
        drop(entries);
        let seen = || slots.iter().take(asked).flatten();
        Settled {
            in_flight,
            records: seen()
                .filter(|slot| slot.live)
                .map(|slot| EffectRecord::of(&slot.entry.effect, slot.at))
                .collect(),
            served,
            began: seen().any(|slot| slot.live && classify::left_the_host(&slot.entry.effect)),
            reasons: reasons(seen()),
            services: services(seen()),
            why: seen()
                .map(|slot| slot.entry.settled.as_ref().and_then(|settled| settled.reason.clone()))
                .collect(),
            effects: seen().map(|slot| slot.entry.effect.clone()).collect(),
            journal: kept(
                slots,
                matches!(stop, Some(Stop::Sleep(_) | Stop::Suspend(_) | Stop::Drain)),
            ),
            stop: stop.or(unasked.map(Stop::Short)),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What has to be written before an effect is let in.
#[derive(Default)]
pub(super) struct Settling {
    pub(super) record: Option<JournalRecord>,
    pub(super) rewound: Option<(u32, i64)>,
}

/// While it is held, the end of the attempt waits.
pub(super) struct InFlight(Arc<super::Way>);

impl InFlight {
    pub(super) fn new(way: &Arc<super::Way>) -> Self {
        way.ledger.in_flight.fetch_add(1, Ordering::AcqRel);
        Self(Arc::clone(way))
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        if self.0.ledger.in_flight.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.ledger.idle.notify_one();
        }
    }
}
