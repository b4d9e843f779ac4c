//! `fusebox serve` and detached calls: accepted means done, whoever is there to do it.

use crate::site::{Site, eventually};
use fusebox_simulator::{Fault, Service};
use serde_json::{Value, json};
use std::time::Duration;

fn transfer() -> Value {
    json!({ "from-account": "alice", "to-account": "bob", "amount": 100 })
}

/// Accepts a transfer without waiting for it.
#[track_caller]
fn detached(site: &Site, key: &str) -> String {
    let ran = site
        .call_with("ledger.transfer", &transfer(), &["--key", key, "--detach"])
        .exits(0);
    assert_eq!(ran.json()["state"], "accepted");
    assert_eq!(ran.json()["output"], Value::Null);
    ran.json()["run"].as_str().unwrap().to_owned()
}

#[test]
fn a_detached_call_waits_for_a_host_that_serves() {
    let site = Site::deployed(&["ledger"]);
    let typed = [
        "call",
        "ledger.transfer",
        &transfer().to_string(),
        "--key",
        "a",
        "--detach",
    ];
    let ran = site
        .fusebox(&typed)
        .exits(0)
        .says("fusebox serve")
        .says("fusebox runs follow run_");
    let run = ran.stdout.trim_end().to_owned();
    assert_eq!(site.run(&run)["state"], "accepted");
    let shown = site.fusebox(&["runs", "show", &run]).exits(0).stdout;
    assert!(shown.contains("waits for a host that serves"), "{shown}");
    assert_eq!(site.requests(Service::Ledger).len(), 0);

    let serving = site.start(&["serve"]);
    let followed = site.fusebox(&["runs", "follow", &run, "--every", "50ms"]).exits(0);
    assert!(followed.stdout.contains("ledger.transfer"), "{}", followed.shown());
    assert_eq!(site.run(&run)["state"], "succeeded");
    assert_eq!(site.upstreams().ledger().transfers.len(), 1);
    // A later call with the key gets the outcome.
    let again = site.call_with("ledger.transfer", &transfer(), &["--key", "a"]).exits(0);
    assert_eq!(again.json()["stored"], true);
    serving.terminate();
    let ran = serving
        .wait()
        .exits(0)
        .says("serving ")
        .says("fusebox.db")
        .says("draining")
        .says("drained");
    assert_eq!(ran.stdout, "", "what it does is no data");
}

#[test]
fn many_detached_calls_are_each_done_once() {
    let site = Site::deployed(&["ledger"]);
    let runs: Vec<_> = (0..8)
        .map(|number| detached(&site, &format!("order-{number}")))
        .collect();
    let (one, two) = (site.start(&["serve"]), site.start(&["serve"]));
    for run in &runs {
        site.fusebox(&["runs", "follow", run, "--every", "50ms"]).exits(0);
    }
    assert_eq!(site.upstreams().ledger().transfers.len(), runs.len());
    for (key, count) in site.upstreams().ledger().per_key {
        assert_eq!(count.executed, 1, "{key}");
    }
    for serving in [one, two] {
        serving.terminate();
        serving.wait().exits(0);
    }
}

#[test]
fn a_drain_waits_for_what_is_in_flight() {
    let site = Site::deployed(&["ledger"]);
    let run = detached(&site, "slow");
    site.fault(Service::Ledger, Fault::Delay(1_500), Some(1));
    let serving = site.start(&["serve"]);
    eventually("the transfer is in flight", || {
        site.requests(Service::Ledger).len() == 1
    });
    serving.terminate();
    serving.wait().exits(0);
    assert_eq!(site.upstreams().ledger().transfers.len(), 1);
    assert_ne!(site.run(&run)["state"], "in-doubt", "a deploy makes no doubt");
    // Whatever was left is done by the next host, without a second transfer.
    let next = site.start(&["serve"]);
    site.fusebox(&["runs", "follow", &run, "--every", "50ms"]).exits(0);
    assert_eq!(site.upstreams().ledger().transfers.len(), 1);
    next.terminate();
    next.wait().exits(0);
}

#[test]
fn a_second_signal_ends_a_serving_host_at_once() {
    let site = Site::deployed(&["search"]);
    site.fault(Service::Search, Fault::Hang, None);
    let run = site
        .call_with("search.query", &json!({ "text": "wasm" }), &["--detach"])
        .exits(0)
        .json()["run"]
        .as_str()
        .unwrap()
        .to_owned();
    let serving = site.start(&["serve"]);
    eventually("the search is in flight", || site.requests(Service::Search).len() == 1);
    serving.terminate();
    std::thread::sleep(Duration::from_millis(200));
    serving.terminate();
    let ran = serving.wait();
    assert!(matches!(ran.code, 0 | 130), "{}", ran.shown());
    assert!(ran.took < Duration::from_secs(20), "{:?}", ran.took);
    assert_ne!(site.run(&run)["state"], "succeeded");
    assert_eq!(site.sql("PRAGMA integrity_check"), "ok");
}

#[test]
fn serving_says_what_it_does_as_json_too() {
    let site = Site::new();
    let serving = site.start(&["serve", "--json"]);
    eventually("the database is there", || site.path("fusebox.db").exists());
    std::thread::sleep(Duration::from_millis(500));
    serving.terminate();
    let lines = serving.wait().exits(0).json_lines();
    let states: Vec<_> = lines.iter().map(|line| line["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["serving", "drained"]);
    assert!(lines[0]["database"].as_str().unwrap().ends_with("fusebox.db"));
    site.fusebox(&["serve", "now"]).exits(64);
}

#[test]
fn waiting_and_leaving_exclude_each_other() {
    let site = Site::deployed(&["ledger"]);
    let typed = [
        "call",
        "ledger.transfer",
        &transfer().to_string(),
        "--key",
        "a",
        "--detach",
        "--wait",
    ];
    site.fusebox(&typed).exits(64).says("--wait");
    site.call_with("ledger.transfer", &transfer(), &["--detach"]).exits(17);
    site.call_with("ledger.transfer", &json!({}), &["--key", "a", "--detach"])
        .exits(65);
    assert_eq!(site.runs().len(), 0, "nothing was accepted");
}
