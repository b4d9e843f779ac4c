//! Retries: upstreams that heal, ask to wait, are slow, or break off.

use crate::site::Site;
use fusebox_simulator::{Fault, ResetAt, Service};
use serde_json::{Value, json};
use std::time::Duration;

fn query() -> Value {
    json!({ "text": "retry" })
}

#[test]
fn two_failures_are_healed_by_exactly_two_retries() {
    let site = Site::deployed(&["search"]);
    site.status(Service::Search, 503, Some(2));
    let ran = site.call("search.query", &query()).exits(0);
    assert_eq!(ran.json()["attempts"], 3);
    assert_eq!(site.requests(Service::Search).len(), 3);
    let run = site.run(ran.json()["run"].as_str().unwrap());
    let outcomes: Vec<_> = run["attempts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|attempt| attempt["outcome"].clone())
        .collect();
    assert_eq!(outcomes, ["transient", "transient", "ok"]);
    assert_eq!(site.letters().len(), 0);
}

#[test]
fn attempts_end_where_the_policy_says() {
    let site = Site::new();
    site.deploy_with(
        "search",
        &[(
            "retry = \"idempotent\"",
            "retry = { preset = \"idempotent\", base = \"10ms\", attempts = 2 }",
        )],
    );
    site.status(Service::Search, 503, None);
    let ran = site.call("search.query", &query()).exits(13);
    assert_eq!(ran.json()["error"]["class"], "transient");
    assert_eq!(site.requests(Service::Search).len(), 2);
    assert_eq!(site.letters().len(), 1);
}

#[test]
fn an_upstream_that_asks_to_wait_is_not_asked_before() {
    let site = Site::deployed(&["search"]);
    site.status_with_wait(Service::Search, 429, 1, Some(1));
    let ran = site.call("search.query", &query()).exits(0);
    assert_eq!(site.requests(Service::Search).len(), 2);
    let run = site.run(ran.json()["run"].as_str().unwrap());
    assert_eq!(run["attempts"][0]["outcome"], "throttled");
    // The delay by itself is 10 ms at most.
    assert_eq!(run["attempts"][0]["then-waited-ms"], 1000);
    assert!(ran.took >= Duration::from_secs(1), "{:?}", ran.took);
}

#[test]
fn case_25_a_hint_beyond_the_deadline_stops_at_once() {
    let site = Site::deployed(&["search"]);
    site.status_with_wait(Service::Search, 429, 59, None);
    let ran = site
        .call_with("search.query", &query(), &["--deadline", "20s"])
        .exits(13);
    assert_eq!(site.requests(Service::Search).len(), 1);
    assert!(ran.took < Duration::from_secs(10), "{:?}", ran.took);
    let error = &ran.json()["error"];
    assert_eq!(error["class"], "throttled");
    assert_eq!(error["retry-after-ms"], 59_000);
    assert!(
        site.letter(&ran.letter())["not-before"].is_i64(),
        "the letter keeps the hint"
    );
}

#[test]
fn refused_connections_are_not_sent_and_tried_again() {
    let site = Site::deployed(&["search"]);
    site.fault(Service::Search, Fault::Refuse, None);
    let ran = site.call("search.query", &query()).exits(13);
    let letter = site.letter(&ran.letter());
    assert_eq!(letter["kind"], "retryable");
    let attempts = letter["run"]["attempts"].as_array().unwrap();
    assert_eq!(attempts.len(), 5);
    for attempt in attempts {
        assert_eq!(attempt["effects"][0]["answer"], "not-sent: refused");
    }
    assert_eq!(site.requests(Service::Search).len(), 0);
}

#[test]
fn a_mail_that_was_never_sent_is_not_in_doubt() {
    let site = Site::deployed(&["email"]);
    site.fault(Service::Mail, Fault::Refuse, None);
    let mail = json!({ "to": "ann@example.com", "subject": "Hello", "body": "Once" });
    let ran = site.call("email.send", &mail).exits(13);
    assert_eq!(site.letter(&ran.letter())["kind"], "retryable");
    assert_eq!(site.upstreams().mails().len(), 0);
}

#[test]
fn a_slow_answer_is_given_up_and_asked_for_again() {
    let site = Site::new();
    site.deploy_with(
        "search",
        &[("[services.search]\n", "[services.search]\ntimeout = \"2s\"\n")],
    );
    site.fault(Service::Search, Fault::Delay(25_000), Some(1));
    let ran = site.call("search.query", &query()).exits(0);
    assert_eq!(site.requests(Service::Search).len(), 2);
    let run = site.run(ran.json()["run"].as_str().unwrap());
    assert_eq!(run["attempts"][0]["effects"][0]["answer"], "lost: timeout");
    assert!(ran.took < Duration::from_secs(20), "{:?}", ran.took);
}

#[test]
fn an_upstream_that_never_answers_costs_one_timeout_an_attempt() {
    let site = Site::new();
    let short = "retry = { preset = \"idempotent\", base = \"10ms\", attempts = 2 }";
    site.deploy_with(
        "search",
        &[
            ("[services.search]\n", "[services.search]\ntimeout = \"1s\"\n"),
            ("retry = \"idempotent\"", short),
        ],
    );
    site.fault(Service::Search, Fault::Hang, None);
    let ran = site.call("search.query", &query()).exits(13);
    assert_eq!(ran.json()["error"]["service"], "search");
    let letter = site.letter(&ran.letter());
    for attempt in letter["run"]["attempts"].as_array().unwrap() {
        assert_eq!(attempt["effects"][0]["answer"], "lost: timeout");
    }
    assert_eq!(site.requests(Service::Search).len(), 2);
}

#[test]
fn an_attempt_whose_time_is_over_ends_its_exchange_and_is_judged_by_it() {
    // The service's own timeout is half a minute, the attempt's five seconds: time enough for a busy machine to begin the exchange.
    let site = Site::deployed(&["search"]);
    site.fault(Service::Search, Fault::Delay(25_000), Some(1));
    let ran = site.call("search.query", &query()).exits(0);
    let run = site.run(ran.json()["run"].as_str().unwrap());
    let first = &run["attempts"][0];
    assert_eq!(first["outcome"], "unknown");
    assert_eq!(first["effects"][0]["answer"], "lost: timeout");
    assert_eq!(site.requests(Service::Search).len(), 2);
    assert!(ran.took < Duration::from_secs(20), "{:?}", ran.took);
}

#[test]
fn case_29_an_answer_that_breaks_off_is_unknown_and_a_get_is_made_again() {
    let site = Site::deployed(&["faulty"]);
    site.fault(Service::Search, Fault::Reset(ResetAt::MidBody), Some(1));
    let input = json!({ "upstream": "search", "path": "/v1/query?q=wasm" });
    let ran = site.call("faulty.unwrap-on-503", &input).exits(0);
    assert_eq!(site.requests(Service::Search).len(), 2);
    let run = site.run(ran.json()["run"].as_str().unwrap());
    assert_eq!(run["attempts"][0]["outcome"], "unknown");
    assert_eq!(run["attempts"][0]["effects"][0]["answer"], "lost: reset");
}

#[test]
fn answers_that_lie_about_their_length_or_trickle_are_no_answers_yet() {
    let site = Site::new();
    site.deploy_with(
        "search",
        &[("[services.search]\n", "[services.search]\ntimeout = \"2s\"\n")],
    );
    site.fault(Service::Search, Fault::LieLength(10), Some(1));
    site.fault(Service::Search, Fault::Trickle(100), Some(1));
    let ran = site.call("search.query", &query()).exits(0);
    assert_eq!(ran.json()["attempts"], 3);
    assert_eq!(site.requests(Service::Search).len(), 3);
}

#[test]
fn case_59_unwrapping_a_503_is_retried_as_the_upstreams_failure() {
    let site = Site::deployed(&["faulty"]);
    let input = json!({ "upstream": "search", "path": "/v1/query?q=wasm" });
    site.status(Service::Search, 503, Some(1));
    let ran = site.call("faulty.unwrap-on-503", &input).exits(0);
    assert_eq!(ran.json()["attempts"], 2);
    assert_eq!(site.requests(Service::Search).len(), 2);

    site.status(Service::Search, 503, None);
    let ran = site.call("faulty.unwrap-on-503", &input).exits(13);
    let letter = site.letter(&ran.letter());
    assert_eq!(
        (letter["kind"].as_str(), letter["class"].as_str()),
        (Some("retryable"), Some("transient"))
    );
    assert_eq!(letter["service"], "search");
    assert_eq!(site.requests(Service::Search).len(), 2 + 5);
}

#[test]
fn an_upstream_that_has_answered_since_is_not_to_blame() {
    let site = Site::deployed(&["faulty"]);
    site.status(Service::Search, 503, Some(1));
    let input = json!({ "upstream": "search", "path": "/v1/query?q=wasm" });
    let ran = site.call("faulty.heal-then-fail", &input).exits(10);
    assert_eq!(ran.json()["error"]["class"], "caller");
    assert_eq!(site.requests(Service::Search).len(), 2);
    assert_eq!(site.letters().len(), 0);
}

#[test]
fn redirections_and_refusals_are_answers() {
    let site = Site::deployed(&["faulty"]);
    for status in [302, 404, 418, 501] {
        site.status(Service::Search, status, Some(1));
        let input = json!({ "upstream": "search", "method": "GET", "path": "/v1/query?q=wasm", "body": null });
        let ran = site.call("faulty.request", &input).exits(0);
        assert_eq!(ran.json()["output"]["status"], status);
    }
    assert_eq!(site.requests(Service::Search).len(), 4);
    assert_eq!(site.breaker("faulty/search")["failures"], 0);
}
