//! Whether a failed attempt is made again, and when (semantics.md §4).

use crate::backoff;
use crate::budget::{Budget, Charge, Empty};
use crate::classify::{Judgement, is_upstreams};
use crate::failure::Class;
use crate::policy::RetryPolicy;
use crate::time::Tick;
use std::time::Duration;

/// The attempts of one step. Nested layers share them: what an inner one has used up, an outer one does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempts {
    allowed: u32,
    made: u32,
}

impl Attempts {
    /// So many attempts, at least one, none made.
    #[must_use]
    pub fn of(allowed: u32) -> Self {
        Self {
            allowed: allowed.max(1),
            made: 0,
        }
    }

    /// An attempt starts.
    pub fn begin(&mut self) {
        self.made = self.made.saturating_add(1);
    }

    /// Attempts made.
    #[must_use]
    pub fn made(self) -> u32 {
        self.made
    }

    /// Attempts left.
    #[must_use]
    pub fn left(self) -> u32 {
        self.allowed.saturating_sub(self.made)
    }

    /// The attempts of an inner layer within the outer attempt that has begun: its own number, and never more than the outer one has
    /// left, its current attempt included.
    #[must_use]
    pub fn inner(self, own: u32) -> Self {
        Self::of(own.min(self.left().saturating_add(1)))
    }

    /// An inner layer has ended badly within the outer attempt that has begun: its attempts were the outer one's too, and one that used
    /// up its own leaves nothing.
    pub fn spent_inside(&mut self, inner: Self) {
        let further = if inner.left() == 0 {
            self.left()
        } else {
            inner.made.saturating_sub(1)
        };
        self.made = self.made.saturating_add(further);
    }
}

/// What a decision rests on, after an attempt that failed.
#[derive(Clone, Copy, Debug)]
pub struct Situation<'a> {
    /// The function's policy.
    pub policy: &'a RetryPolicy,
    /// Why the attempt failed.
    pub judgement: &'a Judgement,
    /// Attempts at this resume point, the failed one included.
    pub attempts: Attempts,
    /// Attempts of the run over all resume points, the failed one included.
    pub total: u32,
    /// Whether the run may go on: from nothing by its level and effects, or from its resume point.
    pub may_go_on: bool,
    /// Somebody cancelled the run.
    pub cancelled: bool,
    /// The present.
    pub now: Tick,
    /// The end of the run's time.
    pub deadline: Tick,
    /// The delay before the attempt that failed.
    pub previous: Option<Duration>,
    /// Drawn from `[0, 1)`.
    pub fraction: f64,
}

/// What happens next.
#[derive(Debug, PartialEq, Eq)]
pub enum Decision {
    /// Another attempt.
    Again {
        /// Wait so long before it.
        after: Duration,
        /// What it cost its service's budget; a success gives the last one back.
        charge: Option<Charge>,
    },
    /// No other attempt.
    GiveUp(Reason),
}

/// Why no other attempt is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// Somebody cancelled the run.
    #[error("the run was cancelled")]
    Cancelled,
    /// Only a person can settle it.
    #[error("an effect that may not be repeated is in doubt")]
    InDoubt,
    /// Repeating cannot help.
    #[error("repeating cannot help a failure of class {0}")]
    NotRetryable(Class),
    /// The breaker is open, or the rate limit cannot be met in time.
    #[error("the service takes no request at present")]
    HeldBack,
    /// The function's idempotency level does not allow it.
    #[error(
        "the function may not start over: its idempotency level, or an effect that may not be repeated, forbids it"
    )]
    MayNotStartOver,
    /// All attempts of this resume point are made.
    #[error("all {0} attempts are used up")]
    AttemptsUsedUp(u32),
    /// All attempts of the run are made.
    #[error("all {0} attempts of the whole run are used up")]
    TotalUsedUp(u32),
    /// The upstream asked for more patience than the policy has.
    #[error("the service asks to wait {asked:?}, more than max-retry-after = {allowed:?}")]
    HintTooLong {
        /// What it asked for.
        asked: Duration,
        /// What the policy allows.
        allowed: Duration,
    },
    /// The next attempt would start after the deadline.
    #[error("the next attempt would start in {after:?}, when the deadline is over")]
    PastDeadline {
        /// When it would start.
        after: Duration,
    },
    /// The service's retry budget is empty.
    #[error(transparent)]
    BudgetEmpty(Empty),
}

/// Decides what follows a failed attempt. The budget, that of the failed effect's service, is charged only when everything else agrees.
#[must_use]
pub fn decide(situation: &Situation<'_>, budget: Option<&mut Budget>) -> Decision {
    let after = match delay(situation) {
        Ok(after) => after,
        Err(reason) => return Decision::GiveUp(reason),
    };
    let throttled = situation.judgement.class == Class::Throttled;
    match budget.map(|budget| budget.try_retry(throttled)).transpose() {
        Ok(charge) => Decision::Again { after, charge },
        Err(empty) => Decision::GiveUp(Reason::BudgetEmpty(empty)),
    }
}

/// The delay before the next attempt, or why there is none; budget aside.
fn delay(situation: &Situation<'_>) -> Result<Duration, Reason> {
    let Situation {
        policy,
        judgement,
        attempts,
        ..
    } = *situation;
    if situation.cancelled {
        return Err(Reason::Cancelled);
    }
    if judgement.class == Class::InDoubt || !judgement.in_doubt.is_empty() {
        return Err(Reason::InDoubt);
    }
    if !is_upstreams(judgement.class) {
        return Err(Reason::NotRetryable(judgement.class));
    }
    if judgement.held_back {
        return Err(Reason::HeldBack);
    }
    if !situation.may_go_on {
        return Err(Reason::MayNotStartOver);
    }
    if attempts.left() == 0 {
        return Err(Reason::AttemptsUsedUp(attempts.made()));
    }
    if situation.total >= policy.max_total_attempts {
        return Err(Reason::TotalUsedUp(situation.total));
    }
    let hint = judgement.hint.map_or(Duration::ZERO, |hint| hint.0);
    if hint > policy.max_retry_after {
        return Err(Reason::HintTooLong {
            asked: hint,
            allowed: policy.max_retry_after,
        });
    }
    let after = backoff::delay(&policy.backoff, attempts.made(), situation.previous, situation.fraction).max(hint);
    if after >= situation.deadline.since(situation.now) {
        return Err(Reason::PastDeadline { after });
    }
    Ok(after)
}
