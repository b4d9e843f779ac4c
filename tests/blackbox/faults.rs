//! Every way in which a guest can fail: what its caller is told, what is kept, and that nobody else suffers.

use crate::site::{Site, eventually};
use serde_json::{Value, json};
use std::time::Duration;

/// The letter of a call that failed with that exit code and class.
#[track_caller]
fn known_bad(site: &Site, function: &str, input: &Value, code: i32, class: &str) -> Value {
    let ran = site.call(&format!("faulty.{function}"), input).exits(code);
    let error = &ran.json()["error"];
    assert_eq!(
        (error["code"].as_str(), error["class"].as_str()),
        (Some(class), Some(class)),
        "{error}"
    );
    let letter = site.letter(&ran.letter());
    assert_eq!(
        (letter["kind"].as_str(), letter["class"].as_str()),
        (Some("known-bad"), Some(class))
    );
    assert_eq!(
        letter["run"]["attempts"].as_array().unwrap().len(),
        1,
        "it is not retried: {letter}"
    );
    assert!(letter["fingerprint"].is_string(), "known-bad letters are grouped");
    letter
}

fn texts(lines: &Value) -> Vec<&str> {
    lines
        .as_array()
        .unwrap()
        .iter()
        .map(|line| line["text"].as_str().unwrap())
        .collect()
}

fn message(letter: &Value) -> &str {
    letter["failure"]["message"].as_str().unwrap()
}

#[test]
fn a_panic_is_kept_with_message_backtrace_and_state() {
    let site = Site::deployed(&["faulty"]);
    let letter = known_bad(
        &site,
        "trap",
        &json!({ "message": "the belt has slipped" }),
        21,
        "fault",
    );
    assert!(message(&letter).contains("unreachable"), "{}", message(&letter));
    assert!(
        texts(&letter["log"]["head"]).contains(&"the belt has slipped"),
        "{}",
        letter["log"]
    );
    let backtrace = letter["backtrace"].as_array().unwrap();
    let frame = |part: &str| {
        backtrace
            .iter()
            .position(|frame| frame.as_str().unwrap().contains(part))
    };
    let (inner, outer) = (frame("crash::give_up").unwrap(), frame("settle (").unwrap());
    assert!(inner < outer, "innermost first: {backtrace:?}");
    assert!(
        frame("faulty/src/crash.rs:19:5").is_some(),
        "with file and line: {backtrace:?}"
    );
    let memories = letter["snapshot"]["instances"].as_array().unwrap().iter();
    let pages: usize = memories
        .flat_map(|instance| instance["memories"].as_array().unwrap())
        .map(|memory| memory["stored"].as_array().unwrap().len())
        .sum();
    assert!(pages > 0, "the memory is kept");
}

#[test]
fn equal_faults_are_one_group_and_others_another() {
    let site = Site::deployed(&["faulty"]);
    let group =
        |message: &str| known_bad(&site, "trap", &json!({ "message": message }), 21, "fault")["fingerprint"].clone();
    assert_eq!(group("one"), group("two"));
    let other = known_bad(&site, "exit", &json!({ "code": 3 }), 21, "fault");
    assert_ne!(group("one"), other["fingerprint"]);
}

#[test]
fn faults_of_the_machine_are_faults() {
    let site = Site::deployed(&["faulty"]);
    let letter = known_bad(&site, "out-of-bounds", &json!({}), 21, "fault");
    assert!(
        message(&letter).contains("memory-out-of-bounds"),
        "{}",
        message(&letter)
    );
    let letter = known_bad(&site, "stack-overflow", &json!({}), 21, "fault");
    assert!(
        letter["backtrace"][0].as_str().unwrap().contains("stack_overflow"),
        "{}",
        letter["backtrace"]
    );
}

#[test]
fn exiting_is_a_fault_with_any_code() {
    let site = Site::deployed(&["faulty"]);
    for code in [0, 3] {
        let letter = known_bad(&site, "exit", &json!({ "code": code }), 21, "fault");
        assert!(message(&letter).contains("exited with code"), "{}", message(&letter));
    }
}

#[test]
fn a_result_that_breaks_the_abi_is_a_fault() {
    let site = Site::deployed(&["faulty"]);
    let letter = known_bad(&site, "invalid-utf8", &json!({}), 21, "fault");
    assert!(message(&letter).contains("utf-8"), "{}", message(&letter));
}

#[test]
fn case_60_an_endless_loop_is_stopped_once() {
    let site = Site::deployed(&["faulty"]);
    let ran = site.call("faulty.endless-loop", &json!({})).exits(20);
    assert!((1..10).contains(&ran.took.as_secs()), "{:?}", ran.took);
    let letter = site.letter(&ran.letter());
    assert_eq!(letter["class"], "exhausted");
    assert_eq!(letter["run"]["attempts"].as_array().unwrap().len(), 1);
    let innermost = letter["backtrace"][0].as_str().unwrap();
    assert!(innermost.contains("endless_loop"), "where it was stopped: {innermost}");
}

#[test]
fn limits_name_themselves() {
    let site = Site::deployed(&["faulty"]);
    for (function, input, limit) in [
        ("memory-bomb", json!({}), "limits.memory"),
        ("huge-output", json!({ "mib": 5 }), "limits.output"),
        ("hoard", json!({ "resources": 2_000_000 }), "limits.host-memory"),
    ] {
        let letter = known_bad(&site, function, &input, 20, "exhausted");
        assert!(message(&letter).contains(limit), "{}", message(&letter));
    }
    // Exhausted limits are no faults: the tool's own breaker counts none of them.
    assert_eq!(site.breaker("tool:faulty")["failures"], 0);
}

#[test]
fn raised_limits_are_in_force() {
    let site = Site::new();
    site.deploy_with("faulty", &[("[env]\n", "[limits]\noutput = \"6MiB\"\n\n[env]\n")]);
    let ran = site.call("faulty.huge-output", &json!({ "mib": 5 })).exits(0);
    assert_eq!(ran.json()["output"].as_str().unwrap().len(), 5 << 20);
}

#[test]
fn fuel_ends_what_computes_too_much() {
    let site = Site::new();
    site.deploy_with("faulty", &[("[env]\n", "[limits]\nfuel = 50_000_000\n\n[env]\n")]);
    let letter = known_bad(&site, "spin-then-answer", &json!({ "ms": 10_000 }), 20, "exhausted");
    assert!(message(&letter).contains("limits.fuel"), "{}", message(&letter));
    site.call("faulty.stateful", &json!({})).exits(0);
}

#[test]
fn a_flood_of_log_is_kept_as_its_start_and_its_end() {
    let site = Site::new();
    site.deploy_with("faulty", &[("[env]\n", "[limits]\nlog = \"8KiB\"\n\n[env]\n")]);
    site.call("faulty.log-flood", &json!({ "lines": 100_000 })).exits(0);
    // A run that ends well keeps no log; one trial shows it.
    let component = site.path("faulty.wasm");
    let tried = site
        .fusebox(&["try", component.to_str().unwrap(), "log-flood", r#"{"lines":100000}"#])
        .exits(0);
    let lines: Vec<_> = tried.stderr.lines().collect();
    assert_eq!(lines[0], "out| line 1 of 100000");
    assert!(tried.stderr.contains("out| line 100000 of 100000"), "the end is there");
    assert!(!tried.stderr.contains("out| line 50000 of 100000"), "the middle is not");
    assert!(tried.stderr.len() < 200_000, "{} bytes", tried.stderr.len());
}

#[test]
fn a_letter_keeps_the_start_and_the_end_of_a_long_log() {
    let site = Site::new();
    site.deploy_with("faulty", &[("[env]\n", "[limits]\nlog = \"8KiB\"\n\n[env]\n")]);
    let lines: Vec<_> = (1..=5_000).map(|number| format!("line {number}")).collect();
    let letter = known_bad(&site, "trap", &json!({ "message": lines.join("\n") }), 21, "fault");
    let (head, tail) = (texts(&letter["log"]["head"]), texts(&letter["log"]["tail"]));
    assert!(head.contains(&"line 1") && !head.contains(&"line 5000"), "{head:?}");
    assert!(tail.contains(&"line 5000") && !tail.contains(&"line 1"), "{tail:?}");
    let kept: usize = head.iter().chain(&tail).map(|line| line.len()).sum();
    assert!(kept <= 8 << 10, "{kept} bytes");
    let dropped = letter["log"]["dropped"].as_u64().unwrap();
    assert!(dropped > 20_000, "{dropped} bytes are counted as left out");
    let id = letter["id"].as_str().unwrap();
    site.fusebox(&["dlq", "show", id])
        .exits(0)
        .stdout
        .find("left out")
        .unwrap();
}

#[test]
fn mapped_errors_are_judged_as_the_manifest_says() {
    let site = Site::deployed(&["faulty"]);
    for class in ["transient", "throttled"] {
        let ran = site.call("faulty.error", &json!({ "kind": class })).exits(13);
        let letter = site.letter(&ran.letter());
        assert_eq!(
            (letter["kind"].as_str(), letter["class"].as_str()),
            (Some("retryable"), Some(class))
        );
        assert_eq!(letter["run"]["attempts"].as_array().unwrap().len(), 5);
        assert_eq!(letter["failure"]["case"], class);
    }
    for case in ["caller", "unmapped"] {
        let ran = site.call("faulty.error", &json!({ "kind": case })).exits(10);
        let error = &ran.json()["error"];
        assert_eq!(
            (error["code"].as_str(), error["class"].as_str()),
            (Some("tool-failed"), Some("caller"))
        );
        assert_eq!(error["case"], case);
        assert_eq!(error["error"], json!({ case: "as asked for" }).to_string());
        let run = site.run(error["run"].as_str().unwrap());
        assert_eq!(
            (run["state"].as_str(), run["attempts"].as_array().unwrap().len()),
            (Some("failed"), 1)
        );
    }
    assert_eq!(site.letters().len(), 2, "errors of callers are no letters");
    assert_eq!(site.errors().len(), 2, "they are in the error log");
}

#[test]
fn a_request_that_lies_about_its_length_is_the_guests_own_error() {
    let site = Site::deployed(&["faulty"]);
    let input = json!({ "upstream": "mail", "path": "/v1/messages" });
    site.call("faulty.lying-content-length", &input).exits(10);
    assert_eq!(site.upstreams().mails().len(), 0);
    assert_eq!(site.letters().len(), 0);
}

#[test]
fn case_30_every_call_gets_a_fresh_instance() {
    let site = Site::deployed(&["faulty"]);
    for _ in 0..3 {
        assert_eq!(site.call("faulty.stateful", &json!({})).exits(0).json()["output"], 1);
    }
    let random = || site.call("faulty.random", &json!({})).exits(0).json()["output"].clone();
    assert_ne!(random(), random());
    let now = site.call("faulty.now", &json!({})).exits(0).json()["output"]
        .as_i64()
        .unwrap();
    assert!(site.now().abs_diff(now) < 60_000, "{now} against {}", site.now());
}

#[test]
fn a_guest_that_spins_stops_nobody() {
    let site = Site::new();
    site.deploy_with("faulty", &[("timeout = \"1s\"", "timeout = \"20s\"")]);
    site.deploy("calculator");
    let spinning = site.start_call("faulty.endless-loop", &json!({}), &[]);
    let sleeping = site.start_call("faulty.sleep", &json!({ "ms": 20_000 }), &[]);
    let ran = site
        .call("calculator.evaluate", &json!({ "expression": "1+1" }))
        .exits(0);
    assert!(ran.took < Duration::from_secs(18), "{:?}", ran.took);
    let ran = site.call("faulty.stateful", &json!({})).exits(0);
    assert!(ran.took < Duration::from_secs(18), "{:?}", ran.took);
    spinning.kill();
    sleeping.kill();
}

#[test]
fn a_sleeping_guest_ends_with_its_attempt() {
    let site = Site::new();
    site.deploy_with(
        "faulty",
        &[(
            "sleep = { description = \"Sleeps\", idempotency = \"readonly\" }",
            "sleep = { description = \"Sleeps\", idempotency = \"readonly\", timeout = \"2s\" }",
        )],
    );
    let ran = site.call("faulty.sleep", &json!({ "ms": 30_000 })).exits(20);
    assert!(ran.took < Duration::from_secs(20), "{:?}", ran.took);
    site.call("faulty.sleep", &json!({ "ms": 1 })).exits(0);
}

#[test]
fn a_caller_who_hangs_up_leaves_a_sound_database() {
    let site = Site::deployed(&["faulty"]);
    let sleeping = site.start_call("faulty.sleep", &json!({ "ms": 20_000 }), &[]);
    eventually("the database is in use", || site.path("fusebox.db-wal").exists());
    let ran = sleeping.kill();
    assert_eq!(ran.code, -9);
    assert_eq!(site.sql("PRAGMA integrity_check"), "ok");
    site.call("faulty.stateful", &json!({})).exits(0);
}
