//! The protocol is checked whole; then each of its rules is broken, and the checker has to find out.
#![allow(clippy::unwrap_used, clippy::panic)]

use crate::properties::{AT_MOST_ONCE, BOUNDED, EXACTLY_ONCE, NOTHING_LATE, NOTHING_LOST, ONE_END};
use crate::protocol::{Action, Protocol};
use crate::rules::Rule;
use crate::state::{Came, End, Faults, Slot, State, Step, What};
use fusebox_core::{dead_letter, run};
use stateright::{Checker, HasDiscoveries, Model, Property};
use std::collections::BTreeSet;

const SCRIPTS: [&[What]; 4] = [
    &[What::Once],
    &[What::Keyed],
    &[What::Once, What::Keyed],
    &[What::Keyed, What::Once],
];

const FAULTS: Faults = Faults {
    crashes: 2,
    stops: 1,
    stops_in_the_window: 0,
    failures: 2,
    rests: 1,
};

const WINDOW: Faults = Faults {
    stops_in_the_window: 1,
    ..FAULTS
};

#[test]
fn the_protocol_keeps_its_promises_whatever_crashes_stands_still_or_is_lost() {
    for effects in SCRIPTS {
        let checked = Protocol::new(effects, FAULTS).checker().spawn_bfs().join();
        checked.assert_properties();
        assert!(
            checked.unique_state_count() > 30_000,
            "{effects:?}: {} states",
            checked.unique_state_count()
        );
    }
}

/// The shortest way to what that property forbids, or asks for.
fn found<M>(model: M, property: &'static str) -> Option<Vec<M::Action>>
where
    M: Model<State = State, Action = Action> + Send + Sync + 'static,
{
    let stop = HasDiscoveries::AnyOf(BTreeSet::from([property]));
    let checked = model.checker().finish_when(stop).spawn_bfs().join();
    checked.discovery(property).map(stateright::Path::into_actions)
}

#[test]
fn each_rule_is_needed() {
    for rule in Rule::ALL {
        let (effect, promise) = match rule {
            Rule::KeyHasOneRun
            | Rule::LeaseIsExclusive
            | Rule::AppendIsFenced
            | Rule::IntentComesFirst
            | Rule::LeaseIsChecked
            | Rule::LostIntentIsInDoubt
            | Rule::ResolveWaits => (What::Once, AT_MOST_ONCE),
            Rule::ResentKeepsItsKey | Rule::KeysEnd | Rule::RefusalProvesNothingOfTheFirstTime => {
                (What::Keyed, AT_MOST_ONCE)
            }
            Rule::FinishIsFenced => (What::Once, ONE_END),
            Rule::ReplayLeavesDoubt | Rule::PurgeLooks => (What::Once, NOTHING_LOST),
            Rule::RecoveriesAreCapped => (What::Once, BOUNDED),
        };
        let broken = Protocol::new(&[effect], FAULTS).without(rule);
        let way = found(broken, promise);
        assert!(
            way.is_some(),
            "without {rule:?} the promise `{promise}` should be broken"
        );
    }
}

#[test]
fn what_settled_would_have_happened_twice_if_keys_changed_or_did_not_end() {
    for rule in [Rule::KeysEnd, Rule::ResentKeepsItsKey] {
        let broken = Protocol::new(&[What::Keyed], FAULTS).without(rule);
        assert!(found(broken, EXACTLY_ONCE).is_some(), "{rule:?}");
    }
}

#[test]
fn case_68_a_host_that_was_stopped_after_its_intent_sends_nothing_when_it_goes_on() {
    let broken = Protocol::new(&[What::Once], FAULTS).without(Rule::LeaseIsChecked);
    let way = found(broken, NOTHING_LATE).unwrap();
    assert!(way.iter().any(|action| matches!(action, Action::Wake(_))), "{way:?}");
}

/// The protocol, looked at for something else.
struct Look {
    protocol: Protocol,
    properties: fn() -> Vec<Property<Look>>,
}

impl Model for Look {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        self.protocol.init_states()
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        self.protocol.actions(state, actions);
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        self.protocol.next_state(last, action)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        (self.properties)()
    }
}

#[test]
fn the_race_that_remains_is_one_request_for_each_host_that_stands_still_in_the_window() {
    let way = found(Protocol::new(&[What::Once], WINDOW), AT_MOST_ONCE).unwrap();
    let at = |wanted: fn(&Action) -> bool| way.iter().position(wanted).unwrap_or_else(|| panic!("{way:?}"));
    let checks = at(|action| matches!(action, Action::Check(_)));
    let stops = at(|action| matches!(action, Action::Stop(_)));
    let expires = at(|action| matches!(action, Action::Expire));
    let resolves = at(|action| matches!(action, Action::Resolve));
    let wakes = at(|action| matches!(action, Action::Wake(_)));
    assert!(
        checks < stops && stops < expires && expires < resolves && stops < wakes,
        "{way:?}"
    );

    let bound = Look {
        protocol: Protocol::new(&[What::Once], WINDOW),
        properties: || {
            vec![Property::always(
                "one more for each stop in the window",
                |look: &Look, state: &State| {
                    let most = 1 + look.protocol.faults.stops_in_the_window;
                    state.world.happened.iter().all(|count| *count <= most)
                },
            )]
        },
    };
    bound.checker().spawn_bfs().join().assert_properties();
}

#[test]
fn the_race_needs_a_person_or_the_end_of_a_key() {
    // Nobody says that the effect did not happen, and no key ends: a late request alone does nothing twice.
    let unresolved = Look {
        protocol: Protocol::new(&[What::Once], WINDOW),
        properties: || {
            vec![Property::always("twice only after a resolve", |_, state: &State| {
                let asked_anew = state.store.letter.is_some() || state.store.run.is_some_and(run::State::is_over);
                asked_anew || state.world.happened.iter().all(|count| *count <= 1)
            })]
        },
    };
    unresolved.checker().spawn_bfs().join().assert_properties();
}

#[test]
fn the_race_is_harmless_as_long_as_the_upstream_knows_the_key() {
    let keyed = Look {
        protocol: Protocol::new(
            &[What::Keyed],
            Faults {
                failures: 1,
                rests: 0,
                ..WINDOW
            },
        ),
        properties: || {
            vec![Property::always("once under a living key", |_, state: &State| {
                state.world.keys_over || state.world.happened.iter().all(|count| *count <= 1)
            })]
        },
    };
    keyed.checker().spawn_bfs().join().assert_properties();
}

fn succeeded(state: &State) -> bool {
    state.store.run == Some(run::State::Succeeded)
}

fn closed(state: &State, closed: dead_letter::State) -> bool {
    state.store.letter.is_some_and(|letter| letter.state == closed)
}

#[test]
fn everything_that_the_promises_are_about_can_happen() {
    let all = Look {
        protocol: Protocol::new(&[What::Keyed, What::Once], FAULTS),
        properties: || {
            vec![
                Property::sometimes("succeeds after a crash", |_, state: &State| {
                    succeeded(state) && state.store.recoveries == 1 && state.store.letter.is_none()
                }),
                Property::sometimes("sleeps, wakes and succeeds", |_, state: &State| {
                    succeeded(state) && state.left.rests == 0
                }),
                Property::sometimes("is sent again under its key", |_, state: &State| {
                    let again = |slot: &Slot| {
                        matches!(
                            slot,
                            Slot::Settled {
                                came: Came::Answered,
                                resent: true
                            }
                        )
                    };
                    state.store.journal.iter().any(again)
                }),
                Property::sometimes("is replayed", |_, state: &State| {
                    closed(state, dead_letter::State::Replayed)
                }),
                Property::sometimes("is resolved", |_, state: &State| {
                    closed(state, dead_letter::State::Resolved)
                }),
                Property::sometimes("is put away", |_, state: &State| {
                    closed(state, dead_letter::State::Purged)
                }),
                Property::sometimes("is cancelled", |_, state: &State| {
                    state.store.run == Some(run::State::Cancelled)
                }),
                Property::sometimes("is given up", |look: &Look, state: &State| {
                    let ends = state.hosts.iter().any(|host| host.step == Step::Ends(End::DeadLetters));
                    ends && state.store.recoveries > look.protocol.cap && state.store.journal[0] == Slot::Empty
                }),
                Property::sometimes("is in doubt when its key is over", |_, state: &State| {
                    let unsent = state.world.keys[1] == 0 && state.store.journal[1] == Slot::Empty;
                    state.store.run == Some(run::State::InDoubt) && state.world.keys_over && unsent
                }),
            ]
        },
    };
    all.checker().spawn_bfs().join().assert_properties();
}
