//! Tenants: whatever one of them names, it reads and changes its own rows only.

use super::Subject;
use super::samples::{
    LEASE, TENANT, approval, approval_id, attempt, breaker, dead, error, fresh, letter_id, new_run, owner, page,
    put_letter, run_id, tool,
};
use crate::ports::store::{
    Backlog, ErrorFilter, Fence, LetterChange, LetterFilter, RunFilter, Store, StoreError, ToolChange, Verdict,
};
use crate::requests::digest_of;
use std::time::Duration;

const OTHER: &str = "other";

/// One of everything: a tool, a running run, a dead-lettered one, a page, a breaker, an error.
async fn fill(store: &dyn Store) -> Fence {
    let (record, bytes) = tool("search", "m", "c");
    store.deploy(record, bytes).await.unwrap();
    let fence = fresh(store, new_run(1, Some("k"))).await;
    put_letter(store, 2, |_| ()).await;
    store.put_pages(TENANT, &[page(1)]).await.unwrap();
    store.swap_breaker(TENANT, 0, &breaker("search", 1)).await.unwrap();
    store.append_errors(vec![error(TENANT, "search")]).await.unwrap();
    fence
}

pub async fn tenants_do_not_see_each_other(subject: &dyn Subject) {
    let store = subject.store();
    fill(&*store).await;
    assert!(store.tools(OTHER).await.unwrap().is_empty());
    assert_eq!(store.tool(OTHER, "search").await.unwrap(), None);
    assert_eq!(store.tool_version(OTHER, "search", 1).await.unwrap(), None);
    assert_eq!(store.component(OTHER, digest_of(b"c")).await.unwrap(), None);
    assert!(store.runs(OTHER, &RunFilter::default()).await.unwrap().is_empty());
    assert_eq!(store.run(OTHER, &run_id(1)).await.unwrap(), None);
    assert!(store.letters(OTHER, &LetterFilter::default()).await.unwrap().is_empty());
    assert_eq!(store.letter(OTHER, &letter_id(2)).await.unwrap(), None);
    assert_eq!(store.letter_of(OTHER, &run_id(2)).await.unwrap(), None);
    assert_eq!(store.page(OTHER, page(1).digest).await.unwrap(), None);
    assert!(store.breakers(OTHER).await.unwrap().is_empty());
    assert!(store.errors(OTHER, &ErrorFilter::default()).await.unwrap().is_empty());
}

/// Everything that one tenant can see.
async fn seen(store: &dyn Store, tenant: &str) -> String {
    let closed = LetterFilter {
        closed: true,
        ..LetterFilter::default()
    };
    format!(
        "{:?} {:?} {:?} {:?} {:?} {:?} {:?}",
        store.tools(tenant).await.unwrap(),
        store.component(tenant, digest_of(b"c")).await.unwrap(),
        store.runs(tenant, &RunFilter::default()).await.unwrap(),
        store.letters(tenant, &closed).await.unwrap(),
        store.page(tenant, page(1).digest).await.unwrap(),
        store.breakers(tenant).await.unwrap(),
        store.errors(tenant, &ErrorFilter::default()).await.unwrap(),
    )
}

pub async fn tenants_do_not_change_each_other(subject: &dyn Subject) {
    let store = subject.store();
    let fence = fill(&*store).await;
    let before = seen(&*store, TENANT).await;

    for change in [ToolChange::Disable, ToolChange::Enable, ToolChange::Remove] {
        assert!(!store.change_tool(OTHER, "search", change).await.unwrap());
    }
    let fenced = |result: Result<(), StoreError>| assert!(matches!(result, Err(StoreError::Fenced { .. })));
    fenced(store.renew(OTHER, &run_id(1), &fence, LEASE).await);
    fenced(store.record_attempt(OTHER, &run_id(1), &fence, &attempt(1)).await);
    let mut finish = dead(&new_run(1, None).run, 1);
    finish.run.tenant = OTHER.to_owned();
    fenced(store.finish(&fence, finish.clone()).await);
    let leased = store.lease_letter(OTHER, &letter_id(2), &owner(1), LEASE).await;
    assert!(matches!(leased, Err(StoreError::Refused { .. })));
    fenced(store.release_letter(OTHER, &letter_id(2), &fence).await);
    assert!(store.purge(OTHER, &[letter_id(2)]).await.unwrap().is_empty());
    assert_eq!(store.retain(OTHER, Duration::ZERO).await.unwrap(), 0);
    assert_eq!(store.swap_breaker(OTHER, 0, &breaker("search", 7)).await.unwrap(), None);
    // The same ids and names are free for another tenant.
    store.record_finished(vec![finish]).await.unwrap();
    let (mut record, bytes) = tool("search", "m", "c");
    record.tenant = OTHER.to_owned();
    assert_eq!(store.deploy(record, bytes).await.unwrap().0.number, 1);
    store.change_tool(OTHER, "search", ToolChange::Remove).await.unwrap();
    store.put_pages(OTHER, &[page(1)]).await.unwrap();
    store.append_errors(vec![error(OTHER, "search")]).await.unwrap();
    subject.pass(Duration::from_secs(2 * 24 * 3600)).await;
    store.retain(OTHER, Duration::ZERO).await.unwrap();
    assert_eq!(store.page(OTHER, page(1).digest).await.unwrap(), None);

    assert_eq!(seen(&*store, TENANT).await, before);
}

pub async fn what_waits_is_counted_for_all_tenants_together(subject: &dyn Subject) {
    let store = subject.store();
    assert_eq!(store.backlog().await.unwrap(), Backlog::default());
    put_letter(&*store, 1, |letter| letter.first_failed = 3_000).await;
    put_letter(&*store, 2, |letter| "known-bad".clone_into(&mut letter.kind)).await;
    let mut elsewhere = new_run(3, None).run;
    OTHER.clone_into(&mut elsewhere.tenant);
    let mut finish = dead(&elsewhere, 3);
    if let LetterChange::Enqueue(letter) = &mut finish.letter {
        letter.first_failed = 2_000;
    }
    store.record_finished(vec![finish]).await.unwrap();
    let asks = new_run(4, None);
    let fence = fresh(&*store, asks.clone()).await;
    let question = approval(4, &asks.run);
    let asked = question.asked;
    store.suspend(&fence, asks.run, question, Vec::new()).await.unwrap();

    let backlog = store.backlog().await.unwrap();
    assert_eq!(backlog.letters, [2, 1, 0], "retryable, known-bad, in-doubt");
    assert_eq!(
        (backlog.oldest, backlog.approvals, backlog.oldest_approval),
        (Some(2_000), 1, Some(asked))
    );

    store.purge(OTHER, &[letter_id(3)]).await.unwrap();
    store.purge(TENANT, &[letter_id(1)]).await.unwrap();
    store
        .decide(
            TENANT,
            &approval_id(4),
            &Verdict {
                approved: true,
                by: "ann".to_owned(),
                reason: None,
            },
        )
        .await
        .unwrap();
    let backlog = store.backlog().await.unwrap();
    assert_eq!(
        (backlog.letters, backlog.approvals, backlog.oldest_approval),
        ([0, 1, 0], 0, None)
    );
}
