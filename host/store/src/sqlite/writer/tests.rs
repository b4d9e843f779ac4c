//! Group commit, and what happens when the database refuses.
#![allow(clippy::unwrap_used)]

use crate::failures::refused;
use crate::options::StoreOptions;
use crate::sqlite::SqliteStore;
use fusebox_core::ids::OwnerId;
use fusebox_core::time::Wall;
use fusebox_engine::ports::store::{RunFilter, Store, StoreError};
use fusebox_engine::testing::store_contract::samples::{TENANT, fresh, new_run, put_letter, run_id};
use sqlx::{Connection, Executor};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

async fn store(busy: Duration) -> (TempDir, PathBuf, Arc<SqliteStore>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fusebox.db");
    let store = Arc::new(
        SqliteStore::open_within(&path, StoreOptions::default(), busy)
            .await
            .unwrap(),
    );
    (folder, path, store)
}

type Answer = JoinHandle<Result<(), StoreError>>;

/// Hands a job to the writer that says when it runs, and then waits to be let on.
async fn hold(store: &Arc<SqliteStore>) -> (oneshot::Receiver<()>, oneshot::Sender<()>, Answer) {
    let (running, runs) = oneshot::channel();
    let (go, gate) = oneshot::channel();
    let store = Arc::clone(store);
    let job = tokio::spawn(async move {
        let act = store.writer.write(move |_| {
            Box::pin(async move {
                running.send(()).unwrap();
                gate.await.unwrap();
                Ok(())
            })
        });
        act.await
    });
    (runs, go, job)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_is_one_transaction_and_is_answered_after_its_commit() {
    let (_folder, _path, store) = store(Duration::from_secs(10)).await;
    let (first_runs, let_first, first) = hold(&store).await;
    first_runs.await.unwrap();
    // While the first transaction is held, thirty claims and then another held job queue up.
    let claims: Vec<_> = (1..=30)
        .map(|n| {
            let store = Arc::clone(&store);
            tokio::spawn(async move { fresh(&*store, new_run(n, None)).await })
        })
        .collect();
    while store.writer.jobs.capacity() + 30 > store.writer.jobs.max_capacity() {
        tokio::task::yield_now().await;
    }
    let (last_runs, let_last, last) = hold(&store).await;
    while store.writer.jobs.capacity() + 31 > store.writer.jobs.max_capacity() {
        tokio::task::yield_now().await;
    }
    let_first.send(()).unwrap();
    first.await.unwrap().unwrap();
    // All thirty are done in the transaction that the last job holds open: nobody sees them, nobody was answered.
    last_runs.await.unwrap();
    let seen = store.runs(TENANT, &RunFilter::default()).await.unwrap();
    assert!(seen.is_empty() && claims.iter().all(|claim| !claim.is_finished()));
    let_last.send(()).unwrap();
    last.await.unwrap().unwrap();
    for claim in claims {
        claim.await.unwrap();
    }
    assert_eq!(store.runs(TENANT, &RunFilter::default()).await.unwrap().len(), 30);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_fails_undoes_itself_alone() {
    let (_folder, _path, store) = store(Duration::from_secs(10)).await;
    let (runs, go, held) = hold(&store).await;
    runs.await.unwrap();
    let good = |n| {
        let store = Arc::clone(&store);
        tokio::spawn(async move { fresh(&*store, new_run(n, None)).await })
    };
    let before = good(1);
    let bad = tokio::spawn({
        let store = Arc::clone(&store);
        async move {
            let act = store.writer.write(|connection| {
                Box::pin(async move {
                    connection.execute("DELETE FROM runs").await?;
                    Err::<(), _>(refused("after a change".to_owned()))
                })
            });
            act.await
        }
    });
    let after = good(2);
    go.send(()).unwrap();
    held.await.unwrap().unwrap();
    before.await.unwrap();
    after.await.unwrap();
    assert!(matches!(bad.await.unwrap(), Err(StoreError::Refused { .. })));
    for n in [1, 2] {
        assert!(store.run(TENANT, &run_id(n)).await.unwrap().is_some());
    }
}

#[tokio::test]
async fn a_full_disk_is_named_and_the_writer_goes_on_once_there_is_room() {
    let (_folder, path, store) = store(Duration::from_secs(10)).await;
    put_letter(&*store, 1, |_| ()).await;
    let limit = store.writer.write(|connection| {
        Box::pin(async move {
            // SQLite's own quota, which ends like a full disk.
            connection.execute("PRAGMA max_page_count = 1").await?;
            Ok(())
        })
    });
    limit.await.unwrap();
    let mut new = new_run(2, Some("k"));
    new.run.input = "x".repeat(1 << 20);
    let Err(StoreError::Unavailable { reason }) = store.claim(new.clone()).await else {
        std::panic::panic_any("there was room");
    };
    assert!(
        reason.contains("is full") && reason.contains(path.to_str().unwrap()),
        "{reason}"
    );
    assert_eq!(store.run(TENANT, &run_id(2)).await.unwrap(), None);
    let room = store.writer.write(|connection| {
        Box::pin(async move {
            connection.execute("PRAGMA max_page_count = 1000000").await?;
            Ok(())
        })
    });
    room.await.unwrap();
    fresh(&*store, new).await;
}

/// Places for calls are held while a host looks for runs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_look_for_runs_that_finds_none_waits_for_no_writer() {
    let (_folder, _path, store) = store(Duration::from_secs(10)).await;
    let (runs, go, held) = hold(&store).await;
    runs.await.unwrap();
    let owner = OwnerId::new(Wall(0), 1);
    let taken = tokio::time::timeout(
        Duration::from_secs(60),
        store.take(&owner, Duration::from_secs(10), 32, &[]),
    );
    assert!(taken.await.unwrap().unwrap().is_empty());
    go.send(()).unwrap();
    held.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_lock_that_another_process_keeps_is_named() {
    let (_folder, path, store) = store(Duration::from_millis(50)).await;
    let options = crate::sqlite::open::writer_options(&path, Duration::from_secs(1));
    let mut other = sqlx::ConnectOptions::connect(&options).await.unwrap();
    let lock = other.begin_with("BEGIN IMMEDIATE").await.unwrap();
    let Err(StoreError::Unavailable { reason }) = store.claim(new_run(1, None)).await else {
        std::panic::panic_any("it was not locked");
    };
    assert!(
        reason.contains("locked by another process") && reason.contains(path.to_str().unwrap()),
        "{reason}"
    );
    lock.rollback().await.unwrap();
    fresh(&*store, new_run(1, None)).await;
}
