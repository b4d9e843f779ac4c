//! What is closed, what is forgotten, and what stays however old it is.

use super::Subject;
use super::samples::{
    DAY, LEASE, TENANT, dead, error, fresh, intent, letter_id, nested, new_run, now, owner, page, put_letter, run,
    run_id, settled, snapshot, success,
};
use crate::ports::store::{
    Append, Claim, ErrorFilter, Finish, LetterChange, LetterFilter, NewRun, PAGE_GRACE, RunFilter,
};
use crate::records::{JournalRecord, LetterRecord};
use std::time::Duration;

fn with_pages(pages: &[u8]) -> impl FnOnce(&mut LetterRecord) {
    let pages: Vec<_> = pages.iter().map(|n| page(*n)).collect();
    move |letter| letter.snapshot = Some(snapshot(&pages))
}

pub async fn purge_closes_open_letters_alone(subject: &dyn Subject) {
    let store = subject.store();
    put_letter(&*store, 1, |_| ()).await;
    put_letter(&*store, 2, |letter| letter.kind = "in-doubt".to_owned()).await;
    put_letter(&*store, 3, |_| ()).await;
    put_letter(&*store, 4, |_| ()).await;
    store
        .lease_letter(TENANT, &letter_id(3), &owner(1), LEASE)
        .await
        .unwrap();
    let all: Vec<_> = [1, 1, 2, 3, 9].map(letter_id).into();
    assert_eq!(store.purge(TENANT, &all).await.unwrap(), [letter_id(1)]);
    assert_eq!(store.purge(TENANT, &all).await.unwrap(), []);
    let letters = store
        .letters(
            TENANT,
            &LetterFilter {
                closed: true,
                ..LetterFilter::default()
            },
        )
        .await
        .unwrap();
    let states: Vec<_> = letters.iter().map(|letter| letter.state.as_str()).collect();
    assert_eq!(states, ["purged", "open", "replaying", "open"]);
}

/// The replayer of a letter died after it had written down what it was about to send: nobody has seen the doubt yet.
pub async fn a_letter_whose_replay_left_a_request_open_is_not_put_away(subject: &dyn Subject) {
    let store = subject.store();
    let call = JournalRecord {
        kind: "call".to_owned(),
        ..intent(5)
    };
    let repeatable = JournalRecord {
        repeatable: true,
        ..intent(5)
    };
    // 1 sent something that may not be repeated, 2 something that may, 3 called another tool, 4 did nothing, 5 got its answer.
    for n in 1..=5 {
        let new = new_run(n, None);
        let fence = fresh(&*store, new.clone()).await;
        let mut finish = dead(&new.run, n);
        if let LetterChange::Enqueue(letter) = &mut finish.letter {
            letter.expires = Some(now() + 60_000);
        }
        store.finish(&fence, finish).await.unwrap();
        let leased = store.lease_letter(TENANT, &letter_id(n), &owner(n), LEASE).await;
        let (_, fence) = leased.unwrap();
        let records = match n {
            1 => vec![intent(5)],
            2 => vec![repeatable.clone()],
            3 => vec![call.clone()],
            4 => Vec::new(),
            _ => vec![settled(5, 1)],
        };
        let append = Append {
            records,
            ..Append::default()
        };
        store.append(TENANT, &run_id(n), &fence, append).await.unwrap();
    }
    subject.pass(2 * LEASE).await;
    let all: Vec<_> = [1, 2, 3, 4, 5].map(letter_id).into();
    assert_eq!(store.expired(TENANT).await.unwrap(), all[1..]);
    store.retain(TENANT, 30 * DAY).await.unwrap();
    assert_eq!(store.purge(TENANT, &all[..1]).await.unwrap(), []);
    let kept = store.letter(TENANT, &letter_id(1)).await.unwrap().unwrap();
    assert_eq!((kept.state.as_str(), kept.kind.as_str()), ("open", "retryable"));
    assert_eq!(
        store.letter(TENANT, &letter_id(2)).await.unwrap().unwrap().state,
        "purged"
    );
    // Once it is settled, it goes.
    let leased = store.lease_letter(TENANT, &letter_id(1), &owner(9), LEASE).await;
    let (_, fence) = leased.unwrap();
    let append = Append {
        records: vec![settled(5, 1)],
        ..Append::default()
    };
    store.append(TENANT, &run_id(1), &fence, append).await.unwrap();
    subject.pass(2 * LEASE).await;
    assert_eq!(store.purge(TENANT, &all[..1]).await.unwrap(), all[..1]);
}

/// The doubt may be a nested run's.
pub async fn a_request_left_open_below_keeps_the_letter_too(subject: &dyn Subject) {
    let store = subject.store();
    let new = new_run(1, None);
    let fence = fresh(&*store, new.clone()).await;
    store.finish(&fence, dead(&new.run, 1)).await.unwrap();
    let leased = store.lease_letter(TENANT, &letter_id(1), &owner(1), LEASE).await;
    let (_, fence) = leased.unwrap();
    store.claim_nested(nested(2, 1, 1), &fence).await.unwrap();
    let append = Append {
        run: Some(run_id(2)),
        records: vec![intent(1)],
        ..Append::default()
    };
    store.append(TENANT, &run_id(1), &fence, append).await.unwrap();
    subject.pass(2 * LEASE).await;
    assert_eq!(store.purge(TENANT, &[letter_id(1)]).await.unwrap(), []);
}

pub async fn a_closed_letter_ends_its_run(subject: &dyn Subject) {
    let store = subject.store();
    // 1 is purged, 2 expires, 3 stays open.
    for n in 1..=3 {
        let new = new_run(n, Some(&format!("k{n}")));
        let fence = fresh(&*store, new.clone()).await;
        let mut finish = dead(&new.run, n);
        if let LetterChange::Enqueue(letter) = &mut finish.letter {
            letter.expires = Some(now() + 7 * 86_400_000).filter(|_| n == 2);
        }
        store.finish(&fence, finish).await.unwrap();
    }
    let run = async |n: u64| store.run(TENANT, &run_id(n)).await.unwrap();
    assert_eq!(run(1).await.unwrap().finished, None);
    store.purge(TENANT, &[letter_id(1)]).await.unwrap();
    let over = run(1).await.unwrap();
    assert_eq!((over.state.as_str(), over.failure.is_some()), ("failed", true));
    assert!(over.finished.is_some_and(|at| (now() - at).abs() < 60_000), "{over:?}");
    let failed = RunFilter {
        state: Some("failed".to_owned()),
        ..RunFilter::default()
    };
    let listed = store.runs(TENANT, &failed).await.unwrap();
    assert_eq!(listed, std::slice::from_ref(&over));
    let claim = store.claim(new_run(21, Some("k1"))).await.unwrap();
    assert_eq!(
        claim,
        Claim::Stored(Box::new(over)),
        "the outcome is the run's for its lifetime"
    );

    subject.pass(8 * DAY).await;
    store.retain(TENANT, 30 * DAY).await.unwrap();
    assert_eq!(run(2).await.unwrap().state, "failed");
    fresh(&*store, new_run(22, Some("k2"))).await;
    assert_eq!(run(3).await.unwrap().state, "dead-lettered");
    subject.pass(31 * DAY).await;
    store.retain(TENANT, 30 * DAY).await.unwrap();
    assert_eq!((run(1).await, run(2).await), (None, None));
    assert_eq!(run(3).await.unwrap().state, "dead-lettered");
    fresh(&*store, new_run(23, Some("k1"))).await;
}

pub async fn pages_are_kept_once_and_as_long_as_a_letter_needs_them(subject: &dyn Subject) {
    let store = subject.store();
    store.put_pages(TENANT, &[page(1), page(2), page(2)]).await.unwrap();
    let mut other = page(2);
    other.zstd = vec![9; 9];
    store.put_pages(TENANT, &[other, page(3)]).await.unwrap();
    let stored = async |n: u8| store.page(TENANT, page(n).digest).await.unwrap();
    assert_eq!(
        stored(2).await.unwrap(),
        page(2).zstd,
        "a page that is stored already is skipped"
    );
    put_letter(&*store, 1, with_pages(&[1, 2])).await;
    put_letter(&*store, 2, with_pages(&[2, 3])).await;

    store.purge(TENANT, &[letter_id(2)]).await.unwrap();
    assert!(
        stored(3).await.is_some(),
        "it may belong to a letter that is about to be written"
    );
    put_letter(&*store, 3, with_pages(&[2, 3])).await;
    subject.pass(2 * PAGE_GRACE).await;
    store.purge(TENANT, &[letter_id(1)]).await.unwrap();
    assert!(stored(1).await.is_none());
    assert!(stored(2).await.is_some() && stored(3).await.is_some());
    store.purge(TENANT, &[letter_id(3)]).await.unwrap();
    assert!(stored(2).await.is_none() && stored(3).await.is_none());
    let purged = store.letter(TENANT, &letter_id(1)).await.unwrap().unwrap();
    assert_eq!(purged.snapshot, None);
}

pub async fn pages_without_a_letter_go_after_a_day(subject: &dyn Subject) {
    let store = subject.store();
    store
        .put_pages(TENANT, &(0..40).map(page).collect::<Vec<_>>())
        .await
        .unwrap();
    put_letter(&*store, 1, with_pages(&[1])).await;
    subject.pass(DAY - LEASE).await;
    store.put_pages(TENANT, &[page(2)]).await.unwrap();
    store.retain(TENANT, 30 * DAY).await.unwrap();
    assert!(store.page(TENANT, page(0).digest).await.unwrap().is_some());
    subject.pass(2 * LEASE).await;
    store.retain(TENANT, 30 * DAY).await.unwrap();
    for n in 0..40 {
        let kept = store.page(TENANT, page(n).digest).await.unwrap().is_some();
        assert_eq!(kept, [1, 2].contains(&n), "page {n}");
    }
}

pub async fn retain_closes_letters_whose_time_is_over(subject: &dyn Subject) {
    let store = subject.store();
    let week = |letter: &mut LetterRecord| letter.expires = Some(now() + 7 * 86_400_000);
    put_letter(&*store, 1, week).await;
    put_letter(&*store, 2, |_| ()).await;
    put_letter(&*store, 3, |letter| {
        week(letter);
        letter.kind = "in-doubt".to_owned();
    })
    .await;
    put_letter(&*store, 4, week).await;
    assert_eq!(store.retain(TENANT, 30 * DAY).await.unwrap(), 0);
    subject.pass(8 * DAY).await;
    store
        .lease_letter(TENANT, &letter_id(4), &owner(1), LEASE)
        .await
        .unwrap();
    assert_eq!(store.retain(TENANT, 30 * DAY).await.unwrap(), 1);
    let open = store.letters(TENANT, &LetterFilter::default()).await.unwrap();
    let open: Vec<_> = open.into_iter().map(|letter| letter.id).collect();
    assert_eq!(open, [2, 3, 4].map(letter_id));
}

pub async fn retain_forgets_runs_that_nothing_needs(subject: &dyn Subject) {
    let store = subject.store();
    // 1: over. 2: over, with a key for 10 days. 3: dead-lettered. 4: still running. 5: dead-lettered and closed.
    for n in 1..=5 {
        let new = NewRun {
            key_lifetime: 10 * DAY,
            ..new_run(n, Some("k").filter(|_| n == 2))
        };
        let fence = fresh(&*store, new.clone()).await;
        let finish: Finish = match n {
            1 | 2 => success(&new.run),
            3 | 5 => dead(&new.run, n),
            _ => continue,
        };
        store.finish(&fence, finish).await.unwrap();
    }
    store
        .append_errors(vec![error(TENANT, "search"), error(TENANT, "search")])
        .await
        .unwrap();
    store.purge(TENANT, &[letter_id(5)]).await.unwrap();
    let left = async || {
        let runs = store.runs(TENANT, &Default::default()).await.unwrap();
        runs.into_iter().map(|run| run.id).collect::<Vec<_>>()
    };
    assert_eq!(store.retain(TENANT, 2 * DAY).await.unwrap(), 0);
    subject.pass(3 * DAY).await;
    // Runs 1 and 5, and two errors.
    assert_eq!(store.retain(TENANT, 2 * DAY).await.unwrap(), 4);
    assert!(store.errors(TENANT, &ErrorFilter::default()).await.unwrap().is_empty());
    assert_eq!(left().await, [4, 3, 2].map(run_id));
    assert_eq!(store.letter(TENANT, &letter_id(5)).await.unwrap(), None);
    subject.pass(10 * DAY).await;
    // The key and then its run.
    assert_eq!(store.retain(TENANT, 2 * DAY).await.unwrap(), 2);
    assert_eq!(left().await, [4, 3].map(run_id));
    let many: Vec<Finish> = (100..600).map(|n| success(&run(n))).collect();
    store.record_finished(many).await.unwrap();
    subject.pass(3 * DAY).await;
    assert_eq!(store.retain(TENANT, Duration::ZERO).await.unwrap(), 500);
}
