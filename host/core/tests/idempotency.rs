//! The named cases of idempotency (semantics.md §8), as decisions.
#![allow(clippy::unwrap_used)]

use fusebox_core::effect::{Answer, Effect, Kind, Lost, NotSent};
use fusebox_core::failure::Code;
use fusebox_core::idempotency::{
    Claim, Holder, Owner, SHORTEST_LIFETIME, call_key_material, claim, demands_key, effect_key_material, keeps_key,
    key_expires, may_start_over, occurrence,
};
use fusebox_core::ids::{Digest, RunId};
use fusebox_core::policy::Idempotency;
use fusebox_core::run::State;
use fusebox_core::time::Wall;
use std::time::Duration;

const NOW: Wall = Wall(1_800_000_000_000);
const ONE: Digest = Digest([1; 32]);
const TWO: Digest = Digest([2; 32]);

fn holder(state: State) -> Holder {
    Holder {
        fingerprint: ONE,
        over: state.is_over(),
        expired: false,
    }
}

fn post(request: Digest, answer: Option<Answer>) -> Effect {
    Effect {
        seq: 1,
        kind: Kind::Http,
        service: "mail".into(),
        method: "POST".to_owned(),
        path: "/v1/messages".to_owned(),
        request,
        occurrence: 0,
        repeatable: false,
        safe: false,
        rejected_before_effect: false,
        answer,
        took: Duration::ZERO,
    }
}

fn answered(status: u16) -> Option<Answer> {
    Some(Answer::Status { status, hint: None })
}

#[test]
fn case_31_of_many_claims_one_is_fresh() {
    let mut held = None;
    let mut fresh = 0;
    for _ in 0..100 {
        match claim(held.as_ref(), ONE) {
            Claim::Fresh => {
                fresh += 1;
                held = Some(holder(State::Running));
            }
            other => assert_eq!(other, Claim::Joins),
        }
    }
    assert_eq!(fresh, 1);
}

#[test]
fn case_32_another_payload_is_a_conflict_in_flight_and_after() {
    for state in State::ALL {
        assert_eq!(claim(Some(&holder(state)), TWO), Claim::Conflict, "{state}");
    }
}

#[test]
fn case_61_a_key_joins_its_run_wherever_that_is() {
    for state in State::ALL {
        let expected = if state.is_over() { Claim::Stored } else { Claim::Joins };
        assert_eq!(claim(Some(&holder(state)), ONE), expected, "{state}");
    }
}

#[test]
fn case_40_a_lifetime_counts_from_the_end_and_never_ends_a_run_that_goes_on() {
    let hour = Duration::from_secs(3600);
    assert_eq!(key_expires(None, false, hour), None);
    assert_eq!(key_expires(Some(NOW), true, hour), None, "its letter is open");
    assert_eq!(
        key_expires(Some(NOW), false, hour),
        Some(NOW + SHORTEST_LIFETIME),
        "at least a day"
    );
    assert_eq!(key_expires(Some(NOW), false, hour * 48), Some(NOW + hour * 48));
    let at = |now: Wall, over: bool| Holder {
        fingerprint: ONE,
        over,
        expired: key_expires(Some(NOW).filter(|_| over), false, hour).is_some_and(|end| now >= end),
    };
    let end = NOW + SHORTEST_LIFETIME;
    assert_eq!(claim(Some(&at(NOW + hour * 1_000_000, false)), ONE), Claim::Joins);
    assert_eq!(claim(Some(&at(Wall(end.0 - 1), true)), ONE), Claim::Stored);
    assert_eq!(claim(Some(&at(end, true)), ONE), Claim::Fresh);
    assert_eq!(claim(Some(&at(end, true)), TWO), Claim::Fresh);
}

#[test]
fn case_42_two_tenants_with_one_key_are_apart() {
    let key = |tenant, tool, function, key| call_key_material(tenant, tool, function, key);
    let mine = key("a", "ledger", "transfer", "k");
    assert_eq!(mine, key("a", "ledger", "transfer", "k"));
    for other in [
        key("b", "ledger", "transfer", "k"),
        key("a", "mail", "transfer", "k"),
        key("a", "ledger", "refund", "k"),
        key("a", "ledger", "transfer", "l"),
        // The same letters in a row, cut elsewhere.
        key("al", "edger", "transfer", "k"),
        key("a", "ledgertransfer", "", "k"),
        key("", "aledger", "transfer", "k"),
    ] {
        assert_ne!(mine, other);
    }
}

#[test]
fn case_62_two_equal_posts_have_two_keys_and_a_repeated_one_has_the_same() {
    let key = |earlier: &[Effect]| effect_key_material(Owner::Call(ONE), TWO, occurrence(earlier, TWO));
    let first = key(&[]);
    assert_ne!(first, key(&[post(TWO, answered(200))]), "meant as a second effect");
    assert_ne!(first, key(&[post(TWO, answered(404))]), "an answer is an answer");
    assert_ne!(first, key(&[post(TWO, None)]), "still in flight: not seen to fail");
    for failed in [
        answered(503),
        answered(429),
        Some(Answer::Lost(Lost::Reset)),
        Some(Answer::NotSent(NotSent::Dns)),
    ] {
        assert_eq!(first, key(&[post(TWO, failed)]), "meant as the same effect, once more");
    }
    assert_eq!(
        first,
        key(&[post(ONE, answered(200))]),
        "another request does not count"
    );
}

#[test]
fn case_62_a_repeated_post_never_takes_the_key_of_an_equal_one_in_flight() {
    let nth = |occurrence, answer| Effect {
        occurrence,
        ..post(TWO, answer)
    };
    let (ok, failed) = (answered(200), answered(503));
    for (earlier, expected) in [
        (vec![nth(0, failed.clone()), nth(1, None)], 0),
        (vec![nth(0, None), nth(1, failed.clone()), nth(2, None)], 1),
        (vec![nth(0, failed.clone()), nth(1, ok.clone()), nth(0, None)], 2),
        (vec![nth(0, ok.clone()), nth(1, failed), nth(1, ok)], 2),
    ] {
        let free = occurrence(&earlier, TWO);
        assert_eq!(free, expected, "{earlier:#?}");
    }
}

#[test]
fn an_effect_key_belongs_to_its_call_or_its_run() {
    let (run, other) = (RunId::new(NOW, 1), RunId::new(NOW, 2));
    let keys = [
        effect_key_material(Owner::Call(ONE), TWO, 0),
        effect_key_material(Owner::Call(TWO), ONE, 0),
        effect_key_material(Owner::Run(&run), TWO, 0),
        effect_key_material(Owner::Run(&other), TWO, 0),
        effect_key_material(Owner::Run(&run), TWO, 1),
        effect_key_material(Owner::Run(&run), ONE, 0),
    ];
    for (index, key) in keys.iter().enumerate() {
        assert!(!keys[..index].contains(key), "{index}");
    }
}

#[test]
fn what_was_refused_before_anything_was_sent_gives_its_key_back() {
    assert!(keeps_key(None, false) && keeps_key(None, true));
    for code in Code::ALL {
        assert!(
            keeps_key(Some(code), true),
            "{code}: never a second run after an effect"
        );
        let an_outcome = matches!(
            code,
            Code::ToolFailed
                | Code::UpstreamFailed
                | Code::Exhausted
                | Code::Fault
                | Code::InDoubt
                | Code::Cancelled
                | Code::Declined
                | Code::Diverged
                | Code::StoreUnavailable
                | Code::Internal
        );
        assert_eq!(keeps_key(Some(code), false), an_outcome, "{code}");
    }
}

#[test]
fn a_level_and_the_effects_so_far_decide_whether_a_run_may_start_over() {
    let listed = |answer| Effect {
        repeatable: true,
        ..post(ONE, answer)
    };
    let harmless = [
        listed(answered(200)),
        listed(answered(404)),
        post(ONE, Some(Answer::Denied)),
    ];
    let sent = [post(ONE, answered(200))];
    for (level, after_harmless, after_sent) in [
        (Idempotency::Readonly, true, true),
        (Idempotency::Idempotent, true, true),
        (Idempotency::Keyed, true, false),
        (Idempotency::NonIdempotent, false, false),
    ] {
        assert_eq!(may_start_over(level, &harmless), after_harmless, "{level:?}");
        assert_eq!(may_start_over(level, &sent), after_sent, "{level:?}");
        let gone_around = [listed(answered(503)), listed(answered(200))];
        let may = level.may_start_over();
        assert_eq!(
            may_start_over(level, &gone_around),
            may,
            "{level:?}: case 67, by starting over"
        );
        assert_eq!(demands_key(level), level == Idempotency::Keyed);
    }
}
