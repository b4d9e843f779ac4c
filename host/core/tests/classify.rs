//! Classification: a row of the design's table is a row of a table here (semantics.md §3).
#![allow(clippy::unwrap_used)]

use fusebox_core::breaker::Verdict;
use fusebox_core::classify::{
    End, Evidence, Judgement, class_of_status, is_in_doubt, is_repeatable, judge, may_be_repeated, verdict_of,
    verdict_of_tool,
};
use fusebox_core::effect::{Answer, Effect, Hint, Kind, Lost, NotSent};
use fusebox_core::failure::{Class, Code};
use fusebox_core::ids::Digest;
use fusebox_core::policy::{IdempotencyHeader, RequestPattern, ServiceKind, ServicePolicy};
use std::collections::BTreeMap;
use std::time::Duration;

const NOT_SENT: [NotSent; 7] = [
    NotSent::Dns,
    NotSent::Refused,
    NotSent::ConnectTimeout,
    NotSent::Tls,
    NotSent::NotWritten,
    NotSent::BreakerOpen,
    NotSent::RateLimited,
];
const LOST: [Lost; 3] = [Lost::Reset, Lost::Timeout, Lost::Malformed];

fn answered(status: u16) -> Option<Answer> {
    Some(Answer::Status { status, hint: None })
}

/// A GET of service `search`; each number makes a request of its own.
fn effect(seq: u32, answer: Option<Answer>) -> Effect {
    Effect {
        seq,
        kind: Kind::Http,
        service: "search".into(),
        method: "GET".to_owned(),
        path: "/".to_owned(),
        request: Digest([u8::try_from(seq).unwrap(); 32]),
        occurrence: 0,
        repeatable: true,
        safe: true,
        rejected_before_effect: false,
        answer,
        took: Duration::from_millis(5),
    }
}

/// A POST that may not be repeated.
fn once_only(seq: u32, answer: Option<Answer>) -> Effect {
    Effect {
        method: "POST".to_owned(),
        repeatable: false,
        safe: false,
        ..effect(seq, answer)
    }
}

fn judged(end: End<'_>, effects: &[Effect]) -> Judgement {
    judged_in_flight(end, effects, &[])
}

fn judged_in_flight(end: End<'_>, effects: &[Effect], in_flight: &[u32]) -> Judgement {
    let errors = BTreeMap::from([
        ("busy".to_owned(), Class::Throttled),
        ("not-found".to_owned(), Class::Caller),
        ("broken".to_owned(), Class::Fault),
    ]);
    judge(&Evidence {
        end,
        effects,
        in_flight,
        errors: &errors,
    })
    .unwrap()
}

#[test]
fn every_status_has_its_class_and_verdict() {
    for status in 100..=999 {
        let (class, verdict) = match status {
            100..=399 => (None, Verdict::Success),
            429 => (Some(Class::Throttled), Verdict::Throttled),
            501 | 505 => (Some(Class::Caller), Verdict::Success),
            500..=599 => (Some(Class::Transient), Verdict::Failure),
            _ => (Some(Class::Caller), Verdict::Success),
        };
        assert_eq!(class_of_status(status), class, "{status}");
        assert_eq!(verdict_of(&Answer::Status { status, hint: None }), verdict, "{status}");
    }
}

#[test]
fn every_other_answer_has_its_verdict() {
    for kind in NOT_SENT {
        let held_back = matches!(kind, NotSent::BreakerOpen | NotSent::RateLimited);
        let expected = if held_back { Verdict::Ignored } else { Verdict::Failure };
        assert_eq!(verdict_of(&Answer::NotSent(kind)), expected, "{kind:?}");
    }
    for kind in LOST {
        assert_eq!(verdict_of(&Answer::Lost(kind)), Verdict::Failure);
    }
    assert_eq!(verdict_of(&Answer::Denied), Verdict::Ignored);
    assert_eq!(verdict_of(&Answer::Cancelled), Verdict::Ignored);
}

#[test]
fn a_trap_and_an_unmapped_error_come_down_to_the_failed_effect() {
    let table = [
        (answered(503), Class::Transient, Code::UpstreamFailed),
        (answered(429), Class::Throttled, Code::UpstreamFailed),
        (
            Some(Answer::NotSent(NotSent::Refused)),
            Class::NotSent,
            Code::UpstreamFailed,
        ),
        (
            Some(Answer::NotSent(NotSent::BreakerOpen)),
            Class::NotSent,
            Code::BreakerOpen,
        ),
        (
            Some(Answer::NotSent(NotSent::RateLimited)),
            Class::NotSent,
            Code::UpstreamFailed,
        ),
        (Some(Answer::Lost(Lost::Reset)), Class::Unknown, Code::UpstreamFailed),
        (None, Class::Unknown, Code::UpstreamFailed),
        (Some(Answer::Denied), Class::Control, Code::Denied),
    ];
    for (answer, class, code) in table {
        for end in [End::Trap, End::Err(None), End::Err(Some("unmapped"))] {
            let found = judged(end, &[effect(1, answered(200)), effect(2, answer.clone())]);
            assert_eq!(
                (found.class, found.code, found.effect),
                (class, code, Some(2)),
                "{end:?} after {answer:?}"
            );
            assert_eq!(found.service.as_deref(), Some("search"));
            let held_back = matches!(
                answer,
                Some(Answer::NotSent(NotSent::BreakerOpen | NotSent::RateLimited))
            );
            assert_eq!(found.held_back, held_back);
        }
    }
}

#[test]
fn without_a_failed_effect_a_trap_is_a_fault_and_an_error_an_answer() {
    for effects in [
        vec![],
        vec![effect(1, answered(200))],
        vec![effect(1, answered(404))],
        vec![effect(1, answered(501))],
    ] {
        let trap = judged(End::Trap, &effects);
        assert_eq!((trap.class, trap.code, trap.effect), (Class::Fault, Code::Fault, None));
        let error = judged(End::Err(None), &effects);
        assert_eq!(
            (error.class, error.code, error.effect),
            (Class::Caller, Code::ToolFailed, None)
        );
    }
}

#[test]
fn a_failed_effect_that_the_same_request_has_since_answered_is_forgotten() {
    let again = |seq, answer| Effect {
        request: Digest([1; 32]),
        ..effect(seq, answer)
    };
    let healed = [effect(1, answered(503)), again(2, answered(200))];
    assert_eq!(judged(End::Trap, &healed).class, Class::Fault);
    let not_found_since = [effect(1, answered(503)), again(2, answered(404))];
    assert_eq!(
        judged(End::Trap, &not_found_since).class,
        Class::Fault,
        "a 404 is an answer"
    );
    let failed_again = [effect(1, answered(503)), again(2, Some(Answer::Lost(Lost::Timeout)))];
    let found = judged(End::Trap, &failed_again);
    assert_eq!((found.class, found.effect), (Class::Unknown, Some(2)));
    let answered_before = [again(1, answered(200)), again(2, answered(503))];
    assert_eq!(judged(End::Trap, &answered_before).effect, Some(2));
    let fallback = [effect(1, answered(503)), effect(2, answered(200))];
    assert_eq!(
        judged(End::Err(None), &fallback).effect,
        Some(1),
        "another request answers nothing"
    );
}

#[test]
fn ends_that_are_the_guests_own_stay_so_after_a_failed_effect() {
    let effects = [effect(1, answered(503))];
    for (end, class, code) in [
        (End::Exit, Class::Fault, Code::Fault),
        (End::Abi, Class::Fault, Code::Fault),
        (End::Limit, Class::Exhausted, Code::Exhausted),
        (End::Timeout, Class::Exhausted, Code::Exhausted),
        (End::Cancelled, Class::Control, Code::Cancelled),
        (End::Host, Class::Fault, Code::Internal),
    ] {
        let found = judged(end, &effects);
        assert_eq!((found.class, found.code, found.service), (class, code, None), "{end:?}");
    }
}

#[test]
fn a_timeout_while_an_effect_was_in_flight_has_the_class_of_that_effect() {
    let table = [
        (Some(Answer::Lost(Lost::Timeout)), Class::Unknown),
        (Some(Answer::NotSent(NotSent::ConnectTimeout)), Class::NotSent),
        (Some(Answer::Cancelled), Class::NotSent),
        // At the time of the judgement's event nobody knew that it would be answered.
        (answered(200), Class::Unknown),
        (None, Class::Unknown),
    ];
    for (answer, class) in table {
        let effects = [effect(1, answered(200)), effect(2, answer.clone())];
        let found = judged_in_flight(End::Timeout, &effects, &[2]);
        assert_eq!((found.class, found.effect), (class, Some(2)), "{answer:?}");
    }
}

#[test]
fn a_mapped_case_is_what_the_manifest_says() {
    let hint = Some(Hint(Duration::from_secs(3)));
    let throttled = effect(1, Some(Answer::Status { status: 429, hint }));
    let busy = judged(End::Err(Some("busy")), std::slice::from_ref(&throttled));
    assert_eq!(
        (busy.class, busy.code, busy.hint),
        (Class::Throttled, Code::UpstreamFailed, hint)
    );
    let busy = judged(End::Err(Some("busy")), &[]);
    assert_eq!(
        (busy.class, busy.code, busy.service),
        (Class::Throttled, Code::UpstreamFailed, None)
    );
    let missing = judged(End::Err(Some("not-found")), &[throttled]);
    assert_eq!(
        (missing.class, missing.code, missing.service, missing.hint),
        (Class::Caller, Code::ToolFailed, None, None)
    );
    assert_eq!(judged(End::Err(Some("broken")), &[]).code, Code::Fault);
    let held = judged(
        End::Err(Some("busy")),
        &[effect(1, Some(Answer::NotSent(NotSent::BreakerOpen)))],
    );
    assert_eq!(
        (held.class, held.code, held.held_back),
        (Class::Throttled, Code::BreakerOpen, true)
    );
}

#[test]
fn a_refusal_that_the_same_request_has_not_got_over_is_control_whatever_the_manifest_says() {
    let again = |seq, answer| Effect {
        request: Digest([1; 32]),
        ..effect(seq, answer)
    };
    let denied = || Some(Answer::Denied);
    let table = [
        ("refused alone", vec![effect(1, denied())], Some(1)),
        (
            "another request answers nothing",
            vec![effect(1, denied()), effect(2, answered(200))],
            Some(1),
        ),
        (
            "refused after a failure",
            vec![effect(1, answered(503)), effect(2, denied())],
            Some(2),
        ),
        (
            "the same request failed, then was refused",
            vec![effect(1, answered(503)), again(2, denied())],
            Some(2),
        ),
        ("got over it", vec![effect(1, denied()), again(2, answered(200))], None),
        (
            "a later failure is an upstream's",
            vec![effect(1, denied()), effect(2, answered(429))],
            None,
        ),
    ];
    for (what, effects, refused) in table {
        for end in [
            End::Trap,
            End::Err(None),
            End::Err(Some("busy")),
            End::Err(Some("not-found")),
        ] {
            let found = judged(end, &effects);
            let is_refusal = (found.class, found.code) == (Class::Control, Code::Denied);
            assert_eq!(is_refusal, refused.is_some(), "{what}: {end:?}");
            if is_refusal {
                assert_eq!(found.effect, refused, "{what}: {end:?}");
            }
        }
    }
}

#[test]
fn case_29_a_part_of_an_answer_and_then_a_reset_is_unknown() {
    let found = judged(End::Trap, &[effect(1, Some(Answer::Lost(Lost::Reset)))]);
    assert_eq!((found.class, found.in_doubt), (Class::Unknown, Vec::new()));
    let found = judged(End::Trap, &[once_only(1, Some(Answer::Lost(Lost::Reset)))]);
    assert_eq!((found.class, found.in_doubt), (Class::InDoubt, vec![1]));
}

#[test]
fn case_65_two_posts_in_flight_when_the_guest_traps_are_in_doubt_if_unknown() {
    let lost = Some(Answer::Lost(Lost::Timeout));
    let found = judged_in_flight(
        End::Trap,
        &[once_only(1, lost.clone()), once_only(2, answered(200))],
        &[1, 2],
    );
    assert_eq!((found.class, found.in_doubt), (Class::InDoubt, vec![1]));
    let found = judged_in_flight(End::Trap, &[once_only(1, lost.clone()), once_only(2, lost)], &[1, 2]);
    assert_eq!(found.in_doubt, [1, 2]);
}

#[test]
fn case_65_a_post_that_the_trap_came_before_is_not_why_the_guest_trapped() {
    let late = once_only(2, Some(Answer::Cancelled));
    let found = judged_in_flight(End::Trap, &[once_only(1, answered(202)), late.clone()], &[1, 2]);
    assert_eq!(
        (found.class, found.code, found.effect),
        (Class::Fault, Code::Fault, None)
    );
    let found = judged_in_flight(End::Trap, &[effect(1, answered(503)), late], &[2]);
    assert_eq!((found.class, found.effect), (Class::Transient, Some(1)));
}

#[test]
fn case_66_a_504_on_a_post_is_in_doubt_whatever_the_end() {
    let effects = [once_only(1, answered(504)), effect(2, answered(200))];
    for end in [
        End::Err(None),
        End::Err(Some("not-found")),
        End::Trap,
        End::Exit,
        End::Abi,
        End::Limit,
        End::Timeout,
        End::Cancelled,
        End::Host,
    ] {
        let found = judged(end, &effects);
        assert_eq!((found.class, found.code), (Class::InDoubt, Code::InDoubt), "{end:?}");
        assert_eq!((found.effect, found.in_doubt), (Some(1), vec![1]));
    }
    let errors = BTreeMap::new();
    let well = judge(&Evidence {
        end: End::Ok,
        effects: &effects,
        in_flight: &[],
        errors: &errors,
    });
    assert_eq!(
        well, None,
        "a function that returned well has its doubt marked on the run"
    );
}

#[test]
fn an_effect_is_in_doubt_when_it_may_not_be_repeated_and_is_unknown_or_got_a_5xx() {
    let mut table = vec![
        (answered(200), false),
        (answered(404), false),
        (answered(429), false),
        (answered(500), true),
        (answered(501), false),
        (answered(503), true),
        (answered(505), false),
        (Some(Answer::Denied), false),
        (Some(Answer::Cancelled), false),
        (None, true),
    ];
    table.extend(NOT_SENT.map(|kind| (Some(Answer::NotSent(kind)), false)));
    table.extend(LOST.map(|kind| (Some(Answer::Lost(kind)), true)));
    for (answer, in_doubt) in table {
        assert_eq!(is_in_doubt(&once_only(1, answer.clone())), in_doubt, "{answer:?}");
        assert!(!is_in_doubt(&effect(1, answer.clone())), "{answer:?}");
        let rejected = Effect {
            rejected_before_effect: true,
            ..once_only(1, answer)
        };
        assert!(!is_in_doubt(&rejected) && may_be_repeated(&rejected));
    }
    assert!(
        !may_be_repeated(&once_only(1, answered(200))),
        "what has happened would happen twice"
    );
}

#[test]
fn a_request_may_be_repeated_by_its_method_its_key_or_its_service() {
    let mut service = ServicePolicy::new("ledger", ServiceKind::Http, Vec::new());
    for (method, repeatable) in [
        ("GET", true),
        ("HEAD", true),
        ("OPTIONS", true),
        ("TRACE", true),
        ("PUT", true),
        ("DELETE", true),
        ("POST", false),
        ("PATCH", false),
        ("CONNECT", false),
        ("get", false),
    ] {
        assert_eq!(is_repeatable(method, "/x", None, &service), repeatable, "{method}");
    }
    let day = Duration::from_secs(24 * 3600);
    assert!(
        !is_repeatable("POST", "/x", Some(Duration::ZERO), &service),
        "no header, no honour"
    );
    service.idempotency_header = Some(IdempotencyHeader {
        name: "Idempotency-Key".to_owned(),
        lifetime: day,
    });
    assert!(!is_repeatable("POST", "/x", None, &service));
    assert!(is_repeatable(
        "POST",
        "/x",
        Some(day - Duration::from_nanos(1)),
        &service
    ));
    assert!(
        !is_repeatable("POST", "/x", Some(day), &service),
        "the service has forgotten it"
    );
    service.idempotency_header = None;
    service.repeatable = vec![RequestPattern {
        method: "POST".to_owned(),
        path: "/query*".to_owned(),
    }];
    assert!(is_repeatable("POST", "/query/all?x=1", None, &service));
    assert!(!is_repeatable("PATCH", "/query", None, &service));
    let llm = ServicePolicy::new("llm", ServiceKind::Llm, Vec::new());
    assert!(is_repeatable("POST", "/v1/chat/completions", None, &llm));
}

#[test]
fn a_tools_own_breaker_counts_its_faults_alone() {
    let failed = [effect(1, answered(503))];
    let verdict = |end, effects: &[Effect]| verdict_of_tool(end, Some(&judged(end, effects)));
    assert_eq!(verdict(End::Trap, &[]), Verdict::Failure);
    assert_eq!(verdict(End::Exit, &failed), Verdict::Failure);
    assert_eq!(verdict(End::Abi, &failed), Verdict::Failure);
    assert_eq!(
        verdict(End::Trap, &failed),
        Verdict::Ignored,
        "counted once, by the effect"
    );
    assert_eq!(verdict(End::Trap, &[once_only(1, answered(503))]), Verdict::Ignored);
    for end in [End::Limit, End::Timeout, End::Cancelled, End::Host] {
        assert_eq!(verdict(end, &[]), Verdict::Ignored, "{end:?}");
    }
    assert_eq!(verdict(End::Err(None), &[]), Verdict::Success);
    assert_eq!(verdict_of_tool(End::Ok, None), Verdict::Success);
}

#[test]
fn an_attempt_that_a_failed_call_ended_has_the_class_of_the_call() {
    let call = |seq, answer| Effect {
        kind: Kind::Call,
        ..effect(seq, Some(answer))
    };
    let failed = |class| Answer::Failed { class, hint: None };
    for class in Class::ALL {
        let effects = [call(1, Answer::Done), call(2, failed(class))];
        let judged = judge(&Evidence {
            end: End::CallFailed,
            effects: &effects,
            in_flight: &[],
            errors: &BTreeMap::new(),
        });
        assert_eq!(judged.unwrap().class, class);
    }
    // One that answered by an error of its own was answered.
    let judged = judge(&Evidence {
        end: End::CallFailed,
        effects: &[call(1, Answer::Done)],
        in_flight: &[],
        errors: &BTreeMap::new(),
    });
    assert_eq!(judged.unwrap().class, Class::Caller);
}
