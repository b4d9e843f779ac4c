//! Where a run resumes: every example of durability.md, and the named cases (semantics.md §8), as decisions.
#![allow(clippy::unwrap_used)]

use fusebox_core::effect::{Answer, Effect, Kind, Lost, NotSent};
use fusebox_core::failure::Class;
use fusebox_core::ids::Digest;
use fusebox_core::journal::{
    Cut, Entry, Resume, cut, cut_from, go_on, matches, resume_point, settle, would_repeat, would_repeat_elsewhere,
};
use std::time::Duration;

fn effect(seq: u32, kind: Kind, method: &str) -> Effect {
    Effect {
        seq,
        kind,
        service: "bank".into(),
        method: method.to_owned(),
        path: "/v1/transfers".to_owned(),
        request: Digest([7; 32]),
        occurrence: 0,
        repeatable: false,
        safe: false,
        rejected_before_effect: false,
        answer: None,
        took: Duration::ZERO,
    }
}

/// An intent; the other makers and methods start from it.
fn once(seq: u32) -> Entry {
    Entry {
        effect: effect(seq, Kind::Http, "POST"),
        saw: Vec::new(),
        order: None,
        by_key: false,
        resent: false,
    }
}

fn get(seq: u32) -> Entry {
    let effect = Effect {
        repeatable: true,
        safe: true,
        ..effect(seq, Kind::Http, "GET")
    };
    Entry { effect, ..once(seq) }
}

fn keyed(seq: u32) -> Entry {
    let effect = Effect {
        repeatable: true,
        ..once(seq).effect
    };
    Entry {
        effect,
        by_key: true,
        ..once(seq)
    }
}

/// A POST that the service lists as repeatable, as every call of an LLM is.
fn listed(seq: u32) -> Entry {
    Entry {
        by_key: false,
        ..keyed(seq)
    }
}

fn call(seq: u32) -> Entry {
    Entry {
        effect: effect(seq, Kind::Call, "CALL"),
        ..once(seq)
    }
}

fn of(seq: u32, kind: Kind) -> Entry {
    let effect = Effect {
        repeatable: true,
        safe: kind != Kind::Write,
        ..effect(seq, kind, "X")
    };
    Entry { effect, ..once(seq) }
}

trait Told: Sized {
    fn answer(self, order: u32, answer: Answer) -> Self;
    fn after(self, saw: &[u32]) -> Self;
    /// Settled with that status, as the `order`th.
    fn got(self, order: u32, status: u16) -> Self {
        self.answer(order, Answer::Status { status, hint: None })
    }
    fn lost(self, order: u32) -> Self {
        self.answer(order, Answer::Lost(Lost::Reset))
    }
    fn refused(self, order: u32) -> Self {
        self.answer(order, Answer::NotSent(NotSent::Refused))
    }
    fn failed(self, order: u32, class: Class) -> Self {
        self.answer(order, Answer::Failed { class, hint: None })
    }
}

impl Told for Entry {
    fn answer(mut self, order: u32, answer: Answer) -> Self {
        self.effect.answer = Some(answer);
        self.order = Some(order);
        self
    }
    fn after(mut self, saw: &[u32]) -> Self {
        self.saw = saw.to_vec();
        self
    }
}

/// Resume point and cut of a run that may not start over.
fn resumed(entries: &[Entry]) -> (Resume, Cut) {
    let at = resume_point(entries, false);
    let cut = cut(entries, &at);
    (at, cut)
}

fn drops(drop: &[u32]) -> Cut {
    Cut {
        drop: drop.to_vec(),
        reopen: Vec::new(),
    }
}

fn reopens(reopen: &[u32]) -> Cut {
    Cut {
        drop: Vec::new(),
        reopen: reopen.to_vec(),
    }
}

#[test]
fn example_charge_200_rate_503_err_resumes_at_rate() {
    let journal = [once(1).got(1, 200), get(2).got(2, 503).after(&[1])];
    assert_eq!(resumed(&journal), (Resume::At(2), drops(&[2])));
}

#[test]
fn example_search_twice_then_mail_refused_resumes_at_mail() {
    let journal = [
        get(1).got(1, 503),
        get(2).got(2, 200).after(&[1]),
        once(3).refused(3).after(&[2]),
    ];
    assert_eq!(resumed(&journal), (Resume::At(3), drops(&[3])));
}

#[test]
fn example_fallback_to_another_bank_is_not_resumed_by_itself() {
    let journal = [keyed(1).got(1, 503), once(2).got(2, 200).after(&[1])];
    assert_eq!(resumed(&journal), (Resume::End, Cut::default()));
    assert_eq!(
        would_repeat(&journal, 1, &[]),
        [2],
        "so the letter offers --from-effect 1 --repeat 2"
    );
    assert!(would_repeat(&journal, 1, &[2]).is_empty());
    assert_eq!(cut_from(&journal, 1), drops(&[1, 2]));
}

#[test]
fn example_of_two_in_flight_together_the_answered_one_is_served() {
    for (failed, answered) in [(1, 2), (2, 1)] {
        let journal = [get(1).got(failed, 503), once(2).got(answered, 200)];
        assert_eq!(resumed(&journal), (Resume::At(1), drops(&[1])));
    }
}

#[test]
fn example_what_was_asked_before_the_failure_was_seen_is_served_whatever_its_number() {
    // 2 was asked while 1 was in flight, 3 after 1 was seen to fail.
    let journal = [get(1).got(1, 503), once(2).got(2, 200), get(3).got(3, 200).after(&[1])];
    assert_eq!(resumed(&journal), (Resume::At(1), drops(&[1, 3])));
}

#[test]
fn example_a_function_that_may_start_over_resumes_at_the_latest_failure_whatever_came_after() {
    let journal = [
        get(1).got(1, 503),
        get(2).got(2, 503).after(&[1]),
        once(3).got(3, 200).after(&[2]),
    ];
    let at = resume_point(&journal, true);
    assert_eq!(at, Resume::At(2));
    assert_eq!(cut(&journal, &at), drops(&[2, 3]));
    assert_eq!(resume_point(&journal, false), Resume::End);
}

#[test]
fn example_a_404_is_an_answer() {
    let journal = [once(1).got(1, 404), get(2).got(2, 404).after(&[1])];
    assert_eq!(resumed(&journal), (Resume::End, Cut::default()));
    assert_eq!(resume_point(&[], false), Resume::End);
}

#[test]
fn case_67_a_fallback_after_a_failure_then_err_is_not_resumed_at_the_first_failure() {
    for settled in [
        once(2).got(2, 200),
        keyed(2).got(2, 200),
        listed(2).got(2, 200),
        call(2).answer(2, Answer::Done),
    ] {
        let journal = [get(1).got(1, 503), settled.after(&[1])];
        assert_eq!(resumed(&journal).0, Resume::End, "{journal:#?}");
    }
    for harmless in [
        get(2).got(2, 200),
        of(2, Kind::Read).answer(2, Answer::Done),
        once(2).answer(2, Answer::Denied),
    ] {
        let journal = [get(1).got(1, 503), harmless.after(&[1])];
        assert_eq!(resumed(&journal), (Resume::At(1), drops(&[1, 2])));
    }
    // The fallback failed too, so that is the point; the first failure is served.
    let journal = [keyed(1).got(1, 503), keyed(2).got(2, 503).after(&[1])];
    assert_eq!(resumed(&journal), (Resume::At(2), reopens(&[2])));
}

#[test]
fn case_66_a_504_on_a_post_at_the_resume_point_is_in_doubt_at_every_level() {
    for doubtful in [once(1).got(1, 504), once(1).lost(1), once(1)] {
        for starts_over in [false, true] {
            let at = resume_point(std::slice::from_ref(&doubtful), starts_over);
            assert_eq!(at, Resume::InDoubt(vec![1]), "{doubtful:?}");
            assert_eq!(cut(std::slice::from_ref(&doubtful), &at), Cut::default());
        }
    }
    let known = Entry {
        effect: Effect {
            rejected_before_effect: true,
            ..once(1).got(1, 503).effect
        },
        ..once(1).got(1, 503)
    };
    assert_eq!(resumed(&[known]), (Resume::At(1), drops(&[1])));
}

#[test]
fn case_66_a_doubtful_effect_that_the_guest_survived_is_served() {
    let journal = [once(1).got(1, 504), get(2).got(2, 503).after(&[1])];
    assert_eq!(resumed(&journal), (Resume::At(2), drops(&[2])));
    assert_eq!(go_on(&journal), Resume::End);
}

#[test]
fn case_65_two_posts_in_flight_at_the_end_are_judged_together() {
    for journal in [
        [once(1).lost(1), once(2).refused(2)],
        [once(1).lost(2), once(2).refused(1)],
        [once(1), get(2).got(1, 503)],
    ] {
        assert_eq!(resumed(&journal).0, Resume::InDoubt(vec![1]), "{journal:#?}");
    }
    assert_eq!(resumed(&[once(1).lost(1), once(2)]).0, Resume::InDoubt(vec![1, 2]));
    assert_eq!(
        resumed(&[once(1).got(1, 200), once(2).refused(2)]),
        (Resume::At(2), drops(&[2]))
    );
}

#[test]
fn failures_that_were_let_in_together_are_made_again_together() {
    let journal = [get(1).got(2, 503), keyed(2).got(1, 503), once(3).got(3, 200)];
    let together = Cut {
        drop: vec![1],
        reopen: vec![2],
    };
    assert_eq!(resumed(&journal), (Resume::At(2), together.clone()));
    assert_eq!(
        cut(&journal, &Resume::At(1)),
        together,
        "whichever of them names the point"
    );
    // Between these two the guest asked for something: the first was survived.
    let journal = [get(1).got(1, 503), get(2).got(3, 503), get(3).got(2, 200).after(&[1])];
    assert_eq!(resumed(&journal), (Resume::At(2), drops(&[2])));
}

#[test]
fn what_settled_and_was_never_let_in_is_served_or_made_again_like_any_other() {
    // The guest trapped on 1; 2 and 3 were waited for, and nobody saw them.
    let journal = [get(1).got(1, 503), once(2).got(2, 200), listed(3).got(3, 503)];
    assert_eq!(resumed(&journal), (Resume::At(1), drops(&[1, 3])));
}

#[test]
fn what_was_never_sent_is_asked_for_again_and_never_the_point() {
    let cancelled = once(2).answer(2, Answer::Cancelled);
    assert_eq!(
        resumed(&[get(1).got(1, 503), cancelled.clone()]),
        (Resume::At(1), drops(&[1, 2]))
    );
    assert_eq!(
        resumed(&[once(1).got(1, 200), cancelled.clone()]),
        (Resume::End, drops(&[2]))
    );
    let once_more = Entry {
        resent: true,
        ..keyed(1).answer(1, Answer::Cancelled)
    };
    assert_eq!(resumed(std::slice::from_ref(&once_more)), (Resume::End, reopens(&[1])));
    let too_late = expired(once_more);
    assert_eq!(resume_point(&[too_late], false), Resume::InDoubt(vec![1]));
}

/// The same effect once its key protects it no more.
fn expired(mut entry: Entry) -> Entry {
    entry.effect.repeatable = false;
    entry
}

#[test]
fn a_keyed_effect_that_may_have_happened_is_sent_again_only_as_it_was() {
    for sent in [keyed(1).got(1, 503), keyed(1).lost(1)] {
        assert_eq!(resumed(std::slice::from_ref(&sent)), (Resume::At(1), reopens(&[1])));
        assert_eq!(
            resume_point(&[expired(sent)], false),
            Resume::InDoubt(vec![1]),
            "past the key's lifetime"
        );
    }
    // Nothing happened, or its method or the service's word allows a second one: it may differ.
    let put = Entry {
        by_key: false,
        ..keyed(1).got(1, 503)
    };
    for free in [keyed(1).refused(1), listed(1).got(1, 503), get(1).lost(1), put] {
        assert_eq!(
            resumed(std::slice::from_ref(&free)),
            (Resume::At(1), drops(&[1])),
            "{free:?}"
        );
    }
}

#[test]
fn an_intent_under_its_key_stays_one_until_the_key_is_over() {
    assert_eq!(resumed(&[keyed(1)]), (Resume::End, Cut::default()));
    assert_eq!(resumed(&[expired(keyed(1))]).0, Resume::InDoubt(vec![1]));
}

#[test]
fn that_it_could_not_be_sent_once_more_says_nothing_of_the_first_time() {
    let rejected = |entry: Entry| Entry {
        effect: Effect {
            rejected_before_effect: true,
            ..entry.effect
        },
        ..entry
    };
    for again in [keyed(1).refused(1), rejected(keyed(1).got(1, 429))] {
        let again = Entry { resent: true, ..again };
        assert_eq!(resumed(std::slice::from_ref(&again)), (Resume::At(1), reopens(&[1])));
        assert_eq!(resume_point(&[expired(again)], false), Resume::InDoubt(vec![1]));
    }
    let done = Entry {
        resent: true,
        ..expired(keyed(1).got(1, 200))
    };
    assert_eq!(resume_point(&[done], false), Resume::End);
}

#[test]
fn a_failure_that_may_not_be_repeated_and_is_not_in_doubt_is_an_answer() {
    // 429 from a service that does not say that it rejects before it acts.
    let journal = [once(1).got(1, 429)];
    assert_eq!(resumed(&journal), (Resume::End, Cut::default()));
    let journal = [get(1).got(1, 503), once(2).got(2, 429).after(&[1])];
    assert_eq!(resumed(&journal).0, Resume::End, "so it may not be forgotten either");
}

#[test]
fn a_nested_call_goes_on_by_its_childs_own_journal() {
    assert_eq!(
        resumed(&[call(1)]),
        (Resume::End, Cut::default()),
        "recovery finds the child"
    );
    let readonly = |seq| Entry {
        effect: Effect {
            repeatable: true,
            safe: true,
            ..call(seq).effect
        },
        ..call(seq)
    };
    for class in Class::ALL {
        let (child, pure) = ([call(1).failed(1, class)], [readonly(1).failed(1, class)]);
        if class == Class::Caller {
            assert_eq!(resumed(&child), (Resume::End, Cut::default()));
        } else {
            assert_eq!(resumed(&child), (Resume::At(1), reopens(&[1])), "{class}");
            assert_eq!(resumed(&pure), (Resume::At(1), drops(&[1])), "{class}");
        }
    }
    let never_began = [call(1).answer(1, Answer::NotSent(NotSent::BreakerOpen))];
    assert_eq!(resumed(&never_began), (Resume::At(1), drops(&[1])));
    let after_a_readonly_call = [get(1).got(1, 503), readonly(2).answer(2, Answer::Done).after(&[1])];
    assert_eq!(resumed(&after_a_readonly_call), (Resume::At(1), drops(&[1, 2])));
}

#[test]
fn only_requests_can_be_in_doubt() {
    for kind in Kind::ALL {
        let intent = Entry {
            effect: effect(1, kind, "X"),
            ..once(1)
        };
        let expected = if kind == Kind::Http {
            Resume::InDoubt(vec![1])
        } else {
            Resume::End
        };
        assert_eq!(resume_point(std::slice::from_ref(&intent), false), expected, "{kind:?}");
        assert_eq!(go_on(&[intent]), expected, "{kind:?}");
    }
}

#[test]
fn a_guest_that_waits_after_a_failure_has_survived_it() {
    for waits in [of(2, Kind::Timer), of(2, Kind::Approval), get(2), keyed(2), call(2)] {
        for starts_over in [false, true] {
            let journal = [get(1).got(1, 503), waits.clone().after(&[1])];
            assert_eq!(resume_point(&journal, starts_over), Resume::End, "{waits:?}");
        }
    }
}

#[test]
fn a_run_that_did_not_fail_goes_on_from_its_end() {
    let journal = [get(1).got(1, 503), get(2).got(2, 200).after(&[1]), get(3).after(&[2])];
    assert_eq!(go_on(&journal), Resume::End);
    assert_eq!(
        go_on(&journal[..2]),
        Resume::End,
        "28 of 30 safe steps are not made again"
    );
    assert_eq!(
        go_on(&[once(1).got(1, 503)]),
        Resume::End,
        "the guest is told again, and judged by what it does"
    );
    assert_eq!(go_on(&[once(1).got(1, 503), once(2)]), Resume::InDoubt(vec![2]));
}

#[test]
fn case_49_a_request_that_differs_is_named_with_both() {
    let entry = once(3).got(1, 200);
    assert_eq!(matches(&entry, &entry.effect), Ok(()));
    let other = Effect {
        path: "/v2/transfers".to_owned(),
        request: Digest([8; 32]),
        ..entry.effect.clone()
    };
    let diverged = matches(&entry, &other).unwrap_err();
    assert_eq!(
        (diverged.seq, diverged.journal.as_str(), diverged.asked.as_str()),
        (3, "POST /v1/transfers", "POST /v2/transfers")
    );
    let body = Effect {
        request: Digest([8; 32]),
        ..entry.effect.clone()
    };
    assert_eq!(
        matches(&entry, &body).unwrap_err().to_string(),
        "effect 3 is POST /v1/transfers in the journal, and now POST /v1/transfers with another body, other headers or another host was asked for"
    );
    let timer = Effect {
        kind: Kind::Timer,
        ..entry.effect.clone()
    };
    assert!(matches(&entry, &timer).is_err(), "equal in all but the kind");
}

#[test]
fn case_71_what_would_happen_again_from_the_start_is_named() {
    let journal = [
        get(1).got(1, 200),
        once(2).got(2, 200),
        listed(3).got(3, 200),
        once(4).refused(4),
        call(5).answer(5, Answer::Done),
        of(6, Kind::Approval).answer(6, Answer::Done),
        once(7).got(7, 404),
        keyed(8).got(8, 200),
    ];
    assert_eq!(would_repeat(&journal, 1, &[]), [2, 5, 7]);
    assert_eq!(would_repeat(&journal, 3, &[]), [5, 7]);
    assert_eq!(would_repeat(&journal, 1, &[2, 7]), [5]);
    assert!(would_repeat(&journal, 8, &[]).is_empty());
    assert_eq!(
        would_repeat_elsewhere(&journal, &[]),
        [2, 5, 7, 8],
        "another run has other keys"
    );
    assert_eq!(would_repeat_elsewhere(&journal, &[8, 2]), [5, 7]);
    assert_eq!(cut_from(&journal, 3), drops(&[3, 4, 5, 6, 7, 8]));
    assert_eq!(
        would_repeat(&[expired(keyed(1).got(1, 200))], 1, &[]),
        [1],
        "its key is over"
    );
}

#[test]
fn what_the_guest_did_on_a_failure_goes_when_a_person_settles_it_unless_it_may_not_be_forgotten() {
    let journal = [once(1).got(1, 504), get(2).got(2, 200).after(&[1])];
    assert_eq!(settle(&journal, 1), Ok(vec![2]));
    let journal = [once(1).got(1, 504), get(2).after(&[1]), once(3).got(2, 200)];
    assert_eq!(settle(&journal, 1), Err(vec![2, 3]), "the money was paid elsewhere");
    assert_eq!(settle(&[once(1)], 1), Ok(vec![]));
}
