//! Rows that nobody can read, among those that a host looks for by itself.

use crate::subjects::{self, Sqlite};
use fusebox_engine::ports::store::{ApprovalFilter, StoreError};
use fusebox_engine::testing::store_contract::Subject;
use fusebox_engine::testing::store_contract::samples::{
    LEASE, TENANT, approval, detached, fresh, letter_id, new_run, owner, put_letter, run_id, settled,
};
use sqlx::Connection;

async fn poison(subject: &Sqlite, statements: &[&str]) {
    let mut connection = subject.raw().await;
    for statement in statements {
        let changed = sqlx::query(statement).execute(&mut connection).await.unwrap();
        assert!(changed.rows_affected() > 0, "{statement}");
    }
    connection.close().await.unwrap();
}

#[tokio::test]
async fn case_50_a_poison_run_is_not_in_the_way_of_those_that_can_be_taken() {
    let subject = subjects::sqlite().await;
    let store = subject.store();
    for n in 1..=6 {
        store.claim(detached(n, None)).await.unwrap();
    }
    // The first three that would be taken, and one that a newer version wrote.
    let statements = [
        "UPDATE runs SET body = '{' WHERE id LIKE '%1'",
        "UPDATE runs SET body = CAST(x'ff00fe' AS TEXT) WHERE id LIKE '%2'",
        "UPDATE runs SET seed = x'00' WHERE id LIKE '%3'",
        "UPDATE runs SET state = 'from-the-future' WHERE id LIKE '%5'",
    ];
    poison(&subject, &statements).await;
    let taken = async || {
        let taken = store.take(&owner(1), LEASE, 1, &[]).await.unwrap();
        taken.into_iter().map(|taken| taken.run.id).collect::<Vec<_>>()
    };
    assert_eq!(taken().await, [run_id(4)]);
    assert_eq!(taken().await, [run_id(6)]);
    assert_eq!(taken().await, []);
    let broken = store.take_run(TENANT, &run_id(1), &owner(1), LEASE).await;
    assert!(
        matches!(&broken, Err(StoreError::Unavailable { reason }) if reason.contains(run_id(1).as_str())),
        "{broken:?}"
    );
    let unknown = store.take_run(TENANT, &run_id(5), &owner(1), LEASE).await;
    assert!(
        matches!(&unknown, Err(StoreError::Refused { what }) if what.contains("from-the-future")),
        "{unknown:?}"
    );
    assert!(matches!(
        store.cancel(TENANT, &run_id(5)).await,
        Err(StoreError::Refused { .. })
    ));
}

#[tokio::test]
async fn case_50_a_poison_letter_is_not_in_the_way_of_those_that_wait() {
    let subject = subjects::sqlite().await;
    let store = subject.store();
    for n in 1..=3 {
        put_letter(&*store, n, |letter| letter.auto_replay = true).await;
    }
    poison(&subject, &["UPDATE letters SET body = '[]' WHERE id LIKE '%1'"]).await;
    let waiting = store.waiting(1).await.unwrap();
    assert_eq!(
        waiting.into_iter().map(|letter| letter.id).collect::<Vec<_>>(),
        [letter_id(2)]
    );
}

#[tokio::test]
async fn a_journal_with_a_poison_record_is_not_read_with_a_gap() {
    let subject = subjects::sqlite().await;
    let store = subject.store();
    let new = new_run(1, None);
    let fence = fresh(&*store, new.clone()).await;
    let journal = (1..=3).map(|n| settled(n, n)).collect();
    let approval = approval(1, &new.run);
    store.suspend(&fence, new.run, approval, journal).await.unwrap();
    poison(
        &subject,
        &[
            "UPDATE journal SET body = '{}' WHERE seq = 2",
            "UPDATE approvals SET body = ''",
        ],
    )
    .await;
    let journal = store.journal(TENANT, &run_id(1)).await;
    assert!(
        matches!(&journal, Err(StoreError::Unavailable { reason }) if reason.contains("/2")),
        "{journal:?}"
    );
    assert!(
        store
            .approvals(TENANT, &ApprovalFilter::default())
            .await
            .unwrap()
            .is_empty()
    );
}
