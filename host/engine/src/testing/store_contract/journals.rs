//! Journals: appended under the root's fence, cut back to the resume point, and kept as long as somebody may go on.

use super::Subject;
use super::samples::{
    DAY, LEASE, TENANT, attempt, dead, failed, fresh, intent, letter_id, nested, new_run, owner, run_id, settled,
    success,
};
use crate::ports::store::{Append, Claim, Cut, Fence, Finish, LetterChange, Space, StateWrite, Store, StoreError};
use crate::records::JournalRecord;
use bytes::Bytes;
use std::fmt::Debug;
use std::sync::Arc;

fn assert_fenced<T: Debug>(result: &Result<T, StoreError>) {
    assert!(matches!(result, Err(StoreError::Fenced { .. })), "{result:?}");
}

fn records(records: Vec<JournalRecord>) -> Append {
    Append {
        records,
        ..Append::default()
    }
}

/// Run number 1 with a journal of three settled effects.
async fn journaled(store: &dyn Store) -> (crate::records::RunRecord, Fence) {
    let new = new_run(1, Some("k"));
    let fence = fresh(store, new.clone()).await;
    let append = records((1..=3).map(|n| settled(n, n)).collect());
    store.append(TENANT, &new.run.id, &fence, append).await.unwrap();
    (new.run, fence)
}

async fn journal(store: &dyn Store, n: u64) -> Vec<JournalRecord> {
    store.journal(TENANT, &run_id(n)).await.unwrap()
}

pub async fn what_is_appended_is_there_by_number(subject: &dyn Subject) {
    let store = subject.store();
    let new = new_run(1, None);
    let fence = fresh(&*store, new.clone()).await;
    let append = async |append: Append| store.append(TENANT, &new.run.id, &fence, append).await.unwrap();
    append(records(vec![intent(2)])).await;
    append(records(vec![settled(1, 1)])).await;
    assert_eq!(journal(&*store, 1).await, [settled(1, 1), intent(2)]);
    append(Append {
        rewound: Some((1, 42)),
        ..records(vec![settled(2, 2)])
    })
    .await;
    let mut rewound = settled(1, 1);
    rewound.settled.as_mut().unwrap().wall = 42;
    assert_eq!(journal(&*store, 1).await, [rewound.clone(), settled(2, 2)]);
    append(Append {
        rewound: Some((0, 43)),
        ..Append::default()
    })
    .await;
    let begun = store.run(TENANT, &run_id(1)).await.unwrap().unwrap();
    assert_eq!(
        (begun.clock, begun.state.as_str()),
        (43, "running"),
        "its guest began there"
    );
    assert_eq!(journal(&*store, 1).await, [rewound, settled(2, 2)]);
    assert_eq!(journal(&*store, 2).await, []);
}

pub async fn case_36_an_append_after_the_lease_fails_alone(subject: &dyn Subject) {
    let store = subject.store();
    let lost = new_run(1, None);
    let old = fresh(&*store, lost.clone()).await;
    subject.pass(2 * LEASE).await;
    let alive = new_run(2, None);
    let fence = fresh(&*store, alive.clone()).await;
    let appends = (1..=20_u32).map(|n| {
        let store = Arc::clone(&store);
        let (id, fence) = if n.is_multiple_of(5) {
            (lost.run.id.clone(), old.clone())
        } else {
            (alive.run.id.clone(), fence.clone())
        };
        tokio::spawn(async move { (n, store.append(TENANT, &id, &fence, records(vec![settled(n, n)])).await) })
    });
    for append in futures::future::join_all(appends).await {
        let (n, result) = append.unwrap();
        if n.is_multiple_of(5) {
            assert_fenced(&result);
        } else {
            result.unwrap();
        }
    }
    assert_eq!(journal(&*store, 2).await.len(), 16);
    assert_eq!(journal(&*store, 1).await, []);
    // Without records it is fenced all the same.
    let empty = store.append(TENANT, &lost.run.id, &old, Append::default()).await;
    assert_fenced(&empty);
}

pub async fn a_run_goes_on_from_its_resume_point(subject: &dyn Subject) {
    let store = subject.store();
    let (run, fence) = journaled(&*store).await;
    let cut = Cut {
        drop: vec![3, 9],
        reopen: vec![2],
    };
    let go_on = async |fence: &Fence| {
        let attempt = attempt(1);
        store.go_on(TENANT, &run.id, &run.id, fence, Some(&attempt), &cut).await
    };
    let stranger = Fence {
        owner: owner(9),
        ..fence.clone()
    };
    assert_fenced(&go_on(&stranger).await);
    assert_eq!(journal(&*store, 1).await.len(), 3);
    go_on(&fence).await.unwrap();
    assert_eq!(journal(&*store, 1).await, [settled(1, 1), intent(2)]);
    let run = store.run(TENANT, &run.id).await.unwrap().unwrap();
    assert_eq!(run.attempts, [attempt(1)]);
}

pub async fn a_success_leaves_no_journal(subject: &dyn Subject) {
    let store = subject.store();
    let (run, fence) = journaled(&*store).await;
    let child = nested(2, 1, 4);
    store.claim_nested(child.clone(), &fence).await.unwrap();
    let of_child = Append {
        run: Some(child.run.id.clone()),
        ..records(vec![settled(1, 1)])
    };
    store.append(TENANT, &run.id, &fence, of_child).await.unwrap();
    assert_eq!(journal(&*store, 2).await.len(), 1);
    let finish = Finish {
        journal: vec![settled(4, 4)],
        ..success(&run)
    };
    store.finish(&fence, finish).await.unwrap();
    assert_eq!(journal(&*store, 1).await, []);
    assert_eq!(journal(&*store, 2).await, []);
}

pub async fn a_failed_run_keeps_its_journal_for_seven_days(subject: &dyn Subject) {
    let store = subject.store();
    let (run, fence) = journaled(&*store).await;
    let finish = Finish {
        run: failed(&run, "failed"),
        keep_key: true,
        letter: LetterChange::None,
        journal: vec![settled(4, 4)],
    };
    store.finish(&fence, finish.clone()).await.unwrap();
    assert_eq!(journal(&*store, 1).await.len(), 4);
    subject.pass(6 * DAY).await;
    store.retain(TENANT, 2 * DAY).await.unwrap();
    // Resumed by hand, it has its key again: nobody starts it a second time.
    let taken = store.take_run(TENANT, &run.id, &owner(2), LEASE).await.unwrap();
    assert_eq!((taken.run.state.as_str(), taken.run.recoveries), ("running", 0));
    assert!(matches!(
        store.claim(new_run(5, Some("k"))).await.unwrap(),
        Claim::Joined { alive: true, .. }
    ));
    store.finish(&taken.fence, finish).await.unwrap();
    subject.pass(6 * DAY).await;
    store.retain(TENANT, 30 * DAY).await.unwrap();
    assert_eq!(journal(&*store, 1).await.len(), 4);
    subject.pass(2 * DAY).await;
    store.retain(TENANT, 30 * DAY).await.unwrap();
    assert_eq!(journal(&*store, 1).await, []);
    let late = store.take_run(TENANT, &run.id, &owner(2), LEASE).await;
    assert!(matches!(late, Err(StoreError::Refused { .. })), "{late:?}");
}

pub async fn a_run_whose_key_another_has_is_not_resumed(subject: &dyn Subject) {
    let store = subject.store();
    let (run, fence) = journaled(&*store).await;
    let finish = Finish {
        run: failed(&run, "failed"),
        keep_key: false,
        letter: LetterChange::None,
        journal: Vec::new(),
    };
    store.finish(&fence, finish).await.unwrap();
    fresh(&*store, new_run(2, Some("k"))).await;
    let taken = store.take_run(TENANT, &run.id, &owner(2), LEASE).await;
    assert!(matches!(taken, Err(StoreError::Refused { .. })), "{taken:?}");
    assert_eq!(store.run(TENANT, &run.id).await.unwrap().unwrap().state, "failed");
}

pub async fn a_letter_keeps_the_journal_until_it_is_closed(subject: &dyn Subject) {
    let store = subject.store();
    let (run, fence) = journaled(&*store).await;
    let finish = Finish {
        journal: vec![settled(4, 4)],
        ..dead(&run, 1)
    };
    store.finish(&fence, finish.clone()).await.unwrap();
    subject.pass(40 * DAY).await;
    store.retain(TENANT, DAY).await.unwrap();
    assert_eq!(journal(&*store, 1).await.len(), 4);
    let refused = store.take_run(TENANT, &run.id, &owner(2), LEASE).await;
    assert!(matches!(refused, Err(StoreError::Refused { .. })), "{refused:?}");
    let lease = async || {
        let leased = store.lease_letter(TENANT, &letter_id(1), &owner(2), LEASE).await;
        leased.unwrap()
    };
    // A replay adds to it, and the letter keeps that too.
    let (leased, fence) = lease().await;
    let more = records(vec![settled(5, 5)]);
    store.append(TENANT, &run.id, &fence, more).await.unwrap();
    let again = Finish {
        run: dead(&leased.run, 1).run,
        ..finish
    };
    store.finish(&fence, again).await.unwrap();
    assert_eq!(journal(&*store, 1).await.len(), 5);
    let (leased, fence) = lease().await;
    let close = Finish {
        letter: LetterChange::Close,
        ..success(&leased.run)
    };
    store.finish(&fence, close).await.unwrap();
    assert_eq!(journal(&*store, 1).await, []);
}

pub async fn a_purged_letter_takes_the_journal_with_it(subject: &dyn Subject) {
    let store = subject.store();
    let (run, fence) = journaled(&*store).await;
    store.finish(&fence, dead(&run, 1)).await.unwrap();
    assert_eq!(store.purge(TENANT, &[letter_id(1)]).await.unwrap(), [letter_id(1)]);
    assert_eq!(journal(&*store, 1).await, []);
}

pub async fn state_is_written_with_the_effect_that_it_belongs_to(subject: &dyn Subject) {
    let store = subject.store();
    let (run, fence) = journaled(&*store).await;
    let (tool, own) = (Space::Tool("search".to_owned()), Space::Run(run.id.clone()));
    let put = |space: &Space, key: &str, value: Option<&'static str>| StateWrite {
        space: space.clone(),
        key: key.to_owned(),
        value: value.map(Bytes::from),
    };
    let write = async |fence: &Fence, state: Vec<StateWrite>| {
        let append = Append {
            state,
            ..records(vec![settled(4, 4)])
        };
        store.append(TENANT, &run.id, fence, append).await
    };
    let all = vec![
        put(&tool, "a/1", Some("one")),
        put(&tool, "a/2", Some("two")),
        put(&tool, "b", Some("")),
        put(&own, "a/1", Some("mine")),
    ];
    let stranger = Fence {
        epoch: fence.epoch + 1,
        ..fence.clone()
    };
    assert_fenced(&write(&stranger, all.clone()).await);
    let read = async |space: &Space, key: &str| store.state(TENANT, space, key).await.unwrap();
    assert_eq!(read(&tool, "a/1").await, None);
    write(&fence, all).await.unwrap();
    assert_eq!(read(&tool, "a/1").await.unwrap(), "one");
    assert_eq!(read(&tool, "b").await.unwrap(), "");
    assert_eq!(read(&own, "a/1").await.unwrap(), "mine");
    assert_eq!(store.state("other", &tool, "a/1").await.unwrap(), None);
    write(&fence, vec![put(&tool, "a/1", Some("1")), put(&tool, "b", None)])
        .await
        .unwrap();
    assert_eq!(read(&tool, "a/1").await.unwrap(), "1");
    assert_eq!(read(&tool, "b").await, None);
    let keys = async |space: &Space, prefix: &str| store.state_keys(TENANT, space, prefix).await.unwrap();
    assert_eq!(keys(&tool, "a/").await, ["a/1", "a/2"]);
    assert_eq!(keys(&tool, "").await, ["a/1", "a/2"]);
    assert_eq!(keys(&tool, "a/2").await, ["a/2"]);
    assert_eq!(keys(&own, "b").await, Vec::<String>::new());
    // A run's keys are forgotten with it, a tool's stay.
    store.finish(&fence, success(&run)).await.unwrap();
    assert_eq!(read(&own, "a/1").await.unwrap(), "mine");
    subject.pass(3 * DAY).await;
    store.retain(TENANT, DAY).await.unwrap();
    assert_eq!(store.run(TENANT, &run.id).await.unwrap(), None);
    assert_eq!(read(&own, "a/1").await, None);
    assert_eq!(read(&tool, "a/1").await.unwrap(), "1");
}

pub async fn keys_are_listed_a_thousand_at_most(subject: &dyn Subject) {
    let store = subject.store();
    let (run, fence) = journaled(&*store).await;
    let space = Space::Run(run.id.clone());
    let write = |n: u32| StateWrite {
        space: space.clone(),
        key: format!("{n:05}"),
        value: Some(Bytes::from_static(b"v")),
    };
    let append = Append {
        state: (0..1100).map(write).collect(),
        ..Append::default()
    };
    store.append(TENANT, &run.id, &fence, append).await.unwrap();
    let keys = store.state_keys(TENANT, &space, "0").await.unwrap();
    assert_eq!((keys.len(), keys[999].as_str()), (1000, "00999"));
}

pub async fn case_42_journals_of_two_tenants_are_apart(subject: &dyn Subject) {
    let store = subject.store();
    let (run, fence) = journaled(&*store).await;
    let mut other = new_run(1, Some("k"));
    other.run.tenant = "other".to_owned();
    let theirs = fresh(&*store, other).await;
    let append = records(vec![intent(1)]);
    store.append("other", &run.id, &theirs, append).await.unwrap();
    assert_eq!(journal(&*store, 1).await.len(), 3);
    assert_eq!(store.journal("other", &run.id).await.unwrap(), [intent(1)]);
    let foreign = Append {
        run: Some(run_id(7)),
        ..records(vec![intent(9)])
    };
    assert_fenced(&store.append(TENANT, &run.id, &fence, foreign).await);
}
