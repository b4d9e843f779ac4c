//! What only a database of a server has: who may use it, how it breaks and comes back, and how hosts race on it.

use crate::subjects;
use fusebox_engine::ports::store::{Append, Claim, RunFilter, Store, StoreError};
use fusebox_engine::records::AuditEntry;
use fusebox_engine::testing::store_contract::Subject;
use fusebox_engine::testing::store_contract::samples::{TENANT, fresh, new_run, put_letter, run_id, settled, tool};
use fusebox_store::PostgresStore;
use fusebox_test_postgres::{Database, Durability, Server};
use futures::future::join_all;
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection, PgConnection};
use std::sync::Arc;
use std::time::Duration;

fn audit_entry() -> AuditEntry {
    AuditEntry {
        tenant: TENANT.to_owned(),
        at: 1,
        principal: "local".to_owned(),
        action: "tool.deploy".to_owned(),
        subject: "search".to_owned(),
        detail: "{}".to_owned(),
        outcome: "done".to_owned(),
    }
}

async fn empty() -> Database {
    Database::empty(Arc::new(Server::shared())).await
}

pub(crate) async fn raw(url: &str) -> PgConnection {
    let options: PgConnectOptions = url.parse().unwrap();
    options.connect().await.unwrap()
}

fn reason(result: Result<PostgresStore, StoreError>) -> String {
    match result.err() {
        Some(StoreError::Unavailable { reason }) => reason,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_hosts_may_open_a_new_database_at_once_and_share_it() {
    let database = empty().await;
    let openers = (1..=8).map(|n| {
        let url = database.url();
        tokio::spawn(async move {
            let store = PostgresStore::open(&url).await.unwrap();
            store.claim(new_run(n, None)).await.unwrap();
            store
        })
    });
    for store in join_all(openers).await {
        let runs = store.unwrap().runs(TENANT, &RunFilter::default()).await.unwrap();
        assert!(!runs.is_empty());
    }
    let store = PostgresStore::open(&database.url()).await.unwrap();
    assert_eq!(store.runs(TENANT, &RunFilter::default()).await.unwrap().len(), 8);
}

#[tokio::test]
async fn a_database_that_cannot_be_used_says_why_and_what_to_do() {
    let database = empty().await;
    let url = database.url();
    drop(PostgresStore::open(&url).await.unwrap());
    let mut connection = raw(&url).await;

    let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) VALUES (9999, 'later', true, '', 0)";
    sqlx::query(newer).execute(&mut connection).await.unwrap();
    // What only adds is in nobody's way.
    drop(PostgresStore::open(&url).await.unwrap());
    let takes = "UPDATE schema_compatibility SET oldest = 9998, version = '7.1.0'";
    sqlx::query(takes).execute(&mut connection).await.unwrap();
    let newer = reason(PostgresStore::open(&url).await);
    assert!(
        newer.contains("schema 9999, and needs a host that knows schema 9998")
            && newer.contains("Install Fusebox 7.1.0 or later"),
        "{newer}"
    );

    let role = format!("guest_{}", std::process::id());
    let make = format!("CREATE ROLE {role} LOGIN PASSWORD 'guest'");
    sqlx::query(&make).execute(&mut connection).await.unwrap();
    let options: PgConnectOptions = url.parse().unwrap();
    let guest = format!(
        "postgres://{role}:guest@127.0.0.1:{}/{}",
        options.get_port(),
        options.get_database().unwrap()
    );
    let rights = reason(PostgresStore::open(&guest).await);
    let wrong = reason(PostgresStore::open(&guest.replace(":guest@", ":quest@")).await);
    let drop = format!("DROP ROLE {role}");
    sqlx::query(&drop).execute(&mut connection).await.unwrap();
    assert!(
        rights.contains("permission denied") && rights.contains("Give this user the rights"),
        "{rights}"
    );
    assert!(
        wrong.contains("password authentication failed") && !wrong.contains("quest"),
        "{wrong}"
    );

    let nowhere = reason(PostgresStore::open("postgres://ann:secret@127.0.0.1:1/x").await);
    assert!(
        nowhere.contains("postgres://127.0.0.1:1/x cannot be reached"),
        "{nowhere}"
    );
    let unreadable = reason(PostgresStore::open("postgres://ann:se/cret@[/x").await);
    assert!(
        unreadable.contains("postgres://USER") && !unreadable.contains("cret"),
        "{unreadable}"
    );
    assert_eq!(PostgresStore::shown("postgres://ann:se/cret@[/x"), "postgres://…");
    assert_eq!(
        PostgresStore::shown("postgres://ann@h:5/x?password=secret&sslmode=require"),
        "postgres://h:5/x"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_server_that_crashes_and_comes_back_is_gone_on_with() {
    let server = Arc::new(Server::own(Durability::Full));
    let database = Database::empty(Arc::clone(&server)).await;
    let store = PostgresStore::open(&database.url()).await.unwrap();
    let new = new_run(1, Some("k"));
    let fence = fresh(&store, new.clone()).await;
    let writing = async {
        for seq in 1..=40 {
            let append = Append {
                records: vec![settled(seq, seq)],
                ..Append::default()
            };
            let appended = store.append(TENANT, &new.run.id, &fence, append).await;
            // Nobody knows of a transaction that was cut while it was committed; what says that it is durable is.
            assert!(
                matches!(appended, Ok(()) | Err(StoreError::Unavailable { .. })),
                "{appended:?}"
            );
            if appended.is_ok() {
                let journal = store.journal(TENANT, &new.run.id).await.unwrap();
                assert!(journal.iter().any(|record| record.seq == seq));
            }
        }
    };
    let crashing = tokio::task::spawn_blocking(move || {
        std::thread::sleep(Duration::from_millis(100));
        server.crash();
        server.start_again();
    });
    writing.await;
    crashing.await.unwrap();
    let journal = store.journal(TENANT, &new.run.id).await.unwrap();
    assert!(
        journal.len() >= 39,
        "at most one transaction was being committed: {}",
        journal.len()
    );
    let append = Append {
        records: vec![settled(41, 41)],
        ..Append::default()
    };
    store.append(TENANT, &new.run.id, &fence, append).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_hosts_one_gets_a_key_a_letter_and_each_place_in_the_trail() {
    let subject = subjects::postgres().await;
    let hosts = (0..6).map(|_| async { Arc::new(PostgresStore::open(&subject.url()).await.unwrap()) });
    let hosts = join_all(hosts).await;
    for round in 0..5_u64 {
        let key = format!("key-{round}");
        let claims = hosts.iter().zip(1..).map(|(host, n)| {
            let (host, new) = (Arc::clone(host), new_run(round * 100 + n, Some(&key)));
            tokio::spawn(async move { host.claim(new).await.unwrap() })
        });
        let claims = join_all(claims).await;
        let fresh = claims
            .iter()
            .filter(|claim| matches!(claim, Ok(Claim::Fresh(_))))
            .count();
        assert_eq!(fresh, 1, "{claims:?}");
    }
    put_letter(&*subject.store(), 1_000, |_| ()).await;
    let deploys = hosts.iter().map(|host| {
        let (host, (record, bytes)) = (Arc::clone(host), tool("search", "m", "c"));
        tokio::spawn(async move { host.deploy(record, bytes).await.unwrap().1 })
    });
    let added = join_all(deploys).await;
    assert_eq!(
        added.iter().filter(|added| matches!(added, Ok(true))).count(),
        1,
        "{added:?}"
    );
    let entries = hosts.iter().map(|host| {
        let host = Arc::clone(host);
        tokio::spawn(async move { host.append_audit(audit_entry()).await.unwrap().number })
    });
    let mut numbers: Vec<i64> = join_all(entries).await.into_iter().map(Result::unwrap).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, [1, 2, 3, 4, 5, 6]);
}

#[tokio::test]
async fn the_audit_trail_is_only_added_to() {
    let subject = subjects::postgres().await;
    subject.store().append_audit(audit_entry()).await.unwrap();
    let mut connection = subject.raw().await;
    for statement in [
        "UPDATE audit SET principal = 'nobody'",
        "DELETE FROM audit",
        "TRUNCATE audit",
        "UPDATE audit_heads SET number = 7",
        "DELETE FROM audit_heads",
        "TRUNCATE audit_heads",
        "INSERT INTO audit SELECT tenant, number + 7, at, principal, action, subject, detail, outcome, previous, hash FROM audit",
    ] {
        let refused = sqlx::query(statement).execute(&mut connection).await.unwrap_err();
        assert!(refused.to_string().contains("audit trail"), "{statement}: {refused}");
    }
    connection.close().await.unwrap();
    assert_eq!(subject.store().audit_head(TENANT).await.unwrap().number, 1);
}

#[tokio::test]
async fn a_text_that_no_column_can_hold_is_refused_and_no_fault_of_the_database() {
    let subject = subjects::postgres().await;
    let found = subject.store().tool(TENANT, "a\0b").await;
    assert!(matches!(found, Err(StoreError::Refused { .. })), "{found:?}");
    assert_eq!(subject.store().run(TENANT, &run_id(1)).await.unwrap(), None);
}
