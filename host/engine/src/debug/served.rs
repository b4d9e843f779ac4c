//! The effects of a replay that performs nothing: what the journal holds is served, and the replay ends where it holds no more.

use crate::effects::identity;
use crate::journal::{Entry, Journal};
use crate::ports::sandbox::{Ask, Delivery, Effects, Moment, Stopped};
use async_trait::async_trait;
use fusebox_core::effect::Effect;
use fusebox_core::journal::{self, Diverged};
use fusebox_core::time::Wall;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Effects of a replay at most: as many as a run may have.
const MOST: usize = 10_000;

/// Why a replay was ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Halted {
    /// The guest asked for the effect that the replay was to go to.
    There(u32),
    /// The guest asked for something else than the journal holds.
    Diverged(Diverged),
    /// The guest waits, and the journal knows no end of any of these.
    Waits(Vec<u32>),
    /// The guest asked for more than a run may.
    TooMany,
}

/// Serves one replay.
pub(crate) struct Served {
    entries: Vec<Option<Entry>>,
    /// The effect that the replay goes to.
    to: Option<u32>,
    progress: Mutex<Progress>,
}

struct Progress {
    asks: Vec<Ask>,
    /// What was asked for, has an end, and was not let in: number by order.
    ready: BTreeMap<u32, u32>,
    /// What was asked for and not let in.
    open: BTreeSet<u32>,
    last: Moment,
    halted: Option<Halted>,
}

impl Served {
    /// Serves that journal to a guest whose wall clock starts there, up to that effect.
    pub(crate) fn new(journal: &Journal, wall: Wall, to: Option<u32>) -> Self {
        Self {
            entries: journal.entries.clone(),
            to,
            progress: Mutex::new(Progress {
                asks: Vec::new(),
                ready: BTreeMap::new(),
                open: BTreeSet::new(),
                last: Moment {
                    passed: Duration::ZERO,
                    wall,
                },
                halted: None,
            }),
        }
    }

    /// What the guest asked for, by number less one.
    pub(crate) fn asks(&self) -> Vec<Ask> {
        self.lock().asks.clone()
    }

    /// Why the replay was ended; `None` when its guest came to an end of its own.
    pub(crate) fn halted(&self) -> Option<Halted> {
        self.lock().halted.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn entry(&self, seq: u32) -> Option<&Entry> {
        self.entries.get(seq.checked_sub(1)? as usize)?.as_ref()
    }
}

impl Progress {
    fn halt(&mut self, why: Halted) -> Stopped {
        self.halted.get_or_insert(why);
        Stopped
    }
}

#[async_trait]
impl Effects for Served {
    fn begin(&self, ask: Ask) -> Result<u32, Stopped> {
        let mut progress = self.lock();
        if progress.asks.len() >= MOST {
            return Err(progress.halt(Halted::TooMany));
        }
        let effect = identity(&ask);
        progress.asks.push(ask);
        let seq = u32::try_from(progress.asks.len()).unwrap_or(u32::MAX);
        if self.to == Some(seq) {
            return Err(progress.halt(Halted::There(seq)));
        }
        progress.open.insert(seq);
        // What the journal does not hold is taken on and never ends: the guest is stopped where it waits for it.
        let Some(entry) = self.entry(seq) else {
            return Ok(seq);
        };
        let held = journal::Entry {
            effect: entry.effect.clone(),
            saw: Vec::new(),
            order: None,
            by_key: entry.by_key,
            resent: entry.resent,
        };
        if let Err(diverged) = journal::matches(&held, &Effect { seq, ..effect }) {
            return Err(progress.halt(Halted::Diverged(diverged)));
        }
        if let Some(settled) = &entry.settled {
            progress.ready.insert(settled.order, seq);
        }
        Ok(seq)
    }

    fn abandon(&self, seq: u32) {
        self.lock().open.remove(&seq);
    }

    async fn next(&self) -> Result<Delivery, Stopped> {
        let mut progress = self.lock();
        let next = progress.ready.pop_first();
        let settled = next.and_then(|(_, seq)| Some((seq, self.entry(seq)?.settled.as_ref()?)));
        let Some((seq, settled)) = settled else {
            let open = progress.open.iter().copied().collect();
            return Err(progress.halt(Halted::Waits(open)));
        };
        progress.open.remove(&seq);
        let at = Moment {
            passed: settled.at.passed.max(progress.last.passed),
            wall: settled.at.wall.max(progress.last.wall),
        };
        progress.last = at;
        Ok(Delivery {
            seq,
            got: settled.got.clone(),
            at,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::journal::{Settlement, Stored};
    use crate::ports::sandbox::Got;
    use fusebox_core::effect::Answer;

    fn timer(millis: u64) -> Ask {
        Ask::Timer {
            after: Duration::from_millis(millis),
        }
    }

    fn entry(seq: u32, ask: &Ask, order: Option<u32>) -> Entry {
        let settled = order.map(|order| Settlement {
            order,
            at: Moment {
                passed: Duration::from_secs(u64::from(order)),
                wall: Wall(1_000 + i64::from(order)),
            },
            got: Got::Timer,
            reason: None,
        });
        Entry {
            effect: Effect {
                seq,
                answer: settled.as_ref().map(|_| Answer::Done),
                ..identity(ask)
            },
            saw: Vec::new(),
            asked: Wall(0),
            resent: false,
            by_key: false,
            settled,
            stored: Stored::Whole,
        }
    }

    /// Two timers that ended in the other order, and one without an end.
    fn served(to: Option<u32>) -> Served {
        let mut journal = Journal::default();
        for (seq, order) in [(1, Some(2)), (2, Some(1)), (3, None)] {
            journal.put(entry(seq, &timer(u64::from(seq)), order));
        }
        Served::new(&journal, Wall(1_000), to)
    }

    #[tokio::test]
    async fn effects_are_let_in_in_the_order_in_which_they_ended() {
        let served = served(None);
        assert_eq!(served.begin(timer(1)), Ok(1));
        assert_eq!(served.begin(timer(2)), Ok(2));
        let (first, second) = (served.next().await.unwrap(), served.next().await.unwrap());
        assert_eq!((first.seq, second.seq), (2, 1));
        assert_eq!((first.at.wall, second.at.wall), (Wall(1_001), Wall(1_002)));
        assert_eq!(served.halted(), None);
    }

    #[tokio::test]
    async fn a_guest_is_stopped_where_it_waits_for_what_has_no_end() {
        let served = served(None);
        for (millis, seq) in [(1, 1), (2, 2), (3, 3), (4, 4)] {
            assert_eq!(served.begin(timer(millis)), Ok(seq));
        }
        assert!(served.next().await.is_ok() && served.next().await.is_ok());
        // The guest has let go of the last, so that it does not wait for it.
        served.abandon(4);
        assert_eq!(served.next().await, Err(Stopped));
        assert_eq!(served.halted(), Some(Halted::Waits(vec![3])));
    }

    #[tokio::test]
    async fn another_question_than_the_journals_is_the_end() {
        let served = served(None);
        assert_eq!(served.begin(timer(9)), Err(Stopped));
        assert!(matches!(served.halted(), Some(Halted::Diverged(diverged)) if diverged.seq == 1));
    }

    #[tokio::test]
    async fn a_replay_goes_to_an_effect_and_no_further() {
        let served = served(Some(2));
        assert_eq!(served.begin(timer(1)), Ok(1));
        assert_eq!(served.begin(timer(2)), Err(Stopped));
        assert_eq!(served.halted(), Some(Halted::There(2)));
        assert_eq!(served.asks().len(), 2);
    }
}
