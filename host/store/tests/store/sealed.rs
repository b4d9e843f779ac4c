//! Encryption at rest: what a call carried cannot be read in the files, moved, or opened without its key.

use crate::subjects;
use fusebox_engine::ports::store::{Append, ErrorFilter, Space, StateWrite, Store, StoreError};
use fusebox_engine::records::{Page, Seed};
use fusebox_engine::testing::store_contract::Subject;
use fusebox_engine::testing::store_contract::samples::{
    TENANT, approval, dead, error, fresh, new_run, page, run_id, settled, snapshot, success,
};
use fusebox_store::{SqliteStore, StoreOptions};
use sqlx::Connection;
use std::path::Path;

/// What must not be found in any file.
const MARK: &str = "open-sesame";

fn key(n: u8) -> StoreOptions {
    StoreOptions {
        key: Some([n; 32]),
        ..StoreOptions::default()
    }
}

fn reason(result: Result<SqliteStore, StoreError>) -> String {
    match result.err() {
        Some(StoreError::Unavailable { reason }) => reason,
        other => panic!("{other:?}"),
    }
}

/// Puts the mark wherever a caller, a guest or a service could put it.
async fn fill(store: &dyn Store) {
    let mut first = new_run(1, None);
    first.run.input = format!("\"{MARK}\"");
    first.run.seed = Seed(MARK.repeat(3).as_bytes()[..32].try_into().unwrap());
    let fence = fresh(store, first.clone()).await;
    let mut effect = settled(1, 1);
    MARK.clone_into(&mut effect.path);
    effect.settled.as_mut().unwrap().body = MARK.into();
    let append = Append {
        records: vec![effect],
        state: vec![StateWrite {
            space: Space::Tool("search".to_owned()),
            key: "k".to_owned(),
            value: Some(MARK.into()),
        }],
        ..Append::default()
    };
    store.append(TENANT, &first.run.id, &fence, append).await.unwrap();
    let pages = [Page {
        zstd: MARK.into(),
        ..page(1)
    }];
    store.put_pages(TENANT, &pages).await.unwrap();
    let mut finish = dead(&first.run, 1);
    if let fusebox_engine::ports::store::LetterChange::Enqueue(letter) = &mut finish.letter {
        let mut snapshot = snapshot(&pages);
        snapshot.resources = vec![MARK.to_owned()];
        letter.snapshot = Some(snapshot);
    }
    store.finish(&fence, finish).await.unwrap();

    let second = new_run(2, None);
    let fence = fresh(store, second.clone()).await;
    let mut finish = success(&second.run);
    finish.run.output = Some(MARK.to_owned());
    store.finish(&fence, finish).await.unwrap();

    let third = new_run(3, None);
    let fence = fresh(store, third.clone()).await;
    let mut question = approval(1, &third.run);
    MARK.clone_into(&mut question.input);
    store.suspend(&fence, third.run, question, Vec::new()).await.unwrap();
    let mut failed = error(TENANT, "search");
    MARK.clone_into(&mut failed.input);
    store.append_errors(vec![failed]).await.unwrap();
}

/// Whether the mark stands in a file of the database.
fn found(path: &Path) -> bool {
    let files = ["", "-wal"].map(|suffix| std::fs::read(format!("{}{suffix}", path.display())).unwrap_or_default());
    assert!(files.iter().any(|file| file.len() > 4096));
    let mut windows = files.iter().flat_map(|file| file.windows(MARK.len()));
    windows.any(|window| window == MARK.as_bytes())
}

#[tokio::test]
async fn nothing_of_a_call_stands_in_the_files_of_an_encrypted_database() {
    let (plain, sealed) = (subjects::sqlite().await, subjects::sealed().await);
    fill(&*plain.store()).await;
    fill(&*sealed.store()).await;
    assert!(found(plain.path()), "the test looks in the wrong place");
    assert!(!found(sealed.path()));
    // And all of it is read again.
    let store = sealed.store();
    let run = store.run(TENANT, &run_id(1)).await.unwrap().unwrap();
    assert_eq!(run.input, format!("\"{MARK}\""));
    assert_eq!(store.page(TENANT, page(1).digest).await.unwrap().unwrap(), MARK);
    assert_eq!(
        store.errors(TENANT, &ErrorFilter::default()).await.unwrap()[0].input,
        MARK
    );
}

#[tokio::test]
async fn an_encrypted_database_opens_with_its_key_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fusebox.db");
    drop(SqliteStore::open_with(&path, key(1)).await.unwrap());
    let without = reason(SqliteStore::open(&path).await);
    assert!(
        without.contains("is encrypted") && without.contains("Configure the key"),
        "{without}"
    );
    let wrong = reason(SqliteStore::open_with(&path, key(2)).await);
    assert!(wrong.contains("another key"), "{wrong}");
    SqliteStore::open_with(&path, key(1)).await.unwrap();

    let path = folder.path().join("plain.db");
    let store = SqliteStore::open(&path).await.unwrap();
    fill(&store).await;
    drop(store);
    let late = reason(SqliteStore::open_with(&path, key(1)).await);
    assert!(
        late.contains("not encrypted") && late.contains("new database"),
        "{late}"
    );
    SqliteStore::open(&path).await.unwrap();
    let options = format!("{:?}", key(77));
    assert!(!options.contains("77"), "{options}");
}

#[tokio::test]
async fn a_value_that_was_moved_to_another_row_is_not_opened() {
    let subject = subjects::sealed().await;
    let store = subject.store();
    fill(&*store).await;
    let mut connection = subject.raw().await;
    let moved = "UPDATE runs SET body = (SELECT body FROM runs r WHERE r.id LIKE '%2') WHERE id LIKE '%1'";
    sqlx::query(moved).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    let run = store.run(TENANT, &run_id(1)).await;
    assert!(
        matches!(&run, Err(StoreError::Unavailable { reason }) if reason.contains("does not open with the key")),
        "{run:?}"
    );
    assert!(store.run(TENANT, &run_id(2)).await.unwrap().is_some());
}
