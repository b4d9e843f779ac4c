//! The entries of a ledger: what was asked for, what has ended, and what of it the guest was let see.

use crate::effects::Stop;
use crate::effects::account::request_line;
use crate::journal::Entry;
use crate::ports::sandbox::{Delivery, Moment};
use crate::services::Service;
use fusebox_core::effect::Kind;
use fusebox_core::journal;
use fusebox_core::time::{Tick, Wall};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

pub(super) struct Entries {
    /// By number less one.
    pub(super) slots: Vec<Option<Slot>>,
    /// The number that was asked for last.
    pub(super) asked: u32,
    /// The order that was given last.
    pub(super) order: u32,
    /// What has ended, was asked for, and was not let in: number by order.
    pub(super) ready: BTreeMap<u32, u32>,
    /// What was let in since something was asked for last.
    pub(super) saw: Vec<u32>,
    /// Settled effects of the journal that were not let in yet.
    pub(super) to_serve: usize,
    /// How many of them were.
    pub(super) served: u32,
    /// Whether something of the journal was sent and is to be sent again under its key: until then the guest's clock stays in the past.
    pub(super) reopened: usize,
    /// The guest's wall clock was set to the present with that effect, and nobody has written it down yet.
    pub(super) rewound: Option<(u32, i64)>,
    pub(super) last: Moment,
    /// Whether the end of every effect is written before its guest sees it.
    pub(super) written: bool,
    pub(super) closed: bool,
    pub(super) stop: Option<Stop>,
}

pub(super) struct Slot {
    pub(super) entry: Entry,
    /// Since the start of the attempt.
    pub(super) at: Duration,
    pub(super) service: Option<Arc<Service>>,
    /// It was broken off because the attempt's time was over.
    pub(super) cut: bool,
    /// It was performed in this attempt.
    pub(super) live: bool,
    /// It can be let in: what has to be durable is.
    pub(super) durable: bool,
    /// When a timer is over.
    pub(super) due: Option<Tick>,
    /// Where the guest's monotonic clock stands then at least: a timer that fired while nobody held the run was waited for too.
    pub(super) shows: Duration,
    /// Nobody waits for it any more.
    pub(super) abandoned: bool,
}

impl Entries {
    /// Lets in what has ended next; `None` while that is not durable.
    pub(super) fn let_in(&mut self, order: u32, seq: u32, wall: &impl Fn() -> Wall) -> Option<Delivery> {
        let slot = self.slots.get_mut(seq.saturating_sub(1) as usize)?.as_mut()?;
        if !slot.durable {
            return None;
        }
        self.ready.remove(&order);
        self.saw.push(seq);
        let settled = slot.entry.settled.as_mut()?;
        if !slot.live {
            self.to_serve = self.to_serve.saturating_sub(1);
            self.served += 1;
            // The journal was served: the present begins, unless what was sent before has to be sent again as it was.
            if self.to_serve == 0 && self.reopened == 0 {
                let now = wall();
                if now > settled.at.wall {
                    settled.at.wall = now;
                    self.rewound = Some((seq, now.0));
                }
            }
        }
        let at = Moment {
            passed: settled.at.passed.max(self.last.passed),
            wall: settled.at.wall.max(self.last.wall),
        };
        self.last = at;
        Some(Delivery {
            seq,
            got: settled.got.clone(),
            at,
        })
    }

    /// The first effect of the journal that the guest has not asked for.
    pub(super) fn unasked(&self) -> Option<journal::Diverged> {
        self.unasked_in(&self.slots)
    }

    pub(super) fn unasked_in(&self, slots: &[Option<Slot>]) -> Option<journal::Diverged> {
        let slot = slots.iter().skip(self.asked as usize).flatten().next()?;
        Some(journal::Diverged {
            seq: slot.entry.effect.seq,
            journal: request_line(&slot.entry.effect),
            asked: "nothing".to_owned(),
        })
    }
}

/// Whether it was sent before, and is to be sent as it was.
pub(super) fn is_sent_again(entry: &Entry) -> bool {
    entry.resent && entry.effect.kind == Kind::Http
}
