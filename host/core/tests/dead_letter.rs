//! Dead letters: which ends become one, and what may happen to it (semantics.md §6), as exhaustive tables.
#![allow(clippy::unwrap_used)]

use fusebox_core::breaker::{Breaker, State as BreakerState, Verdict};
use fusebox_core::dead_letter::{
    AUTO_REPLAYS, Bounds, Ending, Event, Form, Illegal, Keep, Kind, NotReplayable, Over, State, Tally, UNSETTLED,
    Waiting, expires, fingerprint_material, kind_of, may_purge, next, next_by_itself, replay, replays_by_itself,
};
use fusebox_core::effect::{Answer, Effect, Kind as EffectKind};
use fusebox_core::failure::{Class, Code};
use fusebox_core::ids::Digest;
use fusebox_core::journal::{Cut, Entry};
use fusebox_core::policy::{AutoReplay, BreakerPolicy, ServiceKind};
use fusebox_core::run;
use fusebox_core::time::{Tick, Wall};
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

/// An exchange that settled with that status, as the effect and the end of that number.
fn settled(seq: u32, method: &str, status: u16) -> Entry {
    let (safe, listed) = (method == "GET", method == "PATCH");
    Entry {
        effect: Effect {
            seq,
            kind: EffectKind::Http,
            service: "ledger".into(),
            method: method.to_owned(),
            path: "/v1/transfers".to_owned(),
            request: Digest([0; 32]),
            occurrence: 0,
            repeatable: safe || listed,
            safe,
            rejected_before_effect: false,
            answer: Some(Answer::Status { status, hint: None }),
            took: Duration::ZERO,
        },
        saw: (1..seq).rev().take(1).collect(),
        order: Some(seq),
        by_key: false,
        resent: false,
    }
}

/// A charge, a rate that could not be read, and so an error.
fn charged() -> [Entry; 2] {
    [settled(1, "POST", 200), settled(2, "GET", 503)]
}

fn replayed(entries: &[Entry], form: Form, repeat: &[u32]) -> Result<Cut, NotReplayable> {
    replay(State::Open, Kind::Retryable, entries, false, form, repeat)
}

fn drops(drop: &[u32]) -> Cut {
    Cut {
        drop: drop.to_vec(),
        reopen: Vec::new(),
    }
}

#[test]
fn case_43_of_two_replays_of_one_letter_one_gets_it() {
    let leased = next(State::Open, Event::Lease).unwrap();
    assert!(next(leased, Event::Lease).is_err());
    for form in [Form::ResumePoint, Form::Start, Form::Effect(1), Form::Input] {
        let second = replay(leased, Kind::Retryable, &[], true, form, &[1, 2]);
        assert_eq!(second, Err(NotReplayable::Leased), "{form:?}");
    }
}

#[test]
fn case_44_a_replayer_killed_midway_leaves_an_open_letter_and_what_it_did_in_the_journal() {
    let leased = next(State::Open, Event::Lease).unwrap();
    assert_eq!(next(leased, Event::Release), Ok(State::Open), "its lease ends");
    // The replay had got further when it was killed: the rate was read, and a mail sent.
    let further = [settled(1, "POST", 200), settled(2, "GET", 200), settled(3, "POST", 202)];
    assert_eq!(replayed(&further, Form::ResumePoint, &[]), Ok(Cut::default()));
    let sending = Entry {
        effect: Effect {
            answer: None,
            ..settled(3, "POST", 0).effect
        },
        order: None,
        ..settled(3, "POST", 0)
    };
    let killed = [settled(1, "POST", 200), settled(2, "GET", 200), sending];
    for form in [Form::ResumePoint, Form::Start, Form::Effect(3), Form::Input] {
        assert_eq!(
            replayed(&killed, form, &[1, 2, 3]),
            Err(NotReplayable::InDoubt),
            "{form:?}: whatever the letter says"
        );
    }
}

#[test]
fn case_45_a_bulk_replay_that_is_cancelled_takes_no_further_letter() {
    let bounds = Bounds::default();
    let mut tally = Tally::default();
    for _ in 0..3 {
        assert_eq!(bounds.over(&tally, false, true), None);
        tally.succeeded += 1;
    }
    assert_eq!(bounds.over(&tally, true, true), Some(Over::Cancelled));
}

#[test]
fn case_50_a_poison_row_does_not_block_its_neighbours() {
    let bounds = Bounds {
        most: 3,
        failures: 2,
        per_minute: 30,
    };
    let mut tally = Tally {
        skipped: 1_000,
        ..Tally::default()
    };
    assert_eq!(
        bounds.over(&tally, false, true),
        None,
        "what it cannot take counts for nothing"
    );
    tally.failed = 1;
    assert_eq!(bounds.over(&tally, false, true), None);
    assert_eq!(bounds.over(&tally, false, false), Some(Over::Done));
    tally.succeeded = 2;
    assert_eq!(bounds.over(&tally, false, true), Some(Over::Done), "at most three");
    tally.failed = 2;
    assert_eq!(bounds.over(&tally, false, true), Some(Over::Stopped));
    assert_eq!(bounds.pace(), Duration::from_secs(2));
    assert_eq!(Bounds::default().pace(), Duration::ZERO);
}

#[test]
fn case_46_a_replay_under_an_open_breaker_leaves_the_letter_open() {
    let leased = next(State::Open, Event::Lease).unwrap();
    assert_eq!(next(leased, Event::Release), Ok(State::Open));
}

#[test]
fn case_47_a_letter_whose_run_has_succeeded_has_nothing_left_to_replay() {
    let done = next(next(State::Open, Event::Lease).unwrap(), Event::Succeed).unwrap();
    for form in [Form::ResumePoint, Form::Start, Form::Effect(1), Form::Input] {
        let again = replay(done, Kind::Retryable, &[], true, form, &[]);
        assert_eq!(again, Err(NotReplayable::Closed(State::Replayed)), "{form:?}");
    }
    assert!(run::State::Succeeded.is_over(), "so its key gives the stored outcome");
}

#[test]
fn a_letter_in_doubt_is_replayed_in_no_form_before_it_is_resolved() {
    for form in [Form::ResumePoint, Form::Start, Form::Effect(2), Form::Input] {
        for entries in [&charged()[..], &[]] {
            let refused = replay(State::Open, Kind::InDoubt, entries, true, form, &[1, 2]);
            assert_eq!(refused, Err(NotReplayable::InDoubt), "{form:?}");
        }
        let doubtful = [settled(1, "POST", 504)];
        if form == Form::ResumePoint {
            assert_eq!(
                replayed(&doubtful, form, &[1]),
                Err(NotReplayable::InDoubt),
                "by the journal alone"
            );
        }
    }
    assert!(UNSETTLED.contains("fusebox dlq resolve"));
    assert!(NotReplayable::InDoubt.to_string().contains(UNSETTLED));
}

#[test]
fn case_71_from_the_start_after_a_settled_charge_is_refused_without_repeat() {
    let again = |seqs: &[u32]| Err(NotReplayable::WouldRepeat(seqs.to_vec()));
    assert_eq!(replayed(&charged(), Form::ResumePoint, &[]), Ok(drops(&[2])));
    for form in [Form::Start, Form::Effect(1), Form::Input] {
        assert_eq!(replayed(&charged(), form, &[]), again(&[1]), "{form:?}");
        assert_eq!(replayed(&charged(), form, &[2]), again(&[1]), "{form:?}");
        assert_eq!(replayed(&charged(), form, &[1]), Ok(drops(&[1, 2])), "{form:?}");
    }
    assert_eq!(replayed(&charged(), Form::Effect(2), &[]), Ok(drops(&[2])));
    assert_eq!(
        replayed(&charged(), Form::Effect(3), &[]),
        Ok(drops(&[])),
        "from the end"
    );
    for asked in [0, 4] {
        let none = NotReplayable::NoEffect { asked, last: 2 };
        assert_eq!(replayed(&charged(), Form::Effect(asked), &[]), Err(none));
    }
    let said = NotReplayable::WouldRepeat(vec![1, 3]).to_string();
    assert_eq!(said, "effect 1, 3 may not be repeated and would happen again");
}

#[test]
fn case_71_a_charge_under_a_key_is_another_one_for_another_run() {
    let mut charge = settled(1, "POST", 200);
    charge.effect.repeatable = true;
    charge.by_key = true;
    let keyed = [charge];
    assert_eq!(replayed(&keyed, Form::Start, &[]), Ok(drops(&[1])), "under its key");
    assert_eq!(
        replayed(&keyed, Form::Input, &[]),
        Err(NotReplayable::WouldRepeat(vec![1])),
        "an edited run has other keys"
    );
    let listed = [settled(1, "PATCH", 200)];
    assert_eq!(replayed(&listed, Form::Input, &[]), Ok(drops(&[1])));
}

#[test]
fn case_67_where_nothing_is_resumed_by_itself_a_person_may_say_what_is_repeated() {
    // Bank A failed, bank B was paid.
    let fallback = [settled(1, "PATCH", 503), settled(2, "POST", 200)];
    assert_eq!(
        replayed(&fallback, Form::ResumePoint, &[]),
        Ok(Cut::default()),
        "all is served"
    );
    assert_eq!(
        replayed(&fallback, Form::Effect(1), &[]),
        Err(NotReplayable::WouldRepeat(vec![2]))
    );
    assert_eq!(replayed(&fallback, Form::Effect(1), &[2]), Ok(drops(&[1, 2])));
}

#[test]
fn letters_are_put_away_unless_leased_in_doubt_or_pinned() {
    for state in State::ALL {
        for kind in Kind::ALL {
            let purged = state == State::Open && kind != Kind::InDoubt;
            assert_eq!(may_purge(state, kind, false), purged, "{state}, {kind:?}");
            assert!(!may_purge(state, kind, true), "{state}, {kind:?}");
        }
    }
}

#[test]
fn only_keyed_and_detached_runs_whose_service_failed_are_replayed_by_themselves() {
    for kind in Kind::ALL {
        for (keyed, detached) in [(false, false), (true, false), (false, true), (true, true)] {
            let expected = kind == Kind::Retryable && (keyed || detached);
            assert_eq!(
                replays_by_itself(AutoReplay::WhenClosed, kind, keyed, detached),
                expected
            );
            assert!(!replays_by_itself(AutoReplay::Never, kind, keyed, detached));
        }
    }
}

fn waiting(replays: u32, since: i64) -> Waiting {
    Waiting {
        replays,
        since: Wall(since),
        not_before: None,
    }
}

#[test]
fn case_57_after_a_night_without_callers_the_oldest_letter_probes() {
    let mut letters = vec![waiting(0, 30), waiting(1, 10), waiting(0, 20), waiting(AUTO_REPLAYS, 1)];
    assert_eq!(next_by_itself(&letters, AUTO_REPLAYS, Wall(100)), Some(2));
    letters[2].not_before = Some(Wall(101));
    assert_eq!(
        next_by_itself(&letters, AUTO_REPLAYS, Wall(100)),
        Some(0),
        "its upstream asked to wait"
    );
    assert_eq!(next_by_itself(&letters, AUTO_REPLAYS, Wall(101)), Some(2));
    assert_eq!(
        next_by_itself(&letters[3..], AUTO_REPLAYS, Wall(100)),
        None,
        "a person's turn"
    );
    assert_eq!(next_by_itself(&[], AUTO_REPLAYS, Wall(100)), None);
}

/// A night: letters probe a breaker that a failure opened, until it closes or none is left. How often they probed.
fn night(breaker: &mut Breaker, letters: &mut [Waiting], heals: impl Fn(usize) -> bool) -> u32 {
    let (mut tick, mut probes) = (Tick(0), 0);
    while breaker.state() != BreakerState::Closed
        && let Some(next) = next_by_itself(letters, AUTO_REPLAYS, Wall(100))
    {
        tick = tick + DAY;
        let permit = breaker.admit(tick, 0.5).permit.unwrap();
        letters[next].replays += 1;
        probes += 1;
        let verdict = if heals(next) {
            Verdict::Success
        } else {
            Verdict::Failure
        };
        let _ = breaker.settle(permit, verdict, Duration::ZERO, tick, 0.5);
    }
    probes
}

#[test]
fn case_72_five_poison_letters_do_not_keep_a_breaker_open_for_ever() {
    let opened = || {
        let mut breaker = Breaker::new(BreakerPolicy::of_kind(ServiceKind::Http));
        for _ in 0..5 {
            let permit = breaker.admit(Tick(0), 0.5).permit.unwrap();
            let _ = breaker.settle(permit, Verdict::Failure, Duration::ZERO, Tick(0), 0.5);
        }
        breaker
    };
    let mut poison: Vec<_> = (0..5).map(|since| waiting(0, since)).collect();
    let mut breaker = opened();
    assert_eq!(
        night(&mut breaker, &mut poison, |_| false),
        5 * AUTO_REPLAYS,
        "then callers probe"
    );
    let mut breaker = opened();
    let mut poison: Vec<_> = (0..6).map(|since| waiting(0, since)).collect();
    assert_eq!(
        night(&mut breaker, &mut poison, |letter| letter == 5),
        6,
        "the youngest is well: its turn comes"
    );
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
