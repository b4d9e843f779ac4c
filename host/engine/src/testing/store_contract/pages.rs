//! Lists a page at a time: each page goes on behind the last row of the one before.

use super::Subject;
use super::samples::{TENANT, approval, fresh, letter_id, new_run, put_letter, run_id};
use crate::ports::store::{ApprovalFilter, LetterFilter, RunFilter};

/// In the order of the list, two that were created in one millisecond among them.
pub async fn runs_go_on_behind_the_last_one(subject: &dyn Subject) {
    let store = subject.store();
    for (n, created) in [(1, 1000), (2, 3000), (3, 2000), (4, 2000)] {
        let mut new = new_run(n, None);
        new.run.created = created;
        fresh(&*store, new).await;
    }
    let mut filter = RunFilter {
        limit: 1,
        ..RunFilter::default()
    };
    let mut seen = Vec::new();
    while let Some(run) = store.runs(TENANT, &filter).await.unwrap().pop() {
        filter.after = Some(run.id.clone());
        seen.push(run.id);
    }
    assert_eq!(seen, [2, 4, 3, 1].map(run_id));
}

/// Ids tell when they were made; that stands for a row that is gone.
pub async fn a_page_goes_on_behind_a_row_that_is_gone(subject: &dyn Subject) {
    let store = subject.store();
    let made = run_id(1).made().0;
    for (n, created) in [(1, made - 1), (2, made + 1)] {
        let mut new = new_run(n, None);
        new.run.created = created;
        fresh(&*store, new).await;
    }
    let filter = RunFilter {
        after: Some(run_id(9)),
        ..RunFilter::default()
    };
    let ids: Vec<_> = store
        .runs(TENANT, &filter)
        .await
        .unwrap()
        .into_iter()
        .map(|run| run.id)
        .collect();
    assert_eq!(ids, [run_id(1)]);
    assert_eq!(store.runs("other", &filter).await.unwrap(), []);
}

pub async fn letters_and_questions_go_on_behind_the_last_one(subject: &dyn Subject) {
    let store = subject.store();
    for (n, first) in [(1, 30), (2, 20), (3, 20)] {
        put_letter(&*store, n, |letter| letter.first_failed = first).await;
    }
    let mut filter = LetterFilter {
        limit: 2,
        ..LetterFilter::default()
    };
    let mut seen = Vec::new();
    loop {
        let page = store.letters(TENANT, &filter).await.unwrap();
        let Some(last) = page.last() else { break };
        filter.after = Some(last.id.clone());
        seen.extend(page.into_iter().map(|letter| letter.id));
    }
    assert_eq!(seen, [2, 3, 1].map(letter_id));

    for n in 11..=13 {
        let new = new_run(n, None);
        let fence = fresh(&*store, new.clone()).await;
        let asked = approval(n, &new.run);
        store.suspend(&fence, new.run, asked, Vec::new()).await.unwrap();
    }
    let all = store.approvals(TENANT, &ApprovalFilter::default()).await.unwrap();
    let filter = ApprovalFilter {
        after: Some(all[0].id.clone()),
        ..ApprovalFilter::default()
    };
    assert_eq!(all.len(), 3);
    assert_eq!(store.approvals(TENANT, &filter).await.unwrap(), all[1..]);
}
