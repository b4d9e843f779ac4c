//! A tree of runs as it is printed.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::cli::output::Look;
use crate::samples::{START, attempt, effect, entry, id, run};
use serde_json::json;
use std::collections::BTreeMap;

fn shown(root: &RunRecord, tree: &Tree) -> String {
    let mut bytes = Vec::new();
    steps(root, tree, &mut Output::new(Look::default(), &mut bytes)).unwrap();
    String::from_utf8(bytes).unwrap()
}

/// An agent that searched, called a tool twice under one number, and calls another one now.
fn agent() -> (RunRecord, Tree) {
    let call = |answer: &str| effect(2, "call", "", "CALL email.send", answer);
    let attempts = json!([
        attempt(
            1,
            "transient",
            0,
            &[
                effect(1, "http", "llm", "POST /v1/chat/completions", "200"),
                call("failed: transient")
            ]
        ),
        attempt(2, "not-sent", 1, &[call("done")]),
    ]);
    let root = run(1, "assistant.answer", "running", None, attempts);
    let mail = json!([
        attempt(
            1,
            "transient",
            0,
            &[effect(1, "http", "mail", "POST /v1/messages", "503")]
        ),
        attempt(2, "ok", 0, &[effect(1, "http", "mail", "POST /v1/messages", "202")]),
    ]);
    let runs = vec![
        root.clone(),
        run(2, "email.send", "succeeded", Some((1, 2)), mail),
        run(3, "calculator.evaluate", "running", Some((1, 3)), json!([])),
        run(4, "search.query", "running", Some((1, 9)), json!([])),
    ];
    let journals = BTreeMap::from([(
        id(1),
        vec![
            entry(1, "http", "POST", "/v1/chat/completions"),
            entry(3, "call", "CALL", "calculator.evaluate"),
        ],
    )]);
    (root, Tree::of(runs, journals))
}

#[test]
fn what_was_called_stands_below_its_call_once() {
    let (root, tree) = agent();
    insta::assert_snapshot!(shown(&root, &tree));
}

#[test]
fn one_object_holds_the_whole_tree() {
    let (root, tree) = agent();
    let value = tree.json(&root);
    assert_eq!(value["below"].as_array().unwrap().len(), 3);
    assert_eq!(value["below"][0]["function"], "send");
    assert_eq!(value["journal"].as_array().unwrap().len(), 2);
    assert_eq!(tree.whole(&root).len(), 4);
    assert_eq!(tree.untold(&root).map(|entry| entry.seq).collect::<Vec<_>>(), [3]);
}

#[test]
fn waiting_is_told_with_its_reason() {
    let mut sleeping = run(1, "search.query", "sleeping", None, json!([]));
    sleeping.until = Some(START + 3_000);
    let waits = |run: &RunRecord| waits_for(run, None, Wall(START));
    assert_eq!(
        waits(&sleeping).unwrap(),
        "its next attempt at 2026-01-01 00:00:03Z (in 3 s)"
    );
    assert_eq!(waits(&run(1, "a.b", "suspended", None, json!([]))).unwrap(), "a person");
    assert!(
        waits(&run(1, "a.b", "accepted", None, json!([])))
            .unwrap()
            .contains("serves")
    );
    assert_eq!(waits(&run(1, "a.b", "succeeded", None, json!([]))), None);
}
