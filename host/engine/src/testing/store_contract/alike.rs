//! Runs that a like call may join.

use super::Subject;
use super::samples::{TENANT, approval, dead, failed, fresh, new_run, now, run, run_id, success};
use crate::ports::store::{Finish, LetterChange, Likeness, Store};
use crate::records::RunRecord;
use crate::requests::digest_of;
use fusebox_core::ids::RunId;

/// What calls have in common that are like run number `n`.
fn like(run: &RunRecord) -> Likeness<'_> {
    Likeness {
        principal: &run.principal,
        tool: &run.tool,
        function: &run.function,
        fingerprint: run.fingerprint,
    }
}

async fn alike(store: &dyn Store, run: &RunRecord, since: i64) -> Option<RunId> {
    let found = store.alike(TENANT, &like(run), since).await.unwrap();
    found.map(|run| run.id)
}

pub async fn a_run_that_waits_is_joined_by_a_like_call(subject: &dyn Subject) {
    let store = subject.store();
    let sample = run(1);
    // A run that is under way has a caller.
    fresh(&*store, new_run(1, None)).await;
    assert_eq!(alike(&*store, &sample, 0).await, None);
    for n in 2..=5 {
        let new = new_run(n, None);
        let fence = fresh(&*store, new.clone()).await;
        match n {
            2 => store.finish(&fence, dead(&new.run, 2)).await.unwrap(),
            3 => {
                let asked = approval(3, &new.run);
                store.suspend(&fence, new.run, asked, Vec::new()).await.unwrap();
            }
            4 => {
                let until = Some(now() + 60_000);
                store
                    .sleep(&fence, RunRecord { until, ..new.run }, Vec::new())
                    .await
                    .unwrap();
            }
            _ => {
                let mut finish = dead(&new.run, 5);
                finish.run.state = "in-doubt".to_owned();
                store.finish(&fence, finish).await.unwrap();
            }
        }
        assert_eq!(alike(&*store, &sample, i64::MAX).await, Some(run_id(n)), "the newest");
    }
    let kept = store.alike(TENANT, &like(&sample), 0).await.unwrap().unwrap();
    assert_eq!(kept, store.run(TENANT, &run_id(5)).await.unwrap().unwrap());
}

pub async fn what_differs_in_anything_is_not_alike(subject: &dyn Subject) {
    let store = subject.store();
    let sample = run(1);
    let fence = fresh(&*store, new_run(1, None)).await;
    store.finish(&fence, dead(&sample, 1)).await.unwrap();
    // A key says itself what is the same call, and a nested run belongs to its caller.
    let keyed = new_run(2, Some("k"));
    let fence = fresh(&*store, keyed.clone()).await;
    store.finish(&fence, dead(&keyed.run, 2)).await.unwrap();
    assert_eq!(alike(&*store, &sample, 0).await, Some(run_id(1)));
    let changes: [fn(&mut RunRecord); 4] = [
        |run| run.principal = "key:other".to_owned(),
        |run| run.tool = "mail".to_owned(),
        |run| run.function = "send".to_owned(),
        |run| run.fingerprint = digest_of(b"another payload"),
    ];
    for (index, change) in changes.into_iter().enumerate() {
        let mut other = sample.clone();
        change(&mut other);
        assert_eq!(alike(&*store, &other, 0).await, None, "{index}");
    }
    assert!(store.alike("other", &like(&sample), 0).await.unwrap().is_none());
}

pub async fn a_run_that_lost_its_caller_is_joined_for_a_while(subject: &dyn Subject) {
    let store = subject.store();
    let sample = run(1);
    let fence = fresh(&*store, new_run(1, None)).await;
    let before = now() - 5_000;
    store.lose_caller("other", &run_id(1), true).await.unwrap();
    assert_eq!(alike(&*store, &sample, before).await, None);
    store.lose_caller(TENANT, &run_id(1), true).await.unwrap();
    assert_eq!(alike(&*store, &sample, before).await, Some(run_id(1)));
    assert_eq!(
        alike(&*store, &sample, now() + 60_000).await,
        None,
        "it was lost before that"
    );
    // Somebody waits again.
    store.lose_caller(TENANT, &run_id(1), false).await.unwrap();
    assert_eq!(alike(&*store, &sample, before).await, None);
    // What came of it is there for whoever asks the same again.
    store.lose_caller(TENANT, &run_id(1), true).await.unwrap();
    store.finish(&fence, success(&sample)).await.unwrap();
    assert_eq!(alike(&*store, &sample, before).await, Some(run_id(1)));
}

pub async fn a_run_that_is_over_loses_no_caller_and_one_that_failed_is_called_anew(subject: &dyn Subject) {
    let store = subject.store();
    let sample = run(1);
    let fence = fresh(&*store, new_run(1, None)).await;
    store.finish(&fence, success(&sample)).await.unwrap();
    store.lose_caller(TENANT, &run_id(1), true).await.unwrap();
    assert_eq!(alike(&*store, &sample, 0).await, None);
    let new = new_run(2, None);
    let fence = fresh(&*store, new.clone()).await;
    store.lose_caller(TENANT, &run_id(2), true).await.unwrap();
    let finish = Finish {
        run: failed(&new.run, "failed"),
        keep_key: true,
        letter: LetterChange::None,
        journal: Vec::new(),
    };
    store.finish(&fence, finish).await.unwrap();
    assert_eq!(alike(&*store, &sample, 0).await, None);
    store.lose_caller(TENANT, &run_id(9), true).await.unwrap();
}

pub async fn tenants_are_listed_that_have_something(subject: &dyn Subject) {
    let store = subject.store();
    assert!(store.tenants().await.unwrap().is_empty());
    // A look makes no tenant.
    store.run("nobody", &run_id(1)).await.unwrap();
    for (n, tenant) in [(1, "b"), (2, "a"), (3, "b"), (4, "é")] {
        let mut new = new_run(n, None);
        new.run.tenant = tenant.to_owned();
        fresh(&*store, new).await;
    }
    let error = super::samples::error("c", "search");
    store.append_errors(vec![error]).await.unwrap();
    let mut tenants = store.tenants().await.unwrap();
    tenants.sort();
    assert_eq!(tenants, ["a", "b", "c", "é"]);
}
