//! What a person's answer covers (semantics.md §7 and the named cases of §8).
#![allow(clippy::unwrap_used)]

use fusebox_core::approval::{Asked, Bound, Cover, Event, Illegal, NotCovered, State, binding_material, covers, next};
use fusebox_core::failure::Code;
use fusebox_core::idempotency::{Claim, Holder, claim, keeps_key};
use fusebox_core::ids::{Digest, RunId};
use fusebox_core::run;
use fusebox_core::time::Wall;
use std::time::Duration;

const NOW: Wall = Wall(1_800_000_000_000);
const HOUR: Duration = Duration::from_secs(3_600);
const MINE: Digest = Digest([1; 32]);

fn asked(state: State) -> Asked {
    Asked {
        state,
        binding: MINE,
        expires: NOW + HOUR * 24,
    }
}

#[test]
fn every_state_and_event_goes_where_the_table_says() {
    // `.` illegal, else the first letter of the next state.
    let table = [
        //                  Approve Decline Expire Use
        (State::Pending, "ADE."),
        (State::Approved, "..EU"),
        (State::Declined, "...."),
        (State::Expired, "...."),
        (State::Used, "...."),
    ];
    for (state, row) in table {
        for (event, cell) in Event::ALL.into_iter().zip(row.chars()) {
            let expected = State::ALL
                .into_iter()
                .find(|next| next.name().starts_with(cell.to_ascii_lowercase()))
                .ok_or(Illegal { state, event });
            assert_eq!(next(state, event), expected, "{state} + {event:?}");
        }
        assert_eq!(State::from_name(state.name()), Some(state));
    }
}

#[test]
fn an_answer_covers_attempts_recoveries_and_replays_until_it_expires() {
    for (state, expected) in [
        (State::Pending, Err(NotCovered::Pending)),
        (State::Approved, Ok(Cover::Use)),
        (State::Used, Ok(Cover::Again)),
        (State::Declined, Err(NotCovered::Declined)),
        (State::Expired, Err(NotCovered::Expired)),
    ] {
        assert_eq!(covers(&asked(state), MINE, NOW), expected, "{state}");
    }
}

#[test]
fn case_51_changed_arguments_and_an_expired_answer_are_refused() {
    let (run, other) = (RunId::new(NOW, 1), RunId::new(NOW, 2));
    let (rules, more) = (
        ["tools.toml: approval".to_owned()],
        ["tools.toml".to_owned(), ": approval".to_owned()],
    );
    let bound = Bound {
        component: Digest([2; 32]),
        function: "send",
        input: Digest([3; 32]),
        run: &run,
        step: 4,
        rules: &rules,
        expires: NOW,
    };
    let mine = binding_material(&bound);
    assert_eq!(mine, binding_material(&bound.clone()));
    for changed in [
        Bound {
            component: Digest([9; 32]),
            ..bound
        },
        Bound {
            function: "send-all",
            ..bound
        },
        Bound {
            input: Digest([9; 32]),
            ..bound
        },
        Bound { run: &other, ..bound },
        Bound { step: 5, ..bound },
        Bound { rules: &more, ..bound },
        Bound { rules: &[], ..bound },
        Bound {
            expires: NOW + HOUR,
            ..bound
        },
    ] {
        assert_ne!(binding_material(&changed), mine, "{changed:?}");
    }
    for state in State::ALL {
        assert_eq!(
            covers(&asked(state), Digest([9; 32]), NOW),
            Err(NotCovered::Changed),
            "{state}"
        );
    }
    let end = asked(State::Approved).expires;
    assert_eq!(covers(&asked(State::Approved), MINE, Wall(end.0 - 1)), Ok(Cover::Use));
    for state in [State::Pending, State::Approved, State::Used] {
        assert_eq!(covers(&asked(state), MINE, end), Err(NotCovered::Expired), "{state}");
    }
    assert_eq!(
        covers(&asked(State::Declined), MINE, end),
        Err(NotCovered::Declined),
        "a no stays a no"
    );
}

#[test]
fn case_48_an_edited_replay_is_another_run_and_needs_its_own_answer() {
    let (run, edited) = (RunId::new(NOW, 1), RunId::new(NOW, 2));
    let material = |run, input| {
        binding_material(&Bound {
            component: Digest([2; 32]),
            function: "send",
            input,
            run,
            step: 0,
            rules: &[],
            expires: NOW,
        })
    };
    assert_ne!(
        material(&run, Digest([3; 32])),
        material(&edited, Digest([3; 32])),
        "even with equal input"
    );
    assert_ne!(material(&run, Digest([3; 32])), material(&run, Digest([4; 32])));
}

#[test]
fn case_52_two_pending_questions_do_not_swap() {
    let first = asked(State::Approved);
    let second = Asked {
        state: State::Pending,
        binding: Digest([2; 32]),
        ..first
    };
    assert_eq!(covers(&first, second.binding, NOW), Err(NotCovered::Changed));
    assert_eq!(covers(&second, first.binding, NOW), Err(NotCovered::Changed));
    assert_eq!(covers(&second, second.binding, NOW), Err(NotCovered::Pending));
}

#[test]
fn case_73_approved_after_two_hours_with_a_deadline_of_a_minute_it_runs() {
    assert_eq!(covers(&asked(State::Approved), MINE, NOW + HOUR * 2), Ok(Cover::Use));
    assert!(
        !run::State::Suspended.is_leased(),
        "nobody holds it, so its deadline stands still"
    );
    assert_eq!(
        run::next(run::State::Suspended, run::Event::Approve),
        Ok(run::State::Running)
    );
}

#[test]
fn case_74_declined_and_asked_again_with_the_same_key_is_declined() {
    assert_eq!(
        run::next(run::State::Suspended, run::Event::Refuse),
        Ok(run::State::Failed)
    );
    assert!(keeps_key(Some(Code::Declined), false), "though nothing was sent");
    let declined = Holder {
        fingerprint: MINE,
        over: run::State::Failed.is_over(),
        expired: false,
    };
    assert_eq!(claim(Some(&declined), MINE), Claim::Stored);
}
