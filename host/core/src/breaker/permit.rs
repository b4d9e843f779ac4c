//! The right to send once: asked for, refused, settled with a verdict.

use super::state::Transition;
use std::time::Duration;

/// The right to send once. It is settled with a verdict, or released when there is none.
#[must_use = "a permit that is neither settled nor released holds the slot of a probe until the probe window ends"]
#[derive(Debug)]
pub struct Permit {
    pub(super) era: u64,
    pub(super) slot: Option<usize>,
}

impl Permit {
    /// Whether this effect decides if the breaker closes.
    #[must_use]
    pub fn is_probe(&self) -> bool {
        self.slot.is_some()
    }
}

/// Nothing may be sent now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the breaker is {}", if *.forced { "held open by an operator" } else { "open" })]
pub struct Refusal {
    /// When asking again may be worth it; `None` while an operator holds it open.
    pub retry_after: Option<Duration>,
    /// An operator holds it open.
    pub forced: bool,
}

/// What came of asking for a permit.
#[must_use]
#[derive(Debug)]
pub struct Admission {
    /// The permit, or why there is none.
    pub permit: Result<Permit, Refusal>,
    /// What asking changed: a cooldown ended, or a lost probe was taken back.
    pub changed: Option<Transition>,
}

impl Refusal {
    /// Held open by an operator.
    pub(super) const FORCED: Self = Self {
        retry_after: None,
        forced: true,
    };

    /// Open, or probing, for about so long.
    pub(super) fn until(retry_after: Duration) -> Self {
        Self {
            retry_after: Some(retry_after),
            forced: false,
        }
    }
}

/// How one effect ended, for the breaker of its service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The upstream answered.
    Success,
    /// The upstream failed, or nobody knows.
    Failure,
    /// The upstream asked for fewer requests: counts in the rate and fails a probe, but is none of the failures in a row.
    Throttled,
    /// Says nothing about the upstream.
    Ignored,
}
