//! What the hosts of one database tell each other, and the limits that they keep together.

use crate::postgres::raw;
use fusebox_core::ids::OwnerId;
use fusebox_core::policy::RateLimit;
use fusebox_core::time::Wall;
use fusebox_engine::ports::fleet::{Ask, Fleet, Shared, Topic};
use fusebox_store::{PostgresFleet, PostgresStore};
use fusebox_test_postgres::{Database, Server};
use std::sync::Arc;
use std::time::Duration;

/// Longer than any of it takes on a busy machine.
const LONG: Duration = Duration::from_secs(20);

async fn database() -> Database {
    Database::empty(Arc::new(Server::shared())).await
}

async fn host(database: &Database) -> (PostgresStore, PostgresFleet) {
    let store = PostgresStore::open(&database.url()).await.unwrap();
    let fleet = store.fleet();
    (store, fleet)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_host_tells_the_others_hear_and_each_once() {
    let database = database().await;
    let (one, two) = (host(&database).await.1, host(&database).await.1);
    let mut heard = two.told(Topic::Tools);
    let silent = two.told(Topic::Redrives);
    two.listen();
    // Everything is worth a look once it listens.
    tokio::time::timeout(LONG, heard.changed()).await.unwrap().unwrap();
    let (before, untouched) = (*heard.borrow_and_update(), *silent.borrow());
    one.tell(Topic::Tools);
    one.tell(Topic::Tools);
    one.flush().await;
    tokio::time::timeout(LONG, heard.changed()).await.unwrap().unwrap();
    assert!(*heard.borrow() > before);
    assert_eq!(*silent.borrow(), untouched);
    // Its own notes come back to it, and are heard once.
    let (told, mut runs) = (*two.told(Topic::Redrives).borrow(), two.told(Topic::Runs));
    two.tell(Topic::Redrives);
    two.flush().await;
    one.tell(Topic::Runs);
    one.flush().await;
    tokio::time::timeout(LONG, runs.changed()).await.unwrap().unwrap();
    assert_eq!(*two.told(Topic::Redrives).borrow(), told + 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_that_lost_its_connection_hears_again() {
    let database = database().await;
    let (store, two) = host(&database).await;
    drop(store);
    let one = host(&database).await.1;
    let mut heard = two.told(Topic::Runs);
    two.listen();
    tokio::time::timeout(LONG, heard.changed()).await.unwrap().unwrap();
    let mut connection = raw(&database.url()).await;
    let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
    sqlx::query(cut).execute(&mut connection).await.unwrap();
    // What was told meanwhile is lost, so that everything is worth a look.
    heard.mark_unchanged();
    tokio::time::timeout(LONG, heard.changed()).await.unwrap().unwrap();
    heard.mark_unchanged();
    one.tell(Topic::Runs);
    one.flush().await;
    tokio::time::timeout(LONG, heard.changed()).await.unwrap().unwrap();
}

fn search() -> Shared {
    Shared {
        tenant: Arc::from("t"),
        service: Arc::from("search"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hosts_that_ask_at_once_are_promised_no_more_than_the_limit() {
    let database = database().await;
    let mut asked = Vec::new();
    for _ in 0..4 {
        let fleet = host(&database).await.1;
        asked.push(tokio::spawn(async move {
            let limits = fleet.limits().unwrap();
            let mut promised = Vec::new();
            for _ in 0..5 {
                let limit = RateLimit {
                    requests: 10,
                    per: Duration::from_secs(60),
                };
                let turns = limits
                    .promise(&search(), limit, 2, Duration::from_secs(90))
                    .await
                    .unwrap();
                promised.extend(
                    turns
                        .after
                        .into_iter()
                        .flat_map(|(after, count)| vec![after; count as usize]),
                );
            }
            promised
        }));
    }
    let mut promised = Vec::new();
    for host in asked {
        promised.extend(host.await.unwrap());
    }
    promised.sort();
    // 40 were asked for: 10 at once, 10 a minute later, the others too late.
    assert_eq!(promised.len(), 20, "{promised:?}");
    assert_eq!(
        promised.iter().filter(|after| after.is_zero()).count(),
        10,
        "{promised:?}"
    );
    let second = Duration::from_secs(40)..Duration::from_secs(62);
    assert!(
        promised[10..].iter().all(|after| second.contains(after)),
        "{promised:?}"
    );
}

fn ask(host: u64, held: u32, wanted: u32) -> Ask {
    Ask {
        owner: OwnerId::new(Wall(1), host.into()),
        limit: 10,
        held,
        wanted,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_places_of_a_service_are_divided_among_the_hosts_that_want_them() {
    let database = database().await;
    let (store, fleet) = host(&database).await;
    let limits = fleet.limits().unwrap();
    let share = async |ask: Ask| {
        let share = limits.share(&search(), &ask).await.unwrap();
        (share.held, share.target, share.hosts)
    };
    assert_eq!(share(ask(1, 0, 10)).await, (10, 10, 1));
    assert_eq!(share(ask(2, 0, 4)).await, (0, 4, 2));
    assert_eq!(share(ask(1, 10, 10)).await, (10, 6, 2));
    assert_eq!(share(ask(1, 6, 10)).await, (6, 6, 2));
    assert_eq!(share(ask(2, 0, 4)).await, (4, 4, 2));
    // What a host gives back is free at once, what a gone one had after its lease.
    assert_eq!(share(ask(1, 0, 0)).await, (0, 0, 2));
    assert_eq!(share(ask(2, 4, 10)).await, (10, 10, 1));
    let mut connection = raw(&database.url()).await;
    let end = sqlx::query("UPDATE service_places SET until = 0");
    end.execute(&mut connection).await.unwrap();
    assert_eq!(share(ask(3, 0, 10)).await, (10, 10, 1));
    // One who comes back has what he has, and is told to come down.
    assert_eq!(share(ask(2, 10, 10)).await, (10, 5, 2));
    drop(store);
}
