//! Laws of the resume point, over random journals, and over whole runs of random guests that fail and crash anywhere.
#![allow(clippy::unwrap_used)]

use fusebox_core::classify::{is_in_doubt, may_be_repeated};
use fusebox_core::effect::{Answer, Effect, Kind, Lost, NotSent};
use fusebox_core::failure::Class;
use fusebox_core::ids::Digest;
use fusebox_core::journal::{Entry, Resume, cut, cut_from, go_on, resume_point, would_repeat};
use proptest::prelude::*;
use std::time::Duration;

fn answers() -> impl Strategy<Value = Option<Answer>> {
    let status = prop::sample::select(vec![200_u16, 404, 429, 500, 501, 503, 504]);
    prop_oneof![
        1 => Just(None),
        6 => status.prop_map(|status| Some(Answer::Status { status, hint: None })),
        1 => Just(Some(Answer::NotSent(NotSent::Refused))),
        1 => Just(Some(Answer::Lost(Lost::Timeout))),
        1 => Just(Some(Answer::Denied)),
        1 => Just(Some(Answer::Cancelled)),
        1 => Just(Some(Answer::Done)),
        1 => prop::sample::select(Class::ALL.to_vec()).prop_map(|class| Some(Answer::Failed { class, hint: None })),
    ]
}

prop_compose! {
    fn entry()(
        kind in prop::sample::select(vec![Kind::Http, Kind::Http, Kind::Http, Kind::Call, Kind::Timer, Kind::Read, Kind::Write, Kind::Approval]),
        (safe, repeatable, by_key, resent) in any::<(bool, bool, bool, bool)>(),
        rejected_before_effect in prop::bool::weighted(0.1),
        answer in answers(),
    ) -> Entry {
        let by_key = by_key && repeatable && !safe;
        // Such ends are a call's, never an exchange's.
        let answer = answer.map(|answer| match answer {
            Answer::Failed { .. } | Answer::Done if kind == Kind::Http => Answer::Lost(Lost::Malformed),
            answer => answer,
        });
        Entry {
            effect: Effect {
                seq: 0,
                kind,
                service: "ledger".into(),
                method: "POST".to_owned(),
                path: "/".to_owned(),
                request: Digest([0; 32]),
                occurrence: 0,
                repeatable: repeatable || safe,
                safe,
                rejected_before_effect,
                answer,
                took: Duration::ZERO,
            },
            saw: Vec::new(),
            order: None,
            by_key,
            resent: by_key && resent,
        }
    }
}

/// Journals in which effects settled in some order, and were let in in that order somewhere on the way.
fn journals() -> impl Strategy<Value = Vec<Entry>> {
    let shuffled = prop::collection::vec((entry(), any::<u32>(), 0..4_usize), 0..12);
    shuffled.prop_map(|drawn| {
        let mut entries: Vec<_> = drawn.iter().map(|(entry, ..)| entry.clone()).collect();
        let mut settled: Vec<_> = (0..entries.len())
            .filter(|at| entries[*at].effect.answer.is_some())
            .collect();
        settled.sort_by_key(|at| drawn[*at].1);
        for (order, at) in settled.iter().enumerate() {
            entries[*at].order = Some(u32::try_from(order).unwrap() + 1);
        }
        // Let in before each question: as many as were drawn, as long as the next in order has been asked for.
        let mut next = settled
            .iter()
            .filter(|at| drawn[**at].0.effect.answer != Some(Answer::Cancelled))
            .peekable();
        for at in 0..entries.len() {
            entries[at].effect.seq = u32::try_from(at).unwrap() + 1;
            for _ in 0..drawn[at].2 {
                if let Some(let_in) = next.next_if(|let_in| **let_in < at) {
                    entries[at].saw.push(u32::try_from(*let_in).unwrap() + 1);
                }
            }
        }
        entries
    })
}

fn is_settled(entry: &Entry) -> bool {
    !matches!(entry.effect.answer, None | Some(Answer::Cancelled))
}

/// By the words of the promise alone: it happened or may have, and nothing allows a second time. A nested call is not repeated when its
/// child goes on, and a write, a read, a timer or a question is the host's own affair.
fn must_stay(entry: &Entry) -> bool {
    let effect = &entry.effect;
    let settled_or_in_doubt = is_settled(entry) || (effect.answer.is_none() && effect.kind == Kind::Http);
    matches!(effect.kind, Kind::Http | Kind::Call) && !effect.safe && settled_or_in_doubt && !may_be_repeated(effect)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn what_may_not_be_repeated_and_was_settled_or_is_in_doubt_is_never_forgotten(entries in journals()) {
        for at in [resume_point(&entries, false), go_on(&entries)] {
            let cut = cut(&entries, &at);
            for entry in entries.iter().filter(|entry| must_stay(entry)) {
                prop_assert!(!cut.drop.contains(&entry.seq()), "{at:?} forgets {entry:#?}");
                let child = entry.effect.kind == Kind::Call;
                prop_assert!(child || !cut.reopen.contains(&entry.seq()), "{at:?} repeats {entry:#?}");
            }
        }
    }

    #[test]
    fn nothing_in_doubt_is_made_again_at_any_level(entries in journals(), starts_over in any::<bool>()) {
        let at = resume_point(&entries, starts_over);
        let cut = cut(&entries, &at);
        for entry in entries.iter().filter(|entry| entry.effect.kind == Kind::Http) {
            let lost = if is_settled(entry) { is_in_doubt(&entry.effect) } else { entry.effect.answer.is_none() && !entry.effect.repeatable };
            prop_assert!(!lost || !(cut.drop.contains(&entry.seq()) || cut.reopen.contains(&entry.seq())), "{at:?}: {entry:#?}");
            prop_assert!(is_settled(entry) || !lost || matches!(at, Resume::InDoubt(_)), "{at:?} sends {entry:#?} again");
        }
    }

    #[test]
    fn what_is_reopened_was_sent_and_is_protected_by_its_key_alone(entries in journals(), starts_over in any::<bool>()) {
        let at = resume_point(&entries, starts_over);
        let cut = cut(&entries, &at);
        for seq in &cut.reopen {
            let entry = entries.iter().find(|entry| entry.seq() == *seq).unwrap();
            let sent = entry.resent || !matches!(entry.effect.answer, None | Some(Answer::NotSent(_) | Answer::Denied | Answer::Cancelled));
            let protected = (entry.by_key && entry.effect.repeatable) || (entry.effect.kind == Kind::Call && !entry.effect.repeatable);
            prop_assert!(sent && protected, "{at:?}: {entry:#?}");
            prop_assert!(!cut.drop.contains(seq));
        }
        let Resume::At(point) = at else { return Ok(()) };
        prop_assert!(cut.drop.contains(&point) || cut.reopen.contains(&point), "the point is made again");
    }

    #[test]
    fn what_is_served_is_what_the_guest_had_asked_for_before_the_point(entries in journals(), starts_over in any::<bool>()) {
        let at = resume_point(&entries, starts_over);
        let gone = cut(&entries, &at);
        let served: Vec<_> = entries.iter().filter(|entry| is_settled(entry) && !gone.drop.contains(&entry.seq()) && !gone.reopen.contains(&entry.seq())).collect();
        let saw_what_is_gone = |entry: &&&Entry| entry.saw.iter().any(|seen| gone.drop.contains(seen) || gone.reopen.contains(seen));
        prop_assert_eq!(served.iter().find(saw_what_is_gone), None, "{:?}", at);
        if at == Resume::End {
            let never_sent: Vec<_> = entries.iter().filter(|entry| entry.effect.answer == Some(Answer::Cancelled)).map(Entry::seq).collect();
            prop_assert_eq!([gone.drop, gone.reopen].concat().len(), never_sent.len());
        }
    }

    #[test]
    fn a_person_is_told_of_all_that_a_cut_would_make_happen_again(entries in journals(), from in 1..14_u32) {
        let named = would_repeat(&entries, from, &[]);
        let gone = cut_from(&entries, from);
        for entry in &entries {
            let harm = must_stay(entry) && gone.drop.contains(&entry.seq());
            prop_assert!(!harm || named.contains(&entry.seq()), "{entry:#?}");
            prop_assert!(entry.seq() < from || gone.drop.contains(&entry.seq()));
            prop_assert!(would_repeat(&entries, from, &[entry.seq()]).iter().all(|seq| *seq != entry.seq() && named.contains(seq)));
        }
    }
}
