//! Every statement whose plan matters, for whoever asks a database how it finds the rows.

use super::{
    approvals, audit, blobs, breakers, errors, finish, journal, keys, letters, nested, redrives, rest, retention, runs,
    state, tools,
};
use fusebox_engine::ports::store::{ApprovalFilter, AuditFilter, ErrorFilter, LetterFilter, RunFilter};
use fusebox_engine::testing::store_contract::samples::{approval_id, letter_id, run_id};

/// Those on the call path, and those of every list.
pub(in super::super) fn all() -> Vec<String> {
    let fixed = [
        tools::NEWEST_OF_ALL,
        tools::NEWEST,
        tools::VERSION,
        tools::COMPONENT,
        tools::NUMBER,
        tools::DROP_UNUSED_COMPONENTS,
        runs::ONE,
        runs::KEY,
        runs::RENEW,
        runs::INSERT,
        runs::ADD_ATTEMPT,
        runs::ALIKE,
        runs::LOSE_CALLER,
        retention::TENANTS,
        finish::LEAVE,
        finish::LEAVE_UNOWNED,
        finish::END_TREE,
        finish::KEEP_JOURNAL,
        journal::ALL,
        journal::ONE,
        journal::APPEND,
        journal::OWNED_IN,
        journal::USE_UP,
        journal::DROP,
        journal::DROP_ALL,
        journal::DROP_BELOW,
        nested::TREE,
        nested::END,
        rest::ANY_DUE,
        rest::DUE,
        rest::FACTS,
        rest::UNSETTLED,
        rest::GIVE,
        rest::CANCELLED,
        approvals::ONE,
        approvals::EXPIRE,
        approvals::WAKE,
        state::ONE,
        state::BEGIN_SO,
        state::FORGET,
        redrives::ALL,
        redrives::RUNNING,
        redrives::HOLD,
        letters::ONE,
        letters::NEWEST_OF_RUN,
        letters::OPEN_OF_RUN,
        letters::RELEASE,
        letters::TO_PURGE,
        letters::WAITING,
        letters::PIN,
        letters::GIVE_UP,
        blobs::PAGE,
        blobs::ORPHANS,
        blobs::DROP_ORPHAN,
        keys::ONE,
        keys::ALL,
        keys::REVOKE,
        audit::TRAIL,
        audit::HEAD,
        breakers::ALL,
        breakers::ONE,
        errors::TRIM,
        retention::EXPIRED_LETTERS,
        retention::FORGET_ERRORS,
        retention::FORGET_KEYS,
        retention::FORGET_REDRIVES,
        retention::UNWANTED_JOURNALS,
        retention::FORGOTTEN_RUNS,
        retention::LOOSE_RUNS,
    ];
    let forgetting = retention::FORGET_BELOW.into_iter().chain(retention::FORGET_ROOT);
    let fixed = fixed.into_iter().chain(forgetting).map(str::to_owned);
    fixed.chain(lists()).collect()
}

fn text(value: &str) -> Option<String> {
    Some(value.to_owned())
}

/// Every combination of the filters of the lists.
fn lists() -> Vec<String> {
    let mut all = Vec::new();
    for bits in 0..32_u8 {
        let on = |bit: u8| bits & (1 << bit) != 0;
        for state in [None, text("running"), text("failed")] {
            let filter = RunFilter {
                tool: text("t").filter(|_| on(0)),
                state,
                since: Some(1).filter(|_| on(1)),
                principal: None,
                after: Some(run_id(1)).filter(|_| on(2)),
                limit: 0,
            };
            all.push(runs::list("d", &filter).sql().to_owned());
        }
        for closed in [false, true] {
            let filter = LetterFilter {
                service: text("s").filter(|_| on(0)),
                tool: text("t").filter(|_| on(1)),
                class: text("c").filter(|_| on(2)),
                since: Some(1).filter(|_| on(3)),
                closed,
                after: Some(letter_id(1)).filter(|_| on(4)),
                limit: 0,
            };
            all.push(letters::list("d", &filter).sql().to_owned());
        }
        let filter = ApprovalFilter {
            all: on(0),
            root: Some(run_id(1)).filter(|_| on(1)),
            after: Some(approval_id(1)).filter(|_| on(2)),
            limit: 0,
        };
        all.push(approvals::list("d", &filter).sql().to_owned());
        let filter = ErrorFilter {
            tool: text("t").filter(|_| on(0)),
            after: Some(1).filter(|_| on(1)),
            limit: 0,
        };
        all.push(errors::list("d", &filter).sql().to_owned());
        let filter = AuditFilter {
            action: text("tool.deploy").filter(|_| on(0)),
            principal: text("local").filter(|_| on(1)),
            subject: text("search").filter(|_| on(2)),
            since: Some(1).filter(|_| on(3)),
            after: Some(1).filter(|_| on(4)),
            limit: 0,
        };
        all.push(audit::list("d", &filter).sql().to_owned());
    }
    all
}
