//! What holds in every state that can be reached, and what can happen at all.

use crate::protocol::Protocol;
use crate::state::{Came, Slot, State, Step};
use fusebox_core::run;
use stateright::Property;

/// What may not be repeated happens at most once; what has a key happens at most once, its key's lifetime over or not.
pub(crate) const AT_MOST_ONCE: &str = "at most once";
/// What settled has happened, exactly once; a run that succeeded did each of its effects exactly once.
pub(crate) const EXACTLY_ONCE: &str = "exactly once when it settled";
/// A run that was accepted is over or has a way on, and knows what it did until it is over; no letter is put away while something is in doubt.
pub(crate) const NOTHING_LOST: &str = "nothing lost";
/// A run ends once, and stays as it ended.
pub(crate) const ONE_END: &str = "one terminal state";
/// A run that ends its hosts is run by no further host, until a person says so.
pub(crate) const BOUNDED: &str = "bounded recoveries";
/// Nothing is sent by a host that lost the run, unless it stood still in the window between its look at the lease and the sending.
pub(crate) const NOTHING_LATE: &str = "nothing is sent late";
/// Every change of the run and its letter is in their tables of transitions.
pub(crate) const IN_THE_TABLE: &str = "only transitions of the tables";

pub(crate) fn all() -> Vec<Property<Protocol>> {
    vec![
        Property::always(AT_MOST_ONCE, |_, state: &State| {
            state.world.happened.iter().all(|count| *count <= 1)
        }),
        Property::always(EXACTLY_ONCE, |_, state: &State| exactly_once(state)),
        Property::always(NOTHING_LOST, nothing_lost),
        Property::always(ONE_END, |_, state: &State| one_end(state)),
        Property::always(BOUNDED, |protocol, state: &State| bounded(protocol, state)),
        Property::always(NOTHING_LATE, |protocol: &Protocol, state: &State| {
            let late = state.world.requests.iter().any(|request| request.late);
            protocol.faults.stops_in_the_window > 0 || !late
        }),
        Property::always(IN_THE_TABLE, |_, state: &State| !state.store.illegal),
    ]
}

fn exactly_once(state: &State) -> bool {
    let succeeded = state.store.run == Some(run::State::Succeeded);
    let slots = state.store.journal.iter().zip(&state.world.happened);
    let answered = |slot: &Slot| {
        matches!(
            slot,
            Slot::Settled {
                came: Came::Answered,
                ..
            }
        )
    };
    slots
        .filter(|(slot, _)| succeeded || answered(slot))
        .all(|(_, count)| *count == 1)
}

fn nothing_lost(protocol: &Protocol, state: &State) -> bool {
    let Some(run) = state.store.run else { return true };
    if run.is_over() {
        return !state.store.doubt_put_away;
    }
    let known = |seq| state.world.happened[seq] == 0 || state.store.journal[seq] != Slot::Empty;
    protocol.has_a_way_on(state) && (0..protocol.effects.len()).all(known)
}

fn bounded(protocol: &Protocol, state: &State) -> bool {
    let runs = |at: usize| {
        let asks = matches!(
            state.hosts[at].step,
            Step::Asked { .. } | Step::Checked(_) | Step::Waits(_)
        );
        asks && state.owned(at)
    };
    let allowed = state.store.recoveries <= protocol.cap || state.store.letter.is_some();
    allowed || !(0..state.hosts.len()).any(runs)
}

fn one_end(state: &State) -> bool {
    let store = &state.store;
    store.ends <= 1 && store.ended.is_none_or(|ended| store.run == Some(ended))
}
