//! Dead letters: which ends become one, and what may happen to it (semantics.md §6), as exhaustive tables.
#![allow(clippy::unwrap_used)]

use fusebox_core::dead_letter::{
    Ending, Event, Illegal, Keep, Kind, NotReplayable, State, expires, fingerprint_material, kind_of, may_purge,
    may_replay, next,
};
use fusebox_core::failure::{Class, Code};
use fusebox_core::ids::Digest;
use fusebox_core::time::Wall;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(24 * 3600);

fn usual_code(class: Class) -> Code {
    match class {
        Class::Transient | Class::Throttled | Class::NotSent | Class::Unknown => Code::UpstreamFailed,
        Class::Caller => Code::ToolFailed,
        Class::Exhausted => Code::Exhausted,
        Class::Fault => Code::Fault,
        Class::Control => Code::Denied,
        Class::InDoubt => Code::InDoubt,
    }
}

#[test]
fn every_class_becomes_the_letter_that_the_design_names_or_none() {
    for class in Class::ALL {
        for (began, detached) in [(false, false), (false, true), (true, false), (true, true)] {
            let expected = match class {
                Class::Transient | Class::Throttled | Class::NotSent | Class::Unknown => Some(Kind::Retryable),
                Class::Fault | Class::Exhausted => Some(Kind::KnownBad),
                Class::InDoubt => Some(Kind::InDoubt),
                Class::Caller | Class::Control => None,
            };
            let ending = Ending {
                class,
                code: usual_code(class),
                began,
                detached,
            };
            assert_eq!(kind_of(ending), expected, "{ending:?}");
        }
    }
}

#[test]
fn an_open_breaker_makes_a_letter_only_of_what_began_or_of_what_nobody_waits_for() {
    for (began, detached, expected) in [
        (false, false, None),
        (true, false, Some(Kind::Retryable)),
        (false, true, Some(Kind::Retryable)),
        (true, true, Some(Kind::Retryable)),
    ] {
        let ending = Ending {
            class: Class::NotSent,
            code: Code::BreakerOpen,
            began,
            detached,
        };
        assert_eq!(kind_of(ending), expected, "{ending:?}");
    }
    let doubtful = Ending {
        class: Class::InDoubt,
        code: Code::InDoubt,
        began: true,
        detached: false,
    };
    assert_eq!(kind_of(doubtful), Some(Kind::InDoubt));
}

#[test]
fn a_defect_of_the_host_says_nothing_against_the_component() {
    let ending = Ending {
        class: Class::Fault,
        code: Code::Internal,
        began: false,
        detached: false,
    };
    assert_eq!(kind_of(ending), Some(Kind::Retryable));
}

#[test]
fn letters_are_kept_by_their_kind_and_by_what_was_done() {
    let keep = Keep {
        letters: DAY * 30,
        known_bad: DAY * 7,
    };
    let failed = Wall(1_800_000_000_000);
    for (kind, settled, kept) in [
        (Kind::Retryable, false, Some(30)),
        (Kind::Retryable, true, Some(30)),
        (Kind::KnownBad, false, Some(7)),
        (Kind::KnownBad, true, Some(30)),
        (Kind::InDoubt, false, None),
        (Kind::InDoubt, true, None),
    ] {
        assert_eq!(
            expires(kind, settled, failed, keep),
            kept.map(|days| failed + DAY * days),
            "{kind:?}, {settled}"
        );
    }
}

#[test]
fn every_state_and_event_goes_where_the_table_says() {
    // `.` illegal, else the next state: O open, L leased by a replay, S replayed, R resolved, P purged.
    let table = [
        //                  Lease Release FailAgain Succeed Resolve Purge
        (State::Open, "L...RP"),
        (State::Replaying, ".OOS.."),
        (State::Replayed, "......"),
        (State::Resolved, "......"),
        (State::Purged, "......"),
    ];
    for (state, row) in table {
        for (event, cell) in Event::ALL.into_iter().zip(row.chars()) {
            let expected = match cell {
                'O' => Ok(State::Open),
                'L' => Ok(State::Replaying),
                'S' => Ok(State::Replayed),
                'R' => Ok(State::Resolved),
                'P' => Ok(State::Purged),
                _ => Err(Illegal { state, event }),
            };
            assert_eq!(next(state, event), expected, "{state} + {event:?}");
        }
        assert_eq!(State::from_name(state.name()), Some(state));
        assert_eq!(state.is_closed(), row == "......");
    }
}

#[test]
fn case_43_of_two_replays_of_one_letter_one_gets_it() {
    let leased = next(State::Open, Event::Lease).unwrap();
    assert!(next(leased, Event::Lease).is_err());
    assert_eq!(may_replay(leased, Kind::Retryable, true), Err(NotReplayable::Leased));
}

#[test]
fn case_46_a_replay_under_an_open_breaker_leaves_the_letter_open() {
    let leased = next(State::Open, Event::Lease).unwrap();
    assert_eq!(next(leased, Event::Release), Ok(State::Open));
}

#[test]
fn a_letter_is_replayed_only_when_nothing_can_happen_twice() {
    for state in State::ALL {
        for kind in Kind::ALL {
            for may_start_over in [true, false] {
                let expected = match state {
                    State::Replaying => Err(NotReplayable::Leased),
                    State::Open if kind == Kind::InDoubt => Err(NotReplayable::InDoubt),
                    State::Open if !may_start_over => Err(NotReplayable::MayNotStartOver),
                    State::Open => Ok(()),
                    closed => Err(NotReplayable::Closed(closed)),
                };
                assert_eq!(
                    may_replay(state, kind, may_start_over),
                    expected,
                    "{state}, {kind:?}, {may_start_over}"
                );
            }
            let purged = state == State::Open && kind != Kind::InDoubt;
            assert_eq!(
                may_purge(state, kind),
                purged,
                "{state}, {kind:?}: leased and in-doubt letters stay"
            );
        }
    }
}

#[test]
fn a_fingerprint_groups_by_component_function_class_and_top_frames() {
    let frames = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let of = |digest, function, class, names: &[&str]| {
        fingerprint_material(Digest([digest; 32]), function, class, &frames(names))
    };
    let deep = ["a", "b", "c", "d", "e", "f"];
    let one = of(1, "run", Class::Fault, &deep);
    assert_eq!(
        one,
        of(1, "run", Class::Fault, &["a", "b", "c", "d", "e", "another caller"])
    );
    for other in [
        of(2, "run", Class::Fault, &deep),
        of(1, "walk", Class::Fault, &deep),
        of(1, "run", Class::Exhausted, &deep),
        of(1, "run", Class::Fault, &["a", "b", "c", "d", "x"]),
        of(1, "run", Class::Fault, &["a", "bc", "d", "e"]),
        of(1, "run", Class::Fault, &[]),
    ] {
        assert_ne!(one, other);
    }
}
