//! Idempotency keys: one key is one run, and one effect is executed once, however often it is sent.

use crate::site::{Site, eventually};
use fusebox_simulator::{Fault, Service};
use serde_json::{Value, json};
use std::collections::BTreeSet;

fn transfer(amount: u64) -> Value {
    json!({ "from-account": "alice", "to-account": "bob", "amount": amount })
}

#[test]
fn a_transfer_whose_answer_was_lost_is_repeated_under_its_key_and_executed_once() {
    let site = Site::deployed(&["ledger"]);
    site.fault(Service::Ledger, Fault::ExecuteThenReset, Some(1));
    let first = site
        .call_with("ledger.transfer", &transfer(100), &["--key", "order-1"])
        .exits(0);
    assert_eq!(first.json()["output"]["balance-from"], 900);
    let requests = site.requests(Service::Ledger);
    assert_eq!(requests.len(), 2);
    assert_eq!(requests[0].keys, requests[1].keys);
    assert_eq!(requests[0].keys.len(), 1);
    let ledger = site.upstreams().ledger();
    assert_eq!(ledger.transfers.len(), 1);
    assert_eq!(ledger.per_key[&requests[0].keys[0]].executed, 1);

    let again = site
        .call_with("ledger.transfer", &transfer(100), &["--key", "order-1"])
        .exits(0);
    assert_eq!(again.json()["output"], first.json()["output"]);
    assert_eq!(again.json()["run"], first.json()["run"]);
    assert_eq!(again.json()["stored"], true);
    assert_eq!(
        site.requests(Service::Ledger).len(),
        2,
        "nothing is sent for a stored answer"
    );
}

#[test]
fn case_32_a_key_with_another_payload_is_refused_in_flight_and_after() {
    let site = Site::deployed(&["ledger"]);
    site.fault(Service::Ledger, Fault::Delay(2_000), Some(1));
    let first = site.start_call("ledger.transfer", &transfer(100), &["--key", "order-2"]);
    eventually("the transfer is in flight", || {
        site.requests(Service::Ledger).len() == 1
    });
    let other = site
        .call_with("ledger.transfer", &transfer(101), &["--key", "order-2"])
        .exits(17);
    assert_eq!(other.json()["error"]["code"], "key-reused");
    let same = site
        .call_with("ledger.transfer", &transfer(100), &["--key", "order-2"])
        .exits(17);
    assert_eq!(same.json()["error"]["code"], "key-in-use");
    first.wait().exits(0);
    let other = site
        .call_with("ledger.transfer", &transfer(101), &["--key", "order-2"])
        .exits(17);
    assert_eq!(other.json()["error"]["code"], "key-reused");
    assert_eq!(site.requests(Service::Ledger).len(), 1);
    assert_eq!(site.upstreams().ledger().balances["alice"], 900);
}

#[test]
fn case_31_of_racing_processes_with_one_key_one_executes() {
    let site = Site::deployed(&["ledger"]);
    site.fault(Service::Ledger, Fault::Delay(500), Some(1));
    let racers: Vec<_> = (0..5)
        .map(|_| site.start_call("ledger.transfer", &transfer(100), &["--key", "order-3", "--wait"]))
        .collect();
    let answers: Vec<_> = racers.into_iter().map(|racer| racer.wait().exits(0).json()).collect();
    let fresh = answers.iter().filter(|answer| answer["stored"] == false).count();
    assert_eq!(fresh, 1, "{answers:?}");
    for answer in &answers {
        assert_eq!(answer["output"], answers[0]["output"]);
        assert_eq!(answer["run"], answers[0]["run"]);
    }
    assert_eq!(site.requests(Service::Ledger).len(), 1);
    assert_eq!(site.upstreams().ledger().balances["alice"], 900);
    assert_eq!(site.runs().len(), 1);
}

#[test]
fn case_33_two_spellings_of_one_input_are_one_call() {
    let site = Site::deployed(&["ledger"]);
    let first = site.fusebox(&[
        "call",
        "ledger.transfer",
        r#"{"from-account":"alice","to-account":"bob","amount":100}"#,
        "--key",
        "order-4",
    ]);
    let again = site.fusebox(&[
        "call",
        "ledger.transfer",
        r#" { "amount": 100, "to-account": "bob", "from-account": "\u0061lice" } "#,
        "--key",
        "order-4",
    ]);
    assert_eq!(first.exits(0).stdout, again.exits(0).stdout);
    assert_eq!(site.requests(Service::Ledger).len(), 1);
}

#[test]
fn a_key_is_demanded_where_the_level_needs_one() {
    let site = Site::deployed(&["ledger"]);
    let ran = site.call("ledger.transfer", &transfer(100)).exits(17);
    assert_eq!(ran.json()["error"]["code"], "key-required");
    assert_eq!(site.requests(Service::Ledger).len(), 0);
}

#[test]
fn case_62_two_equal_posts_of_one_call_are_two_effects() {
    let site = Site::deployed(&["faulty"]);
    let order = json!({ "from": "alice", "to": "bob", "amount": 10 }).to_string();
    let input = json!({ "upstream": "ledger", "path": "/v1/transfers", "body": order });
    let ran = site.call_with("faulty.two-posts", &input, &["--key", "pair"]).exits(0);
    assert_eq!(ran.json()["output"], json!([201, 201]));
    assert_eq!(site.upstreams().ledger().transfers.len(), 2);
    let keys: BTreeSet<_> = site
        .requests(Service::Ledger)
        .iter()
        .flat_map(|request| request.keys.clone())
        .collect();
    assert_eq!(keys.len(), 2);
}

#[test]
fn case_62_after_a_retry_each_of_two_equal_posts_keeps_its_key() {
    let site = Site::deployed(&["faulty"]);
    // The first is executed and answered, the second executed and lost: the second attempt is served the first and repeats the second.
    site.fault(Service::Ledger, Fault::Delay(1), Some(1));
    site.fault(Service::Ledger, Fault::ExecuteThenReset, Some(1));
    let order = json!({ "from": "alice", "to": "bob", "amount": 10 }).to_string();
    let input = json!({ "upstream": "ledger", "path": "/v1/transfers", "body": order });
    site.call_with("faulty.two-posts", &input, &["--key", "pair"]).exits(0);
    assert_eq!(site.requests(Service::Ledger).len(), 3);
    assert_eq!(site.upstreams().ledger().transfers.len(), 2);
    assert_eq!(site.upstreams().ledger().balances["alice"], 980);
}

#[test]
fn case_61_a_key_whose_run_is_a_letter_joins_it() {
    let site = Site::deployed(&["ledger"]);
    site.status(Service::Ledger, 503, Some(5));
    let ran = site
        .call_with("ledger.transfer", &transfer(100), &["--key", "order-5"])
        .exits(13);
    let again = site
        .call_with("ledger.transfer", &transfer(100), &["--key", "order-5"])
        .exits(17);
    assert_eq!(again.json()["error"]["letter"], ran.letter());
    assert_eq!(site.requests(Service::Ledger).len(), 5, "the second call sent nothing");
    site.fusebox(&["breakers", "reset", "ledger/ledger"]).exits(0);
    let replayed = site
        .fusebox(&["dlq", "replay", &ran.letter(), "--from-start", "--json"])
        .exits(0);
    let stored = site
        .call_with("ledger.transfer", &transfer(100), &["--key", "order-5"])
        .exits(0);
    assert_eq!(stored.json()["output"], replayed.json()["output"]);
    assert_eq!(site.upstreams().ledger().transfers.len(), 1);
}

#[test]
fn an_answer_that_is_an_error_is_stored_too() {
    let site = Site::deployed(&["ledger"]);
    for _ in 0..2 {
        let ran = site
            .call_with("ledger.transfer", &transfer(5_000), &["--key", "order-6"])
            .exits(10);
        assert_eq!(ran.json()["error"]["case"], "insufficient-funds");
    }
    assert_eq!(site.requests(Service::Ledger).len(), 1);
}

#[test]
fn one_key_of_two_functions_is_two_keys() {
    let site = Site::deployed(&["ledger"]);
    site.call_with("ledger.transfer", &transfer(1), &["--key", "same"])
        .exits(0);
    let balance = json!({ "account": "alice" });
    site.call_with("ledger.balance", &balance, &["--key", "same"]).exits(0);
}
