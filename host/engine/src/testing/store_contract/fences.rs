//! Fences: who lost a run writes nothing to it, and what is written is written whole.

use super::Subject;
use super::samples::{
    LEASE, TENANT, attempt, dead, fresh, letter_id, new_run, owner, put_letter, run, run_id, succeeded, success,
};
use crate::ports::store::{Fence, Finish, LetterChange, Store, StoreError};
use crate::records::RunRecord;
use std::fmt::Debug;
use std::sync::Arc;

fn assert_fenced<T: Debug>(result: &Result<T, StoreError>) {
    assert!(matches!(result, Err(StoreError::Fenced { .. })), "{result:?}");
}

/// Every write of an owner is refused, and leaves the run as it is.
async fn assert_lost(store: &dyn Store, run: &RunRecord, fence: &Fence) {
    let before = store.run(TENANT, &run.id).await.unwrap();
    assert_fenced(&store.renew(TENANT, &run.id, fence, LEASE).await);
    assert_fenced(&store.record_attempt(TENANT, &run.id, fence, &attempt(7)).await);
    assert_fenced(&store.finish(fence, dead(run, 70)).await);
    assert_eq!(store.run(TENANT, &run.id).await.unwrap(), before);
    assert_eq!(store.letter(TENANT, &letter_id(70)).await.unwrap(), None);
}

pub async fn case_36_a_lease_that_ended_takes_no_commit(subject: &dyn Subject) {
    let store = subject.store();
    let new = new_run(1, Some("k"));
    let fence = fresh(&*store, new.clone()).await;
    subject.pass(2 * LEASE).await;
    assert_lost(&*store, &new.run, &fence).await;
}

pub async fn case_37_after_a_takeover_only_the_rescuer_may_finish(subject: &dyn Subject) {
    let store = subject.store();
    put_letter(&*store, 1, |_| ()).await;
    let (_, old) = store
        .lease_letter(TENANT, &letter_id(1), &owner(1), LEASE)
        .await
        .unwrap();
    subject.pass(2 * LEASE).await;
    let (letter, new) = store
        .lease_letter(TENANT, &letter_id(1), &owner(2), LEASE)
        .await
        .unwrap();
    assert_lost(&*store, &letter.run, &old).await;
    assert_fenced(&store.release_letter(TENANT, &letter_id(1), &old).await);
    let close = Finish {
        letter: LetterChange::Close,
        ..success(&letter.run)
    };
    let (late, in_time) = tokio::join!(store.finish(&old, close.clone()), store.finish(&new, close));
    assert_fenced(&late);
    in_time.unwrap();
}

pub async fn case_38_attempts_are_counted_on_over_every_crash(subject: &dyn Subject) {
    let store = subject.store();
    let new = new_run(1, None);
    let fence = fresh(&*store, new.clone()).await;
    for n in 1..=3 {
        store
            .record_attempt(TENANT, &new.run.id, &fence, &attempt(n))
            .await
            .unwrap();
    }
    let numbers = |run: RunRecord| run.attempts.iter().map(|a| a.number).collect::<Vec<_>>();
    let run = store.run(TENANT, &new.run.id).await.unwrap().unwrap();
    assert_eq!(numbers(run), [1, 2, 3]);
    // The attempts of the end are all there are.
    let mut finish = dead(&new.run, 1);
    finish.run.attempts = (1..=4).map(attempt).collect();
    store.finish(&fence, finish).await.unwrap();
    let (letter, fence) = store
        .lease_letter(TENANT, &letter_id(1), &owner(2), LEASE)
        .await
        .unwrap();
    assert_eq!(numbers(letter.run), [1, 2, 3, 4]);
    store
        .record_attempt(TENANT, &new.run.id, &fence, &attempt(5))
        .await
        .unwrap();
    subject.pass(2 * LEASE).await;
    let (letter, _) = store
        .lease_letter(TENANT, &letter_id(1), &owner(3), LEASE)
        .await
        .unwrap();
    assert_eq!(numbers(letter.run), [1, 2, 3, 4, 5]);
}

pub async fn another_owner_or_epoch_is_fenced(subject: &dyn Subject) {
    let store = subject.store();
    let new = new_run(1, None);
    let fence = fresh(&*store, new.clone()).await;
    let stranger = Fence {
        owner: owner(9),
        ..fence.clone()
    };
    assert_lost(&*store, &new.run, &stranger).await;
    for epoch in [fence.epoch - 1, fence.epoch + 1] {
        assert_lost(&*store, &new.run, &Fence { epoch, ..fence.clone() }).await;
    }
    assert_lost(&*store, &run(2), &fence).await;
}

pub async fn a_renewed_lease_lasts_longer(subject: &dyn Subject) {
    let store = subject.store();
    let new = new_run(1, None);
    let fence = fresh(&*store, new.clone()).await;
    for _ in 0..3 {
        subject.pass(LEASE * 3 / 4).await;
        store.renew(TENANT, &new.run.id, &fence, LEASE).await.unwrap();
    }
    subject.pass(LEASE * 3 / 4).await;
    store.finish(&fence, success(&new.run)).await.unwrap();
}

pub async fn a_run_ends_once(subject: &dyn Subject) {
    let store = subject.store();
    let new = new_run(1, None);
    let fence = fresh(&*store, new.clone()).await;
    let finish = success(&new.run);
    store.finish(&fence, finish.clone()).await.unwrap();
    assert_eq!(store.run(TENANT, &new.run.id).await.unwrap(), Some(finish.run));
    assert_lost(&*store, &new.run, &fence).await;
}

pub async fn a_refused_finish_changes_nothing(subject: &dyn Subject) {
    let store = subject.store();
    put_letter(&*store, 1, |_| ()).await;
    let new = new_run(2, Some("k"));
    let fence = fresh(&*store, new.clone()).await;
    let taken = store.finish(&fence, dead(&new.run, 1)).await;
    assert!(matches!(taken, Err(StoreError::Refused { .. })), "{taken:?}");
    assert_eq!(store.run(TENANT, &run_id(2)).await.unwrap(), Some(new.run.clone()));
    assert_eq!(
        store.letter(TENANT, &letter_id(1)).await.unwrap().unwrap().run.id,
        run_id(1)
    );
    store.finish(&fence, dead(&new.run, 2)).await.unwrap();
}

pub async fn recorded_runs_are_all_there_or_none(subject: &dyn Subject) {
    let store = subject.store();
    fresh(&*store, new_run(3, None)).await;
    let finished: Vec<Finish> = (1..=3).map(|n| dead(&run(n), n)).collect();
    let refused = store.record_finished(finished.clone()).await;
    assert!(matches!(refused, Err(StoreError::Refused { .. })), "{refused:?}");
    assert_eq!(store.run(TENANT, &run_id(1)).await.unwrap(), None);
    assert!(store.letters(TENANT, &Default::default()).await.unwrap().is_empty());
    let both = Arc::clone(&store).record_finished(finished[..2].to_vec()).await;
    both.unwrap();
    assert_eq!(store.letters(TENANT, &Default::default()).await.unwrap().len(), 2);
    let recorded = store.run(TENANT, &run_id(1)).await.unwrap().unwrap();
    assert_eq!(recorded.letter, Some(letter_id(1)));
    assert_eq!(recorded.attempts, finished[0].run.attempts);
    assert_ne!(recorded.state, succeeded(&run(1)).state);
}
