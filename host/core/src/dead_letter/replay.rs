//! Whether a letter may be replayed, in which form, and what of the journal is served then (semantics.md §6).

use super::{Kind, State, UNSETTLED};
use crate::journal::{self, Cut, Entry, Resume};

/// Where a replay begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// At the resume point.
    ResumePoint,
    /// From the start: nothing is served.
    Start,
    /// At the effect of that number: what is below it is served.
    Effect(u32),
    /// As another run with another input: another seed, other keys, nothing served.
    Input,
}

/// Why a letter is not replayed; it stays as it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotReplayable {
    /// It is closed.
    #[error("the letter is {0}: there is nothing left to replay")]
    Closed(State),
    /// Somebody replays it.
    #[error("the letter is being replayed: wait for the end of that replay")]
    Leased,
    /// An effect is in doubt.
    #[error("an effect of the run is in doubt, and a replay could make it happen twice; {UNSETTLED}")]
    InDoubt,
    /// These may not be repeated and would happen again.
    #[error("effect {} may not be repeated and would happen again", numbers(.0))]
    WouldRepeat(Vec<u32>),
    /// The run has no such effect.
    #[error("the run has effects 1 to {last}, and no effect {asked}")]
    NoEffect {
        /// What was asked for.
        asked: u32,
        /// The highest number of the run's effects.
        last: u32,
    },
}

fn numbers(seqs: &[u32]) -> String {
    let numbers: Vec<_> = seqs.iter().map(ToString::to_string).collect();
    numbers.join(", ")
}

/// What of the journal goes before a replay in that form. `entries` is the run's journal, `starts_over` says that its function is `readonly`
/// or `idempotent`, `repeat` names effects that a person allows to happen again. One in doubt nobody can allow: it has to be resolved first.
///
/// # Errors
/// [`NotReplayable`].
pub fn replay(
    state: State,
    kind: Kind,
    entries: &[Entry],
    starts_over: bool,
    form: Form,
    repeat: &[u32],
) -> Result<Cut, NotReplayable> {
    match state {
        State::Replayed | State::Resolved | State::Purged => return Err(NotReplayable::Closed(state)),
        State::Replaying => return Err(NotReplayable::Leased),
        State::Open if kind == Kind::InDoubt => return Err(NotReplayable::InDoubt),
        State::Open => {}
    }
    let at = journal::resume_point(entries, starts_over);
    let lost = matches!(journal::go_on(entries), Resume::InDoubt(_));
    let last = entries.iter().map(Entry::seq).max().unwrap_or(0);
    let (from, again) = match form {
        _ if lost => return Err(NotReplayable::InDoubt),
        Form::ResumePoint if matches!(at, Resume::InDoubt(_)) => return Err(NotReplayable::InDoubt),
        Form::ResumePoint => return Ok(journal::cut(entries, &at)),
        Form::Effect(asked) if asked == 0 || asked > last.saturating_add(1) => {
            return Err(NotReplayable::NoEffect { asked, last });
        }
        Form::Effect(from) => (from, journal::would_repeat(entries, from, repeat)),
        Form::Start => (1, journal::would_repeat(entries, 1, repeat)),
        Form::Input => (1, journal::would_repeat_elsewhere(entries, repeat)),
    };
    if again.is_empty() {
        Ok(journal::cut_from(entries, from))
    } else {
        Err(NotReplayable::WouldRepeat(again))
    }
}
