//! The circuit breaker of one service: who may send, and what a verdict changes (semantics.md §2).
//!
//! The caller passes time and jitter in and keeps what changes: every transition is returned, to be stored and logged. While closed
//! nothing is allocated. Only effects take permits, just before they send; a call merely peeks, in order to fail fast.

mod permit;
mod state;
mod window;

pub use permit::{Admission, Permit, Refusal, Verdict};
pub use state::{Cause, Event, Illegal, State, Stored, Transition, next};

use crate::backoff::share;
use crate::policy::{BreakerPolicy, RatePolicy};
use crate::time::Tick;
use std::time::Duration;
use window::Window;

/// How much of a repeated cooldown jitter may take away, so that breakers that opened together do not probe together.
const JITTER: f64 = 0.2;
/// While probes are out, this is when asking again may be worth it: a probe settles with its exchange.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// What an operator orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Refuse everything until told otherwise.
    ForceOpen,
    /// Let everything through and count nothing until told otherwise.
    Disable,
    /// Back to closed, with all counts at zero.
    Close,
}

/// A breaker.
#[derive(Clone, Debug)]
pub struct Breaker {
    policy: BreakerPolicy,
    state: State,
    /// Shared by the hosts of one database: the fence of stored transitions.
    epoch: i64,
    /// Counts every change of this value, adoptions included; what a permit of an earlier era reports changes nothing.
    era: u64,
    failures: u32,
    reopenings: u32,
    /// Open: the end of the cooldown. Half-open by another host: the end of its probe window.
    until: Tick,
    /// Half-open by another host: that host probes, this one waits.
    elsewhere: bool,
    /// Half-open: when each probe that is out started.
    probes: Vec<Option<Tick>>,
    window: Window,
}

impl Breaker {
    /// A closed breaker that was never stored.
    #[must_use]
    pub fn new(policy: BreakerPolicy) -> Self {
        Self {
            window: Window::of(&policy),
            policy,
            state: State::Closed,
            epoch: 0,
            era: 0,
            failures: 0,
            reopenings: 0,
            until: Tick(0),
            elsewhere: false,
            probes: Vec::new(),
        }
    }

    /// The breaker that was stored, after a restart.
    #[must_use]
    pub fn restore(policy: BreakerPolicy, stored: &Stored, now: Tick) -> Self {
        let mut breaker = Self::new(policy);
        breaker.adopt(stored, now);
        breaker
    }

    /// Its state, without regard to a cooldown that is over but was not noticed.
    #[must_use]
    pub fn state(&self) -> State {
        self.state
    }

    /// Transitions so far, over all hosts of the database.
    #[must_use]
    pub fn epoch(&self) -> i64 {
        self.epoch
    }

    /// Whether nothing is lost when it is forgotten: closed, without failures.
    #[must_use]
    pub fn is_evictable(&self, now: Tick) -> bool {
        self.state == State::Closed && self.failures == 0 && self.window.failures(now) == 0
    }

    /// Whether its cooldown is over and nobody has probed yet, so that the oldest letter may do it.
    #[must_use]
    pub fn awaits_probe(&self, now: Tick) -> bool {
        self.state == State::Open && now >= self.until
    }

    /// Whether a call has a chance, without taking a permit. Half-open says yes: by the time of the effect the probe may be back.
    ///
    /// # Errors
    /// [`Refusal`] while it is open and its cooldown lasts, or while it is held open.
    #[inline]
    pub fn peek(&self, now: Tick) -> Result<(), Refusal> {
        match self.state {
            State::Open if now < self.until => Err(Refusal::until(self.until.since(now))),
            State::ForcedOpen => Err(Refusal::FORCED),
            _ => Ok(()),
        }
    }

    /// Asks for the right to send once. `jitter` is drawn from `[0, 1)`.
    #[inline]
    pub fn admit(&mut self, now: Tick, jitter: f64) -> Admission {
        let changed = match self.state {
            State::Closed | State::Disabled => None,
            _ => self.notice(now, jitter),
        };
        let permit = match self.state {
            State::Closed | State::Disabled => Ok(self.permit(None)),
            State::ForcedOpen => Err(Refusal::FORCED),
            State::Open => Err(Refusal::until(self.until.since(now))),
            State::HalfOpen => self.probe(now),
        };
        Admission { permit, changed }
    }

    /// Reports how an effect ended. What an older era reports changes nothing.
    #[inline]
    #[must_use = "a transition has to be stored"]
    pub fn settle(
        &mut self,
        permit: Permit,
        verdict: Verdict,
        took: Duration,
        now: Tick,
        jitter: f64,
    ) -> Option<Transition> {
        if permit.era != self.era {
            return None;
        }
        match (self.state, permit.slot) {
            (State::Closed, _) => {
                let cause = self.count(verdict, took, now)?;
                self.shift(Event::Trip, cause, now, jitter)
            }
            (State::HalfOpen, Some(slot)) => {
                self.free(slot);
                match verdict {
                    Verdict::Success => self.shift(Event::ProbeSucceeded, Cause::ProbeSucceeded, now, jitter),
                    Verdict::Failure | Verdict::Throttled => {
                        self.shift(Event::ProbeFailed, Cause::ProbeFailed, now, jitter)
                    }
                    Verdict::Ignored => None,
                }
            }
            _ => None,
        }
    }

    /// Gives a permit back without a verdict: neither success nor failure.
    pub fn release(&mut self, permit: Permit) {
        if let Permit { era, slot: Some(slot) } = permit
            && era == self.era
        {
            self.free(slot);
        }
    }

    /// Takes back probes whose window is over, which counts as a failure. [`Self::admit`] does the same when it is asked;
    /// calling this now and then makes a lost probe known without callers.
    #[must_use = "a transition has to be stored"]
    pub fn take_back(&mut self, now: Tick, jitter: f64) -> Option<Transition> {
        let over = |started: &Tick| now.since(*started) >= self.policy.probe_window;
        let lost = self.probes.iter().flatten().any(over) || (self.elsewhere && now >= self.until);
        if self.state == State::HalfOpen && lost {
            self.shift(Event::ProbeFailed, Cause::ProbeLost, now, jitter)
        } else {
            None
        }
    }

    /// Does what an operator orders, whatever the state. An order that changes nothing still bumps the epoch.
    #[must_use = "a transition has to be stored"]
    pub fn order(&mut self, order: Order, now: Tick) -> Option<Transition> {
        let event = match order {
            Order::ForceOpen => Event::ForceOpen,
            Order::Disable => Event::Disable,
            Order::Close => Event::Close,
        };
        self.shift(event, Cause::Ordered, now, 0.0)
    }

    /// Goes on under another policy, with counts at zero and the same state; an equal policy changes nothing.
    /// Results of the time before are not counted, and probes that are out hold no slot any more.
    #[must_use = "a transition has to be stored"]
    pub fn reconfigure(&mut self, policy: BreakerPolicy) -> Option<Transition> {
        if self.policy == policy {
            return None;
        }
        self.window = Window::of(&policy);
        self.policy = policy;
        self.failures = 0;
        self.probes.clear();
        Some(self.changed(self.state, Cause::Reconfigured))
    }

    /// What is worth keeping over a restart.
    #[must_use]
    pub fn stored(&self, now: Tick) -> Stored {
        let remaining = match self.state {
            State::Open => Some(self.until.since(now)),
            State::HalfOpen if self.elsewhere => Some(self.until.since(now)),
            State::HalfOpen => {
                let oldest = self.probes.iter().flatten().min();
                oldest.map(|started| self.policy.probe_window.saturating_sub(now.since(*started)))
            }
            State::Closed | State::ForcedOpen | State::Disabled => None,
        };
        Stored {
            state: self.state,
            epoch: self.epoch,
            failures: self.failures,
            reopenings: self.reopenings,
            remaining,
        }
    }

    /// Takes over what another host, or an earlier life of this one, has stored; permits of the time before change nothing any more.
    /// To be called when the store refused a transition of ours, or holds a higher epoch. Half-open means that the other one probes:
    /// this one waits for what becomes of it, at most for the probe window.
    pub fn adopt(&mut self, stored: &Stored, now: Tick) {
        let whole = match stored.state {
            State::Open => self.cooldown(stored.reopenings, 0.0),
            _ => self.policy.probe_window,
        };
        self.state = stored.state;
        self.epoch = stored.epoch;
        self.era += 1;
        self.failures = stored.failures;
        self.reopenings = stored.reopenings;
        // A stored time that the clock of another machine made too long must not hold this one open for ever.
        self.until = now + stored.remaining.unwrap_or(whole).min(whole);
        self.elsewhere = stored.state == State::HalfOpen;
        self.probes.clear();
        self.window.clear();
    }

    fn permit(&self, slot: Option<usize>) -> Permit {
        Permit { era: self.era, slot }
    }

    fn free(&mut self, slot: usize) {
        if let Some(probe) = self.probes.get_mut(slot) {
            *probe = None;
        }
    }

    /// What time alone has changed, noticed by the one who asks and who becomes the first probe.
    fn notice(&mut self, now: Tick, jitter: f64) -> Option<Transition> {
        if self.awaits_probe(now) {
            self.shift(Event::CooldownOver, Cause::CooldownOver, now, jitter)
        } else {
            self.take_back(now, jitter)
        }
    }

    fn probe(&mut self, now: Tick) -> Result<Permit, Refusal> {
        if self.elsewhere {
            return Err(Refusal::until(self.until.since(now).min(ASK_AGAIN)));
        }
        let slot = match self.probes.iter().position(Option::is_none) {
            Some(free) => {
                self.probes[free] = Some(now);
                free
            }
            None if self.probes.len() < self.policy.half_open_probes.max(1) as usize => {
                self.probes.push(Some(now));
                self.probes.len() - 1
            }
            None => return Err(Refusal::until(ASK_AGAIN)),
        };
        Ok(self.permit(Some(slot)))
    }

    /// Counts a verdict while closed, and says why the breaker trips, if it does.
    fn count(&mut self, verdict: Verdict, took: Duration, now: Tick) -> Option<Cause> {
        match verdict {
            Verdict::Ignored => return None,
            Verdict::Success => self.failures = 0,
            Verdict::Failure => self.failures = self.failures.saturating_add(1),
            Verdict::Throttled => {}
        }
        if verdict == Verdict::Failure && self.policy.failure_threshold.is_some_and(|most| self.failures >= most) {
            return Some(Cause::FailuresInARow);
        }
        let counts = self
            .window
            .record(verdict != Verdict::Success, took > self.policy.slow_call, now)?;
        let reaches =
            |rate: Option<RatePolicy>, count| rate.is_some_and(|rate| counts.reach(count, &rate, self.policy.window));
        if reaches(self.policy.failure_rate, counts.failures) {
            Some(Cause::FailureRate)
        } else if reaches(self.policy.slow_rate, counts.slow) {
            Some(Cause::SlowRate)
        } else {
            None
        }
    }

    fn cooldown(&self, reopenings: u32, jitter: f64) -> Duration {
        let base = self.policy.cooldown;
        let doubled = 2_u32.checked_pow(reopenings).and_then(|times| base.checked_mul(times));
        let capped = doubled.unwrap_or(Duration::MAX).min(self.policy.max_cooldown.max(base));
        (capped - share(capped, JITTER * jitter)).max(base)
    }

    fn shift(&mut self, event: Event, cause: Cause, now: Tick, jitter: f64) -> Option<Transition> {
        let from = self.state;
        let to = match next(from, event) {
            Ok(to) => to,
            Err(illegal) => {
                debug_assert!(false, "{illegal}");
                return None;
            }
        };
        self.state = to;
        self.elsewhere = false;
        self.probes.clear();
        match to {
            State::Open => {
                self.reopenings = if from == State::HalfOpen {
                    self.reopenings.saturating_add(1)
                } else {
                    0
                };
                self.until = now + self.cooldown(self.reopenings, jitter);
            }
            State::Closed => {
                self.failures = 0;
                self.reopenings = 0;
                self.window.clear();
            }
            State::HalfOpen | State::ForcedOpen | State::Disabled => {}
        }
        Some(self.changed(from, cause))
    }

    fn changed(&mut self, from: State, cause: Cause) -> Transition {
        self.epoch += 1;
        self.era += 1;
        Transition {
            from,
            to: self.state,
            epoch: self.epoch,
            cause,
        }
    }
}
