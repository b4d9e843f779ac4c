//! Turns under the rate limit of a service: the host's own, or those of all hosts of the database together.
//!
//! Hosts that share a limit ask the database for their next turns. Those who ask while an answer is on its way are asked for together by the
//! next question, so that the database is asked once for many when there are many. A host that cannot ask keeps the limit by itself.

use super::places::Sharing;
use super::rate_limit::RateLimiter;
use crate::ports::clock::Clock;
use crate::ports::fleet::Shared;
use fusebox_core::policy::RateLimit;
use fusebox_core::time::Tick;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;

/// The turns of one service.
pub(crate) struct Turns {
    own: RateLimiter,
    shared: Option<Arc<SharedTurns>>,
}

struct SharedTurns {
    sharing: Sharing,
    of: Shared,
    limit: RateLimit,
    queue: Mutex<Queue>,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Waiter>,
    /// Turns that somebody gave back, in the order of time.
    spare: VecDeque<Tick>,
    /// A task asks for those who wait.
    asking: bool,
    /// The database could not be asked last time.
    alone: bool,
}

struct Waiter {
    latest: Tick,
    answer: oneshot::Sender<Answer>,
}

/// The turn, or how long it would have taken.
type Answer = Result<Tick, Duration>;

impl Turns {
    /// Turns under that limit, shared so with other hosts.
    pub(crate) fn new(limit: RateLimit, sharing: Option<&(&Sharing, Shared)>) -> Arc<Self> {
        let shared = sharing.map(|(sharing, of)| {
            Arc::new(SharedTurns {
                sharing: (*sharing).clone(),
                of: of.clone(),
                limit,
                queue: Mutex::default(),
            })
        });
        Arc::new(Self {
            own: RateLimiter::new(limit),
            shared,
        })
    }

    /// Promises the next free instant to the caller, who waits until then, or gives it back.
    ///
    /// # Errors
    /// How long it would have to wait, when that lies beyond `latest`; nothing is promised then.
    pub(crate) async fn reserve(&self, clock: &dyn Clock, latest: Tick) -> Answer {
        if let Some(shared) = &self.shared
            && let Ok(answer) = shared.reserve(latest).await
        {
            return answer;
        }
        let now = clock.tick();
        self.own.reserve(now, latest).map(|wait| now + wait)
    }

    /// The caller does not wait until then after all; whoever comes next may have the turn.
    pub(crate) fn give_back(&self, turn: Tick) {
        match &self.shared {
            Some(shared) => shared.give_back(turn),
            None => self.own.give_back(turn),
        }
    }
}

impl SharedTurns {
    /// The answer; no answer where the database cannot be asked.
    fn reserve(self: &Arc<Self>, latest: Tick) -> oneshot::Receiver<Answer> {
        let (answer, answered) = oneshot::channel();
        let mut queue = self.queue();
        queue.waiting.push_back(Waiter { latest, answer });
        if !std::mem::replace(&mut queue.asking, true) {
            tokio::spawn(ask(Arc::clone(self)));
        }
        answered
    }

    fn give_back(&self, turn: Tick) {
        let mut queue = self.queue();
        let place = queue.spare.partition_point(|spare| *spare <= turn);
        queue.spare.insert(place, turn);
    }

    fn clock(&self) -> &dyn Clock {
        self.sharing.clock.as_ref()
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Those who wait now, and the turns that are left for them; nobody asks any more when there are none.
    fn next(&self) -> Option<(VecDeque<Waiter>, VecDeque<Tick>)> {
        let now = self.clock().tick();
        let mut queue = self.queue();
        queue.spare.retain(|turn| *turn > now);
        queue.asking = !queue.waiting.is_empty();
        queue
            .asking
            .then(|| (std::mem::take(&mut queue.waiting), std::mem::take(&mut queue.spare)))
    }

    /// Asks for as many turns as are waited for: those that there are, and how long the next one would take. Nothing, when it cannot be asked.
    async fn ask(&self, waiting: &VecDeque<Waiter>) -> Option<(Vec<Tick>, Duration)> {
        let asked = self.clock().tick();
        let latest = waiting.iter().map(|waiter| waiter.latest).max().unwrap_or(asked);
        let count = u32::try_from(waiting.len()).unwrap_or(u32::MAX);
        let limits = &self.sharing.limits;
        let promised = limits.promise(&self.of, self.limit, count, latest.since(asked));
        let promised = self.sharing.in_time(promised).await;
        let now = self.clock().tick();
        match promised {
            Ok(turns) => {
                self.queue().alone = false;
                let instants = turns.after.into_iter().flat_map(|(after, count)| {
                    let turn = now + after;
                    std::iter::repeat_n(turn, count as usize)
                });
                Some((instants.collect(), turns.beyond.unwrap_or_default()))
            }
            Err(error) => {
                if !std::mem::replace(&mut self.queue().alone, true) {
                    tracing::warn!(service = &*self.of.service, tenant = &*self.of.tenant, %error, "the rate limit cannot be shared; this host keeps it by itself");
                }
                None
            }
        }
    }
}

/// Asks the database for turns as long as somebody waits for one.
async fn ask(shared: Arc<SharedTurns>) {
    while let Some((mut waiting, mut turns)) = shared.next() {
        deal(&mut turns, &mut waiting, shared.clock().tick());
        if !waiting.is_empty()
            && let Some((more, beyond)) = shared.ask(&waiting).await
        {
            turns.extend(more);
            deal(&mut turns, &mut waiting, shared.clock().tick());
            for waiter in waiting {
                // Nobody may wait for it any more.
                let _ = waiter.answer.send(Err(beyond));
            }
        }
        turns.into_iter().for_each(|turn| shared.give_back(turn));
    }
}

/// Gives turns, in the order of time, to those who wait, in the order in which they came.
fn deal(turns: &mut VecDeque<Tick>, waiting: &mut VecDeque<Waiter>, now: Tick) {
    while let Some(&turn) = turns.front()
        && let Some(waiter) = waiting.pop_front()
    {
        let in_time = turn <= waiter.latest;
        let answer = if in_time { Ok(turn) } else { Err(turn.since(now)) };
        if waiter.answer.send(answer).is_ok() && in_time {
            turns.pop_front();
        }
    }
}
