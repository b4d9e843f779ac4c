//! Nested runs: rows of their own, owned through their root, over with it.

use super::Subject;
use super::samples::{
    DAY, LEASE, TENANT, attempt, dead, failed, fresh, letter_id, nested, new_run, owner, run_id, settled, success,
};
use crate::ports::store::{Append, Claim, Cut, Fence, Finish, LetterChange, NewRun, Store, StoreError};
use crate::records::RunRecord;
use std::fmt::Debug;

fn assert_fenced<T: Debug>(result: &Result<T, StoreError>) {
    assert!(matches!(result, Err(StoreError::Fenced { .. })), "{result:?}");
}

async fn child_of(store: &dyn Store, fence: &Fence, new: &NewRun) -> RunRecord {
    let claim = store.claim_nested(new.clone(), fence).await.unwrap();
    assert_eq!(claim, Claim::Fresh(fence.clone()));
    new.run.clone()
}

type End = fn(&RunRecord) -> Finish;

/// The end of a child that may go on.
fn gave_up(run: &RunRecord) -> Finish {
    Finish {
        run: RunRecord {
            finished: None,
            ..failed(run, "dead-lettered")
        },
        keep_key: true,
        letter: LetterChange::None,
        journal: vec![settled(1, 1)],
    }
}

pub async fn nested_runs_are_owned_through_their_root(subject: &dyn Subject) {
    let store = subject.store();
    let root = new_run(1, Some("k")).run;
    let fence = fresh(&*store, new_run(1, Some("k"))).await;
    let child = child_of(&*store, &fence, &nested(3, 1, 1)).await;
    child_of(&*store, &fence, &nested(2, 1, 2)).await;
    let tree = store.tree(TENANT, &root.id).await.unwrap();
    let ids: Vec<_> = tree.iter().map(|run| run.id.clone()).collect();
    assert_eq!(ids, [2, 3].map(run_id));
    assert_eq!(tree[1].nested, child.nested);
    assert_eq!(tree[1].seed, child.seed);
    // A child has no lease of its own.
    assert_fenced(&store.renew(TENANT, &child.id, &fence, LEASE).await);
    let attempt = attempt(1);
    let go_on = async |fence: &Fence| {
        store
            .go_on(TENANT, &child.id, &root.id, fence, Some(&attempt), &Cut::default())
            .await
    };
    go_on(&fence).await.unwrap();
    let stranger = Fence {
        owner: owner(9),
        ..fence.clone()
    };
    assert_fenced(&go_on(&stranger).await);
    assert_fenced(&store.finish_nested(&stranger, success(&child)).await);
    assert_fenced(&store.claim_nested(nested(4, 1, 3), &stranger).await);
    store.finish_nested(&fence, success(&child)).await.unwrap();
    let ended = store.run(TENANT, &child.id).await.unwrap().unwrap();
    assert_eq!((ended.state.as_str(), ended.attempts.len()), ("succeeded", 1));
    assert_eq!(store.run(TENANT, &root.id).await.unwrap().unwrap().state, "running");
    // What succeeded stays so.
    assert_fenced(&store.finish_nested(&fence, gave_up(&child)).await);
    let rootless = new_run(5, None);
    let refused = store.claim_nested(rootless, &fence).await;
    assert!(matches!(refused, Err(StoreError::Refused { .. })), "{refused:?}");
}

pub async fn case_36_who_lost_the_root_writes_to_none_of_its_tree(subject: &dyn Subject) {
    let store = subject.store();
    let root = new_run(1, None).run;
    let fence = fresh(&*store, new_run(1, None)).await;
    let child = child_of(&*store, &fence, &nested(2, 1, 1)).await;
    subject.pass(2 * LEASE).await;
    let append = Append {
        run: Some(child.id.clone()),
        records: vec![settled(1, 1)],
        ..Append::default()
    };
    assert_fenced(&store.append(TENANT, &root.id, &fence, append.clone()).await);
    assert_fenced(&store.finish_nested(&fence, success(&child)).await);
    assert_fenced(&store.claim_nested(nested(3, 1, 2), &fence).await);
    let taken = store.take(&owner(7), LEASE, 10, &[]).await.unwrap();
    assert_eq!(taken.len(), 1, "a child is not taken by itself");
    store.append(TENANT, &root.id, &taken[0].fence, append).await.unwrap();
    assert_eq!(store.journal(TENANT, &child.id).await.unwrap().len(), 1);
}

pub async fn a_child_that_is_not_over_is_joined_and_one_that_is_has_its_outcome(subject: &dyn Subject) {
    let store = subject.store();
    let root = new_run(1, Some("k")).run;
    let fence = fresh(&*store, new_run(1, Some("k"))).await;
    let ends: [(u64, End); 3] = [
        (2, success),
        (3, gave_up),
        (4, |run| Finish {
            letter: LetterChange::None,
            ..success(&failed(run, "failed"))
        }),
    ];
    for (n, end) in ends {
        let child = child_of(&*store, &fence, &nested(n, 1, u32::try_from(n).unwrap())).await;
        let mut finish = end(&child);
        if n == 4 {
            finish.run = failed(&child, "failed");
        }
        store.finish_nested(&fence, finish).await.unwrap();
    }
    store.finish(&fence, dead(&root, 1)).await.unwrap();
    // However long a person takes: the keys of the tree are the tree's.
    subject.pass(40 * DAY).await;
    store.retain(TENANT, DAY).await.unwrap();
    let (_, fence) = store
        .lease_letter(TENANT, &letter_id(1), &owner(2), LEASE)
        .await
        .unwrap();
    let claim = async |n: u32| {
        let again = nested(u64::from(n) + 10, 1, n);
        store.claim_nested(again, &fence).await.unwrap()
    };
    assert!(matches!(claim(2).await, Claim::Stored(run) if run.state == "succeeded"));
    assert!(matches!(claim(3).await, Claim::Joined { run, alive: false } if run.id == run_id(3)));
    assert!(matches!(claim(4).await, Claim::Stored(run) if run.state == "failed"));
    let mut other = nested(14, 1, 2);
    other.run.fingerprint = crate::requests::digest_of(b"another payload");
    assert_eq!(
        store.claim_nested(other, &fence).await.unwrap(),
        Claim::Conflict(run_id(2))
    );
}

pub async fn the_end_of_a_root_is_the_end_of_its_tree(subject: &dyn Subject) {
    let store = subject.store();
    let root = new_run(1, None).run;
    let fence = fresh(&*store, new_run(1, None)).await;
    let given_up = child_of(&*store, &fence, &nested(2, 1, 1)).await;
    store.finish_nested(&fence, gave_up(&given_up)).await.unwrap();
    child_of(&*store, &fence, &nested(3, 1, 2)).await;
    let over = child_of(&*store, &fence, &nested(4, 1, 3)).await;
    store.finish_nested(&fence, success(&over)).await.unwrap();
    let states = async || {
        let tree = store.tree(TENANT, &root.id).await.unwrap();
        tree.into_iter().map(|run| run.state).collect::<Vec<_>>()
    };
    store.finish(&fence, dead(&root, 1)).await.unwrap();
    assert_eq!(states().await, ["dead-lettered", "running", "succeeded"]);
    store.purge(TENANT, &[letter_id(1)]).await.unwrap();
    assert_eq!(states().await, ["failed", "cancelled", "succeeded"]);
    let child = store.run(TENANT, &given_up.id).await.unwrap().unwrap();
    assert!(child.finished.is_some());
    subject.pass(3 * DAY).await;
    assert_eq!(store.retain(TENANT, DAY).await.unwrap(), 4, "a tree is forgotten whole");
    assert_eq!(states().await, Vec::<String>::new());
}
