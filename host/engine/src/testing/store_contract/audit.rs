//! The audit trail.

use super::Subject;
use super::samples::TENANT;
use crate::ports::store::AuditFilter;
use crate::records::{AuditEntry, AuditHead, AuditRecord};
use futures::future::join_all;
use std::sync::Arc;

/// Entry number `n`.
fn entry(n: i64, tenant: &str) -> AuditEntry {
    AuditEntry {
        tenant: tenant.to_owned(),
        at: 1_767_225_600_000 + n,
        principal: ["local", "key:ci"][usize::try_from(n).unwrap() % 2].to_owned(),
        action: ["tool.deploy", "letter.purge"][usize::from(n > 2)].to_owned(),
        subject: format!("subject-{n}"),
        detail: r#"{"n":"é"}"#.to_owned(),
        outcome: "begun".to_owned(),
    }
}

pub async fn every_entry_follows_the_one_before(subject: &dyn Subject) {
    let store = subject.store();
    assert_eq!(store.audit_head(TENANT).await.unwrap(), AuditHead::EMPTY);
    let mut written = Vec::new();
    for n in 1..=4 {
        written.push(store.append_audit(entry(n, TENANT)).await.unwrap());
        let other = store.append_audit(entry(n, "other")).await.unwrap();
        assert_eq!(other.number, n, "each tenant has a trail of its own");
    }
    let mut head = AuditHead::EMPTY;
    for (record, n) in written.iter().zip(1..) {
        assert_eq!(*record, AuditRecord::after(head, entry(n, TENANT)));
        head = record.head();
    }
    assert_eq!(store.audit_head(TENANT).await.unwrap(), head);
    assert_eq!(store.audit_trail(TENANT, 0, 0).await.unwrap(), written);
    assert_eq!(store.audit_trail(TENANT, 1, 2).await.unwrap(), written[1..3]);
    assert!(store.audit_trail(TENANT, 4, 0).await.unwrap().is_empty());
}

pub async fn of_many_writers_none_writes_over_another(subject: &dyn Subject) {
    let store = subject.store();
    let writers = (0..32).map(|n| {
        let store = Arc::clone(&store);
        tokio::spawn(async move { store.append_audit(entry(n, TENANT)).await.unwrap() })
    });
    join_all(writers).await;
    let trail = store.audit_trail(TENANT, 0, 100).await.unwrap();
    assert_eq!(trail.len(), 32);
    assert!(trail.windows(2).all(|pair| pair[1].previous == pair[0].hash));
    assert!(trail.iter().all(|entry| entry.computed_hash() == entry.hash));
}

pub async fn entries_are_listed_newest_first_and_by_filter(subject: &dyn Subject) {
    let store = subject.store();
    for n in 1..=4 {
        store.append_audit(entry(n, TENANT)).await.unwrap();
    }
    let numbers = async |filter: AuditFilter| {
        let entries = store.audit(TENANT, &filter).await.unwrap();
        entries.into_iter().map(|entry| entry.number).collect::<Vec<_>>()
    };
    let text = |value: &str| Some(value.to_owned());
    let all = AuditFilter::default;
    assert_eq!(numbers(all()).await, [4, 3, 2, 1]);
    assert_eq!(numbers(AuditFilter { limit: 2, ..all() }).await, [4, 3]);
    assert_eq!(
        numbers(AuditFilter {
            after: Some(3),
            limit: 1,
            ..all()
        })
        .await,
        [2]
    );
    let action = text("tool.deploy");
    assert_eq!(numbers(AuditFilter { action, ..all() }).await, [2, 1]);
    let principal = text("key:ci");
    assert_eq!(numbers(AuditFilter { principal, ..all() }).await, [3, 1]);
    let subject = text("subject-2");
    assert_eq!(numbers(AuditFilter { subject, ..all() }).await, [2]);
    let since = Some(1_767_225_600_003);
    assert_eq!(numbers(AuditFilter { since, ..all() }).await, [4, 3]);
    assert!(store.audit("other", &all()).await.unwrap().is_empty());
}
