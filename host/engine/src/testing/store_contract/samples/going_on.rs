//! Records of runs that go on: journals, children, questions, bulk replays.

use super::{TENANT, new_run, now, run_id};
use crate::ports::store::NewRun;
use crate::records::{ApprovalRecord, JournalRecord, Nested, RedriveRecord, RunRecord, SettledRecord};
use crate::requests::digest_of;
use bytes::Bytes;
use fusebox_core::ids::{ApprovalId, RedriveId};
use fusebox_core::role::Roles;
use fusebox_core::time::Wall;

/// A call that nobody waits for: run number `n`, waiting for a host.
#[must_use]
pub fn detached(n: u64, key: Option<&str>) -> NewRun {
    let mut new = new_run(n, key);
    new.run.detached = true;
    "accepted".clone_into(&mut new.run.state);
    new
}

/// A call that effect `seq` of run number `root` makes of another tool: run number `n`.
#[must_use]
pub fn nested(n: u64, root: u64, seq: u32) -> NewRun {
    let mut new = new_run(n, Some(&format!("{root}/{seq}")));
    new.run.key = None;
    new.run.created = 1_767_225_600_000 + i64::try_from(n).unwrap();
    new.run.nested = Some(Nested {
        root: run_id(root),
        parent: run_id(root),
        seq,
        depth: 1,
    });
    new
}

/// Effect number `seq`, asked for and not settled.
#[must_use]
pub fn intent(seq: u32) -> JournalRecord {
    JournalRecord {
        seq,
        kind: "http".to_owned(),
        service: "ledger".to_owned(),
        method: "POST".to_owned(),
        path: format!("/v1/transfers/{seq}"),
        request: digest_of(&seq.to_le_bytes()),
        occurrence: 0,
        repeatable: false,
        safe: false,
        saw: (1..seq).collect(),
        asked: 1_767_225_600_000 + i64::from(seq),
        resent: false,
        settled: None,
    }
}

/// Effect number `seq`, the `order`th to be settled.
#[must_use]
pub fn settled(seq: u32, order: u32) -> JournalRecord {
    JournalRecord {
        settled: Some(SettledRecord {
            order,
            wall: 1_767_225_600_100 + i64::from(order),
            passed: 7,
            answer: "200".to_owned(),
            rejected: false,
            took_ms: 3,
            reason: None,
            got: serde_json::json!({ "status": 200 }),
            body: Bytes::from(vec![0xff; seq as usize]),
        }),
        ..intent(seq)
    }
}

/// Id of approval number `n`.
#[must_use]
pub fn approval_id(n: u64) -> ApprovalId {
    ApprovalId::new(Wall(1_767_225_600_000), u128::from(n))
}

/// Question number `n` of that run, to be answered within a day.
#[must_use]
pub fn approval(n: u64, run: &RunRecord) -> ApprovalRecord {
    ApprovalRecord {
        id: approval_id(n),
        tenant: run.tenant.clone(),
        state: "pending".to_owned(),
        root: run.id.clone(),
        run: run.id.clone(),
        tool: "email".to_owned(),
        function: "send".to_owned(),
        component: digest_of(b"email"),
        binding: digest_of(&n.to_le_bytes()),
        question: String::new(),
        input: r#"{"to":"a@example.org"}"#.to_owned(),
        because: "interrupt-before".to_owned(),
        principal: "local".to_owned(),
        asked: 1_767_225_600_000 + i64::try_from(n).unwrap(),
        expires: now() + 86_400_000,
        by: None,
        reason: None,
        decided: None,
    }
}

/// Bulk replay number `n`, under way.
#[must_use]
pub fn redrive(n: u64) -> RedriveRecord {
    RedriveRecord {
        id: RedriveId::new(Wall(1_767_225_600_000), u128::from(n)),
        tenant: TENANT.to_owned(),
        state: "running".to_owned(),
        principal: "local".to_owned(),
        roles: Roles::ALL,
        service: Some("search".to_owned()),
        tool: None,
        class: None,
        since: None,
        max: 0,
        per_minute: 60,
        stop_after_failures: 5,
        total: 9,
        succeeded: 0,
        failed: 0,
        skipped: 0,
        last: None,
        started: 1_767_225_600_000 + i64::try_from(n).unwrap(),
        ended: None,
    }
}
