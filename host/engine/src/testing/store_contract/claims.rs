//! Claims: a key belongs to one run, whoever asks and however many at once.

use super::Subject;
use super::samples::{DAY, LEASE, TENANT, dead, fresh, letter_id, new_run, run_id, success};
use crate::ports::store::{Claim, Finish, NewRun, StoreError};
use crate::requests::digest_of;
use futures::future::join_all;
use std::sync::Arc;

/// The run that a claim joined.
fn joined(claim: Claim) -> (crate::records::RunRecord, bool) {
    match claim {
        Claim::Joined { run, alive } => (*run, alive),
        other => panic!("not joined: {other:?}"),
    }
}

pub async fn a_fresh_run_is_running(subject: &dyn Subject) {
    let store = subject.store();
    let new = new_run(1, Some("k"));
    let fence = fresh(&*store, new.clone()).await;
    assert_eq!(fence.owner, new.owner);
    assert_eq!(store.run(TENANT, &new.run.id).await.unwrap(), Some(new.run));
}

pub async fn case_31_of_many_racers_one_executes(subject: &dyn Subject) {
    let store = subject.store();
    let racers = (1..=64).map(|n| {
        let store = Arc::clone(&store);
        tokio::spawn(async move { store.claim(new_run(n, Some("k"))).await.unwrap() })
    });
    let claims: Vec<Claim> = join_all(racers).await.into_iter().map(Result::unwrap).collect();
    let winners = claims.iter().filter(|claim| matches!(claim, Claim::Fresh(_))).count();
    assert_eq!(winners, 1);
    let runs = store.runs(TENANT, &Default::default()).await.unwrap();
    assert_eq!(runs.len(), 1);
    for claim in claims.into_iter().filter(|claim| !matches!(claim, Claim::Fresh(_))) {
        let (run, alive) = joined(claim);
        assert_eq!((run.id, alive), (runs[0].id.clone(), true));
    }
}

pub async fn case_32_the_same_key_with_another_payload_conflicts_in_flight_and_after(subject: &dyn Subject) {
    let store = subject.store();
    let first = new_run(1, Some("k"));
    let fence = fresh(&*store, first.clone()).await;
    let mut other = new_run(2, Some("k"));
    other.run.fingerprint = digest_of(b"another payload");
    let conflict = Claim::Conflict(run_id(1));
    assert_eq!(store.claim(other.clone()).await.unwrap(), conflict);
    store.finish(&fence, success(&first.run)).await.unwrap();
    assert_eq!(store.claim(other.clone()).await.unwrap(), conflict);
    assert_eq!(store.run(TENANT, &other.run.id).await.unwrap(), None);
}

pub async fn case_40_the_lifetime_of_a_result_starts_at_its_end(subject: &dyn Subject) {
    let store = subject.store();
    let first = NewRun {
        lease: 10 * DAY,
        ..new_run(1, Some("k"))
    };
    let fence = fresh(&*store, first.clone()).await;
    subject.pass(2 * DAY).await;
    let (run, alive) = joined(store.claim(new_run(2, Some("k"))).await.unwrap());
    assert_eq!((run.id, alive), (run_id(1), true));
    let finish = success(&first.run);
    store.finish(&fence, finish.clone()).await.unwrap();
    subject.pass(DAY - LEASE).await;
    let stored = store.claim(new_run(3, Some("k"))).await.unwrap();
    assert_eq!(stored, Claim::Stored(Box::new(finish.run)));
    subject.pass(2 * LEASE).await;
    fresh(&*store, new_run(4, Some("k"))).await;
}

pub async fn case_42_two_tenants_with_one_key_are_apart(subject: &dyn Subject) {
    let store = subject.store();
    let mut other = new_run(1, Some("k"));
    other.run.tenant = "other".to_owned();
    other.run.fingerprint = digest_of(b"another payload");
    let (ours, theirs) = (fresh(&*store, new_run(1, Some("k"))), fresh(&*store, other.clone()));
    let (_, theirs) = tokio::join!(ours, theirs);
    store.finish(&theirs, success(&other.run)).await.unwrap();
    joined(store.claim(new_run(2, Some("k"))).await.unwrap());
}

pub async fn case_61_a_key_belongs_to_its_run_until_the_letter_is_closed(subject: &dyn Subject) {
    let store = subject.store();
    for (n, key) in [(1, "early"), (2, "late")] {
        let new = new_run(n, Some(key));
        let fence = fresh(&*store, new.clone()).await;
        let finish = Finish {
            keep_key: n == 1,
            ..dead(&new.run, n)
        };
        store.finish(&fence, finish).await.unwrap();
        let (run, alive) = joined(store.claim(new_run(n + 10, Some(key))).await.unwrap());
        assert_eq!(
            (run.letter, run.state.as_str(), alive),
            (Some(letter_id(n)), "dead-lettered", false)
        );
    }
    // Closed before the lifetime of its result is over: the outcome is still the run's.
    store.purge(TENANT, &[letter_id(1)]).await.unwrap();
    let stored = store.claim(new_run(21, Some("early"))).await.unwrap();
    assert!(matches!(stored, Claim::Stored(run) if run.id == run_id(1)));
    subject.pass(3 * DAY).await;
    fresh(&*store, new_run(22, Some("early"))).await;
    joined(store.claim(new_run(23, Some("late"))).await.unwrap());
    store.purge(TENANT, &[letter_id(2)]).await.unwrap();
    fresh(&*store, new_run(24, Some("late"))).await;
}

pub async fn a_key_that_is_not_kept_is_free_at_once(subject: &dyn Subject) {
    let store = subject.store();
    let first = new_run(1, Some("k"));
    let fence = fresh(&*store, first.clone()).await;
    let finish = Finish {
        keep_key: false,
        ..success(&first.run)
    };
    store.finish(&fence, finish).await.unwrap();
    fresh(&*store, new_run(2, Some("k"))).await;
    // The younger run has the key now, and the older one's end has nothing to do with it.
    let (run, _) = joined(store.claim(new_run(3, Some("k"))).await.unwrap());
    assert_eq!(run.id, run_id(2));
}

pub async fn a_joined_run_whose_lease_ended_is_not_alive(subject: &dyn Subject) {
    let store = subject.store();
    fresh(&*store, new_run(1, Some("k"))).await;
    subject.pass(2 * LEASE).await;
    let (run, alive) = joined(store.claim(new_run(2, Some("k"))).await.unwrap());
    assert_eq!((run.id, run.state.as_str(), alive), (run_id(1), "running", false));
}

pub async fn calls_without_a_key_never_meet(subject: &dyn Subject) {
    let store = subject.store();
    for n in 1..=3 {
        fresh(&*store, new_run(n, None)).await;
    }
}

pub async fn a_run_id_is_used_once(subject: &dyn Subject) {
    let store = subject.store();
    fresh(&*store, new_run(1, Some("k"))).await;
    let again = store.claim(new_run(1, Some("another"))).await;
    assert!(matches!(again, Err(StoreError::Refused { .. })), "{again:?}");
    // What was refused left no key behind.
    fresh(&*store, new_run(2, Some("another"))).await;
}
