//! Questions to a person: asked with a suspension, answered once, used up once.

use super::Subject;
use super::samples::{
    DAY, LEASE, TENANT, approval, approval_id, failed, fresh, intent, new_run, owner, run_id, success,
};
use crate::ports::store::{
    Append, ApprovalFilter, Claim, Fence, Finish, LetterChange, Store, StoreError, Taken, Verdict, Wakes,
};
use crate::records::ApprovalRecord;
use std::fmt::Debug;

fn assert_refused<T: Debug>(result: &Result<T, StoreError>, why: &str) {
    let said = matches!(result, Err(StoreError::Refused { what }) if what.contains(why));
    assert!(said, "{result:?}");
}

/// Run number `n`, under key `k{n}`, waiting for approval number `n`.
async fn suspended(store: &dyn Store, n: u64) -> Fence {
    let new = new_run(n, Some(&format!("k{n}")));
    let fence = fresh(store, new.clone()).await;
    let question = approval(n, &new.run);
    store
        .suspend(&fence, new.run.clone(), question, vec![intent(1)])
        .await
        .unwrap();
    fence
}

fn verdict(approved: bool) -> Verdict {
    Verdict {
        approved,
        by: "ann".to_owned(),
        reason: Some("seen".to_owned()),
    }
}

async fn decide(store: &dyn Store, n: u64, approved: bool) -> Result<ApprovalRecord, StoreError> {
    store.decide(TENANT, &approval_id(n), &verdict(approved)).await
}

async fn take(store: &dyn Store) -> Vec<Taken> {
    store.take(&owner(50), LEASE, 100, &[]).await.unwrap()
}

/// Starts the call that approval number `n` allows, as run number `run`.
async fn start(store: &dyn Store, run: u64, fence: &Fence, n: u64) -> Result<(), StoreError> {
    let append = Append {
        records: vec![intent(2)],
        uses: Some(approval_id(n)),
        ..Append::default()
    };
    store.append(TENANT, &run_id(run), fence, append).await
}

pub async fn a_suspended_run_waits_for_its_answer_alone(subject: &dyn Subject) {
    let store = subject.store();
    let fence = suspended(&*store, 1).await;
    let run = store.run(TENANT, &run_id(1)).await.unwrap().unwrap();
    assert_eq!((run.state.as_str(), run.approval), ("suspended", Some(approval_id(1))));
    assert_eq!(store.journal(TENANT, &run_id(1)).await.unwrap(), [intent(1)]);
    let lost = store.renew(TENANT, &run_id(1), &fence, LEASE).await;
    assert!(matches!(lost, Err(StoreError::Fenced { .. })), "{lost:?}");
    subject.pass(2 * LEASE).await;
    assert!(take(&*store).await.is_empty());
    let early = store.take_run(TENANT, &run_id(1), &owner(2), LEASE).await;
    assert_refused(&early, approval_id(1).as_str());
    let asked = store.approval(TENANT, &approval_id(1)).await.unwrap().unwrap();
    assert_eq!(asked.state, "pending");

    let decided = decide(&*store, 1, true).await.unwrap();
    assert_eq!(
        (decided.state.as_str(), decided.by.as_deref()),
        ("approved", Some("ann"))
    );
    assert!(decided.decided.is_some());
    let shown = store.approval(TENANT, &approval_id(1)).await.unwrap().unwrap();
    assert_eq!(
        (&shown.state, &shown.by, &shown.reason),
        (&decided.state, &decided.by, &decided.reason)
    );
    assert_refused(&decide(&*store, 1, false).await, "approved already");
    assert_refused(&decide(&*store, 7, false).await, "there is no approval");
    let taken = take(&*store).await.remove(0);
    assert_eq!(
        (taken.why, taken.run.approval.clone()),
        (Wakes::Decided, Some(approval_id(1)))
    );
    assert_eq!((taken.run.state.as_str(), taken.run.recoveries), ("running", 0));
    let running = store.run(TENANT, &run_id(1)).await.unwrap().unwrap();
    assert_eq!((running.state.as_str(), running.approval), ("running", None));
}

pub async fn a_question_is_asked_by_the_owner_alone_and_once(subject: &dyn Subject) {
    let store = subject.store();
    suspended(&*store, 1).await;
    let new = new_run(2, None);
    let fence = fresh(&*store, new.clone()).await;
    let again = ApprovalRecord {
        id: approval_id(1),
        ..approval(2, &new.run)
    };
    let taken = store.suspend(&fence, new.run.clone(), again, Vec::new()).await;
    assert_refused(&taken, "exists already");
    assert_eq!(store.run(TENANT, &run_id(2)).await.unwrap().unwrap().state, "running");
    let stranger = Fence {
        owner: owner(9),
        ..fence
    };
    let fenced = store
        .suspend(&stranger, new.run.clone(), approval(2, &new.run), Vec::new())
        .await;
    assert!(matches!(fenced, Err(StoreError::Fenced { .. })), "{fenced:?}");
    assert_eq!(store.approval(TENANT, &approval_id(2)).await.unwrap(), None);
}

pub async fn an_approval_is_used_up_by_the_call_that_it_allows(subject: &dyn Subject) {
    let store = subject.store();
    suspended(&*store, 1).await;
    decide(&*store, 1, true).await.unwrap();
    let taken = take(&*store).await.remove(0);
    start(&*store, 1, &taken.fence, 1).await.unwrap();
    let used = store.approval(TENANT, &approval_id(1)).await.unwrap().unwrap();
    assert_eq!((used.state.as_str(), used.by.as_deref()), ("used", Some("ann")));
    assert_eq!(store.journal(TENANT, &run_id(1)).await.unwrap().len(), 2);
    assert_refused(&start(&*store, 1, &taken.fence, 1).await, "is used");
}

pub async fn case_51_an_approval_that_expired_starts_nothing(subject: &dyn Subject) {
    let store = subject.store();
    suspended(&*store, 1).await;
    suspended(&*store, 2).await;
    decide(&*store, 1, true).await.unwrap();
    subject.pass(2 * DAY).await;
    // 1 was answered in time and is started too late; 2 was never answered.
    let taken = take(&*store).await;
    assert_eq!(taken.len(), 2);
    assert!(taken.iter().all(|taken| taken.why == Wakes::Decided));
    let fence = |n: u64| &taken.iter().find(|taken| taken.run.id == run_id(n)).unwrap().fence;
    assert_refused(&start(&*store, 1, fence(1), 1).await, "has expired");
    assert!(
        store.journal(TENANT, &run_id(1)).await.unwrap().len() == 1,
        "a refused append writes nothing"
    );
    assert_refused(&start(&*store, 2, fence(2), 2).await, "is expired");
    let late = store.approval(TENANT, &approval_id(2)).await.unwrap().unwrap();
    assert_eq!(late.state, "expired");
    assert_refused(&decide(&*store, 2, true).await, "expired already");
}

pub async fn a_question_that_nobody_answered_in_time_has_expired(subject: &dyn Subject) {
    let store = subject.store();
    suspended(&*store, 1).await;
    subject.pass(2 * DAY).await;
    assert!(
        store
            .approvals(TENANT, &ApprovalFilter::default())
            .await
            .unwrap()
            .is_empty()
    );
    let late = store.approval(TENANT, &approval_id(1)).await.unwrap().unwrap();
    assert_eq!(late.state, "expired");
    assert_refused(&decide(&*store, 1, true).await, "expired already");
    let taken = store.take_run(TENANT, &run_id(1), &owner(2), LEASE).await.unwrap();
    assert_eq!((taken.why, taken.run.approval), (Wakes::Decided, Some(approval_id(1))));
}

pub async fn case_52_two_pending_approvals_do_not_swap(subject: &dyn Subject) {
    let store = subject.store();
    suspended(&*store, 1).await;
    suspended(&*store, 2).await;
    decide(&*store, 2, true).await.unwrap();
    let taken = take(&*store).await;
    assert_eq!(taken.len(), 1);
    assert_eq!(taken[0].run.id, run_id(2));
    let pending = store.approvals(TENANT, &ApprovalFilter::default()).await.unwrap();
    assert_eq!(pending.iter().map(|a| &a.id).collect::<Vec<_>>(), [&approval_id(1)]);
    // Each allows a call of its own run alone.
    decide(&*store, 1, true).await.unwrap();
    assert_refused(&start(&*store, 2, &taken[0].fence, 1).await, "is none of run");
    start(&*store, 2, &taken[0].fence, 2).await.unwrap();
    assert_eq!(
        store.approval(TENANT, &approval_id(1)).await.unwrap().unwrap().state,
        "approved"
    );
}

pub async fn case_61_a_suspended_run_keeps_its_key(subject: &dyn Subject) {
    let store = subject.store();
    suspended(&*store, 1).await;
    subject.pass(DAY / 2).await;
    let joined = store.claim(new_run(2, Some("k1"))).await.unwrap();
    match joined {
        Claim::Joined { run, alive } => {
            assert_eq!((run.state.as_str(), alive), ("suspended", false));
            assert_eq!(run.approval, Some(approval_id(1)), "the caller is told where to answer");
        }
        other => panic!("{other:?}"),
    }
}

pub async fn case_74_declined_and_asked_again_with_the_same_key_stays_declined(subject: &dyn Subject) {
    let store = subject.store();
    suspended(&*store, 1).await;
    decide(&*store, 1, false).await.unwrap();
    let taken = take(&*store).await.remove(0);
    assert_refused(&start(&*store, 1, &taken.fence, 1).await, "is declined");
    let declined = Finish {
        run: failed(&taken.run, "failed"),
        keep_key: true,
        letter: LetterChange::None,
        journal: Vec::new(),
    };
    store.finish(&taken.fence, declined).await.unwrap();
    let again = store.claim(new_run(2, Some("k1"))).await.unwrap();
    assert!(matches!(again, Claim::Stored(run) if run.id == run_id(1) && run.state == "failed"));
}

pub async fn questions_are_listed_oldest_first_and_by_root(subject: &dyn Subject) {
    let store = subject.store();
    for n in [3, 1, 2] {
        suspended(&*store, n).await;
    }
    decide(&*store, 2, false).await.unwrap();
    let ids = async |filter: ApprovalFilter| {
        let listed = store.approvals(TENANT, &filter).await.unwrap();
        listed.into_iter().map(|approval| approval.id).collect::<Vec<_>>()
    };
    let all = ApprovalFilter {
        all: true,
        ..ApprovalFilter::default()
    };
    assert_eq!(ids(ApprovalFilter::default()).await, [1, 3].map(approval_id));
    assert_eq!(ids(all.clone()).await, [1, 2, 3].map(approval_id));
    assert_eq!(
        ids(ApprovalFilter {
            limit: 1,
            ..all.clone()
        })
        .await,
        [approval_id(1)]
    );
    let root = Some(run_id(2));
    assert_eq!(
        ids(ApprovalFilter {
            root: root.clone(),
            ..all
        })
        .await,
        [approval_id(2)]
    );
    let root = ApprovalFilter {
        root,
        ..ApprovalFilter::default()
    };
    assert_eq!(ids(root).await, []);
    let foreign = store.approvals("other", &ApprovalFilter::default()).await.unwrap();
    assert!(foreign.is_empty());
}

pub async fn cancelling_a_suspended_run_withdraws_its_question(subject: &dyn Subject) {
    let store = subject.store();
    suspended(&*store, 1).await;
    assert!(store.cancel(TENANT, &run_id(1)).await.unwrap());
    let run = store.run(TENANT, &run_id(1)).await.unwrap().unwrap();
    assert_eq!((run.state.as_str(), run.approval), ("cancelled", None));
    assert!(
        store
            .approvals(TENANT, &ApprovalFilter::default())
            .await
            .unwrap()
            .is_empty()
    );
    assert_refused(&decide(&*store, 1, true).await, "expired already");
    assert!(take(&*store).await.is_empty());
    // What is over is forgotten with its questions.
    let new = new_run(2, None);
    let fence = fresh(&*store, new.clone()).await;
    store.finish(&fence, success(&new.run)).await.unwrap();
    subject.pass(40 * DAY).await;
    store.retain(TENANT, 30 * DAY).await.unwrap();
    store.retain(TENANT, 30 * DAY).await.unwrap();
    assert_eq!(store.approval(TENANT, &approval_id(1)).await.unwrap(), None);
}
