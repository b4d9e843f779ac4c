//! Replays from where a run failed, from the command line: one letter, several, and in bulk.

use crate::site::{Ran, Site, eventually};
use fusebox_simulator::{Fault, Service};
use serde_json::{Value, json};

fn mail() -> Value {
    json!({ "to": "ann@example.com", "subject": "Hello", "body": "Twice, and no more" })
}

/// A run of two posts: the first was answered and may not be repeated, the second was never sent.
fn half_done() -> (Site, String) {
    let site = Site::deployed(&["faulty"]);
    site.fault(Service::Mail, Fault::Delay(1), Some(1));
    site.fault(Service::Mail, Fault::Refuse, None);
    let input = json!({ "upstream": "mail", "path": "/v1/messages", "body": mail().to_string() });
    let letter = site
        .call_with("faulty.two-posts", &input, &["--key", "pair"])
        .exits(13)
        .letter();
    site.heal(Service::Mail);
    site.fusebox(&["breakers", "reset", "faulty/mail"]).exits(0);
    assert_eq!(mails(&site), 1);
    (site, letter)
}

fn mails(site: &Site) -> usize {
    site.upstreams().mails().len()
}

/// A site with so many letters of searches that gave up on an upstream which is well again.
fn gave_up(count: usize) -> (Site, Vec<String>) {
    let site = Site::new();
    site.deploy_with("search", &[("retry = \"idempotent\"\n", "retry = \"none\"\n")]);
    site.status(Service::Search, 503, None);
    let call = |number: usize| {
        let ran = site.call("search.query", &json!({ "text": format!("sandbox {number}") }));
        site.fusebox(&["breakers", "reset", "search/search"]).exits(0);
        ran.exits(13).letter()
    };
    let letters = (0..count).map(call).collect();
    site.heal(Service::Search);
    (site, letters)
}

#[track_caller]
fn states(site: &Site) -> Vec<String> {
    let all = site.fusebox(&["dlq", "list", "--all", "--json"]).exits(0).json_lines();
    all.iter()
        .map(|letter| letter["state"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn a_replay_goes_on_where_the_run_failed() {
    let (site, letter) = half_done();
    let shown = site.fusebox(&["dlq", "show", &letter]).exits(0).stdout;
    for part in [
        "goes on at effect 2, POST /v1/messages to mail",
        "#1 ",
        "not to be repeated",
        &format!("fusebox dlq replay {letter} --dry-run"),
    ] {
        assert!(shown.contains(part), "`{part}` is not in\n{shown}");
    }
    assert!(!shown.contains("--from-start"), "{shown}");
    let ran = site.fusebox(&["dlq", "replay", &letter, "--json"]).exits(0);
    assert_eq!(ran.json()["output"], json!([202, 202]));
    assert_eq!(mails(&site), 2, "the first was served from the journal");
    let run = site.run(ran.json()["run"].as_str().unwrap());
    let last = run["attempts"].as_array().unwrap().last().unwrap();
    assert_eq!(
        (last["served"].as_u64(), last["effects"].as_array().unwrap().len()),
        (Some(1), 1)
    );
    let shown = site
        .fusebox(&["runs", "show", run["id"].as_str().unwrap()])
        .exits(0)
        .stdout;
    assert!(shown.contains("1 effect(s) served from the journal"), "{shown}");
}

#[test]
fn a_dry_run_says_what_would_be_next_and_performs_nothing() {
    let (site, letter) = half_done();
    let before = (site.requests(Service::Mail).len(), site.letter(&letter));
    let ran = site
        .fusebox(&["dlq", "replay", &letter, "--dry-run"])
        .exits(0)
        .says("nothing was performed");
    assert!(ran.stdout.contains("served    1 effect(s)"), "{}", ran.shown());
    assert!(ran.stdout.contains("POST /v1/messages"), "{}", ran.shown());
    let run = before.1["run"]["id"].as_str().unwrap();
    let ran = site
        .fusebox(&["dlq", "replay", "--run-id", run, "--dry-run", "--json"])
        .exits(0)
        .json();
    assert_eq!(
        (ran["served"].as_u64(), ran["effect"]["seq"].as_u64()),
        (Some(1), Some(2))
    );
    assert_eq!((site.requests(Service::Mail).len(), site.letter(&letter)), before);
}

#[test]
fn case_71_from_the_start_after_a_settled_effect_is_refused_unless_it_is_named() {
    let (site, letter) = half_done();
    for from in [&["--from-start"][..], &["--from-effect", "1"]] {
        let ran = site.fusebox(&[&["dlq", "replay", &letter], from].concat()).exits(11);
        ran.says("--repeat 1");
    }
    assert_eq!(mails(&site), 1);
    site.fusebox(&["dlq", "replay", &letter, "--from-effect", "1", "--repeat", "1"])
        .exits(0);
    assert_eq!(mails(&site), 3, "a person has said that it may happen again");
}

#[test]
fn edited_arguments_are_a_new_run() {
    let (site, letters) = gave_up(1);
    let letter = &letters[0];
    site.write("wrong.json", "{\"text\":3}");
    site.fusebox(&["dlq", "replay", letter, "--input", "wrong.json"])
        .exits(65)
        .says("wrong.json");
    site.write("right.json", "{\"text\":\"retry\",\"limit\":1}");
    let ran = site
        .fusebox(&["dlq", "replay", letter, "--input", "right.json", "--json"])
        .exits(0);
    assert_ne!(ran.json()["run"], site.letter(letter)["run"]["id"]);
    assert!(site.requests(Service::Search).last().unwrap().path.contains("q=retry"));
    assert_eq!(site.letters().len(), 0, "nobody needs the letter any more");
}

#[test]
fn several_letters_are_replayed_one_after_the_other() {
    let (site, letters) = gave_up(3);
    site.fusebox(&["dlq", "purge", &letters[1], "--yes"]).exits(0);
    let named: Vec<_> = letters.iter().map(String::as_str).collect();
    let ran = site.fusebox(&[&["dlq", "replay"], &named[..], &["--json"]].concat());
    assert_ne!(ran.code, 0, "one of them was closed: {}", ran.shown());
    let lines = ran.json_lines();
    assert_eq!(lines.len(), 3);
    let failed: Vec<_> = lines.iter().map(|line| line.get("error").is_some()).collect();
    assert_eq!(failed, [false, true, false], "the one in the middle holds nobody up");
    assert_eq!(states(&site), ["replayed", "purged", "replayed"]);
    for from in [&["--from-start"][..], &["--from-effect", "1"], &["--input", "x.json"]] {
        site.write("x.json", "{}");
        let line = [&["dlq", "replay"], &named[..], from].concat();
        site.fusebox(&line).exits(64).says("one letter at a time");
    }
}

#[test]
fn letters_are_replayed_in_bulk() {
    let (site, letters) = gave_up(4);
    let before = site.requests(Service::Search).len();
    let dry = site
        .fusebox(&["dlq", "replay", "--service", "search", "--dry-run"])
        .exits(0);
    assert_eq!(dry.stdout.lines().count(), 4, "{}", dry.shown());
    assert_eq!(site.requests(Service::Search).len(), before);

    let ran = site
        .fusebox(&[
            "dlq",
            "replay",
            "--service",
            "search",
            "--max",
            "3",
            "--rate",
            "600/min",
            "--json",
        ])
        .exits(0);
    let done = ran.json();
    assert_eq!(
        (
            done["state"].as_str(),
            done["succeeded"].as_u64(),
            done["total"].as_u64()
        ),
        (Some("done"), Some(3), Some(3))
    );
    assert_eq!(site.letters().len(), 1, "oldest first, at most three");
    assert_eq!(site.letters()[0]["id"], letters[3].as_str());
    let id = done["id"].as_str().unwrap();
    assert_eq!(
        site.fusebox(&["dlq", "redrives", "show", id, "--json"]).exits(0).json(),
        done
    );
    let list = site.fusebox(&["dlq", "redrives"]).exits(0).stdout;
    assert!(
        list.starts_with(id) && list.contains("3 succeeded, 0 failed, 0 skipped"),
        "{list}"
    );
    assert!(list.contains("service search, at most 3, 600 a minute"), "{list}");
    let shown = site.fusebox(&["dlq", "redrives", "show", id]).exits(0).stdout;
    assert!(shown.contains("3 succeeded, 0 failed, 0 skipped of 3"), "{shown}");

    site.fusebox(&["dlq", "replay", "--all"]).exits(0).says("1 succeeded");
    assert_eq!(site.letters().len(), 0);
}

#[test]
fn a_bulk_replay_stops_when_too_many_fail_again() {
    let (site, _) = gave_up(4);
    // A 400 fails each of them, and opens no breaker.
    site.status(Service::Search, 400, None);
    let ran = site.fusebox(&[
        "dlq",
        "replay",
        "--tool",
        "search",
        "--stop-after-failures",
        "2",
        "--json",
    ]);
    let done = ran.exits(13).json();
    assert_eq!(
        (done["state"].as_str(), done["failed"].as_u64()),
        (Some("stopped"), Some(2))
    );
    assert!(done["error"]["help"].as_str().unwrap().contains("fusebox dlq list"));
    let untouched = site.letters().iter().filter(|letter| letter["replays"] == 0).count();
    assert_eq!(untouched, 2, "the rest is as it was");
}

#[test]
fn a_bulk_replay_may_be_left_to_a_serving_host_and_cancelled() {
    let (site, _) = gave_up(2);
    let ran = site.fusebox(&["dlq", "replay", "--all", "--detach", "--json"]).exits(0);
    let id = ran.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(ran.json()["state"], "running");
    assert_eq!(site.letters().len(), 2);
    site.fusebox(&["dlq", "redrives", "cancel", &id]).exits(0);
    let shown = site
        .fusebox(&["dlq", "redrives", "show", &id, "--json"])
        .exits(0)
        .json();
    assert_eq!(shown["state"], "cancelled");
    assert_eq!(site.letters().len(), 2, "case 45: the rest is untouched");
}

#[test]
fn a_bulk_replay_that_was_left_to_serving_hosts_is_carried_out_once() {
    let (site, _) = gave_up(2);
    let ran = site.fusebox(&["dlq", "replay", "--all", "--detach", "--json"]).exits(0);
    let id = ran.json()["id"].as_str().unwrap().to_owned();
    let serving = [
        site.start(&["serve", "--http", "none"]),
        site.start(&["serve", "--http", "none"]),
    ];
    let shown = || {
        site.fusebox(&["dlq", "redrives", "show", &id, "--json"])
            .exits(0)
            .json()
    };
    eventually("the bulk replay is done", || shown()["state"] == "done");
    let shown = shown();
    assert_eq!(
        (&shown["succeeded"], &shown["failed"], &shown["skipped"]),
        (&json!(2), &json!(0), &json!(0))
    );
    assert_eq!(site.letters().len(), 0);
    for serving in serving {
        serving.terminate();
        serving.wait().exits(0);
    }
}

#[test]
fn case_49_another_component_that_asks_for_something_else_is_named() {
    let (site, letter) = half_done();
    site.deploy("search");
    let tools = site.fusebox(&["tools", "--json"]).exits(0).json_lines();
    let digest = |name: &str| {
        let tool = tools.iter().find(|tool| tool["name"] == name).unwrap();
        tool["component"].as_str().unwrap().to_owned()
    };
    // The same component is no other one.
    let ran = site.fusebox(&["dlq", "replay", &letter, "--component", &digest("faulty"), "--dry-run"]);
    ran.exits(0);
    let ran = site.fusebox(&["dlq", "replay", &letter, "--component", &digest("search")]);
    assert_ne!(ran.code, 0, "{}", ran.shown());
    let unknown = format!("sha256:{}", "0".repeat(64));
    site.fusebox(&["dlq", "replay", &letter, "--component", &unknown])
        .exits(16)
        .says(&unknown);
    site.fusebox(&["dlq", "replay", &letter, "--component", "newest"])
        .exits(64)
        .says("a digest");
    assert_eq!(mails(&site), 1);
}

#[test]
fn what_makes_no_sense_is_refused_before_anything_happens() {
    let (site, letters) = gave_up(1);
    let id = letters[0].as_str();
    let before = (site.letter(id), site.requests(Service::Search).len());
    let refused =
        |line: &[&str], what: &str| -> Ran { site.fusebox(&[&["dlq", "replay"], line].concat()).exits(64).says(what) };
    refused(&[], "no letter is named");
    refused(&[id, "--all"], "--all");
    refused(&[id, "--service", "search"], "--service");
    refused(&[id, "--rate", "5/min"], "bulk");
    refused(&[id, "--repeat", "1"], "--from-start");
    refused(&[id, "--from-start", "--from-effect", "1"], "--from-effect");
    refused(&[id, "--from-effect", "0"], "0");
    refused(&[id, "--from-effect", "last"], "last");
    refused(&[id, "--input", "missing.json"], "missing.json");
    refused(&["--all", "--from-start"], "one letter at a time");
    refused(
        &["--all", "--component", &format!("sha256:{}", "0".repeat(64))],
        "not for bulk",
    );
    refused(&["--all", "--rate", "1/h"], "1/min");
    refused(&["--all", "--max", "0"], "0");
    refused(&["--service", "search", "--class", "sad"], "transient");
    refused(&["ltr_1"], "a letter id");
    let ran = site.fusebox(&["dlq", "replay", id, "--from-effect", "9"]).exits(65);
    ran.says("no effect 9");
    for word in ["show", "cancel"] {
        site.fusebox(&["dlq", "redrives", word, "rdv_01jd4m9q7gk0v3x8w2h5t6y1ze"])
            .exits(16);
        site.fusebox(&["dlq", "redrives", word, "1"])
            .exits(64)
            .says("a redrive id");
    }
    assert_eq!((site.letter(id), site.requests(Service::Search).len()), before);
}
