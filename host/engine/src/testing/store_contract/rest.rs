//! Roots that nobody holds: taken once, by whoever comes first, when their time has come.

use super::Subject;
use super::samples::{
    DAY, LEASE, TENANT, attempt, dead, detached, fresh, intent, letter_id, nested, new_run, now, owner, put_letter,
    run_id, settled, success,
};
use crate::ports::store::{Append, Claim, Fence, Finish, Lane, LetterChange, Store, StoreError, Taken, Wakes};
use crate::records::RunRecord;
use fusebox_core::ids::RunId;
use futures::future::join_all;
use std::fmt::Debug;
use std::sync::Arc;

fn assert_refused<T: Debug>(result: &Result<T, StoreError>, why: &str) {
    let said = matches!(result, Err(StoreError::Refused { what }) if what.contains(why));
    assert!(said, "{result:?}");
}

async fn take(store: &dyn Store) -> Vec<Taken> {
    store.take(&owner(50), LEASE, 100, &[]).await.unwrap()
}

fn ids(taken: &[Taken]) -> Vec<(RunId, Wakes)> {
    taken.iter().map(|taken| (taken.run.id.clone(), taken.why)).collect()
}

/// The run, to sleep for so many milliseconds.
fn asleep(run: &RunRecord, for_ms: i64) -> RunRecord {
    RunRecord {
        until: Some(now() + for_ms),
        attempts: vec![attempt(1)],
        left_ms: Some(30_000),
        ..run.clone()
    }
}

pub async fn case_70_an_accepted_run_is_taken_once(subject: &dyn Subject) {
    let store = subject.store();
    for n in 1..=20 {
        let claim = store.claim(detached(n, Some(&format!("k{n}")))).await.unwrap();
        assert!(matches!(claim, Claim::Fresh(_)));
    }
    assert_eq!(store.run(TENANT, &run_id(1)).await.unwrap().unwrap().state, "accepted");
    let joined = store.claim(new_run(30, Some("k1"))).await.unwrap();
    assert!(matches!(joined, Claim::Joined { alive: false, .. }), "{joined:?}");
    let racers = (1..=8).map(|n| {
        let store = Arc::clone(&store);
        tokio::spawn(async move { store.take(&owner(n), LEASE, 7, &[]).await.unwrap() })
    });
    let taken: Vec<Taken> = join_all(racers).await.into_iter().flat_map(Result::unwrap).collect();
    let mut runs: Vec<_> = taken.iter().map(|taken| taken.run.id.clone()).collect();
    runs.sort();
    assert_eq!(runs, (1..=20).map(run_id).collect::<Vec<_>>());
    for taken in &taken {
        assert_eq!(
            (taken.why, taken.run.state.as_str(), taken.run.recoveries),
            (Wakes::Accepted, "running", 0)
        );
        store.finish(&taken.fence, success(&taken.run)).await.unwrap();
    }
    assert!(take(&*store).await.is_empty());
}

pub async fn a_sleeper_wakes_when_its_time_has_come(subject: &dyn Subject) {
    let store = subject.store();
    let new = new_run(1, Some("k"));
    let fence = fresh(&*store, new.clone()).await;
    let sleeper = asleep(&new.run, 120_000);
    store.sleep(&fence, sleeper.clone(), vec![settled(1, 1)]).await.unwrap();
    let shown = store.run(TENANT, &new.run.id).await.unwrap().unwrap();
    let expected = RunRecord {
        state: "sleeping".to_owned(),
        ..sleeper
    };
    assert_eq!(shown, expected);
    // Nobody holds it, and its key is its own.
    let lost = store.renew(TENANT, &new.run.id, &fence, LEASE).await;
    assert!(matches!(lost, Err(StoreError::Fenced { .. })), "{lost:?}");
    let joined = store.claim(new_run(2, Some("k"))).await.unwrap();
    assert!(matches!(joined, Claim::Joined { alive: false, .. }), "{joined:?}");
    subject.pass(LEASE * 3 / 2).await;
    assert!(take(&*store).await.is_empty());
    subject.pass(LEASE).await;
    let taken = take(&*store).await;
    assert_eq!(ids(&taken), [(new.run.id.clone(), Wakes::Slept)]);
    assert_eq!((taken[0].run.recoveries, taken[0].run.until), (0, None));
    assert_eq!(taken[0].run.attempts.len(), 1);
    assert_eq!(taken[0].run.seed, new.run.seed);
    assert_eq!(store.journal(TENANT, &new.run.id).await.unwrap().len(), 1);
}

pub async fn a_run_that_is_handed_over_is_taken_at_once(subject: &dyn Subject) {
    let store = subject.store();
    let new = new_run(1, None);
    let fence = fresh(&*store, new.clone()).await;
    let handed = RunRecord {
        until: None,
        ..new.run.clone()
    };
    store.sleep(&fence, handed, Vec::new()).await.unwrap();
    assert_eq!(ids(&take(&*store).await), [(new.run.id, Wakes::Slept)]);
}

pub async fn case_38_attempts_and_recoveries_are_counted_apart_over_every_crash(subject: &dyn Subject) {
    let store = subject.store();
    let new = new_run(1, None);
    let mut fence = fresh(&*store, new.clone()).await;
    for n in 1..=3 {
        store
            .record_attempt(TENANT, &new.run.id, &fence, &attempt(n))
            .await
            .unwrap();
        subject.pass(2 * LEASE).await;
        let taken = take(&*store).await;
        assert_eq!(ids(&taken), [(new.run.id.clone(), Wakes::Abandoned)]);
        let run = &taken[0].run;
        assert_eq!((run.recoveries, run.attempts.len()), (n, n as usize));
        fence = taken[0].fence.clone();
    }
    // What its owner believes does not count; and rest is no recovery.
    let asleep = RunRecord {
        recoveries: 0,
        until: None,
        ..new.run.clone()
    };
    store.sleep(&fence, asleep, Vec::new()).await.unwrap();
    assert_eq!(take(&*store).await[0].run.recoveries, 3);
}

pub async fn case_37_who_comes_back_after_a_takeover_writes_nothing(subject: &dyn Subject) {
    let store = subject.store();
    let new = new_run(1, None);
    let old = fresh(&*store, new.clone()).await;
    subject.pass(2 * LEASE).await;
    let taken = take(&*store).await.remove(0);
    let append = Append {
        records: vec![intent(1)],
        ..Append::default()
    };
    let writes = [
        store.append(TENANT, &new.run.id, &old, append).await,
        store.sleep(&old, asleep(&new.run, 1), Vec::new()).await,
        store.finish(&old, success(&new.run)).await,
        store.renew(TENANT, &new.run.id, &old, LEASE).await,
    ];
    for write in writes {
        assert!(matches!(write, Err(StoreError::Fenced { .. })), "{write:?}");
    }
    assert!(store.journal(TENANT, &new.run.id).await.unwrap().is_empty());
    store.finish(&taken.fence, success(&taken.run)).await.unwrap();
}

pub async fn the_oldest_are_taken_first(subject: &dyn Subject) {
    let store = subject.store();
    for (n, ago) in [(1, 1000), (2, 3000), (3, 2000)] {
        let fence = fresh(&*store, new_run(n, None)).await;
        let run = asleep(&new_run(n, None).run, -ago);
        store.sleep(&fence, run, Vec::new()).await.unwrap();
    }
    let first = store.take(&owner(9), LEASE, 2, &[]).await.unwrap();
    let first: Vec<_> = first.into_iter().map(|taken| taken.run.id).collect();
    assert_eq!(first, [2, 3].map(run_id));
    assert_eq!(store.take(&owner(9), LEASE, 0, &[]).await.unwrap().len(), 0);
    assert_eq!(take(&*store).await.len(), 1);
}

pub async fn tenants_take_turns_and_so_do_the_tools_of_each(subject: &dyn Subject) {
    let store = subject.store();
    let put = async |n: u64, tenant: &str, tool: &str, ago: i64| {
        let mut new = new_run(n, None);
        tenant.clone_into(&mut new.run.tenant);
        tool.clone_into(&mut new.run.tool);
        let fence = fresh(&*store, new.clone()).await;
        store.sleep(&fence, asleep(&new.run, -ago), Vec::new()).await.unwrap();
    };
    // One tool of one tenant has most of the runs, and they are the oldest.
    for n in 1..=20 {
        put(n, "a", "many", 60_000 - i64::try_from(n).unwrap()).await;
    }
    put(31, "a", "few", 2_000).await;
    put(32, "a", "few", 1_000).await;
    put(41, "b", "few", 500).await;
    put(42, "b", "few", 400).await;
    let take = async |limit, busy: &[Lane]| -> Vec<RunId> {
        let taken = store.take(&owner(9), LEASE, limit, busy).await.unwrap();
        taken.into_iter().map(|taken| taken.run.id).collect()
    };
    assert_eq!(take(5, &[]).await, [1, 41, 31, 42, 2].map(run_id));
    let busy = ["many", "none"].map(|tool| Lane {
        tenant: "a".to_owned(),
        tool: tool.to_owned(),
    });
    assert_eq!(take(5, &busy).await, [32].map(run_id));
    assert_eq!(take(100, &[]).await, (3..=20).map(run_id).collect::<Vec<_>>());
}

pub async fn a_root_is_taken_by_name_unless_somebody_has_it(subject: &dyn Subject) {
    let store = subject.store();
    let take_run = async |n: u64| store.take_run(TENANT, &run_id(n), &owner(9), LEASE).await;
    let new = new_run(1, None);
    let fence = fresh(&*store, new.clone()).await;
    store.claim_nested(nested(2, 1, 1), &fence).await.unwrap();
    assert_refused(&take_run(1).await, "another host");
    assert_refused(&take_run(2).await, "is part of run");
    assert_refused(&take_run(3).await, "there is no run");
    store
        .sleep(&fence, asleep(&new.run, 3_600_000), Vec::new())
        .await
        .unwrap();
    let taken = take_run(1).await.unwrap();
    assert_eq!((taken.why, taken.run.recoveries), (Wakes::Slept, 0));
    subject.pass(2 * LEASE).await;
    let taken = take_run(1).await.unwrap();
    assert_eq!((taken.why, taken.run.recoveries), (Wakes::Abandoned, 1));
    store.finish(&taken.fence, success(&taken.run)).await.unwrap();
    assert_refused(&take_run(1).await, "keeps no journal");
    put_letter(&*store, 4, |_| ()).await;
    assert_refused(&take_run(4).await, "replay that");
    store.claim(detached(5, None)).await.unwrap();
    assert_eq!(take_run(5).await.unwrap().why, Wakes::Accepted);
}

/// A run whose replay sleeps.
async fn sleeping_replay(store: &dyn Store) -> Fence {
    put_letter(store, 1, |_| ()).await;
    let leased = store.lease_letter(TENANT, &letter_id(1), &owner(2), LEASE).await;
    let (letter, fence) = leased.unwrap();
    store
        .sleep(&fence, asleep(&letter.run, 30_000), Vec::new())
        .await
        .unwrap();
    fence
}

pub async fn case_44_a_replay_that_slept_and_lost_its_host_leaves_the_letter_open(subject: &dyn Subject) {
    let store = subject.store();
    sleeping_replay(&*store).await;
    let letter = async || store.letter(TENANT, &letter_id(1)).await.unwrap().unwrap();
    assert_eq!(letter().await.state, "replaying");
    let again = store.lease_letter(TENANT, &letter_id(1), &owner(3), LEASE).await;
    assert_refused(&again, "being replayed");
    assert!(store.purge(TENANT, &[letter_id(1)]).await.unwrap().is_empty());
    subject.pass(LEASE).await;
    let taken = take(&*store).await.remove(0);
    assert_eq!((taken.why, taken.run.state.as_str()), (Wakes::Slept, "running"));
    assert_eq!(letter().await.state, "replaying");
    subject.pass(2 * LEASE).await;
    assert!(take(&*store).await.is_empty(), "a replay is not recovered");
    assert_eq!(letter().await.state, "open");
    assert_eq!(
        store.run(TENANT, &run_id(1)).await.unwrap().unwrap().state,
        "dead-lettered"
    );
    let leased = store.lease_letter(TENANT, &letter_id(1), &owner(3), LEASE).await;
    let (leased, fence) = leased.unwrap();
    let close = Finish {
        letter: LetterChange::Close,
        ..success(&leased.run)
    };
    store.finish(&fence, close).await.unwrap();
}

pub async fn case_26_cancelling_a_run_that_rests_ends_it(subject: &dyn Subject) {
    let store = subject.store();
    let cancel = async |n: u64| store.cancel(TENANT, &run_id(n)).await;
    // 1 sleeps with a journal, 2 was accepted, 3 lost its host.
    let fence = fresh(&*store, new_run(1, Some("k"))).await;
    store.claim_nested(nested(9, 1, 1), &fence).await.unwrap();
    let sleeper = asleep(&new_run(1, Some("k")).run, 3_600_000);
    store.sleep(&fence, sleeper, vec![settled(1, 1)]).await.unwrap();
    store.claim(detached(2, None)).await.unwrap();
    fresh(&*store, new_run(3, None)).await;
    subject.pass(2 * LEASE).await;
    for n in 1..=3 {
        assert!(cancel(n).await.unwrap());
        let run = store.run(TENANT, &run_id(n)).await.unwrap().unwrap();
        assert_eq!((run.state.as_str(), run.until), ("cancelled", None));
        assert!(run.finished.is_some());
        assert_eq!(run.failure.unwrap().code, "cancelled");
        assert!(!cancel(n).await.unwrap(), "it is over");
    }
    assert!(take(&*store).await.is_empty());
    assert_eq!(store.tree(TENANT, &run_id(1)).await.unwrap()[0].state, "cancelled");
    let stored = store.claim(new_run(5, Some("k"))).await.unwrap();
    assert!(matches!(stored, Claim::Stored(run) if run.id == run_id(1)));
    // Its journal is kept: somebody may think better of it.
    let resumed = store.take_run(TENANT, &run_id(1), &owner(4), LEASE).await.unwrap();
    assert_eq!(resumed.why, Wakes::Slept);
    assert_refused(&cancel(7).await, "there is no run");
    assert_refused(&cancel(9).await, "is part of run");
}

pub async fn a_wish_to_cancel_waits_for_who_holds_the_run_or_takes_it(subject: &dyn Subject) {
    let store = subject.store();
    let wished = async |n: u64| store.is_cancelled(TENANT, &run_id(n)).await.unwrap();
    let new = new_run(1, None);
    let fence = fresh(&*store, new.clone()).await;
    assert!(!wished(1).await);
    assert!(store.cancel(TENANT, &run_id(1)).await.unwrap());
    assert!(wished(1).await);
    assert_eq!(store.run(TENANT, &run_id(1)).await.unwrap().unwrap().state, "running");
    // It is kept over rest and takeover, and gone with the end.
    store.sleep(&fence, asleep(&new.run, 0), Vec::new()).await.unwrap();
    subject.pass(LEASE).await;
    let taken = take(&*store).await.remove(0);
    assert!(wished(1).await);
    store.finish(&taken.fence, dead(&taken.run, 1)).await.unwrap();
    assert!(!wished(1).await);
    assert_refused(&store.cancel(TENANT, &run_id(1)).await, "letter");

    // An effect that nobody knows the end of is judged by whoever takes the run over, not by the one who cancels.
    let fence = fresh(&*store, new_run(2, None)).await;
    store.claim_nested(nested(3, 2, 1), &fence).await.unwrap();
    let unsettled = Append {
        run: Some(run_id(3)),
        records: vec![intent(1)],
        ..Append::default()
    };
    store.append(TENANT, &run_id(2), &fence, unsettled).await.unwrap();
    subject.pass(2 * LEASE).await;
    assert!(store.cancel(TENANT, &run_id(2)).await.unwrap());
    assert!(wished(2).await);
    assert_eq!(ids(&take(&*store).await), [(run_id(2), Wakes::Abandoned)]);
}

pub async fn cancelling_a_replay_that_sleeps_opens_its_letter(subject: &dyn Subject) {
    let store = subject.store();
    sleeping_replay(&*store).await;
    assert!(store.cancel(TENANT, &run_id(1)).await.unwrap());
    assert_eq!(
        store.letter(TENANT, &letter_id(1)).await.unwrap().unwrap().state,
        "open"
    );
    let run = store.run(TENANT, &run_id(1)).await.unwrap().unwrap();
    assert_eq!((run.state.as_str(), run.finished), ("dead-lettered", None));
    subject.pass(DAY).await;
    assert!(take(&*store).await.is_empty());
}
