//! Days of runs on PostgreSQL: made ahead, dropped when they are over, and what is needed outlives them.

use crate::subjects::{self, Postgres};
use fusebox_core::ids::RunId;
use fusebox_core::time::Wall;
use fusebox_engine::ports::store::{Append, LetterFilter, RunFilter, Space, StateWrite, Store};
use fusebox_engine::testing::store_contract::Subject;
use fusebox_engine::testing::store_contract::samples::{
    DAY, TENANT, fresh, letter_id, nested, new_run, put_letter, run_id, settled, success,
};
use fusebox_store::PostgresStore;
use sqlx::{Connection, Executor};
use std::sync::atomic::{AtomicBool, Ordering};

/// The partition that the samples belong to.
const SAMPLES: &str = "runs_20260101";

async fn partitions(subject: &Postgres) -> i64 {
    subject
        .count("pg_inherits WHERE inhparent IN ('runs'::regclass, 'attempts'::regclass, 'journal'::regclass)")
        .await
}

/// Ends a run with a journal, a state of its own, and so on.
async fn ended(store: &dyn Store, n: u64, key: Option<&str>) {
    let new = new_run(n, key);
    let fence = fresh(store, new.clone()).await;
    let append = Append {
        records: vec![settled(1, 1)],
        state: vec![StateWrite {
            space: Space::Run(new.run.id.clone()),
            key: "k".to_owned(),
            value: Some("v".into()),
        }],
        ..Append::default()
    };
    store.append(TENANT, &new.run.id, &fence, append).await.unwrap();
    store.finish(&fence, success(&new.run)).await.unwrap();
}

async fn left(store: &dyn Store) -> Vec<RunId> {
    let runs = store.runs(TENANT, &RunFilter::default()).await.unwrap();
    let mut runs: Vec<_> = runs.into_iter().map(|run| run.id).collect();
    runs.sort();
    runs
}

#[tokio::test]
async fn what_is_needed_outlives_its_day_and_the_rest_is_dropped_with_it() {
    let subject = subjects::postgres().await;
    let store = subject.store();
    subject.keep_days_of_samples(2).await;
    // 1: over. 2: an open letter. 3: still running, with a journal. 4: a pinned letter that is closed. 5: a letter that is closed. 6: a key.
    ended(&*store, 1, None).await;
    put_letter(&*store, 2, |_| ()).await;
    let running = fresh(&*store, new_run(3, None)).await;
    let append = Append {
        records: vec![settled(1, 1), settled(2, 2)],
        ..Append::default()
    };
    store.append(TENANT, &run_id(3), &running, append).await.unwrap();
    for n in [4, 5] {
        put_letter(&*store, n, |_| ()).await;
        store.purge(TENANT, &[letter_id(n)]).await.unwrap();
    }
    store.pin(TENANT, &letter_id(4), true).await.unwrap();
    let mut kept = new_run(6, Some("k"));
    kept.key_lifetime = 90 * DAY;
    let fence = fresh(&*store, kept.clone()).await;
    store.finish(&fence, success(&kept.run)).await.unwrap();
    // 7 is the root of a tree that goes on over midnight, and 8 that of one which is needed.
    let tomorrow = |n: u128| RunId::new(Wall(run_id(0).made().0 + 86_400_000), n);
    for root in [7, 8] {
        let new = new_run(root, None);
        let fence = fresh(&*store, new.clone()).await;
        for (n, id) in [
            (root * 10, run_id(root * 10)),
            (root * 10 + 1, tomorrow(u128::from(root))),
        ] {
            let mut call = nested(n, root, u32::try_from(n).unwrap());
            call.run.id = id;
            store.claim_nested(call, &fence).await.unwrap();
        }
        if root == 7 {
            store.finish(&fence, success(&new.run)).await.unwrap();
        }
    }
    let before = left(&*store).await;
    assert_eq!(subject.count(SAMPLES).await, 10);
    assert_eq!(subject.count("runs_20260102").await, 2);

    subject.pass(31 * DAY).await;
    // Runs 1, 5 and 7 with two below it; the key of each nested run goes with it.
    assert_eq!(store.retain_all(30 * DAY).await.unwrap(), 5);
    let gone = [run_id(1), run_id(5), run_id(7), run_id(70), tomorrow(7)];
    let needed: Vec<_> = before.into_iter().filter(|id| !gone.contains(id)).collect();
    assert_eq!(left(&*store).await, needed);
    assert_eq!(
        subject
            .count("pg_class WHERE relname LIKE '%20260101%' OR relname LIKE '%20260102%'")
            .await,
        0
    );
    assert_eq!(subject.count("runs_default").await, 7);
    assert_eq!(store.journal(TENANT, &run_id(3)).await.unwrap().len(), 2);
    assert_eq!(subject.count("state").await, 0, "that of run 1 went with it");
    assert_eq!(
        subject
            .count("attempts a WHERE NOT EXISTS (SELECT 1 FROM runs r WHERE r.id = a.run)")
            .await,
        0
    );
    let letters = LetterFilter {
        closed: true,
        ..LetterFilter::default()
    };
    let letters = store.letters(TENANT, &letters).await.unwrap();
    let letters: Vec<_> = letters.into_iter().map(|letter| letter.id).collect();
    assert_eq!(letters, [letter_id(2), letter_id(4)]);
    assert_eq!(subject.count("keys").await, 3);
    // What was needed is forgotten once it is not.
    store.pin(TENANT, &letter_id(4), false).await.unwrap();
    assert_eq!(store.retain_all(30 * DAY).await.unwrap(), 1);
    assert_eq!(store.run(TENANT, &run_id(4)).await.unwrap(), None);
}

#[tokio::test]
async fn a_day_is_made_around_what_is_there_already() {
    let subject = subjects::postgres().await;
    let store = subject.store();
    let fence = fresh(&*store, new_run(1, None)).await;
    let append = Append {
        records: vec![settled(1, 1)],
        ..Append::default()
    };
    store.append(TENANT, &run_id(1), &fence, append.clone()).await.unwrap();
    assert_eq!(subject.count("runs_default").await, 1);
    let before = store.run(TENANT, &run_id(1)).await.unwrap();
    subject.keep_days().await;
    subject.keep_days().await;
    assert_eq!(
        (subject.count("runs_default").await, subject.count(SAMPLES).await),
        (0, 1)
    );
    assert_eq!(subject.count("journal_20260101").await, 1);
    assert_eq!(store.run(TENANT, &run_id(1)).await.unwrap(), before);
    store.append(TENANT, &run_id(1), &fence, append).await.unwrap();
    store.finish(&fence, success(&new_run(1, None).run)).await.unwrap();
    // Every index of the whole is one of the part, and used for it.
    let apart = "pg_index i WHERE i.indrelid = 'runs_20260101'::regclass AND i.indexrelid NOT IN (SELECT inhrelid FROM pg_inherits)";
    assert_eq!(subject.count(apart).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn hosts_make_and_drop_days_at_once_while_calls_go_on() {
    let subject = subjects::postgres().await;
    subject.keep_days().await;
    for n in 1..=20 {
        ended(&*subject.store(), n, None).await;
    }
    subject.pass(31 * DAY).await;
    let hosts = (0..4).map(|_| async { PostgresStore::open(&subject.url()).await.unwrap() });
    let hosts = futures::future::join_all(hosts).await;
    let passes = hosts.iter().map(|host| host.retain_all(30 * DAY));
    let calls = async {
        for n in 100..160 {
            ended(&*subject.store(), n, None).await;
        }
    };
    let (gone, ()) = tokio::join!(futures::future::join_all(passes), calls);
    let gone: u64 = gone.into_iter().map(Result::unwrap).sum();
    assert_eq!(gone, 20);
    assert_eq!(left(&*subject.store()).await.len(), 60);
    // Three tables with a default partition, today and tomorrow.
    let days = (partitions(&subject).await - 3) / 3;
    assert!((1..=3).contains(&days), "{days} days");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_reads_for_long_is_waited_for_by_nobody() {
    let subject = subjects::postgres().await;
    let store = subject.store();
    subject.keep_days().await;
    put_letter(&*store, 1, |_| ()).await;
    store.purge(TENANT, &[letter_id(1)]).await.unwrap();
    ended(&*store, 2, None).await;
    subject.pass(31 * DAY).await;
    store.retain_all(400 * DAY).await.unwrap();
    let mut backup = subject.raw().await;
    backup
        .execute("BEGIN; LOCK TABLE runs IN ACCESS SHARE MODE")
        .await
        .unwrap();
    let passed = AtomicBool::new(false);
    let pass = async {
        assert_eq!(store.retain_all(30 * DAY).await.unwrap(), 0);
        passed.store(true, Ordering::Relaxed);
        assert_eq!(subject.count("letters").await, 1, "nothing was done by halves");
    };
    let calls = async {
        let mut calls = 0;
        while !passed.load(Ordering::Relaxed) {
            ended(&*store, 100 + calls, None).await;
            calls += 1;
        }
        calls
    };
    let ((), calls) = tokio::join!(pass, calls);
    assert!(calls > 0);
    let made = i64::try_from(calls).unwrap();
    assert_eq!(subject.count(SAMPLES).await, made + 2);
    backup.execute("COMMIT").await.unwrap();
    backup.close().await.unwrap();
    assert_eq!(store.retain_all(30 * DAY).await.unwrap(), 2);
    assert_eq!(subject.count("runs").await, made);
}
