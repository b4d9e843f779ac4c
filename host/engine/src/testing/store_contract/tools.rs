//! Tools: numbered versions, an operator's switch, and components by digest.

use super::Subject;
use super::samples::{TENANT, tool};
use crate::ports::store::{StoreError, ToolChange};
use crate::requests::digest_of;

pub async fn deploys_are_numbered_and_the_same_one_adds_nothing(subject: &dyn Subject) {
    let store = subject.store();
    let deploy = async |manifest: &str, component: &str| {
        let (record, bytes) = tool("search", manifest, component);
        let (stored, new) = store.deploy(record, bytes).await.unwrap();
        (stored.number, new)
    };
    assert_eq!(deploy("m1", "c1").await, (1, true));
    assert_eq!(deploy("m1", "c1").await, (1, false));
    assert_eq!(deploy("m2", "c1").await, (2, true));
    assert_eq!(deploy("m2", "c2").await, (3, true));
    // Going back is a new version: only the newest one counts as the same.
    assert_eq!(deploy("m1", "c1").await, (4, true));
    let (record, bytes) = tool("mail", "m", "c3");
    store.deploy(record, bytes).await.unwrap();
    let newest: Vec<_> = store
        .tools(TENANT)
        .await
        .unwrap()
        .into_iter()
        .map(|t| (t.name, t.number))
        .collect();
    assert_eq!(newest, [("mail".to_owned(), 1), ("search".to_owned(), 4)]);
    let second = store.tool_version(TENANT, "search", 2).await.unwrap().unwrap();
    assert_eq!((second.number, second.manifest.as_str()), (2, "m2"));
    assert_eq!(store.tool_version(TENANT, "search", 5).await.unwrap(), None);
    let component = store.component(TENANT, digest_of(b"c2")).await.unwrap();
    assert_eq!(component.as_deref(), Some(&b"c2"[..]));
}

pub async fn a_disabled_tool_stays_so_until_it_is_enabled(subject: &dyn Subject) {
    let store = subject.store();
    let (record, bytes) = tool("search", "m1", "c1");
    store.deploy(record, bytes).await.unwrap();
    let enabled = async || store.tool(TENANT, "search").await.unwrap().unwrap().enabled;
    assert!(enabled().await);
    assert!(store.change_tool(TENANT, "search", ToolChange::Disable).await.unwrap());
    assert!(!enabled().await);
    let (record, bytes) = tool("search", "m2", "c1");
    let (deployed, _) = store.deploy(record, bytes).await.unwrap();
    assert!(!deployed.enabled && !enabled().await);
    assert!(store.change_tool(TENANT, "search", ToolChange::Enable).await.unwrap());
    assert!(enabled().await);
    assert!(!store.change_tool(TENANT, "nothing", ToolChange::Enable).await.unwrap());
}

pub async fn a_removed_tool_is_forgotten_with_what_only_it_used(subject: &dyn Subject) {
    let store = subject.store();
    for (name, component) in [("search", "shared"), ("search", "own"), ("mail", "shared")] {
        let (record, bytes) = tool(name, "m", component);
        store.deploy(record, bytes).await.unwrap();
    }
    assert!(store.change_tool(TENANT, "search", ToolChange::Remove).await.unwrap());
    assert!(!store.change_tool(TENANT, "search", ToolChange::Remove).await.unwrap());
    assert_eq!(store.tool(TENANT, "search").await.unwrap(), None);
    assert_eq!(store.tool_version(TENANT, "search", 1).await.unwrap(), None);
    assert_eq!(store.tools(TENANT).await.unwrap().len(), 1);
    assert!(store.component(TENANT, digest_of(b"shared")).await.unwrap().is_some());
    assert_eq!(store.component(TENANT, digest_of(b"own")).await.unwrap(), None);
    // A run may be pinned to number 1 or 2 still, and must not get another version under it.
    let (record, bytes) = tool("search", "m", "own");
    assert_eq!(store.deploy(record, bytes).await.unwrap().0.number, 3);
    assert_eq!(store.tool_version(TENANT, "search", 1).await.unwrap(), None);
    let (record, bytes) = tool("mail", "m2", "shared");
    assert_eq!(store.deploy(record, bytes).await.unwrap().0.number, 2);
}

pub async fn a_component_under_another_digest_is_refused(subject: &dyn Subject) {
    let store = subject.store();
    let (record, _) = tool("search", "m", "c");
    let refused = store.deploy(record, "another".into()).await;
    assert!(matches!(refused, Err(StoreError::Refused { .. })), "{refused:?}");
    assert!(store.tools(TENANT).await.unwrap().is_empty());
}
