//! API keys.

use super::Subject;
use super::samples::{TENANT, now};
use crate::ports::store::StoreError;
use crate::records::{KeyRecord, StoredKey};
use crate::requests::digest_of;
use fusebox_core::role::{Role, Roles};
use std::time::Duration;

const OTHER: &str = "other";

/// Key number `n`.
fn key(n: i64, tenant: &str) -> StoredKey {
    StoredKey {
        key: KeyRecord {
            id: format!("key{n:09}"),
            tenant: tenant.to_owned(),
            name: "ci".to_owned(),
            roles: [Role::Caller, Role::Operator].into_iter().collect(),
            created: now() + n,
            expires: Some(n),
            revoked: None,
        },
        secret: digest_of(&n.to_le_bytes()),
    }
}

pub async fn a_key_is_found_by_its_id_whatever_its_tenant(subject: &dyn Subject) {
    let store = subject.store();
    for stored in [key(2, TENANT), key(1, TENANT), key(3, OTHER)] {
        store.put_key(stored).await.unwrap();
    }
    assert_eq!(
        store.key("key000000003").await.unwrap(),
        Some(key_as_stored(&*store, 3, OTHER).await)
    );
    assert_eq!(store.key("key000000004").await.unwrap(), None);
    let ids = |keys: Vec<KeyRecord>| keys.into_iter().map(|key| key.id).collect::<Vec<_>>();
    assert_eq!(ids(store.keys(TENANT).await.unwrap()), ["key000000001", "key000000002"]);
    assert_eq!(ids(store.keys(OTHER).await.unwrap()), ["key000000003"]);
    assert!(store.keys("nobody").await.unwrap().is_empty());
}

/// Key number `n` as it was put, but for the moment of its creation.
async fn key_as_stored(store: &dyn crate::ports::store::Store, n: i64, tenant: &str) -> StoredKey {
    let mut expected = key(n, tenant);
    expected.key.created = store.keys(tenant).await.unwrap()[0].created;
    expected
}

pub async fn the_id_of_a_key_is_used_once(subject: &dyn Subject) {
    let store = subject.store();
    store.put_key(key(1, TENANT)).await.unwrap();
    for tenant in [TENANT, OTHER] {
        let mut again = key(1, tenant);
        again.key.roles = Roles::ALL;
        again.secret = digest_of(b"another");
        let refused = store.put_key(again).await;
        assert!(matches!(refused, Err(StoreError::Refused { .. })), "{tenant}");
    }
    let kept = store.key("key000000001").await.unwrap().unwrap();
    assert_eq!((kept.secret, kept.key.tenant.as_str()), (key(1, TENANT).secret, TENANT));
    assert!(!kept.key.roles.has(Role::Deployer));
}

pub async fn a_key_is_revoked_once_and_by_its_tenant(subject: &dyn Subject) {
    let store = subject.store();
    store.put_key(key(1, TENANT)).await.unwrap();
    assert_eq!(store.revoke_key(OTHER, "key000000001").await.unwrap(), None);
    assert_eq!(store.revoke_key(TENANT, "key000000002").await.unwrap(), None);
    assert_eq!(store.key("key000000001").await.unwrap().unwrap().key.revoked, None);
    let revoked = store.revoke_key(TENANT, "key000000001").await.unwrap().unwrap();
    assert!(revoked.revoked.is_some_and(|at| at >= revoked.created - 1));
    subject.pass(Duration::from_secs(60)).await;
    let again = store.revoke_key(TENANT, "key000000001").await.unwrap();
    assert_eq!(again.as_ref(), Some(&revoked));
    assert_eq!(store.key("key000000001").await.unwrap().unwrap().key, revoked);
    assert_eq!(store.keys(TENANT).await.unwrap(), [revoked]);
}
