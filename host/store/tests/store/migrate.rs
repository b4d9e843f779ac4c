//! Everything of a database moved to another kind of database and back is what it was.

use crate::subjects;
use fusebox_engine::ports::store::{
    Append, ErrorFilter, LetterFilter, RunFilter, Space, StateWrite, Store, StoreError,
};
use fusebox_engine::records::AuditEntry;
use fusebox_engine::testing::store_contract::Subject;
use fusebox_engine::testing::store_contract::samples::{
    TENANT, breaker, error, fresh, new_run, page, put_letter, redrive, run_id, settled, tool,
};
use fusebox_store::{Place, PostgresStore, SqliteStore, StoreOptions, migrate};
use fusebox_test_postgres::{Database, Server};
use sqlx::{Connection, Executor};
use std::sync::Arc;
use std::time::Duration;

fn key() -> StoreOptions {
    StoreOptions {
        key: Some([7; 32]),
        ..StoreOptions::default()
    }
}

/// Something in every table, the leases over.
async fn fill(subject: &dyn Subject) {
    let store = subject.store();
    let (record, bytes) = tool("search", "m", "c1");
    store.deploy(record, bytes).await.unwrap();
    for n in 1..=3 {
        put_letter(&*store, n, |_| ()).await;
    }
    let new = new_run(9, Some("k"));
    let fence = fresh(&*store, new.clone()).await;
    let append = Append {
        records: vec![settled(1, 1)],
        state: vec![StateWrite {
            space: Space::Tool("search".to_owned()),
            key: "é".to_owned(),
            value: Some("v".into()),
        }],
        ..Append::default()
    };
    store.append(TENANT, &new.run.id, &fence, append).await.unwrap();
    store.put_pages(TENANT, &[page(1)]).await.unwrap();
    store.swap_breaker(TENANT, 0, &breaker("search", 1)).await.unwrap();
    store
        .append_errors(vec![error(TENANT, "search"), error(TENANT, "mail")])
        .await
        .unwrap();
    store.put_redrive(&redrive(1)).await.unwrap();
    for subject in ["a", "b", "c"] {
        let entry = AuditEntry {
            tenant: TENANT.to_owned(),
            at: 1,
            principal: "local".to_owned(),
            action: "tool.deploy".to_owned(),
            subject: subject.to_owned(),
            detail: "{}".to_owned(),
            outcome: "done".to_owned(),
        };
        store.append_audit(entry).await.unwrap();
    }
}

/// What a store answers about all that.
async fn told(store: &dyn Store) -> String {
    let letters = LetterFilter {
        closed: true,
        ..LetterFilter::default()
    };
    format!(
        "{:?}\n{:?}\n{:?}\n{:?}\n{:?}\n{:?}\n{:?}\n{:?}\n{:?}\n{:?}",
        store.tools(TENANT).await,
        store.runs(TENANT, &RunFilter::default()).await,
        store.letters(TENANT, &letters).await,
        store.journal(TENANT, &run_id(9)).await,
        store.state(TENANT, &Space::Tool("search".to_owned()), "é").await,
        store.page(TENANT, page(1).digest).await,
        store.breakers(TENANT).await,
        store.errors(TENANT, &ErrorFilter::default()).await,
        store.redrives(TENANT).await,
        store.audit_trail(TENANT, 0, 0).await,
    )
}

async fn there_and_back(subject: &subjects::Sqlite, options: StoreOptions) {
    fill(subject).await;
    let folder = tempfile::tempdir().unwrap();
    let database = Database::empty(Arc::new(Server::shared())).await;
    let first = Place::File(subject.path().to_owned());
    let second = Place::Postgres(database.url());
    let third = Place::File(folder.path().join("back.db"));

    let in_use = migrate(&first, &second, options.clone()).await.unwrap_err();
    assert!(
        matches!(&in_use, StoreError::Refused { what } if what.contains("stop every host")),
        "{in_use}"
    );
    subject.pass(Duration::from_secs(3600)).await;
    let before = told(&*subject.store()).await;
    let there = migrate(&first, &second, options.clone()).await.unwrap();
    assert!(there.rows > 15, "{there:?}");
    let postgres = PostgresStore::open_with(&database.url(), options.clone())
        .await
        .unwrap();
    assert_eq!(told(&postgres).await, before);
    // The counter of the error log goes on.
    let back = migrate(&second, &third, options.clone()).await.unwrap();
    assert_eq!(back, there);
    postgres.append_errors(vec![error(TENANT, "new")]).await.unwrap();
    let Place::File(path) = &third else { panic!() };
    let sqlite = SqliteStore::open_with(path, options.clone()).await.unwrap();
    assert_eq!(told(&sqlite).await, before);

    let full = migrate(&first, &second, options.clone()).await.unwrap_err().to_string();
    let encrypted = options.key.is_some();
    let why = ["holds something already", "the database is encrypted"][usize::from(encrypted)];
    assert!(full.contains(why), "{full}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_goes_to_postgres_and_back() {
    there_and_back(&subjects::sqlite().await, StoreOptions::default()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_encrypted_stays_so_under_its_key() {
    there_and_back(&subjects::sealed().await, key()).await;
}

#[tokio::test]
async fn a_trail_that_was_cut_is_not_copied() {
    let subject = subjects::sqlite().await;
    fill(&subject).await;
    subject.pass(Duration::from_secs(3600)).await;
    let mut connection = subject.raw().await;
    connection.execute("DROP TRIGGER audit_is_not_removed").await.unwrap();
    connection.execute("DELETE FROM audit WHERE number = 2").await.unwrap();
    connection.close().await.unwrap();
    let database = Database::empty(Arc::new(Server::shared())).await;
    let target = Place::Postgres(database.url());
    let cut = migrate(
        &Place::File(subject.path().to_owned()),
        &target,
        StoreOptions::default(),
    )
    .await;
    let cut = cut.unwrap_err().to_string();
    assert!(cut.contains("audit trail is added to at its end"), "{cut}");
    let store = PostgresStore::open(&database.url()).await.unwrap();
    assert!(store.tools(TENANT).await.unwrap().is_empty(), "nothing is there");
}
