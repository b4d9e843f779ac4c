//! The states of a breaker, as one transition table, and what is stored and told of a transition.

use std::fmt;
use std::time::Duration;

/// Whether a breaker lets through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Lets through and counts.
    Closed,
    /// Refuses until its cooldown is over.
    Open,
    /// Lets a few probes through, which decide.
    HalfOpen,
    /// Held open by an operator.
    ForcedOpen,
    /// Lets through and counts nothing, by order of an operator.
    Disabled,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 5] = [
        Self::Closed,
        Self::Open,
        Self::HalfOpen,
        Self::ForcedOpen,
        Self::Disabled,
    ];

    /// The name used in output and stored rows.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half-open",
            Self::ForcedOpen => "forced-open",
            Self::Disabled => "disabled",
        }
    }

    /// The state of that name, if there is one.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What moves a breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// A threshold is reached.
    Trip,
    /// The cooldown is over and somebody wants to send.
    CooldownOver,
    /// The upstream answered a probe.
    ProbeSucceeded,
    /// A probe failed or was lost.
    ProbeFailed,
    /// An operator holds it open.
    ForceOpen,
    /// An operator switches it off.
    Disable,
    /// An operator closes it.
    Close,
}

impl Event {
    /// Every event.
    pub const ALL: [Self; 7] = [
        Self::Trip,
        Self::CooldownOver,
        Self::ProbeSucceeded,
        Self::ProbeFailed,
        Self::ForceOpen,
        Self::Disable,
        Self::Close,
    ];
}

/// An event that a breaker in that state cannot have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a breaker that is {state} cannot take the event {event:?}")]
pub struct Illegal {
    /// Its state.
    pub state: State,
    /// What was to happen.
    pub event: Event,
}

/// The state after an event.
///
/// # Errors
/// [`Illegal`] for every pair that the table does not name.
pub fn next(state: State, event: Event) -> Result<State, Illegal> {
    match (state, event) {
        (State::Closed, Event::Trip) | (State::HalfOpen, Event::ProbeFailed) => Ok(State::Open),
        (State::Open, Event::CooldownOver) => Ok(State::HalfOpen),
        (State::HalfOpen, Event::ProbeSucceeded) | (_, Event::Close) => Ok(State::Closed),
        (_, Event::ForceOpen) => Ok(State::ForcedOpen),
        (_, Event::Disable) => Ok(State::Disabled),
        _ => Err(Illegal { state, event }),
    }
}

/// Why a breaker changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// Too many failures in a row.
    FailuresInARow,
    /// Too large a share of failures.
    FailureRate,
    /// Too large a share of slow calls.
    SlowRate,
    /// The cooldown is over.
    CooldownOver,
    /// The upstream answered a probe.
    ProbeSucceeded,
    /// A probe failed.
    ProbeFailed,
    /// A probe had no verdict when its window ended.
    ProbeLost,
    /// An operator ordered it.
    Ordered,
    /// Its policy changed.
    Reconfigured,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::FailuresInARow => "too many failures in a row",
            Self::FailureRate => "too large a share of failures",
            Self::SlowRate => "too large a share of slow calls",
            Self::CooldownOver => "its cooldown is over",
            Self::ProbeSucceeded => "the upstream answered a probe",
            Self::ProbeFailed => "a probe failed",
            Self::ProbeLost => "a probe had no verdict within its window",
            Self::Ordered => "an operator ordered it",
            Self::Reconfigured => "its policy changed",
        })
    }
}

/// One change, to be stored by compare-and-set on `epoch - 1`, and logged.
#[must_use = "a transition that is not stored is unknown to other hosts and lost by a restart"]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transition {
    /// The state before.
    pub from: State,
    /// The state after; the same when only the policy changed.
    pub to: State,
    /// The epoch after.
    pub epoch: i64,
    /// Why.
    pub cause: Cause,
}

/// What of a breaker survives a restart and is shared with other hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its state.
    pub state: State,
    /// Transitions so far.
    pub epoch: i64,
    /// Failures in a row.
    pub failures: u32,
    /// How often a probe re-opened it since it was last closed; 0 while it is open for the first time.
    pub reopenings: u32,
    /// Open: what is left of the cooldown. Half-open: what is left of the probe window. `None` where it is unknown: the whole of it.
    pub remaining: Option<Duration>,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A row for each state, a column for each event: the first letter of the next state (`F` forced), `.` illegal.
    const TABLE: [(State, &str); 5] = [
        //                 Trip Cool Succ Fail Forc Disa Clos
        (State::Closed, "O...FDC"),
        (State::Open, ".H..FDC"),
        (State::HalfOpen, "..COFDC"),
        (State::ForcedOpen, "....FDC"),
        (State::Disabled, "....FDC"),
    ];

    #[test]
    fn every_state_and_event_goes_where_the_table_says() {
        for (state, row) in TABLE {
            for (event, cell) in Event::ALL.into_iter().zip(row.chars()) {
                let expected = match cell {
                    'C' => Ok(State::Closed),
                    'O' => Ok(State::Open),
                    'H' => Ok(State::HalfOpen),
                    'F' => Ok(State::ForcedOpen),
                    'D' => Ok(State::Disabled),
                    _ => Err(Illegal { state, event }),
                };
                assert_eq!(next(state, event), expected, "{state} + {event:?}");
            }
        }
    }

    #[test]
    fn names_survive_a_round_trip() {
        for state in State::ALL {
            assert_eq!(State::from_name(state.name()), Some(state));
        }
    }
}
