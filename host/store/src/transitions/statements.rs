//! Every statement whose plan matters, for whoever asks a database how it finds the rows.

use super::{
    approvals, audit, blobs, breakers, errors, finish, journal, keys, letters, nested, objects, redrives, rest,
    retention, runs, state, tools,
};
use fusebox_engine::ports::store::{ApprovalFilter, AuditFilter, ErrorFilter, LetterFilter, RunFilter};
use fusebox_engine::testing::store_contract::samples::{approval_id, letter_id, run_id};
use std::collections::BTreeMap;

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
        blobs::TOUCH,
        objects::NAMED[0],
        objects::NAMED[1],
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
        retention::BELOW,
    ];
    let fixed = fixed.into_iter().chain(retention::FORGET_RUN).map(str::to_owned);
    fixed.chain(lists().into_keys()).collect()
}

/// Those that meet tables which grow with every call, each with a name and with values: literals, and places for ids of rows that there are.
/// `RUN` is over, `LIVE` is owned by `own_gone` under its first epoch, `ROOT` has `BELOW` below it, `DEAD` has the open letter `LETTER`, and
/// `KEPT` keeps its journal; all are of tenant `t1`.
#[allow(dead_code, reason = "their plans are read of PostgreSQL alone")]
pub(in super::super) fn of_runs() -> Vec<(String, String, String)> {
    let fixed = [
        ("a run", runs::ONE, "'t1', RUN"),
        ("who has a key", runs::KEY, "'t1', '\\x00'"),
        ("a like call", runs::ALIKE, "'t1', '\\x00', 0"),
        ("its caller is lost", runs::LOSE_CALLER, "'t1', RUN, TRUE"),
        (
            "a run is claimed",
            runs::INSERT,
            "'t1', 'run_1', 't', 'running', 1, NULL, NULL, 0, 'b', NULL, NULL, NULL, '\\x00', 0, 'own', 60000, FALSE, NULL",
        ),
        ("a lease is renewed", runs::RENEW, "'t1', LIVE, 'own_gone', 1, 60000"),
        (
            "an attempt is added",
            runs::ADD_ATTEMPT,
            "'t1', LIVE, 'own_gone', 1, 2, 'b'",
        ),
        (
            "a run ends",
            finish::LEAVE,
            "'t1', LIVE, 'own_gone', 1, 't', 'succeeded', 1, 2, 'b', NULL, NULL, FALSE",
        ),
        ("its tree ends", finish::END_TREE, "'t1', ROOT"),
        ("its journal is kept", finish::KEEP_JOURNAL, "'t1', RUN, 1000"),
        ("a journal", journal::ALL, "'t1', KEPT"),
        ("an effect", journal::ONE, "'t1', KEPT, 1"),
        (
            "an effect is added",
            journal::APPEND,
            "'t1', LIVE, 9, 9, 1, 'b', '\\x00', TRUE, LIVE, 'own_gone', 1",
        ),
        ("who owns a run", journal::OWNED_IN, "'t1', LIVE, 'own_gone', 1, LIVE"),
        ("effects are cut", journal::DROP, "'t1', KEPT, '[1]'"),
        ("a journal goes", journal::DROP_ALL, "'t1', KEPT"),
        ("journals below go", journal::DROP_BELOW, "'t1', ROOT"),
        ("a tree", nested::TREE, "'t1', ROOT"),
        (
            "a nested run ends",
            nested::END,
            "'t1', LIVE, 'own_gone', 1, BELOW, 't', 'succeeded', 1, 2, 'b'",
        ),
        ("is any due", rest::ANY_DUE, ""),
        ("what is taken", rest::DUE, "16, '[]', '[]', 16"),
        ("what decides a take", rest::FACTS, "'t1', DEAD"),
        ("an effect left open", rest::UNSETTLED, "'t1', ROOT"),
        ("a run is given", rest::GIVE, "'t1', LIVE, 'own', 60000, 1"),
        ("is it cancelled", rest::CANCELLED, "'t1', RUN"),
        ("an approval wakes", approvals::WAKE, "'t1', LIVE, 'apr_1'"),
        ("a letter", letters::ONE, "'t1', LETTER"),
        ("the letter of a run", letters::NEWEST_OF_RUN, "'t1', DEAD"),
        ("the open letter of a run", letters::OPEN_OF_RUN, "'t1', DEAD"),
        ("letters that replay", letters::WAITING, "-1, 0, '', '', 100"),
        ("a letter to purge", letters::TO_PURGE, "'t1', LETTER"),
        ("a letter is pinned", letters::PIN, "'t1', LETTER, TRUE"),
        ("a run is given up", letters::GIVE_UP, "'t1', DEAD"),
        ("tenants", retention::TENANTS, ""),
        ("letters to close", retention::EXPIRED_LETTERS, "'t1'"),
        ("keys to free", retention::FORGET_KEYS, "'t1', 0, 200"),
        ("journals to drop", retention::UNWANTED_JOURNALS, "'t1', 0, 200"),
        ("runs to forget", retention::FORGOTTEN_RUNS, "'t1', 2592000000, 200"),
        ("what is below a root", retention::BELOW, "'t1', ROOT"),
        ("loose runs to forget", retention::LOOSE_RUNS, "'t1', 2592000000, 200"),
    ];
    let forgetting = retention::FORGET_RUN.map(|sql| ("what hangs on a run goes", sql, "'t1', RUN"));
    let fixed = fixed.into_iter().chain(forgetting);
    let fixed = fixed.map(|(name, sql, values)| (name.to_owned(), sql.to_owned(), values.to_owned()));
    let lists = lists()
        .into_iter()
        .filter(|(sql, _)| sql.contains("FROM runs") || sql.contains("FROM letters"));
    let lists = lists.map(|(sql, values)| {
        let of = if sql.contains("FROM letters") {
            "letters"
        } else {
            "runs"
        };
        let running = if sql.contains("r.owner IS NOT NULL OR") {
            "running "
        } else {
            ""
        };
        (format!("{running}{of} by {values}"), sql, values)
    });
    fixed.chain(lists).collect()
}

fn text(value: &str) -> Option<String> {
    Some(value.to_owned())
}

/// Every combination of the filters of the lists, with values.
fn lists() -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    let mut add = |sql: &str, values: &[(bool, &str)]| {
        let values = values.iter().filter(|(given, _)| *given).map(|(_, value)| *value);
        all.insert(
            sql.to_owned(),
            ["'t1'"].into_iter().chain(values).collect::<Vec<_>>().join(", "),
        );
    };
    for bits in 0..32_u8 {
        let on = |bit: u8| bits & (1 << bit) != 0;
        for state in [None, text("running"), text("failed")] {
            let filter = RunFilter {
                tool: text("t").filter(|_| on(0)),
                since: Some(1).filter(|_| on(1)),
                principal: None,
                after: Some(run_id(1)).filter(|_| on(2)),
                limit: 0,
                state,
            };
            let failed = filter.state.as_deref() == Some("failed");
            let values = [
                (on(0), "'tool-7'"),
                (failed, "'failed'"),
                (on(1), "1767225600000"),
                (on(2), "'t1', RUN, 1767225600000, RUN"),
                (true, "100"),
            ];
            add(runs::list("d", &filter).sql(), &values);
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
            let values = [
                (on(0), "'service-7'"),
                (on(1), "'tool-7'"),
                (on(2), "'transient'"),
                (on(3), "1767225600000"),
                (on(4), "'t1', LETTER, 1767225600000, LETTER"),
                (true, "100"),
            ];
            add(letters::list("d", &filter).sql(), &values);
        }
        let filter = ApprovalFilter {
            all: on(0),
            root: Some(run_id(1)).filter(|_| on(1)),
            after: Some(approval_id(1)).filter(|_| on(2)),
            limit: 0,
        };
        add(approvals::list("d", &filter).sql(), &[]);
        let filter = ErrorFilter {
            tool: text("t").filter(|_| on(0)),
            after: Some(1).filter(|_| on(1)),
            limit: 0,
        };
        add(errors::list("d", &filter).sql(), &[]);
        let filter = AuditFilter {
            action: text("tool.deploy").filter(|_| on(0)),
            principal: text("local").filter(|_| on(1)),
            subject: text("search").filter(|_| on(2)),
            since: Some(1).filter(|_| on(3)),
            after: Some(1).filter(|_| on(4)),
            limit: 0,
        };
        add(audit::list("d", &filter).sql(), &[]);
    }
    all
}
