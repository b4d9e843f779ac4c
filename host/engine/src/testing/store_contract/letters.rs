//! Letters: written with the end of a run, leased once at a time, closed once.

use super::Subject;
use super::samples::{
    LEASE, TENANT, attempt, dead, failed, fresh, letter, letter_id, new_run, owner, page, put_letter, run_id, snapshot,
    success,
};
use crate::ports::store::{Finish, LetterChange, LetterFilter, RunFilter, Store, StoreError};
use futures::future::join_all;
use std::fmt::Debug;
use std::sync::Arc;

fn assert_refused<T: Debug>(result: &Result<T, StoreError>) {
    assert!(matches!(result, Err(StoreError::Refused { .. })), "{result:?}");
}

/// A run that is dead-lettered under letter number 1, and its letter.
async fn lettered(store: &dyn Store) -> crate::records::LetterRecord {
    let new = new_run(1, Some("k"));
    let fence = fresh(store, new.clone()).await;
    store.put_pages(TENANT, &[page(1), page(2)]).await.unwrap();
    let mut finish = dead(&new.run, 1);
    if let LetterChange::Enqueue(letter) = &mut finish.letter {
        letter.snapshot = Some(snapshot(&[page(1), page(2)]));
    }
    store.finish(&fence, finish).await.unwrap();
    store.letter(TENANT, &letter_id(1)).await.unwrap().unwrap()
}

pub async fn a_finish_enqueues_updates_and_closes_the_letter(subject: &dyn Subject) {
    let store = subject.store();
    let first = lettered(&*store).await;
    assert_eq!((first.state.as_str(), first.replays), ("open", 0));
    assert_eq!(first.run.letter, Some(letter_id(1)));
    let kept = first.snapshot.clone().unwrap();
    assert!(kept.pages.is_empty(), "pages are blobs of their own");
    assert_eq!(kept.instances, snapshot(&[page(1), page(2)]).instances);
    assert_eq!(store.letter_of(TENANT, &run_id(1)).await.unwrap(), Some(first.clone()));

    let (leased, fence) = store
        .lease_letter(TENANT, &letter_id(1), &owner(2), LEASE)
        .await
        .unwrap();
    assert_eq!(
        (leased.state.as_str(), leased.replays, leased.run.state.as_str()),
        ("replaying", 1, "running")
    );
    assert_eq!(leased.run.attempts.len(), 2);
    let run = failed(&leased.run, "dead-lettered");
    let mut again = letter(9, &run);
    again.class = "throttled".to_owned();
    let update = Finish {
        letter: LetterChange::Enqueue(Box::new(again.clone())),
        keep_key: true,
        run,
        journal: Vec::new(),
    };
    store.finish(&fence, update).await.unwrap();
    let second = store.letter_of(TENANT, &run_id(1)).await.unwrap().unwrap();
    let same = (
        second.id.clone(),
        second.first_failed,
        second.replays,
        second.state.as_str(),
    );
    assert_eq!(same, (letter_id(1), first.first_failed, 1, "open"));
    assert_eq!(
        (second.class.as_str(), second.last_failed),
        ("throttled", again.last_failed)
    );
    assert_eq!(second.snapshot, None);
    assert_eq!(store.letter(TENANT, &letter_id(9)).await.unwrap(), None);

    let (leased, fence) = store
        .lease_letter(TENANT, &letter_id(1), &owner(3), LEASE)
        .await
        .unwrap();
    let close = Finish {
        letter: LetterChange::Close,
        ..success(&leased.run)
    };
    store.finish(&fence, close).await.unwrap();
    let closed = store.letter(TENANT, &letter_id(1)).await.unwrap().unwrap();
    assert_eq!((closed.state.as_str(), closed.replays), ("replayed", 2));
    let run = store.run(TENANT, &run_id(1)).await.unwrap().unwrap();
    assert_eq!((run.state.as_str(), run.letter), ("succeeded", Some(letter_id(1))));
    assert!(
        store
            .letters(TENANT, &LetterFilter::default())
            .await
            .unwrap()
            .is_empty()
    );
}

pub async fn a_finish_without_a_change_gives_a_leased_letter_back(subject: &dyn Subject) {
    let store = subject.store();
    lettered(&*store).await;
    let (leased, fence) = store
        .lease_letter(TENANT, &letter_id(1), &owner(2), LEASE)
        .await
        .unwrap();
    let cancelled = Finish {
        run: failed(&leased.run, "cancelled"),
        keep_key: true,
        letter: LetterChange::None,
        journal: Vec::new(),
    };
    store.finish(&fence, cancelled).await.unwrap();
    let letter = store.letter(TENANT, &letter_id(1)).await.unwrap().unwrap();
    assert_eq!((letter.state.as_str(), letter.replays), ("open", 1));
}

pub async fn case_43_of_many_replayers_one_gets_the_letter(subject: &dyn Subject) {
    let store = subject.store();
    lettered(&*store).await;
    let racers = (1..=32).map(|n| {
        let store = Arc::clone(&store);
        tokio::spawn(async move { store.lease_letter(TENANT, &letter_id(1), &owner(n), LEASE).await })
    });
    let results: Vec<_> = join_all(racers).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
    results.iter().filter(|result| result.is_err()).for_each(assert_refused);
    assert_eq!(store.letter(TENANT, &letter_id(1)).await.unwrap().unwrap().replays, 1);
}

pub async fn case_44_a_letter_whose_replayer_died_is_open_again(subject: &dyn Subject) {
    let store = subject.store();
    lettered(&*store).await;
    store
        .lease_letter(TENANT, &letter_id(1), &owner(2), LEASE)
        .await
        .unwrap();
    let replaying = store.letters(TENANT, &LetterFilter::default()).await.unwrap();
    assert_eq!(replaying[0].state, "replaying");
    subject.pass(2 * LEASE).await;
    let letter = store.letter(TENANT, &letter_id(1)).await.unwrap().unwrap();
    assert_eq!((letter.state.as_str(), letter.replays), ("open", 1));
    let run = store.run(TENANT, &run_id(1)).await.unwrap().unwrap();
    assert_eq!(run.state, "dead-lettered");
    let (leased, _) = store
        .lease_letter(TENANT, &letter_id(1), &owner(3), LEASE)
        .await
        .unwrap();
    assert_eq!(leased.replays, 2);
}

pub async fn a_released_letter_is_as_before(subject: &dyn Subject) {
    let store = subject.store();
    let before = lettered(&*store).await;
    let run = store.run(TENANT, &run_id(1)).await.unwrap();
    let (_, fence) = store
        .lease_letter(TENANT, &letter_id(1), &owner(2), LEASE)
        .await
        .unwrap();
    let running = store.run(TENANT, &run_id(1)).await.unwrap().unwrap();
    assert_eq!((running.state.as_str(), running.finished), ("running", None));
    store.release_letter(TENANT, &letter_id(1), &fence).await.unwrap();
    assert_eq!(store.letter(TENANT, &letter_id(1)).await.unwrap(), Some(before));
    assert_eq!(store.run(TENANT, &run_id(1)).await.unwrap(), run);
    let again = store.release_letter(TENANT, &letter_id(1), &fence).await;
    assert!(matches!(again, Err(StoreError::Fenced { .. })), "{again:?}");
    let attempt = store.record_attempt(TENANT, &run_id(1), &fence, &attempt(3)).await;
    assert!(matches!(attempt, Err(StoreError::Fenced { .. })), "{attempt:?}");
}

pub async fn letters_that_are_closed_or_in_doubt_are_not_leased(subject: &dyn Subject) {
    let store = subject.store();
    put_letter(&*store, 1, |letter| letter.kind = "in-doubt".to_owned()).await;
    put_letter(&*store, 2, |_| ()).await;
    store.purge(TENANT, &[letter_id(2)]).await.unwrap();
    for n in 1..=3 {
        assert_refused(&store.lease_letter(TENANT, &letter_id(n), &owner(n), LEASE).await);
    }
}

pub async fn letters_are_listed_oldest_first_and_by_filter(subject: &dyn Subject) {
    let store = subject.store();
    for n in [3, 1, 2] {
        put_letter(&*store, n, |letter| {
            letter.first_failed = 1000 - i64::try_from(n).unwrap();
            letter.last_failed = i64::try_from(n).unwrap() * 10;
            letter.service = Some(format!("service-{n}")).filter(|_| n != 3);
            letter.class = ["transient", "throttled"][usize::from(n == 2)].to_owned();
        })
        .await;
    }
    store.purge(TENANT, &[letter_id(1)]).await.unwrap();
    let ids = async |filter: LetterFilter| {
        let letters = store.letters(TENANT, &filter).await.unwrap();
        letters.into_iter().map(|letter| letter.id).collect::<Vec<_>>()
    };
    let all = LetterFilter {
        closed: true,
        ..LetterFilter::default()
    };
    let of = |n: &[u64]| n.iter().map(|n| letter_id(*n)).collect::<Vec<_>>();
    assert_eq!(ids(LetterFilter::default()).await, of(&[3, 2]));
    assert_eq!(ids(all.clone()).await, of(&[3, 2, 1]));
    assert_eq!(
        ids(LetterFilter {
            limit: 2,
            ..all.clone()
        })
        .await,
        of(&[3, 2])
    );
    let service = Some("service-1".to_owned());
    assert_eq!(ids(LetterFilter { service, ..all.clone() }).await, of(&[1]));
    let class = Some("throttled".to_owned());
    assert_eq!(ids(LetterFilter { class, ..all.clone() }).await, of(&[2]));
    let since = Some(20);
    assert_eq!(ids(LetterFilter { since, ..all.clone() }).await, of(&[3, 2]));
    let tool = Some("search".to_owned());
    assert_eq!(ids(LetterFilter { tool, ..all.clone() }).await, of(&[3, 2, 1]));
    let tool = Some("mail".to_owned());
    assert_eq!(ids(LetterFilter { tool, ..all }).await, of(&[]));
}

pub async fn runs_are_listed_newest_first_and_by_filter(subject: &dyn Subject) {
    let store = subject.store();
    for n in 1..=4_u64 {
        let mut new = new_run(n, None);
        new.run.created = 1000 + i64::try_from(n).unwrap();
        new.run.tool = ["search", "mail"][usize::from(n == 4)].to_owned();
        let fence = fresh(&*store, new.clone()).await;
        match n {
            2 => store.finish(&fence, success(&new.run)).await.unwrap(),
            3 | 4 => store.finish(&fence, dead(&new.run, n)).await.unwrap(),
            _ => {}
        }
    }
    store
        .lease_letter(TENANT, &letter_id(3), &owner(9), LEASE)
        .await
        .unwrap();
    let ids = async |filter: RunFilter| {
        let runs = store.runs(TENANT, &filter).await.unwrap();
        runs.into_iter().map(|run| run.id).collect::<Vec<_>>()
    };
    let of = |n: &[u64]| n.iter().map(|n| run_id(*n)).collect::<Vec<_>>();
    let state = |state: &str| RunFilter {
        state: Some(state.to_owned()),
        ..RunFilter::default()
    };
    assert_eq!(ids(RunFilter::default()).await, of(&[4, 3, 2, 1]));
    assert_eq!(
        ids(RunFilter {
            limit: 2,
            ..RunFilter::default()
        })
        .await,
        of(&[4, 3])
    );
    assert_eq!(ids(state("running")).await, of(&[3, 1]));
    assert_eq!(ids(state("dead-lettered")).await, of(&[4]));
    assert_eq!(ids(state("succeeded")).await, of(&[2]));
    let tool = Some("search".to_owned());
    assert_eq!(
        ids(RunFilter {
            tool,
            ..RunFilter::default()
        })
        .await,
        of(&[3, 2, 1])
    );
    let since = Some(1003);
    assert_eq!(
        ids(RunFilter {
            since,
            ..RunFilter::default()
        })
        .await,
        of(&[4, 3])
    );
}
