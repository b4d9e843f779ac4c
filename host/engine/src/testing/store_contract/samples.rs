//! Records to put into a store: small, complete, and told apart by a number.

mod going_on;

pub use going_on::{approval, approval_id, detached, intent, nested, redrive, settled};

use crate::ports::clock::{Clock, SystemClock};
use crate::ports::store::{Claim, Fence, Finish, LetterChange, NewRun, Store};
use crate::records::{
    AttemptRecord, BreakerRecord, ErrorRecord, FailureRecord, InstanceState, LetterRecord, Log, MemoryState, Page,
    RunRecord, Seed, Snapshot, StoredPage, ToolRecord,
};
use crate::requests::digest_of;
use bytes::Bytes;
use fusebox_core::ids::{Digest, LetterId, OwnerId, RunId};
use fusebox_core::role::Roles;
use fusebox_core::time::Wall;
use std::time::Duration;

/// The tenant of most samples.
pub const TENANT: &str = "default";
/// The lease of most samples.
pub const LEASE: Duration = Duration::from_secs(60);
/// One day.
pub const DAY: Duration = Duration::from_secs(24 * 3600);

/// Milliseconds since 1970, now.
#[must_use]
pub fn now() -> i64 {
    SystemClock::new().wall().0
}

/// Owner number `n`.
#[must_use]
pub fn owner(n: u64) -> OwnerId {
    OwnerId::new(Wall(1), u128::from(n))
}

/// Id of run number `n`.
#[must_use]
pub fn run_id(n: u64) -> RunId {
    RunId::new(Wall(1_767_225_600_000), u128::from(n))
}

/// Id of letter number `n`.
#[must_use]
pub fn letter_id(n: u64) -> LetterId {
    LetterId::new(Wall(1_767_225_600_000), u128::from(n))
}

/// Run number `n`, running.
#[must_use]
pub fn run(n: u64) -> RunRecord {
    RunRecord {
        id: run_id(n),
        tenant: TENANT.to_owned(),
        tool: "search".to_owned(),
        function: "query".to_owned(),
        component: digest_of(b"component"),
        version: 1,
        principal: "local".to_owned(),
        roles: Roles::ALL,
        state: "running".to_owned(),
        key: None,
        fingerprint: digest_of(b"payload"),
        input: r#"{"text":"caf\u00e9 \"quoted\""}"#.to_owned(),
        created: now() + i64::try_from(n).unwrap(),
        finished: None,
        output: None,
        failure: None,
        attempts: Vec::new(),
        in_doubt: Vec::new(),
        letter: None,
        trace: None,
        nested: None,
        detached: false,
        recoveries: 0,
        until: None,
        approval: None,
        left_ms: None,
        clock: now(),
        seed: Seed([7; 32]),
    }
}

/// A call that wants to become run number `n`, under a key if there is one.
#[must_use]
pub fn new_run(n: u64, key: Option<&str>) -> NewRun {
    NewRun {
        run: RunRecord {
            key: key.map(str::to_owned),
            ..run(n)
        },
        call_key: key.map(|key| digest_of(key.as_bytes())),
        owner: owner(n),
        lease: LEASE,
        key_lifetime: DAY,
    }
}

/// Claims a call that must be fresh.
pub async fn fresh(store: &dyn Store, new: NewRun) -> Fence {
    match store.claim(new).await.unwrap() {
        Claim::Fresh(fence) => fence,
        other => panic!("not fresh: {other:?}"),
    }
}

/// Attempt number `n`, failed.
#[must_use]
pub fn attempt(n: u32) -> AttemptRecord {
    AttemptRecord {
        number: n,
        started: 1_767_225_600_000 + i64::from(n),
        took_ms: 12,
        outcome: "transient".to_owned(),
        message: "search answered 503".to_owned(),
        then_waited_ms: Some(500),
        served: 0,
        effects: Vec::new(),
    }
}

/// The run, over with success.
#[must_use]
pub fn succeeded(run: &RunRecord) -> RunRecord {
    RunRecord {
        state: "succeeded".to_owned(),
        finished: Some(now()),
        output: Some(r#"{"hits":[]}"#.to_owned()),
        attempts: vec![attempt(1)],
        ..run.clone()
    }
}

/// The run, over with a failure.
#[must_use]
pub fn failed(run: &RunRecord, state: &str) -> RunRecord {
    RunRecord {
        state: state.to_owned(),
        finished: Some(now()),
        failure: Some(failure()),
        attempts: vec![attempt(1), attempt(2)],
        ..run.clone()
    }
}

/// The end of a run that succeeded, its key kept.
#[must_use]
pub fn success(run: &RunRecord) -> Finish {
    Finish {
        run: succeeded(run),
        keep_key: true,
        letter: LetterChange::None,
        journal: Vec::new(),
    }
}

/// The end of a run with letter number `n`: it may be replayed, so it is not over.
#[must_use]
pub fn dead(run: &RunRecord, n: u64) -> Finish {
    let run = RunRecord {
        finished: None,
        ..failed(run, "dead-lettered")
    };
    Finish {
        letter: LetterChange::Enqueue(Box::new(letter(n, &run))),
        keep_key: true,
        run,
        journal: Vec::new(),
    }
}

/// Some failure.
#[must_use]
pub fn failure() -> FailureRecord {
    FailureRecord {
        code: "upstream-failed".to_owned(),
        class: "transient".to_owned(),
        message: "search answered 503".to_owned(),
        service: Some("search".to_owned()),
        case: None,
        error: None,
        retry_after_ms: Some(u64::MAX),
        not_before: None,
        run: None,
        letter: None,
        approval: None,
        chain: vec!["503 Service Unavailable".to_owned()],
    }
}

/// Letter number `n` of that run, open and without snapshot.
#[must_use]
pub fn letter(n: u64, run: &RunRecord) -> LetterRecord {
    LetterRecord {
        id: letter_id(n),
        tenant: run.tenant.clone(),
        state: "open".to_owned(),
        kind: "retryable".to_owned(),
        class: "transient".to_owned(),
        service: Some("search".to_owned()),
        fingerprint: None,
        run: run.clone(),
        failure: failure(),
        backtrace: vec!["search::query".to_owned()],
        log: Log::default(),
        breakers: vec![breaker("search", 3)],
        snapshot: None,
        no_snapshot: Some("not asked for".to_owned()),
        first_failed: now() + i64::try_from(n).unwrap(),
        last_failed: now() + i64::try_from(n).unwrap(),
        not_before: None,
        expires: None,
        replays: 0,
        auto_replays: 0,
        auto_replay: false,
        pinned: false,
    }
}

/// Puts letter number `n`, changed by `change`, into the store, with run number `n` ended by it.
pub async fn put_letter(store: &dyn Store, n: u64, change: impl FnOnce(&mut LetterRecord)) {
    let mut finish = dead(&run(n), n);
    if let LetterChange::Enqueue(letter) = &mut finish.letter {
        change(letter);
    }
    store.record_finished(vec![finish]).await.unwrap();
}

/// Page number `n`.
#[must_use]
pub fn page(n: u8) -> Page {
    Page {
        digest: Digest([n; 32]),
        zstd: vec![n; 100],
    }
}

/// A snapshot that needs these pages.
#[must_use]
pub fn snapshot(pages: &[Page]) -> Snapshot {
    let stored = pages.iter().zip(0..);
    let stored = stored.map(|(page, index)| StoredPage {
        index,
        digest: page.digest,
    });
    Snapshot {
        instances: vec![InstanceState {
            memories: vec![MemoryState {
                pages: 17,
                stored: stored.collect(),
            }],
            ..InstanceState::default()
        }],
        pages: pages.to_vec(),
        ..Snapshot::default()
    }
}

/// A tool and its component.
#[must_use]
pub fn tool(name: &str, manifest: &str, component: &str) -> (ToolRecord, Bytes) {
    let record = ToolRecord {
        tenant: TENANT.to_owned(),
        name: name.to_owned(),
        number: 0,
        version: "1.0.0".to_owned(),
        component: digest_of(component.as_bytes()),
        manifest: manifest.to_owned(),
        source: "tool.toml".to_owned(),
        deployed: now(),
        enabled: true,
        links: Vec::new(),
    };
    (record, Bytes::copy_from_slice(component.as_bytes()))
}

/// A breaker in that epoch.
#[must_use]
pub fn breaker(key: &str, epoch: i64) -> BreakerRecord {
    BreakerRecord {
        key: key.to_owned(),
        state: "open".to_owned(),
        epoch,
        failures: 5,
        reopenings: 1,
        until: Some(1_767_225_600_000),
        changed: 1_767_225_590_000,
    }
}

/// An entry of the error log.
#[must_use]
pub fn error(tenant: &str, tool: &str) -> ErrorRecord {
    ErrorRecord {
        id: 0,
        tenant: tenant.to_owned(),
        at: now(),
        tool: tool.to_owned(),
        function: "query".to_owned(),
        principal: "local".to_owned(),
        failure: failure(),
        input: "{}".to_owned(),
    }
}
