//! Letters in doubt, letters that are kept, and letters that replay by themselves.

use super::Subject;
use super::samples::{
    DAY, LEASE, TENANT, dead, fresh, intent, letter_id, nested, new_run, now, owner, put_letter, redrive, run, run_id,
    settled, succeeded,
};
use crate::ports::store::{Append, Claim, LetterChange, LetterFilter, Resolution, Store, StoreError};
use crate::records::{LetterRecord, RunRecord};
use fusebox_core::ids::OwnerId;
use std::fmt::Debug;
use std::time::Duration;

fn assert_refused<T: Debug>(result: &Result<T, StoreError>, why: &str) {
    let said = matches!(result, Err(StoreError::Refused { what }) if what.contains(why));
    assert!(said, "{result:?}");
}

/// Run number 1 ended in doubt about its effects 2 and 3, and about effect 1 of its child, run number 2, which effect 4 called.
async fn doubtful(store: &dyn Store) {
    let new = new_run(1, Some("k"));
    let fence = fresh(store, new.clone()).await;
    let mut call = settled(4, 2);
    call.kind = "call".to_owned();
    let append = Append {
        records: vec![settled(1, 1), intent(2), intent(3), call],
        ..Append::default()
    };
    store.append(TENANT, &new.run.id, &fence, append).await.unwrap();
    let child = nested(2, 1, 4);
    store.claim_nested(child.clone(), &fence).await.unwrap();
    let mut ended = dead(&child.run, 9);
    ended.letter = LetterChange::None;
    ended.run.state = "in-doubt".to_owned();
    ended.run.in_doubt = vec![1];
    ended.journal = vec![intent(1)];
    store.finish_nested(&fence, ended).await.unwrap();
    let mut finish = dead(&new.run, 1);
    finish.run.state = "in-doubt".to_owned();
    finish.run.in_doubt = vec![2, 3, 4];
    if let LetterChange::Enqueue(letter) = &mut finish.letter {
        letter.kind = "in-doubt".to_owned();
        letter.run = finish.run.clone();
    }
    store.finish(&fence, finish).await.unwrap();
}

async fn resolve(store: &dyn Store, resolution: Resolution) -> Result<LetterRecord, StoreError> {
    store.resolve(TENANT, &letter_id(1), resolution).await
}

fn happened(n: u64, seq: u32) -> Resolution {
    Resolution::Happened {
        run: run_id(n),
        record: Box::new(settled(seq, 5)),
        drop: Vec::new(),
    }
}

fn not_happened(n: u64, seq: u32, drop: Vec<u32>) -> Resolution {
    Resolution::NotHappened {
        run: run_id(n),
        seq,
        drop,
    }
}

pub async fn a_letter_goes_on_once_nothing_is_in_doubt(subject: &dyn Subject) {
    let store = subject.store();
    doubtful(&*store).await;
    let again = new_run(3, Some("k"));
    assert!(matches!(store.claim(again).await.unwrap(), Claim::Joined { .. }));
    let letter = resolve(&*store, happened(1, 2)).await.unwrap();
    assert_eq!((letter.kind.as_str(), &letter.run.in_doubt), ("in-doubt", &vec![3, 4]));
    let letter = resolve(&*store, not_happened(1, 3, vec![4])).await.unwrap();
    assert_eq!((letter.kind.as_str(), &letter.run.in_doubt), ("in-doubt", &vec![]));
    let leased = store.lease_letter(TENANT, &letter_id(1), &owner(2), LEASE).await;
    assert_refused(&leased, "is in doubt");
    let letter = resolve(&*store, happened(2, 1)).await.unwrap();
    assert_eq!((letter.kind.as_str(), letter.state.as_str()), ("retryable", "open"));
    assert_eq!(
        store.run(TENANT, &run_id(1)).await.unwrap().unwrap().state,
        "dead-lettered"
    );
    assert_eq!(
        store.journal(TENANT, &run_id(1)).await.unwrap(),
        [settled(1, 1), settled(2, 5)]
    );
    assert_eq!(store.journal(TENANT, &run_id(2)).await.unwrap(), [settled(1, 5)]);
    assert_refused(&resolve(&*store, happened(1, 1)).await, "nothing of it is in doubt");
    let leased = store.lease_letter(TENANT, &letter_id(1), &owner(2), LEASE).await;
    assert!(leased.unwrap().0.run.in_doubt.is_empty());
}

pub async fn a_call_is_not_in_doubt_by_itself(subject: &dyn Subject) {
    let store = subject.store();
    doubtful(&*store).await;
    resolve(&*store, happened(1, 2)).await.unwrap();
    resolve(&*store, happened(2, 1)).await.unwrap();
    let letter = resolve(&*store, happened(1, 3)).await.unwrap();
    assert_eq!((letter.kind.as_str(), &letter.run.in_doubt), ("retryable", &vec![4]));
}

pub async fn what_is_not_in_doubt_is_not_resolved(subject: &dyn Subject) {
    let store = subject.store();
    doubtful(&*store).await;
    assert_refused(&resolve(&*store, happened(1, 9)).await, "has no effect 9");
    assert_refused(
        &resolve(&*store, not_happened(7, 1, Vec::new())).await,
        "is not part of run",
    );
    put_letter(&*store, 3, |_| ()).await;
    let other = store.resolve(TENANT, &letter_id(3), happened(3, 1)).await;
    assert_refused(&other, "is retryable");
    let none = store.resolve(TENANT, &letter_id(8), happened(1, 2)).await;
    assert_refused(&none, "there is no letter");
    let stranger = Resolution::Close {
        run: Box::new(succeeded(&run(3))),
    };
    assert_refused(&resolve(&*store, stranger).await, "is that of run");
    let letter = store.letter(TENANT, &letter_id(1)).await.unwrap().unwrap();
    assert_eq!((letter.state.as_str(), letter.run.in_doubt), ("open", vec![2, 3, 4]));
}

pub async fn a_person_can_close_a_letter_with_an_outcome(subject: &dyn Subject) {
    let store = subject.store();
    doubtful(&*store).await;
    subject.pass(10 * DAY).await;
    let before = store.run(TENANT, &run_id(1)).await.unwrap().unwrap();
    let over = RunRecord {
        in_doubt: Vec::new(),
        ..succeeded(&before)
    };
    let close = Resolution::Close {
        run: Box::new(over.clone()),
    };
    let letter = resolve(&*store, close).await.unwrap();
    assert_eq!(letter.state, "resolved");
    assert!(
        store
            .letters(TENANT, &LetterFilter::default())
            .await
            .unwrap()
            .is_empty()
    );
    assert_eq!(store.journal(TENANT, &run_id(1)).await.unwrap(), []);
    assert_eq!(store.run(TENANT, &run_id(2)).await.unwrap().unwrap().state, "failed");
    // The lifetime of the result starts now.
    subject.pass(DAY / 2).await;
    let stored = store.claim(new_run(5, Some("k"))).await.unwrap();
    assert!(
        matches!(stored, Claim::Stored(run) if run.output == over.output),
        "the outcome is what the person said"
    );
}

pub async fn a_pinned_letter_is_neither_purged_nor_forgotten(subject: &dyn Subject) {
    let store = subject.store();
    for n in 1..=3 {
        put_letter(&*store, n, |letter| letter.expires = Some(now() + 1000)).await;
    }
    let pin = async |n: u64, pinned: bool| store.pin(TENANT, &letter_id(n), pinned).await.unwrap();
    assert!(pin(1, true).await && !pin(9, true).await);
    assert!(store.letter(TENANT, &letter_id(1)).await.unwrap().unwrap().pinned);
    assert!(store.expired(TENANT).await.unwrap().is_empty());
    assert!(store.purge(TENANT, &[letter_id(1)]).await.unwrap().is_empty());
    subject.pass(DAY).await;
    assert_eq!(store.expired(TENANT).await.unwrap(), [2, 3].map(letter_id));
    assert_eq!(store.retain(TENANT, 30 * DAY).await.unwrap(), 2);
    // A replay that fails again leaves it pinned.
    let leased = store.lease_letter(TENANT, &letter_id(1), &owner(1), LEASE).await;
    let (leased, fence) = leased.unwrap();
    assert!(store.expired(TENANT).await.unwrap().is_empty());
    store.finish(&fence, dead(&leased.run, 8)).await.unwrap();
    assert!(store.letter(TENANT, &letter_id(1)).await.unwrap().unwrap().pinned);
    assert!(pin(1, false).await);
    assert_eq!(store.purge(TENANT, &[letter_id(1)]).await.unwrap(), [letter_id(1)]);
    // Closed and pinned, it keeps its run.
    assert!(pin(1, true).await);
    subject.pass(40 * DAY).await;
    store.retain(TENANT, DAY).await.unwrap();
    let left = async |n: u64| store.letter(TENANT, &letter_id(n)).await.unwrap().is_some();
    assert!(left(1).await && !left(2).await);
}

pub async fn what_would_expire_is_listed_by_kind(subject: &dyn Subject) {
    let store = subject.store();
    for (n, kind) in [
        (1, "retryable"),
        (2, "known-bad"),
        (3, "in-doubt"),
        (4, "known-bad"),
        (5, "retryable"),
    ] {
        put_letter(&*store, n, |letter| {
            letter.kind = kind.to_owned();
            letter.first_failed = 1000 - i64::try_from(n).unwrap();
            letter.expires = Some(1000).filter(|_| n != 5);
        })
        .await;
    }
    assert_eq!(store.expired(TENANT).await.unwrap(), [4, 2, 1].map(letter_id));
    assert!(store.expired("other").await.unwrap().is_empty());
}

pub async fn letters_wait_for_their_service_fewest_replayed_first(subject: &dyn Subject) {
    let store = subject.store();
    let mut put = Vec::new();
    for n in 1..=8 {
        let mut finish = dead(&run(n), n);
        if let LetterChange::Enqueue(letter) = &mut finish.letter {
            letter.auto_replay = n != 5;
            letter.first_failed = 1000 - i64::try_from(n).unwrap();
            letter.replays = u32::from(n == 4);
            letter.not_before = Some(now() + 3_600_000).filter(|_| n == 6);
            letter.kind = ["retryable", "known-bad"][usize::from(n == 7)].to_owned();
            if n == 8 {
                finish.run.tenant = "other".to_owned();
                letter.tenant = "other".to_owned();
            }
        }
        put.push(finish);
    }
    store.record_finished(put).await.unwrap();
    let waiting = async |limit: u32| {
        let letters = store.waiting(limit).await.unwrap();
        letters.into_iter().map(|letter| letter.id).collect::<Vec<_>>()
    };
    assert_eq!(waiting(0).await, [8, 3, 2, 1, 4].map(letter_id));
    assert_eq!(waiting(2).await, [8, 3].map(letter_id));
    let leased = store.lease_letter(TENANT, &letter_id(3), &owner(1), LEASE).await;
    let (_, fence) = leased.unwrap();
    assert_eq!(waiting(0).await, [8, 2, 1, 4].map(letter_id));
    store.release_letter(TENANT, &letter_id(3), &fence).await.unwrap();
    store.purge(TENANT, &[letter_id(2)]).await.unwrap();
    assert_eq!(waiting(0).await, [8, 3, 1, 4].map(letter_id));
    subject.pass(DAY).await;
    assert_eq!(waiting(0).await, [8, 6, 3, 1, 4].map(letter_id));
}

pub async fn bulk_replays_are_kept_with_how_far_they_are(subject: &dyn Subject) {
    let store = subject.store();
    let (first, mut second) = (redrive(1), redrive(2));
    store.put_redrive(&first).await.unwrap();
    store.put_redrive(&second).await.unwrap();
    second.succeeded = 3;
    second.last = Some(letter_id(3));
    store.put_redrive(&second).await.unwrap();
    assert_eq!(store.redrives(TENANT).await.unwrap(), [second.clone(), first.clone()]);
    assert!(store.redrives("other").await.unwrap().is_empty());
    second.state = "done".to_owned();
    second.ended = Some(now());
    store.put_redrive(&second).await.unwrap();
    subject.pass(3 * DAY).await;
    assert_eq!(store.retain(TENANT, DAY).await.unwrap(), 1);
    assert_eq!(store.redrives(TENANT).await.unwrap(), [first]);
}

pub async fn a_bulk_replay_is_carried_out_by_one_at_a_time(subject: &dyn Subject) {
    let store = subject.store();
    let (first, mut second) = (redrive(1), redrive(2));
    let hold = async |n, who: &OwnerId, time| store.hold_redrive(TENANT, &redrive(n).id, who, time).await.unwrap();
    let (one, other) = (owner(1), owner(2));
    assert!(!hold(1, &one, LEASE).await, "there is none");
    store.put_redrive(&first).await.unwrap();
    store.put_redrive(&second).await.unwrap();
    assert_eq!(store.running_redrives().await.unwrap(), [first.clone(), second.clone()]);
    assert!(hold(1, &one, LEASE).await);
    assert!(!hold(1, &other, LEASE).await);
    assert!(hold(2, &other, LEASE).await, "each is held on its own");
    // How far it is says nothing about who has it.
    store.put_redrive(&first).await.unwrap();
    assert!(!hold(1, &other, LEASE).await);
    subject.pass(LEASE / 2).await;
    assert!(hold(1, &one, LEASE).await, "whoever has it renews it");
    subject.pass(LEASE / 2).await;
    assert!(!hold(1, &other, LEASE).await);
    subject.pass(LEASE).await;
    assert!(hold(1, &other, LEASE).await, "whoever is gone holds it no longer");
    assert!(!hold(1, &one, LEASE).await);
    assert!(hold(1, &other, Duration::ZERO).await);
    assert!(hold(1, &one, LEASE).await, "it was given back");
    assert!(!store.hold_redrive("other", &first.id, &one, LEASE).await.unwrap());
    second.state = "done".to_owned();
    second.ended = Some(now());
    store.put_redrive(&second).await.unwrap();
    assert!(!hold(2, &other, LEASE).await, "it is over");
    assert_eq!(store.running_redrives().await.unwrap(), [first]);
}
