//! Dead letters: found, understood, exported, replayed and closed from the command line.

use crate::site::{Site, eventually};
use fusebox_simulator::{Fault, Service};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;

/// A site with one letter: a search that gave up on an upstream which is well again by now.
fn gave_up() -> (Site, String) {
    let site = Site::deployed(&["search"]);
    site.status(Service::Search, 503, Some(5));
    let ran = site.call("search.query", &json!({ "text": "sandbox" })).exits(13);
    let letter = ran.letter();
    site.fusebox(&["breakers", "reset", "search/search"]).exits(0);
    (site, letter)
}

fn count(site: &Site) -> usize {
    site.requests(Service::Search).len()
}

#[test]
fn a_letter_tells_its_whole_story() {
    let (site, id) = gave_up();
    let list = site.fusebox(&["dlq"]).exits(0);
    let fields: Vec<_> = list.stdout.trim_end().split('\t').collect();
    assert_eq!(
        fields[..5],
        [id.as_str(), "retryable", "transient", "search.query", "search"]
    );

    let text = site.fusebox(&["dlq", "show", &id]).exits(0).stdout;
    for part in [
        "letter    ltr_",
        "search.query  version 1",
        r#"input     {"text":"sandbox"}"#,
        "attempt 5",
        "GET /v1/query?q=sandbox&limit=10 -> 503",
        "breakers when it failed",
        "search/search  open",
        "state of the component",
        "goes on at effect 1, GET /v1/query?q=sandbox&limit=10 to search",
        &format!("fusebox dlq replay {id}\n"),
    ] {
        assert!(text.contains(part), "`{part}` is not in\n{text}");
    }
    let letter = site.letter(&id);
    let run = letter["run"]["id"].as_str().unwrap();
    let by_run = site
        .fusebox(&["dlq", "show", "--run-id", run, "--json"])
        .exits(0)
        .json();
    assert_eq!(by_run["id"], id.as_str());
    assert_eq!(letter["run"]["attempts"].as_array().unwrap().len(), 5);
    assert_eq!(site.run(run)["state"], "dead-lettered");
    assert_eq!(site.run(run)["letter"], id.as_str());
}

#[test]
fn lists_are_filtered() {
    let (site, id) = gave_up();
    site.deploy("faulty");
    site.call("faulty.trap", &json!({})).exits(21);
    let ids = |filter: &[&str]| -> Vec<Value> {
        let ran = site.fusebox(&[&["dlq", "list", "--json"], filter].concat()).exits(0);
        ran.json_lines()
            .into_iter()
            .map(|letter| letter["id"].clone())
            .collect()
    };
    assert_eq!(ids(&[]).len(), 2);
    assert_eq!(ids(&["--service", "search"]), [id.as_str()]);
    assert_eq!(ids(&["--tool", "search"]), [id.as_str()]);
    assert_eq!(ids(&["--class", "transient"]), [id.as_str()]);
    assert_eq!(ids(&["--class", "fault"]).len(), 1);
    assert_eq!(ids(&["--limit", "1"]), [id.as_str()], "oldest first");
    assert_eq!(ids(&["--since", "1h"]).len(), 2);
    assert_eq!(ids(&["--tool", "nothing"]).len(), 0);
}

#[test]
fn a_replay_that_succeeds_closes_the_letter() {
    let (site, id) = gave_up();
    let before = count(&site);
    let ran = site.fusebox(&["dlq", "replay", &id, "--from-start", "--json"]).exits(0);
    assert_eq!(count(&site), before + 1);
    assert!(ran.json()["output"].is_array());
    assert_eq!(ran.json()["run"], site.letter(&id)["run"]["id"]);
    assert_eq!(site.letter(&id)["state"], "replayed");
    assert_eq!(site.letters().len(), 0);
    assert_eq!(
        site.fusebox(&["dlq", "list", "--all", "--json"])
            .exits(0)
            .json_lines()
            .len(),
        1
    );

    // Again: the outcome stands, and nothing is run.
    let again = site.fusebox(&["dlq", "replay", &id, "--from-start", "--json"]).exits(0);
    assert_eq!(again.json()["output"], ran.json()["output"]);
    assert_eq!(again.json()["stored"], true);
    assert_eq!(count(&site), before + 1);
}

#[test]
fn a_letter_is_replayed_by_its_run_too() {
    let (site, id) = gave_up();
    let run = site.letter(&id)["run"]["id"].as_str().unwrap().to_owned();
    let before = count(&site);
    site.fusebox(&["dlq", "replay", "--run-id", &run])
        .exits(0)
        .says("is closed: replayed");
    assert_eq!(count(&site), before + 1);
    assert_eq!(site.letter(&id)["state"], "replayed");
}

#[test]
fn a_replay_that_fails_again_updates_the_letter() {
    let (site, id) = gave_up();
    let first = site.letter(&id);
    site.status(Service::Search, 503, None);
    let ran = site
        .fusebox(&["dlq", "replay", &id, "--from-start", "--json"])
        .exits(13);
    assert_eq!(ran.letter(), id);
    let letters = site.letters();
    assert_eq!(letters.len(), 1);
    let letter = site.letter(&id);
    assert_eq!(
        (letter["state"].as_str(), letter["replays"].as_u64()),
        (Some("open"), Some(1))
    );
    assert_eq!(letter["first-failed"], first["first-failed"]);
    assert!(letter["last-failed"].as_i64() > first["last-failed"].as_i64());
    let attempts = letter["run"]["attempts"].as_array().unwrap();
    assert_eq!(attempts.len(), 10, "with fresh attempts");
    let numbers: Vec<_> = attempts
        .iter()
        .map(|attempt| attempt["number"].as_u64().unwrap())
        .collect();
    assert_eq!(numbers, (1..=10).collect::<Vec<_>>());
    // The world may have changed: a replay that fails in another way is the same letter too.
    site.heal(Service::Search);
    site.status(Service::Search, 401, None);
    site.fusebox(&["breakers", "reset", "search/search"]).exits(0);
    site.fusebox(&["dlq", "replay", &id, "--from-start"]).exits(10);
    assert_eq!(site.letter(&id)["replays"], 2);
    assert_eq!(site.letters().len(), 1);
}

#[test]
fn case_46_an_open_breaker_leaves_the_letter_untouched() {
    let (site, id) = gave_up();
    site.fusebox(&["breakers", "open", "search/search"]).exits(0);
    let (before, requests) = (site.letter(&id), count(&site));
    let ran = site
        .fusebox(&["dlq", "replay", &id, "--from-start", "--json"])
        .exits(14);
    assert_eq!(ran.json()["error"]["code"], "breaker-open");
    assert_eq!(site.letter(&id), before);
    assert_eq!(count(&site), requests);
}

#[test]
fn case_43_two_replays_of_one_letter_are_one_execution() {
    let (site, id) = gave_up();
    site.fault(Service::Search, Fault::Delay(4_000), Some(1));
    let before = count(&site);
    let first = site.start(&["dlq", "replay", &id, "--from-start", "--json"]);
    eventually("the first replay has sent", || count(&site) == before + 1);
    let second = site
        .fusebox(&["dlq", "replay", &id, "--from-start", "--json"])
        .exits(17);
    assert_eq!(second.json()["error"]["code"], "key-in-use");
    assert_eq!(site.letter(&id)["state"], "replaying");
    first.wait().exits(0);
    assert_eq!(count(&site), before + 1);
    assert_eq!(site.letter(&id)["state"], "replayed");
}

#[test]
fn case_44_a_replay_that_was_killed_leaves_the_letter_to_the_next() {
    let site = Site::with("lease = \"1s\"\n");
    site.deploy_with(
        "search",
        &[("[services.search]\n", "[services.search]\ntimeout = \"500ms\"\n")],
    );
    site.status(Service::Search, 503, Some(5));
    let id = site
        .call("search.query", &json!({ "text": "sandbox" }))
        .exits(13)
        .letter();
    site.fusebox(&["breakers", "reset", "search/search"]).exits(0);
    site.fault(Service::Search, Fault::Hang, Some(1));
    let before = count(&site);
    let killed = site.start(&["dlq", "replay", &id, "--from-start"]);
    eventually("the replay has sent", || count(&site) == before + 1);
    killed.kill();
    eventually("the lease has ended", || site.letter(&id)["state"] == "open");
    site.fusebox(&["dlq", "replay", &id, "--from-start"]).exits(0);
    assert_eq!(site.letter(&id)["state"], "replayed");
    assert_eq!(site.sql("PRAGMA integrity_check"), "ok");
}

#[test]
fn memory_is_shown_and_exported() {
    let site = Site::deployed(&["faulty"]);
    let id = site
        .call("faulty.trap", &json!({ "message": "look for this text" }))
        .exits(21)
        .letter();
    let letter = site.letter(&id);
    let instances = letter["snapshot"]["instances"].as_array().unwrap();
    let (instance, memory) = instances
        .iter()
        .enumerate()
        .find_map(|(at, instance)| Some((at, instance["memories"].as_array()?.first()?)))
        .unwrap();
    let length = (memory["pages"].as_u64().unwrap() << 16).to_string();
    let which = format!("{instance}:0");
    site.fusebox(&[
        "dlq",
        "export",
        &id,
        "--memory",
        &which,
        "--length",
        &length,
        "--to",
        "memory.bin",
    ])
    .exits(0);
    let bytes = fs::read(site.path("memory.bin")).unwrap();
    assert_eq!(bytes.len().to_string(), length);
    let text = b"look for this text";
    let at = bytes
        .windows(text.len())
        .position(|window| window == text)
        .unwrap()
        .to_string();
    let shown = site
        .fusebox(&[
            "dlq", "show", &id, "--memory", &which, "--offset", &at, "--length", "18",
        ])
        .exits(0);
    assert!(shown.stdout.contains("|look for this te|"), "{}", shown.shown());
    let json = [
        "dlq", "show", &id, "--memory", &which, "--offset", &at, "--length", "18", "--json",
    ];
    assert_eq!(
        site.fusebox(&json).exits(0).json()["hex"],
        "6c6f6f6b20666f7220746869732074657874"
    );
    site.fusebox(&["dlq", "show", &id, "--memory", "77:0"])
        .exits(16)
        .says("keeps no memory");
    site.fusebox(&["dlq", "show", &id, "--memory", "first"]).exits(64);
}

#[test]
fn letters_are_exported_to_files_of_their_own() {
    let site = Site::deployed(&["faulty"]);
    let id = site.call("faulty.trap", &json!({})).exits(21).letter();
    site.fusebox(&["dlq", "export", &id, "--to", "letter.json", "--coredump", "letter.core"])
        .exits(0);
    let exported: Value = serde_json::from_str(&site.read("letter.json")).unwrap();
    assert_eq!(exported, site.letter(&id));
    let dump = fs::read(site.path("letter.core")).unwrap();
    assert_eq!(dump[..8], *b"\0asm\x01\0\0\0");
    // The sections that a core dump has (WebAssembly/tool-conventions, Coredump.md).
    for section in ["core", "coremodules", "coreinstances", "corestack"] {
        assert!(
            dump.windows(section.len()).any(|window| window == section.as_bytes()),
            "{section}"
        );
    }
    for file in ["letter.json", "letter.core"] {
        let mode = fs::metadata(site.path(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
    // Nothing is written over.
    site.fusebox(&["dlq", "export", &id, "--to", "letter.json"])
        .exits(64)
        .says("letter.json");
    let stdout = site.fusebox(&["dlq", "export", &id]).exits(0);
    assert_eq!(stdout.json(), exported);
}

#[test]
fn purged_letters_are_closed_for_good() {
    let (site, id) = gave_up();
    site.fusebox(&["dlq", "purge", &id]).exits(64).says("--yes");
    site.fusebox(&["dlq", "purge", "--yes"])
        .exits(64)
        .says("no letter is named");
    assert_eq!(site.letters().len(), 1);
    let purged = site
        .fusebox(&["dlq", "purge", "--service", "search", "--yes", "--json"])
        .exits(0);
    assert_eq!(purged.json()["closed"], 1);
    assert_eq!(site.letters().len(), 0);
    assert_eq!(site.letter(&id)["state"], "purged");
    let before = count(&site);
    let ran = site.fusebox(&["dlq", "replay", &id, "--from-start"]);
    assert_ne!(ran.code, 0, "{}", ran.shown());
    assert_eq!(count(&site), before);
}

#[test]
fn a_letter_in_doubt_is_not_purged() {
    let site = Site::deployed(&["email"]);
    site.fault(Service::Mail, Fault::ExecuteThenReset, Some(1));
    let mail = json!({ "to": "ann@example.com", "subject": "Hello", "body": "Once" });
    let id = site.call("email.send", &mail).exits(15).letter();
    let ran = site.fusebox(&["dlq", "purge", &id, "--yes"]).exits(0);
    assert!(ran.stderr.contains("stays"), "{}", ran.shown());
    assert_eq!(site.letter(&id)["state"], "open");
}

#[test]
fn a_dry_run_knows_what_a_purge_leaves_and_why() {
    let site = Site::with("lease = \"1s\"\n");
    let place = [("[services.mail]\n", "[services.mail]\ntimeout = \"300ms\"\n")];
    site.deploy_with("email", &place);
    let mail = |body: &str| json!({ "to": "ann@example.com", "subject": "Hello", "body": body });
    // The mail was refused, which proves that nothing happened: its letter may be replayed, and purged.
    site.fault(Service::Mail, Fault::Refuse, None);
    let [first, second] = ["one", "two"].map(|body| site.call("email.send", &mail(body)).exits(13).letter());
    site.heal(Service::Mail);
    site.fusebox(&["breakers", "reset", "email/mail"]);
    site.fault(Service::Mail, Fault::Hang, Some(1));
    let replay = site.start(&["dlq", "replay", &second]);
    eventually("the mail is in flight", || site.requests(Service::Mail).len() == 1);
    replay.kill();
    eventually("the lease is over", || site.letter(&second)["state"] == "open");
    let dry = site.fusebox(&["dlq", "purge", "--tool", "email", "--dry-run"]).exits(0);
    let stays = format!("{second} would stay: a replay of it was cut off");
    assert!(dry.stderr.contains(&stays), "{}", dry.shown());
    let dry = site
        .fusebox(&["dlq", "purge", "--tool", "email", "--dry-run", "--json"])
        .exits(0)
        .json();
    assert_eq!(
        (&dry["would-close"], &dry["would-stay"]),
        (&json!([first]), &json!([second]))
    );
    let purged = site
        .fusebox(&["dlq", "purge", "--tool", "email", "--yes", "--json"])
        .exits(0);
    assert_eq!(purged.json()["closed"], 1);
    assert!(
        purged
            .stderr
            .contains(&format!("{second} stays: a replay of it was cut off")),
        "{}",
        purged.shown()
    );
}

#[test]
fn a_replay_runs_the_version_that_failed() {
    let (site, id) = gave_up();
    site.deploy_with("search", &[("version = \"1.0.0\"", "version = \"2.0.0\"")]);
    assert_eq!(site.letter(&id)["run"]["version"], 1);
    site.fusebox(&["dlq", "replay", &id, "--from-start"]).exits(0);
    let run = site.letter(&id)["run"]["id"].as_str().unwrap().to_owned();
    assert_eq!(site.run(&run)["version"], 1);
}

#[test]
fn letters_of_python_tools_hold_the_traceback() {
    let site = Site::deployed(&["wordcount"]);
    site.write("large.json", &json!({ "text": "x y z ".repeat(2_000_000) }).to_string());
    let ran = site
        .fusebox(&["call", "wordcount.count", "@large.json", "--json"])
        .exits(20);
    assert!(
        ran.json()["error"]["message"]
            .as_str()
            .unwrap()
            .contains("limits.memory")
    );
    let letter = site.letter(&ran.letter());
    let log = letter["log"].to_string();
    for part in [
        "Traceback (most recent call last)",
        "/0/app.py",
        "in count",
        "MemoryError",
    ] {
        assert!(log.contains(part), "`{part}` is not in {log}");
    }
}

#[test]
fn letters_of_javascript_tools_hold_the_frames() {
    let site = Site::deployed(&["slugify"]);
    site.write("large.json", &json!({ "text": "ä ".repeat(4_000_000) }).to_string());
    let ran = site
        .fusebox(&["call", "slugify.slug", "@large.json", "--json"])
        .exits(20);
    assert!(
        ran.json()["error"]["message"]
            .as_str()
            .unwrap()
            .contains("limits.memory")
    );
    let letter = site.letter(&ran.letter());
    let frames = letter["backtrace"].as_array().unwrap();
    assert!(
        frames.last().unwrap().as_str().unwrap().contains("slugify"),
        "{frames:?}"
    );
}

#[test]
fn what_is_not_there_is_named() {
    let site = Site::new();
    let unknown = ["ltr_01jd4m9q7gk0v3x8w2h5t6y1ze", "run_01jd4m9q7gk0v3x8w2h5t6y1ze"];
    for arguments in [
        ["dlq", "show", unknown[0]],
        ["dlq", "export", unknown[0]],
        ["runs", "show", unknown[1]],
    ] {
        let ran = site.fusebox(&arguments).exits(16);
        assert!(ran.stderr.contains(arguments[2]), "{}", ran.shown());
    }
    site.fusebox(&["dlq", "replay", unknown[0], "--from-start"]).exits(16);
    site.fusebox(&["dlq", "show", "--run-id", unknown[1]]).exits(16);
    site.fusebox(&["dlq", "show", "letter-1"]).exits(64);
    site.fusebox(&["dlq", "show"]).exits(64);
    site.fusebox(&["errors", "show", "17"]).exits(64);
}
