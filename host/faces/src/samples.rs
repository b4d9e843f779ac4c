//! Records for tests, written as the JSON that they are stored as.
#![allow(clippy::unwrap_used)]

use fusebox_core::ids::RunId;
use fusebox_core::time::Wall;
use fusebox_engine::records::{JournalRecord, RunRecord};
use serde_json::{Value, json};

/// When everything began.
pub(crate) const START: i64 = 1_767_225_600_000;

/// The id of the run of that number.
pub(crate) fn id(number: u128) -> RunId {
    RunId::new(Wall(START), number)
}

/// A run in that state; `nested` is the number of its parent, and of the effect that called it.
pub(crate) fn run(
    number: u128,
    function: &str,
    state: &str,
    nested: Option<(u128, u32)>,
    attempts: Value,
) -> RunRecord {
    let (tool, function) = function.split_once('.').unwrap();
    let digest = format!("sha256:{}", "0".repeat(64));
    let mut run = json!({
        "id": id(number).as_str(), "tenant": "default", "tool": tool, "function": function, "component": digest, "version": 1,
        "principal": "local", "state": state, "fingerprint": digest, "input": "{}", "created": START, "attempts": attempts,
    });
    if let Some((parent, seq)) = nested {
        run["nested"] = json!({ "root": id(1).as_str(), "parent": id(parent).as_str(), "seq": seq, "depth": 1 });
    }
    serde_json::from_value(run).unwrap()
}

/// An effect that may be repeated.
pub(crate) fn effect(seq: u32, kind: &str, service: &str, request: &str, answer: &str) -> Value {
    json!({
        "seq": seq, "kind": kind, "service": service, "request": request, "answer": answer, "repeatable": true, "in-doubt": false,
        "at-ms": seq, "took-ms": 5,
    })
}

/// An attempt.
pub(crate) fn attempt(number: u32, outcome: &str, served: u32, effects: &[Value]) -> Value {
    json!({
        "number": number, "started": START, "took-ms": 12, "outcome": outcome, "message": "", "served": served, "effects": effects,
    })
}

/// An entry of a journal that is not settled.
pub(crate) fn entry(seq: u32, kind: &str, method: &str, path: &str) -> JournalRecord {
    serde_json::from_value(json!({
        "seq": seq, "kind": kind, "service": "", "method": method, "path": path, "repeatable": true, "safe": false, "occurrence": 0,
        "request": format!("sha256:{}", "0".repeat(64)), "saw": [], "asked": START + 40,
    }))
    .unwrap()
}
