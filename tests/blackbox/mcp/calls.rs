//! Calls that end at once: results, failures that say what to do, keys, progress, cancellation.

use super::agent::{Agent, failed};
use crate::site::{Site, eventually};
use fusebox_simulator::{Fault, Service};
use serde_json::{Value, json};

fn transfer() -> Value {
    json!({ "from_account": "alice", "to_account": "bob", "amount": 100 })
}

#[test]
fn bad_input_and_an_error_of_the_tool_are_results_that_a_model_can_act_on() {
    let site = Site::deployed(&["calculator"]);
    let mut agent = Agent::introduced(&site);
    let body = failed(&agent.call("calculator_evaluate", &json!({ "expression": 7 })));
    assert_eq!(body["code"], "bad-input");
    assert!(body["message"].as_str().unwrap().contains("expression"), "{body}");
    assert!(body["what_to_do"].as_str().unwrap().contains("input schema"), "{body}");
    let body = failed(&agent.call("calculator_evaluate", &json!({ "expression": "2*(" })));
    assert_eq!(body["code"], "tool-failed");
    assert_eq!(body["case"], "syntax");
    assert_eq!(body["error"]["syntax"]["position"], 4);
}

#[test]
fn a_failing_service_gives_a_letter_and_an_open_breaker_a_time_to_wait() {
    let site = Site::deployed(&["ledger"]);
    site.status(Service::Ledger, 503, None);
    let mut agent = Agent::introduced(&site);
    let key = |n: u32| json!({ "fusebox/idempotency-key": format!("k{n}") });
    let body = failed(&agent.call_with("ledger_transfer", &transfer(), key(0)));
    assert_eq!(body["code"], "upstream-failed");
    assert_eq!(body["class"], "transient");
    let letter = body["letter"].as_str().unwrap();
    assert_eq!(site.letter(letter)["run"]["id"], body["run"]);
    assert_eq!(site.letter(letter)["run"]["principal"], "stdio");
    let open = (1..8)
        .map(|n| failed(&agent.call_with("ledger_transfer", &transfer(), key(n))))
        .find(|body| body["code"] == "breaker-open")
        .expect("five failures in a row open a breaker");
    assert!(open["retry_after_ms"].as_u64().unwrap() > 0, "{open}");
    assert_eq!(open["service"], "ledger");
}

#[test]
fn a_key_never_runs_twice_and_a_function_that_demands_one_says_so() {
    let site = Site::deployed(&["ledger"]);
    let mut agent = Agent::introduced(&site);
    let body = failed(&agent.call("ledger_transfer", &transfer()));
    assert_eq!(body["code"], "key-required");
    assert!(body["what_to_do"].as_str().unwrap().contains("fusebox/idempotency-key"));
    let key = json!({ "fusebox/idempotency-key": "order-42" });
    let first = agent.call_with("ledger_transfer", &transfer(), key.clone());
    let again = agent.call_with("ledger_transfer", &transfer(), key.clone());
    assert_eq!(first["structuredContent"], again["structuredContent"]);
    assert_eq!(first["_meta"]["fusebox/run"], again["_meta"]["fusebox/run"]);
    assert_eq!(again["_meta"]["fusebox/stored"], true);
    assert_eq!(site.upstreams().ledger().transfers.len(), 1);
    let other = json!({ "from_account": "alice", "to_account": "bob", "amount": 7 });
    assert_eq!(
        failed(&agent.call_with("ledger_transfer", &other, key))["code"],
        "key-reused"
    );
}

#[test]
fn a_result_that_another_face_stored_is_spelled_as_the_schema_has_it() {
    let site = Site::deployed(&["ledger"]);
    let kebab = json!({ "from-account": "alice", "to-account": "bob", "amount": 100 });
    let typed = site
        .call_with("ledger.transfer", &kebab, &["--key", "k"])
        .exits(0)
        .json();
    let mut agent = Agent::introduced(&site);
    let key = json!({ "fusebox/idempotency-key": "k" });
    let result = agent.call_with("ledger_transfer", &transfer(), key);
    assert_eq!(result["_meta"]["fusebox/run"], typed["run"]);
    let names: Vec<_> = result["structuredContent"].as_object().unwrap().keys().collect();
    assert!(names.iter().all(|name| !name.contains('-')), "{names:?}");
}

#[test]
fn who_asks_for_progress_hears_of_every_retry() {
    let site = Site::deployed(&["search"]);
    // Some time between the attempts: who is told too late of a retry is not told of it any more.
    site.status_with_wait(Service::Search, 503, 1, Some(2));
    let mut agent = Agent::introduced(&site);
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let meta = json!({ "progressToken": "p1", "traceparent": trace });
    let result = agent.call_with("search_query", &json!({ "text": "wasm" }), meta);
    assert_eq!(result["isError"], false, "{result}");
    assert_eq!(result["_meta"]["traceparent"], trace);
    // A run that may start over is written down soon after it has been answered.
    let run = &result["_meta"]["fusebox/run"];
    eventually("the run is written down", || {
        let runs = site.runs();
        let found = runs.iter().find(|found| found["id"] == *run);
        found.is_some_and(|found| {
            found["trace"]
                .as_str()
                .unwrap()
                .contains("0af7651916cd43dd8448eb211c80319c")
        })
    });
    let told = agent.wait_for("progress", |message| {
        message["params"]["message"]
            .as_str()
            .is_some_and(|text| text.contains("search"))
    });
    assert_eq!(told["method"], "notifications/progress");
    assert_eq!(told["params"]["progressToken"], "p1");
    let text = told["params"]["message"].as_str().unwrap();
    assert!(
        text.contains("attempt 1 failed") && text.contains("transient"),
        "{text}"
    );
}

#[test]
fn a_call_that_is_called_off_ends_its_run() {
    let site = Site::deployed(&["search"]);
    site.fault(Service::Search, Fault::Delay(1_000), None);
    let mut agent = Agent::introduced(&site);
    let arguments = json!({ "text": "wasm" });
    let id = agent.begin("tools/call", json!({ "name": "search_query", "arguments": arguments }));
    eventually("the search is in flight", || site.requests(Service::Search).len() == 1);
    agent.say(&json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": id } }));
    eventually("the run is cancelled", || {
        site.runs().first().is_some_and(|run| run["state"] == "cancelled")
    });
    assert_eq!(agent.ask("ping", json!({})), json!({}));
    assert_eq!(site.requests(Service::Search).len(), 1);
}

#[test]
fn a_call_is_called_off_even_by_a_notification_that_is_right_behind_it() {
    let site = Site::deployed(&["search"]);
    site.fault(Service::Search, Fault::Delay(3_000), None);
    let mut agent = Agent::introduced(&site);
    let arguments = json!({ "text": "wasm" });
    let id = agent.begin("tools/call", json!({ "name": "search_query", "arguments": arguments }));
    agent.say(&json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": id } }));
    eventually("the run is cancelled", || {
        site.runs().first().is_some_and(|run| run["state"] == "cancelled")
    });
}

#[test]
fn a_hang_up_of_the_pipe_cancels_nothing() {
    let site = Site::deployed(&["email"]);
    site.fault(Service::Mail, Fault::Delay(1_500), Some(1));
    let mut agent = Agent::introduced(&site);
    let mail = json!({ "to": "ann@example.com", "subject": "Hello", "body": "May I?" });
    agent.begin("tools/call", json!({ "name": "email_send", "arguments": mail }));
    eventually("the mail is in flight", || site.requests(Service::Mail).len() == 1);
    assert!(agent.end().success());
    assert_eq!(site.upstreams().mails().len(), 1);
    assert_eq!(site.runs()[0]["state"], "succeeded");
}
