//! Dead letters: which ends become one, how long it is kept, and what may happen to it (semantics.md §6).

mod bulk;
mod by_itself;
mod replay;

pub use bulk::{Bounds, Over, Tally};
pub use by_itself::{AUTO_REPLAYS, Waiting, next_by_itself, replays_by_itself};
pub use replay::{Form, NotReplayable, replay};

use crate::failure::{Class, Code};
use crate::idempotency::material;
use crate::ids::Digest;
use crate::time::Wall;
use std::fmt;
use std::time::Duration;

/// So many innermost frames tell known-bad letters apart.
pub const TOP_FRAMES: usize = 5;

/// What is said of a letter in doubt: it waits for a person, and how that person settles it.
pub const UNSETTLED: &str = "ask the upstream what became of it, then settle it: `fusebox dlq resolve LETTER --effect N --as happened \
     --response FILE`, or `--as not-happened`, or `--close failed`";

/// What a letter is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The world failed: a replay may succeed.
    Retryable,
    /// The component failed: a replay of the same component will fail again.
    KnownBad,
    /// A person has to settle an effect first.
    InDoubt,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Retryable, Self::KnownBad, Self::InDoubt];

    /// The name used in output and stored rows.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Retryable => "retryable",
            Self::KnownBad => "known-bad",
            Self::InDoubt => "in-doubt",
        }
    }

    /// The kind of that name, if there is one.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ending {
    /// Class of its failure.
    pub class: Class,
    /// Code of its failure.
    pub code: Code,
    /// Whether an effect left the host in any attempt.
    pub began: bool,
    /// Whether nobody waits for it.
    pub detached: bool,
}

/// The letter that a failed run becomes, if it becomes one; what does not goes to the error log.
#[must_use]
pub fn kind_of(ending: Ending) -> Option<Kind> {
    match ending.class {
        Class::InDoubt => Some(Kind::InDoubt),
        // Its caller is told and nothing has happened: calling again is all that a letter could do.
        _ if ending.code == Code::BreakerOpen && !ending.began && !ending.detached => None,
        Class::Transient | Class::Throttled | Class::NotSent | Class::Unknown => Some(Kind::Retryable),
        // A defect of the host says nothing against the component.
        _ if ending.code == Code::Internal => Some(Kind::Retryable),
        Class::Fault | Class::Exhausted => Some(Kind::KnownBad),
        Class::Caller | Class::Control => None,
    }
}

/// How long letters are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    /// All but those known to be bad.
    pub letters: Duration,
    /// Those known to be bad.
    pub known_bad: Duration,
}

/// When a letter may be forgotten; `None` never. One whose run has settled an effect that may not be repeated is kept as long as any
/// other, whatever its kind: it is the only account of what was done.
#[must_use]
pub fn expires(kind: Kind, settled_unrepeatable: bool, last_failed: Wall, keep: Keep) -> Option<Wall> {
    match kind {
        Kind::InDoubt => None,
        Kind::KnownBad if !settled_unrepeatable => Some(last_failed + keep.known_bad),
        Kind::KnownBad | Kind::Retryable => Some(last_failed + keep.letters),
    }
}

/// What the fingerprint of a known-bad letter is the digest of: the component, the function, the class, and the innermost frames.
#[must_use]
pub fn fingerprint_material(component: Digest, function: &str, class: Class, frames: &[String]) -> Vec<u8> {
    let mut parts = vec![&component.0[..], function.as_bytes(), class.name().as_bytes()];
    parts.extend(frames.iter().take(TOP_FRAMES).map(String::as_bytes));
    material(b"fusebox letter 1", &parts)
}

/// Where a letter is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Waits.
    Open,
    /// Leased by a replay.
    Replaying,
    /// Closed: a replay succeeded.
    Replayed,
    /// Closed: a person settled it.
    Resolved,
    /// Closed: a person, or its age, put it away.
    Purged,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 5] = [
        Self::Open,
        Self::Replaying,
        Self::Replayed,
        Self::Resolved,
        Self::Purged,
    ];

    /// The name used in output and stored rows.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Replaying => "replaying",
            Self::Replayed => "replayed",
            Self::Resolved => "resolved",
            Self::Purged => "purged",
        }
    }

    /// The state of that name, if there is one.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    /// Whether it is closed, for good.
    #[must_use]
    pub fn is_closed(self) -> bool {
        matches!(self, Self::Replayed | Self::Resolved | Self::Purged)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What happens to a letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// A replay takes it.
    Lease,
    /// The replay gives it back untouched, or its lease ends.
    Release,
    /// The replay failed again, in any class.
    FailAgain,
    /// The replay succeeded.
    Succeed,
    /// A person settled it.
    Resolve,
    /// A person, or its age, puts it away.
    Purge,
}

impl Event {
    /// Every event.
    pub const ALL: [Self; 6] = [
        Self::Lease,
        Self::Release,
        Self::FailAgain,
        Self::Succeed,
        Self::Resolve,
        Self::Purge,
    ];
}

/// An event that a letter in that state cannot have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a letter that is {state} cannot take the event {event:?}")]
pub struct Illegal {
    /// Where the letter is.
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
        (State::Open, Event::Lease) => Ok(State::Replaying),
        (State::Replaying, Event::Release | Event::FailAgain) => Ok(State::Open),
        (State::Replaying, Event::Succeed) => Ok(State::Replayed),
        (State::Open, Event::Resolve) => Ok(State::Resolved),
        (State::Open, Event::Purge) => Ok(State::Purged),
        _ => Err(Illegal { state, event }),
    }
}

/// Whether it may be put away, by a person or by its age: never while it is leased, in doubt or pinned.
#[must_use]
pub fn may_purge(state: State, kind: Kind, pinned: bool) -> bool {
    !pinned && kind != Kind::InDoubt && next(state, Event::Purge).is_ok()
}
