//! Breakers and the error log.

use super::Subject;
use super::samples::{TENANT, breaker, error};
use crate::ports::store::{ERRORS_KEPT, ErrorFilter};
use futures::future::join_all;
use std::sync::Arc;

pub async fn a_breaker_is_swapped_by_its_epoch(subject: &dyn Subject) {
    let store = subject.store();
    assert_eq!(
        store.swap_breaker(TENANT, 0, &breaker("search", 1)).await.unwrap(),
        None
    );
    assert_eq!(
        store.swap_breaker(TENANT, 0, &breaker("search", 9)).await.unwrap(),
        Some(breaker("search", 1))
    );
    assert_eq!(
        store.swap_breaker(TENANT, 1, &breaker("search", 2)).await.unwrap(),
        None
    );
    assert_eq!(
        store.swap_breaker(TENANT, 1, &breaker("search", 9)).await.unwrap(),
        Some(breaker("search", 2))
    );
    // A row that is gone contradicts nobody.
    assert_eq!(store.swap_breaker(TENANT, 5, &breaker("llm", 6)).await.unwrap(), None);
    assert_eq!(
        store.breakers(TENANT).await.unwrap(),
        [breaker("llm", 6), breaker("search", 2)]
    );
}

pub async fn of_many_hosts_one_swaps_a_breaker(subject: &dyn Subject) {
    let store = subject.store();
    store.swap_breaker(TENANT, 0, &breaker("search", 1)).await.unwrap();
    let hosts = (0..32).map(|n| {
        let store = Arc::clone(&store);
        tokio::spawn(async move { store.swap_breaker(TENANT, 1, &breaker("search", 2 + n)).await.unwrap() })
    });
    let swapped: Vec<_> = join_all(hosts).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(swapped.iter().filter(|other| other.is_none()).count(), 1);
    let stored = store.breakers(TENANT).await.unwrap();
    assert!(swapped.into_iter().flatten().all(|other| other == stored[0]));
}

pub async fn errors_are_listed_newest_first_and_by_tool(subject: &dyn Subject) {
    let store = subject.store();
    let tools = ["search", "mail", "search"];
    store
        .append_errors(tools.map(|tool| error(TENANT, tool)).into())
        .await
        .unwrap();
    let page = ErrorFilter {
        limit: 1,
        ..ErrorFilter::default()
    };
    let of_tool = ErrorFilter {
        tool: Some("search".to_owned()),
        ..ErrorFilter::default()
    };
    let all = store.errors(TENANT, &ErrorFilter::default()).await.unwrap();
    assert_eq!(all.iter().map(|e| e.tool.as_str()).collect::<Vec<_>>(), tools);
    assert!(all.windows(2).all(|pair| pair[0].id > pair[1].id));
    assert_eq!(store.errors(TENANT, &of_tool).await.unwrap().len(), 2);
    assert_eq!(store.errors(TENANT, &page).await.unwrap(), all[..1]);
    let next = ErrorFilter {
        after: Some(all[0].id),
        ..page
    };
    assert_eq!(store.errors(TENANT, &next).await.unwrap(), all[1..2]);
}

pub async fn the_error_log_is_bounded_for_each_tenant(subject: &dyn Subject) {
    let store = subject.store();
    store.append_errors(vec![error("other", "mail")]).await.unwrap();
    let kept = usize::try_from(ERRORS_KEPT).unwrap();
    for _ in 0..=kept / 1000 {
        store.append_errors(vec![error(TENANT, "search"); 1000]).await.unwrap();
    }
    let most = ErrorFilter {
        limit: u32::MAX,
        ..ErrorFilter::default()
    };
    let errors = store.errors(TENANT, &most).await.unwrap();
    assert_eq!(errors.len(), kept);
    let oldest = errors[0].id - errors[kept - 1].id;
    assert_eq!(usize::try_from(oldest).unwrap(), kept - 1, "the newest are kept");
    assert_eq!(store.errors("other", &ErrorFilter::default()).await.unwrap().len(), 1);
}
