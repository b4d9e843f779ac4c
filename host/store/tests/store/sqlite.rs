//! What only a database in a file has: who may open it, how it breaks, and how it is shared.

use crate::subjects;
use fusebox_engine::ports::store::{LetterFilter, RunFilter, Store, StoreError};
use fusebox_engine::testing::store_contract::Subject;
use fusebox_engine::testing::store_contract::samples::{
    TENANT, breaker, fresh, letter_id, new_run, page, put_letter, run_id, tool,
};
use fusebox_store::SqliteStore;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, SqliteConnection};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

async fn raw(path: &Path) -> SqliteConnection {
    SqliteConnectOptions::new().filename(path).connect().await.unwrap()
}

fn reason(result: Result<impl Sized, StoreError>) -> String {
    match result.err() {
        Some(StoreError::Unavailable { reason }) => reason,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn files_and_new_folders_are_the_owners_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new/deeper/fusebox.db");
    let store = SqliteStore::open(&path).await.unwrap();
    put_letter(&store, 1, |_| ()).await;
    assert_eq!(mode(path.parent().unwrap()), 0o700);
    for suffix in ["", "-wal", "-shm", ".lock"] {
        let file = format!("{}{suffix}", path.display());
        assert_eq!(mode(Path::new(&file)), 0o600, "{file}");
    }
    drop(store);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    SqliteStore::open(&path).await.unwrap();
    assert_eq!(mode(&path), 0o600);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_may_open_a_new_database_at_once_and_share_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fusebox.db");
    let openers = (1..=16).map(|n| {
        let path = path.clone();
        tokio::spawn(async move {
            let store = SqliteStore::open(&path).await.unwrap();
            store.claim(new_run(n, None)).await.unwrap();
            store
        })
    });
    let stores = futures::future::join_all(openers).await;
    for store in stores {
        assert_eq!(
            store.unwrap().runs(TENANT, &RunFilter::default()).await.unwrap().len(),
            16
        );
    }
}

#[tokio::test]
async fn what_was_written_is_there_after_opening_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fusebox.db");
    let store = SqliteStore::open(&path).await.unwrap();
    fresh(&store, new_run(1, Some("k"))).await;
    let before = store.run(TENANT, &run_id(1)).await.unwrap();
    drop(store);
    let store = SqliteStore::open(&path).await.unwrap();
    assert_eq!(store.run(TENANT, &run_id(1)).await.unwrap(), before);
}

#[tokio::test]
async fn a_database_that_cannot_be_used_says_why_and_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fusebox.db");

    std::fs::write(
        &path,
        "not a database, but long enough to be read as the header of one. ".repeat(20),
    )
    .unwrap();
    let damaged = reason(SqliteStore::open(&path).await);
    assert!(
        damaged.contains("is damaged, or no database") && damaged.contains("fusebox.db"),
        "{damaged}"
    );
    std::fs::remove_file(&path).unwrap();

    drop(SqliteStore::open(&path).await.unwrap());
    let mut connection = raw(&path).await;
    let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) VALUES (9999, 'later', 1, x'00', 0)";
    sqlx::query(newer).execute(&mut connection).await.unwrap();
    // What only adds is in nobody's way.
    drop(SqliteStore::open(&path).await.unwrap());
    let takes = "UPDATE schema_compatibility SET oldest = 9998, version = '7.1.0'";
    sqlx::query(takes).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    let newer = reason(SqliteStore::open(&path).await);
    assert!(
        newer.contains("schema 9999, and needs a host that knows schema 9998")
            && newer.contains("Install Fusebox 7.1.0 or later"),
        "{newer}"
    );

    let no_file = reason(SqliteStore::open(folder.path()).await);
    assert!(no_file.contains("is no file"), "{no_file}");
    let no_folder = reason(SqliteStore::open(&path.join("below-a-file/fusebox.db")).await);
    assert!(no_folder.contains("making the folder"), "{no_folder}");
}

#[tokio::test]
async fn case_50_a_poison_row_does_not_block_its_neighbours() {
    let subject = subjects::sqlite().await;
    let store = subject.store();
    for n in 1..=3 {
        put_letter(&*store, n, |_| ()).await;
    }
    for (name, component) in [("search", "c1"), ("mail", "c2")] {
        let (record, bytes) = tool(name, "m", component);
        store.deploy(record, bytes).await.unwrap();
    }
    store.swap_breaker(TENANT, 0, &breaker("search", 1)).await.unwrap();
    let mut connection = subject.raw().await;
    let poison = [
        "UPDATE letters SET body = '{\"id\": 7' WHERE id LIKE '%2'",
        "UPDATE runs SET body = CAST(x'ff00fe' AS TEXT) WHERE id LIKE '%2'",
        "UPDATE attempts SET body = CAST(x'ff00fe' AS TEXT) WHERE run LIKE '%3'",
        "UPDATE tool_versions SET body = '[]' WHERE name = 'search'",
        "UPDATE breakers SET body = ''",
    ];
    for statement in poison {
        let changed = sqlx::query(statement).execute(&mut connection).await.unwrap();
        assert!(changed.rows_affected() > 0, "{statement}");
    }
    connection.close().await.unwrap();

    let letters = store.letters(TENANT, &LetterFilter::default()).await.unwrap();
    let ids: Vec<_> = letters.into_iter().map(|letter| letter.id).collect();
    assert_eq!(ids, [1, 3].map(letter_id));
    let runs = store.runs(TENANT, &RunFilter::default()).await.unwrap();
    assert_eq!(runs.len(), 1);
    assert_eq!(store.tools(TENANT).await.unwrap().len(), 1);
    let named = reason(store.letter(TENANT, &letter_id(2)).await);
    assert!(
        named.contains(letter_id(2).as_str()) && named.contains("purge"),
        "{named}"
    );
    // The way out of each: purge the letter, deploy the tool again, let a host write its breaker.
    assert_eq!(store.purge(TENANT, &[letter_id(2)]).await.unwrap(), [letter_id(2)]);
    let (record, bytes) = tool("search", "m", "c1");
    assert_eq!(store.deploy(record, bytes).await.unwrap().0.number, 2);
    assert_eq!(
        store.swap_breaker(TENANT, 7, &breaker("search", 8)).await.unwrap(),
        None
    );
    assert_eq!(store.breakers(TENANT).await.unwrap(), [breaker("search", 8)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_that_goes_away_changes_nothing_about_its_write() {
    let subject = subjects::sqlite().await;
    let store = subject.store();
    let claim = tokio::spawn({
        let store = subject.store();
        async move { store.claim(new_run(1, None)).await }
    });
    tokio::task::yield_now().await;
    claim.abort();
    // Whether it was handed over or not, the next caller is served, and the run is whole or not there.
    fresh(&*store, new_run(2, None)).await;
    store.put_pages(TENANT, &[page(1)]).await.unwrap();
    let runs = store.runs(TENANT, &RunFilter::default()).await.unwrap();
    assert!((1..=2).contains(&runs.len()));
}
