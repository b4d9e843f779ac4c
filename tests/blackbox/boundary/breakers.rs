//! Circuit breakers: they open, fail fast, probe once, and outlive the process that opened them.

use crate::site::{Site, eventually};
use fusebox_simulator::Service;
use serde_json::{Value, json};
use std::thread;
use std::time::Duration;

const KEY: &str = "search/search";

/// A site whose search service opens its breaker at the third failure in a row.
fn site(cooldown: &str) -> Site {
    let site = Site::new();
    let breaker = format!(
        "[services.search]\nbreaker = {{ failure-threshold = 3, cooldown = \"{cooldown}\", max-cooldown = \"10m\" }}\n"
    );
    site.deploy_with("search", &[("[services.search]\n", &breaker)]);
    site
}

fn query() -> Value {
    json!({ "text": "wasm" })
}

fn count(site: &Site) -> usize {
    site.requests(Service::Search).len()
}

/// Waits until the cooldown of the breaker is over.
fn cool_down(site: &Site) {
    let until = site.breaker(KEY)["until"].as_i64().unwrap();
    eventually("the cooldown is over", || site.now() > until);
}

#[test]
fn it_opens_at_its_threshold_and_fails_fast_without_a_request() {
    let site = site("5m");
    site.deploy("llm");
    site.status(Service::Search, 503, None);
    let gave_up = site.call("search.query", &query()).exits(13);
    assert_eq!(count(&site), 3, "the breaker opened after three of five attempts");
    assert_eq!(gave_up.json()["error"]["class"], "transient");
    assert_eq!(site.breaker(KEY)["state"], "open");

    // Another process, the same breaker.
    let refused = site.call("search.query", &query()).exits(14);
    assert_eq!(count(&site), 3);
    let error = &refused.json()["error"];
    assert_eq!(
        (error["code"].as_str(), error["service"].as_str()),
        (Some("breaker-open"), Some("search"))
    );
    let wait = error["retry-after-ms"].as_u64().unwrap();
    assert!((1..=300_000).contains(&wait), "{wait}");
    assert!(refused.took < Duration::from_secs(20), "{:?}", refused.took);

    site.call("llm.complete", &json!({ "prompt": "Are you there?" }))
        .exits(0);
    // Whoever was refused while he waited leaves no letter.
    assert_eq!(site.letters().len(), 1);
}

#[test]
fn after_its_cooldown_one_probe_closes_it() {
    let site = site("500ms");
    site.status(Service::Search, 503, Some(3));
    site.call("search.query", &query()).exits(13);
    cool_down(&site);
    let before = count(&site);
    site.call("search.query", &query()).exits(0);
    assert_eq!(count(&site), before + 1);
    assert_eq!(site.breaker(KEY)["state"], "closed");
    site.call("search.query", &query()).exits(0);
}

#[test]
fn a_probe_that_fails_opens_it_again_for_longer() {
    let site = site("300ms");
    site.status(Service::Search, 503, None);
    site.call("search.query", &query()).exits(13);
    cool_down(&site);
    let before = count(&site);
    site.call("search.query", &query()).exits(13);
    assert_eq!(count(&site), before + 1, "one probe, and no retry behind it");
    let breaker = site.breaker(KEY);
    assert_eq!(
        (breaker["state"].as_str(), breaker["reopenings"].as_u64()),
        (Some("open"), Some(1))
    );
    let lasts = breaker["until"].as_i64().unwrap() - breaker["changed"].as_i64().unwrap();
    assert!(lasts > 300, "the cooldown grows: {lasts} ms");
}

#[test]
fn of_many_callers_at_its_expiry_one_probes() {
    let site = site("500ms");
    site.status(Service::Search, 503, Some(3));
    site.call("search.query", &query()).exits(13);
    site.fault(Service::Search, fusebox_simulator::Fault::Delay(2_000), Some(1));
    cool_down(&site);
    let before = count(&site);
    let probe = site.start_call("search.query", &query(), &[]);
    eventually("the probe is sent", || count(&site) == before + 1);
    let racers: Vec<_> = (0..3).map(|_| site.start_call("search.query", &query(), &[])).collect();
    for racer in racers {
        racer.wait().exits(14);
    }
    assert_eq!(count(&site), before + 1);
    probe.wait().exits(0);
    assert_eq!(site.breaker(KEY)["state"], "closed");
}

#[test]
fn case_56_answers_that_nobody_likes_keep_it_closed() {
    let site = site("5m");
    for _ in 0..4 {
        site.status(Service::Search, 404, Some(1));
        site.call("search.query", &query()).exits(10);
    }
    assert_eq!(count(&site), 4);
    assert_eq!(site.breaker(KEY)["state"], "closed");
}

#[test]
fn throttling_does_not_open_it() {
    let site = site("5m");
    site.status(Service::Search, 429, Some(4));
    let ran = site.call("search.query", &query()).exits(0);
    assert_eq!(ran.json()["attempts"], 5);
    assert_eq!(site.breaker(KEY)["state"], "closed");
}

#[test]
fn an_operators_word_stands_over_it() {
    let site = site("5m");
    site.fusebox(&["breakers", "open", KEY]).exits(0);
    site.call("search.query", &query()).exits(14);
    assert_eq!(count(&site), 0);
    assert_eq!(site.breaker(KEY)["state"], "forced-open");

    site.fusebox(&["breakers", "disable", KEY]).exits(0);
    site.status(Service::Search, 503, Some(5));
    site.call("search.query", &query()).exits(13);
    assert_eq!(count(&site), 5, "a disabled breaker counts nothing");
    site.call("search.query", &query()).exits(0);

    site.fusebox(&["breakers", "reset", KEY]).exits(0);
    assert_eq!(site.breaker(KEY)["state"], "closed");
    let unknown = site
        .fusebox(&["breakers", "reset", "search/nothing", "--json"])
        .exits(16);
    assert_eq!(unknown.json()["error"]["code"], "not-found");
}

#[test]
fn faults_of_a_tool_open_its_own_breaker_and_no_services() {
    let site = Site::deployed(&["faulty"]);
    for _ in 0..5 {
        site.call("faulty.out-of-bounds", &json!({})).exits(21);
    }
    let refused = site.call("faulty.stateful", &json!({})).exits(14);
    assert_eq!(refused.json()["error"]["service"], "tool:faulty");
    assert_eq!(site.breaker("faulty/search")["state"], "closed");
    site.fusebox(&["breakers", "close", "tool:faulty"]).exits(0);
    site.call("faulty.stateful", &json!({})).exits(0);
}

#[test]
fn case_27_a_breaker_that_opens_between_two_attempts_ends_the_loop() {
    let site = site("5m");
    site.status_with_wait(Service::Search, 429, 3, Some(1));
    let call = site.start_call("search.query", &query(), &[]);
    eventually("the first attempt is made", || count(&site) == 1);
    thread::sleep(Duration::from_millis(300));
    site.fusebox(&["breakers", "open", KEY]).exits(0);
    let ran = call.wait();
    assert!(matches!(ran.code, 13 | 14), "{}", ran.shown());
    assert_eq!(count(&site), 1);
    // It had begun, so it is kept.
    assert_eq!(site.letters().len(), 1);
}
