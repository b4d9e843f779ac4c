//! How long the journals of failed runs are kept is the operator's to say.

use fusebox_engine::ports::store::{Append, Finish, LetterChange, Store};
use fusebox_engine::testing::store_contract::samples::{TENANT, fresh, new_run, settled};
use fusebox_store::SqliteStore;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// Records of a failed run's journal after `retain`, when it failed just now.
async fn left(store: &SqliteStore, n: u64) -> usize {
    let new = new_run(n, None);
    let fence = fresh(store, new.clone()).await;
    let append = Append {
        records: vec![settled(1, 1)],
        ..Append::default()
    };
    store.append(TENANT, &new.run.id, &fence, append).await.unwrap();
    let mut run = new.run.clone();
    "failed".clone_into(&mut run.state);
    run.finished = Some(run.created);
    let finish = Finish {
        run,
        keep_key: true,
        letter: LetterChange::None,
        journal: Vec::new(),
    };
    store.finish(&fence, finish).await.unwrap();
    store.retain(TENANT, 30 * DAY).await.unwrap();
    store.journal(TENANT, &new.run.id).await.unwrap().len()
}

#[tokio::test]
async fn the_operator_says_how_long_journals_of_failed_runs_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fusebox.db");
    let store = SqliteStore::open(&path).await.unwrap();
    assert_eq!(left(&store, 1).await, 1);
    let store = store.keep_failed_journals(DAY);
    assert_eq!(left(&store, 2).await, 1);
    let store = store.keep_failed_journals(Duration::ZERO);
    assert_eq!(left(&store, 3).await, 0);
}
