//! What a person's answer is bound to, and what it covers (semantics.md §7).

use crate::idempotency::material;
use crate::ids::{Digest, RunId};
use crate::time::Wall;
use std::fmt;

/// Where a question is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Nobody has answered.
    Pending,
    /// A person agreed, and the call has not started.
    Approved,
    /// A person declined.
    Declined,
    /// Nobody answered in time, or the call did not start in time.
    Expired,
    /// A person agreed, and the call has started.
    Used,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 5] = [Self::Pending, Self::Approved, Self::Declined, Self::Expired, Self::Used];

    /// The name used in output and stored rows.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Approved => "approved",
            Self::Declined => "declined",
            Self::Expired => "expired",
            Self::Used => "used",
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

/// What happens to a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// A person agrees.
    Approve,
    /// A person declines.
    Decline,
    /// Its time is over.
    Expire,
    /// The call starts.
    Use,
}

impl Event {
    /// Every event.
    pub const ALL: [Self; 4] = [Self::Approve, Self::Decline, Self::Expire, Self::Use];
}

/// An event that a question in that state cannot have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a question that is {state} cannot take the event {event:?}")]
pub struct Illegal {
    /// Where the question is.
    pub state: State,
    /// What was to happen.
    pub event: Event,
}

/// The state after an event.
///
/// # Errors
/// [`Illegal`] for every pair that the table does not name: what is decided stays decided, and an answer is used up once.
pub fn next(state: State, event: Event) -> Result<State, Illegal> {
    match (state, event) {
        (State::Pending, Event::Approve) => Ok(State::Approved),
        (State::Pending, Event::Decline) => Ok(State::Declined),
        (State::Pending | State::Approved, Event::Expire) => Ok(State::Expired),
        (State::Approved, Event::Use) => Ok(State::Used),
        _ => Err(Illegal { state, event }),
    }
}

/// What an answer is bound to: for anything else it says nothing.
#[derive(Clone, Copy, Debug)]
pub struct Bound<'a> {
    /// The component that is called, or that asks.
    pub component: Digest,
    /// The function that is called, or that asks.
    pub function: &'a str,
    /// Digest of the decoded input, or of the question with its details.
    pub input: Digest,
    /// The run.
    pub run: &'a RunId,
    /// The number of the effect within the run; 0 for the call that made the run.
    pub step: u32,
    /// Why a person is asked: the manifest's keys and the rules that decided.
    pub rules: &'a [String],
    /// When an answer comes too late.
    pub expires: Wall,
}

/// What the binding is the digest of.
#[must_use]
pub fn binding_material(bound: &Bound<'_>) -> Vec<u8> {
    let (step, expires) = (bound.step.to_le_bytes(), bound.expires.0.to_le_bytes());
    let mut parts: Vec<&[u8]> = vec![
        &bound.component.0,
        bound.function.as_bytes(),
        &bound.input.0,
        bound.run.as_str().as_bytes(),
        &step,
        &expires,
    ];
    parts.extend(bound.rules.iter().map(String::as_bytes));
    material(b"fusebox approval 1", &parts)
}

/// A question as it is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Where it is.
    pub state: State,
    /// What the answer is bound to.
    pub binding: Digest,
    /// When an answer comes too late.
    pub expires: Wall,
}

/// How an answer covers a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cover {
    /// It is used up by the call that starts now, in the same transaction.
    Use,
    /// It was used up when this call started first: a further attempt, a recovery, an unedited replay.
    Again,
}

/// Why an answer does not cover a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotCovered {
    /// Another component, function, input, run or step, or other rules.
    #[error("the approval was given for another call: this one needs its own")]
    Changed,
    /// Nobody has answered yet.
    #[error("nobody has answered yet")]
    Pending,
    /// A person declined.
    #[error("a person declined it")]
    Declined,
    /// Its time is over.
    #[error("the approval has expired: a person has to be asked again")]
    Expired,
}

/// Whether an answer covers the call with that binding, made with the question's own expiry. The run's deadline does not count: it stands
/// still while a person is asked.
///
/// # Errors
/// [`NotCovered`].
pub fn covers(asked: &Asked, binding: Digest, now: Wall) -> Result<Cover, NotCovered> {
    match asked.state {
        _ if asked.binding != binding => Err(NotCovered::Changed),
        State::Declined => Err(NotCovered::Declined),
        State::Expired => Err(NotCovered::Expired),
        State::Pending | State::Approved | State::Used if now >= asked.expires => Err(NotCovered::Expired),
        State::Pending => Err(NotCovered::Pending),
        State::Approved => Ok(Cover::Use),
        State::Used => Ok(Cover::Again),
    }
}
