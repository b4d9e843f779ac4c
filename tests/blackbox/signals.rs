//! SIGTERM: an orderly end, which never leaves an effect without its record.

use crate::site::{Site, eventually};
use fusebox_simulator::{Fault, Service};
use serde_json::json;
use std::time::{Duration, Instant};

#[test]
fn case_26_a_call_that_waits_for_its_next_attempt_is_cancelled() {
    let site = Site::deployed(&["search"]);
    site.status_with_wait(Service::Search, 429, 30, Some(1));
    let call = site.start_call("search.query", &json!({ "text": "wasm" }), &[]);
    eventually("the first attempt is answered", || {
        site.requests(Service::Search)
            .first()
            .is_some_and(|request| request.answer.is_some())
    });
    std::thread::sleep(Duration::from_millis(300));
    call.terminate();
    let ran = call.wait().exits(18);
    assert!(ran.took < Duration::from_secs(20), "{:?}", ran.took);
    assert_eq!(ran.json()["error"]["code"], "cancelled");
    assert_eq!(site.requests(Service::Search).len(), 1);
    assert_eq!(site.letters().len(), 0, "a cancellation is no letter");
}

#[test]
fn an_effect_in_flight_is_waited_for_and_recorded() {
    let site = Site::deployed(&["ledger"]);
    site.fault(Service::Ledger, Fault::Delay(1_500), Some(1));
    let transfer = json!({ "from-account": "alice", "to-account": "bob", "amount": 100 });
    let call = site.start_call("ledger.transfer", &transfer, &["--key", "order-1"]);
    eventually("the transfer is in flight", || {
        site.requests(Service::Ledger).len() == 1
    });
    call.terminate();
    let ran = call.wait();
    assert!(matches!(ran.code, 0 | 18), "{}", ran.shown());
    assert_eq!(site.upstreams().ledger().transfers.len(), 1);
    let runs = site.runs();
    assert_eq!(runs.len(), 1);
    let run = site.run(runs[0]["id"].as_str().unwrap());
    assert_ne!(run["state"], "running", "it is over: {run}");
    assert_eq!(
        run["attempts"][0]["effects"][0]["answer"], "201",
        "and the effect is known: {run}"
    );
    // Whoever asks with the key gets the outcome of that run, and no second transfer.
    let again = site.call_with("ledger.transfer", &transfer, &["--key", "order-1"]);
    assert_eq!(again.code, ran.code, "{}", again.shown());
    assert_eq!(site.requests(Service::Ledger).len(), 1);
}

#[test]
fn a_second_signal_ends_at_once() {
    let site = Site::new();
    // Neither the attempt nor its exchange ends by itself before the test does.
    site.deploy_with(
        "search",
        &[
            ("timeout = \"5s\"", "timeout = \"60s\""),
            ("[services.search]\n", "[services.search]\ntimeout = \"60s\"\n"),
        ],
    );
    site.fault(Service::Search, Fault::Hang, None);
    let call = site.start_call("search.query", &json!({ "text": "wasm" }), &[]);
    eventually("the search is in flight", || site.requests(Service::Search).len() == 1);
    call.terminate();
    std::thread::sleep(Duration::from_millis(200));
    let second = Instant::now();
    call.terminate();
    let ran = call.wait();
    assert!(matches!(ran.code, 18 | 130), "{}", ran.shown());
    assert!(second.elapsed() < Duration::from_secs(20), "{:?}", second.elapsed());
    assert_eq!(site.sql("PRAGMA integrity_check"), "ok");
}
