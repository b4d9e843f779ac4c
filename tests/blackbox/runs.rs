//! Runs that are not over, from the command line: shown as a tree, followed, resumed, cancelled.

use crate::site::{Site, eventually};
use fusebox_simulator::{Fault, Service};
use serde_json::{Value, json};
use std::time::Duration;

fn transfer() -> Value {
    json!({ "from-account": "alice", "to-account": "bob", "amount": 100 })
}

const UNKNOWN: &str = "run_01jd4m9q7gk0v3x8w2h5t6y1ze";

#[test]
fn a_run_is_shown_step_by_step() {
    let site = Site::deployed(&["search"]);
    site.status(Service::Search, 503, Some(2));
    let run = site.call("search.query", &json!({ "text": "sandbox" })).exits(0).json()["run"]
        .as_str()
        .unwrap()
        .to_owned();
    let shown = site.fusebox(&["runs", "show", &run]).exits(0).stdout;
    let mut rest = shown.as_str();
    for part in [
        "run       run_",
        "succeeded",
        "search.query  version 1",
        "result    [",
        "attempt 1 ",
        "#1 ",
        "http  search  GET /v1/query?q=sandbox&limit=10 -> 503",
        "… waited",
        "attempt 3 ",
        "#1 ",
        "-> 200",
    ] {
        let at = rest
            .find(part)
            .unwrap_or_else(|| panic!("`{part}` does not come next in\n{shown}"));
        rest = &rest[at + part.len()..];
    }
    let json = site.run(&run);
    assert_eq!(json["attempts"][0]["effects"][0]["kind"], "http");
    assert_eq!(json["attempts"].as_array().unwrap().len(), 3);
}

#[test]
fn what_a_run_called_stands_below_the_call_that_made_it() {
    let site = Site::deployed(&["search", "calculator", "email", "assistant"]);
    let question = json!({ "question": "search wasm then mail the result to ann@example.com" });
    let run = site.call("assistant.ask", &question).exits(12).json()["error"]["run"]
        .as_str()
        .unwrap()
        .to_owned();
    let next = |shown: &str, parts: &[&str]| {
        let mut rest = shown;
        for part in parts {
            let at = rest
                .find(part)
                .unwrap_or_else(|| panic!("`{part}` does not come next in\n{shown}"));
            rest = &rest[at + part.len()..];
        }
    };
    let shown = site.fusebox(&["runs", "show", &run]).exits(0).stdout;
    next(
        &shown,
        &[
            "suspended",
            "waits for a person",
            "attempt 1 ",
            "  call  CALL search.query -> done",
            "  search.query  succeeded",
            "    #1 ",
            "GET /v1/query?q=wasm",
            "  call  CALL email.send -> not made yet",
        ],
    );
    let question = site.fusebox(&["approvals", "--json"]).exits(0).json()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    site.fusebox(&["approvals", "approve", &question]).exits(0);
    let shown = site.fusebox(&["runs", "show", &run]).exits(0).stdout;
    next(
        &shown,
        &[
            "attempt 2 ",
            "served from the journal",
            "  call  CALL email.send -> done",
            "  email.send  succeeded",
            "POST /v1/messages -> 202",
        ],
    );
    let tree = site.run(&run);
    let below: Vec<_> = tree["below"]
        .as_array()
        .unwrap()
        .iter()
        .map(|run| run["tool"].clone())
        .collect();
    assert_eq!(below, ["search", "email"]);
    assert_eq!(site.upstreams().mails().len(), 1);
    // One that is nested is shown by itself too.
    let nested = tree["below"][1]["id"].as_str().unwrap();
    let shown = site.fusebox(&["runs", "show", nested]).exits(0).stdout;
    next(&shown, &[nested, "below     run_", "root run_", "email.send", "-> 202"]);
}

#[test]
fn a_run_whose_host_was_killed_is_resumed_by_hand() {
    let site = Site::with("lease = \"1s\"\n");
    site.deploy_with(
        "ledger",
        &[("[services.ledger]\n", "[services.ledger]\ntimeout = \"500ms\"\n")],
    );
    site.fault(Service::Ledger, Fault::Hang, Some(1));
    let call = site.start_call("ledger.transfer", &transfer(), &["--key", "order-1"]);
    eventually("the transfer is in flight", || {
        site.requests(Service::Ledger).len() == 1
    });
    call.kill();
    let run = site.runs()[0]["id"].as_str().unwrap().to_owned();
    // Its intent was written ahead, and is shown although no attempt has told of it.
    let shown = site.fusebox(&["runs", "show", &run]).exits(0).stdout;
    assert!(shown.contains("POST /v1/transfers -> not settled"), "{shown}");
    assert!(shown.contains(&format!("fusebox runs follow {run}")), "{shown}");
    site.fusebox(&["runs", "resume", &run]).exits(17).says(&run);
    eventually("the lease is over", || {
        site.sql("SELECT lease_until FROM runs").parse::<i64>().unwrap() < site.now()
    });
    let resumed = site.fusebox(&["runs", "resume", &run, "--json"]).exits(0);
    assert_eq!(resumed.json()["run"], run.as_str());
    assert_eq!(
        site.upstreams().ledger().transfers.len(),
        1,
        "under the same key it is done once"
    );
    let run = site.run(&run);
    assert_eq!(
        (run["state"].as_str(), run["recoveries"].as_u64()),
        (Some("succeeded"), Some(1))
    );
}

#[test]
fn a_run_that_was_refused_goes_on_once_it_is_allowed() {
    let site = Site::deployed(&["ledger"]);
    site.status(Service::Ledger, 401, Some(1));
    let ran = site
        .call_with("ledger.transfer", &transfer(), &["--key", "order-1"])
        .exits(10);
    let run = ran.json()["error"]["run"].as_str().unwrap().to_owned();
    let shown = site.fusebox(&["runs", "show", &run]).exits(0).stdout;
    assert!(shown.contains(&format!("fusebox runs resume {run}")), "{shown}");
    assert_eq!(site.letters().len(), 0);
    site.fusebox(&["runs", "resume", &run]).exits(0);
    assert_eq!(site.run(&run)["state"], "succeeded");
    assert_eq!(site.upstreams().ledger().transfers.len(), 1);
    let over = site.fusebox(&["runs", "resume", &run]).exits(17);
    over.says(&run);
}

#[test]
fn a_run_in_another_process_is_cancelled() {
    let site = Site::with("lease = \"3s\"\n");
    site.deploy("search");
    site.status_with_wait(Service::Search, 429, 5, None);
    let call = site.start_call("search.query", &json!({ "text": "wasm" }), &["--key", "a"]);
    eventually("the run is there", || !site.runs().is_empty());
    eventually("it was answered", || !site.requests(Service::Search).is_empty());
    let run = site.runs()[0]["id"].as_str().unwrap().to_owned();
    site.fusebox(&["runs", "cancel", &run]).exits(0).says(&run);
    let ended = call.wait();
    assert!(ended.took < Duration::from_secs(20), "{}", ended.shown());
    site.fusebox(&["runs", "follow", &run, "--every", "50ms"])
        .exits(18)
        .says("error[cancelled]");
    assert_eq!(site.run(&run)["state"], "cancelled");
    assert_eq!(site.letters().len(), 0, "a cancellation is no letter");
    let again = site.fusebox(&["runs", "cancel", &run]);
    assert_ne!(again.code, 0, "what is over is not cancelled: {}", again.shown());
}

#[test]
fn following_prints_what_happens_and_ends_as_the_run_does() {
    let site = Site::deployed(&["search"]);
    site.status(Service::Search, 503, Some(5));
    let ran = site.call("search.query", &json!({ "text": "wasm" })).exits(13);
    let run = ran.json()["error"]["run"].as_str().unwrap().to_owned();
    let followed = site.fusebox(&["runs", "follow", &run]).exits(13).says(&ran.letter());
    let lines: Vec<_> = followed.stdout.lines().collect();
    assert_eq!(
        lines.iter().filter(|line| line.contains("-> 503")).count(),
        5,
        "{}",
        followed.shown()
    );
    assert!(lines.last().unwrap().contains("dead-lettered"), "{}", followed.shown());
    let json = site.fusebox(&["runs", "follow", &run, "--json"]).exits(13).json_lines();
    assert_eq!(json.last().unwrap()["error"]["code"], "upstream-failed");
    assert_eq!(json.iter().filter(|line| line.get("attempt").is_some()).count(), 5);
}

#[test]
fn following_ends_with_the_first_signal_and_leaves_the_run_alone() {
    let site = Site::deployed(&["ledger"]);
    let run = site
        .call_with("ledger.transfer", &transfer(), &["--key", "a", "--detach"])
        .exits(0)
        .json()["run"]
        .as_str()
        .unwrap()
        .to_owned();
    let following = site.start(&["runs", "follow", &run]);
    std::thread::sleep(Duration::from_millis(500));
    following.terminate();
    following.wait().exits(130);
    assert_eq!(site.run(&run)["state"], "accepted");
}

#[test]
fn what_is_wrong_is_named() {
    let site = Site::new();
    for word in ["show", "follow", "cancel", "resume"] {
        let ran = site.fusebox(&["runs", word, UNKNOWN]);
        assert!(matches!(ran.code, 16 | 17), "{}", ran.shown());
        ran.says(UNKNOWN);
        site.fusebox(&["runs", word, "order-1"]).exits(64).says("a run id");
        site.fusebox(&["runs", word]).exits(64);
    }
    site.fusebox(&["runs", "follow", UNKNOWN, "--every", "often"]).exits(64);
    site.fusebox(&["runs", "list", "--state", "lost"])
        .exits(64)
        .says("dead-lettered");
}
