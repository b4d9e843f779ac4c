//! `fusebox debug`: a letter explained to somebody who did not write the tool.

use crate::site::Site;
use fusebox_simulator::Service;
use serde_json::json;
use std::io::Write as _;
use std::process::{Command, Stdio};

/// A site with a letter of a tool that panics.
fn trapped() -> (Site, String) {
    let site = Site::deployed(&["faulty"]);
    let letter = site.call("faulty.trap", &json!({})).exits(21).letter();
    (site, letter)
}

#[track_caller]
fn tells(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "`{part}` is not in\n{text}");
    }
}

#[test]
fn a_trap_is_explained_with_message_lines_values_and_memory() {
    let (site, letter) = trapped();
    let text = site.fusebox(&["debug", &letter]).exits(0).stdout;
    tells(
        &text,
        &[
            "faulty.trap",
            "replay    it trapped: unreachable",
            "state     the same as the letter's",
            "err| thread",
            "panicked at",
            "it was stopped here: unreachable",
            "faulty/src/crash.rs:",
            "* the tool's own code",
            "local 0",
            "points to 0x",
            "globals",
        ],
    );
    let report = site.fusebox(&["debug", &letter, "--json"]).exits(0).json();
    assert!(report["state"]["same"]["pages"].as_u64().unwrap() > 0);
    let frames = report["halt"]["frames"].as_array().unwrap();
    assert!(
        frames
            .iter()
            .any(|frame| !frame["locals"].as_array().unwrap().is_empty())
    );
    // A part of the path, since the guest's own folder depends on who built it.
    let lines = frames.iter().filter_map(|frame| frame["location"].as_str());
    assert!(lines.into_iter().any(|line| line.contains("faulty/src/crash.rs")));
}

#[test]
fn a_failed_request_is_told_with_both_sides_and_nothing_is_sent_again() {
    let site = Site::deployed(&["faulty"]);
    site.status(Service::Search, 503, None);
    let input = json!({ "upstream": "search", "path": "/v1/query?q=x" });
    let letter = site.call("faulty.unwrap-on-503", &input).exits(13).letter();
    site.heal(Service::Search);
    let sent = site.requests(Service::Search).len();
    let text = site.fusebox(&["debug", &letter]).exits(0).stdout;
    tells(
        &text,
        &[
            "the effect that failed",
            "#1        http  to search  503",
            "asked     GET http://",
            "/v1/query?q=x",
            "got       503",
            "state     the same as the letter's",
        ],
    );
    let effects = site.fusebox(&["debug", &letter, "--effects"]).exits(0).stdout;
    tells(&effects, &["#1", "stack     "]);
    let at = site
        .fusebox(&["debug", &letter, "--effect", "1", "--json"])
        .exits(0)
        .json();
    assert_eq!(at["effect"]["answer"], "503");
    assert!(!at["halt"]["frames"].as_array().unwrap().is_empty());
    site.fusebox(&["debug", &letter, "--effect", "9"])
        .exits(16)
        .says("does not get to effect 9");
    assert_eq!(site.requests(Service::Search).len(), sent, "a replay sends nothing");
}

#[test]
fn what_makes_no_sense_is_told() {
    let (site, letter) = trapped();
    site.fusebox(&["debug", &letter, "--step"]).exits(64).says("--effects");
    site.fusebox(&["debug"]).exits(64);
    site.fusebox(&["debug", "ltr_00000000000000000000000000"]).exits(16);
    site.fusebox(&["debug", &letter, "--effect", "0"]).exits(64);
    let by_run = site.letter(&letter)["run"]["id"].as_str().unwrap().to_owned();
    site.fusebox(&["debug", "--run-id", &by_run]).exits(0);
}

#[test]
fn steps_of_an_agent_are_gone_through_to_the_one_that_failed() {
    let site = Site::deployed(&["calculator", "search", "pipeline"]);
    site.status(Service::Llm, 503, None);
    let letter = site
        .call("pipeline.run", &json!({ "label": "debugged" }))
        .exits(13)
        .letter();
    let text = site.fusebox(&["debug", &letter]).exits(0).stdout;
    let parts = [
        "pipeline.run",
        "state     the same as the letter's",
        "#2        http  to openai  503",
    ];
    tells(&text, &parts);
}

#[test]
fn on_a_terminal_effects_are_stepped_over() {
    let site = Site::deployed(&["faulty"]);
    site.status(Service::Search, 503, None);
    let input = json!({ "upstream": "search", "path": "/v1/query?q=x" });
    let letter = site.call("faulty.unwrap-on-503", &input).exits(13).letter();
    let ran = typed(&site, &letter, "s\nf 0\nl\nm 0x100000 32\nx\nh\n\nq\n");
    tells(
        &ran,
        &[
            "(effect 1)",
            "00100000  ",
            "`x` is no order",
            "the next effect",
            "(end)",
            "the end: it trapped",
        ],
    );
}

/// Types orders to `debug --step`; `script` gives it a terminal.
fn typed(site: &Site, letter: &str, orders: &str) -> String {
    let plain = site.command(&["debug", letter, "--step"]);
    let words = std::iter::once(plain.get_program()).chain(plain.get_args());
    let line: Vec<_> = words.map(|word| word.to_string_lossy().into_owned()).collect();
    let mut command = Command::new("script");
    command.args(["--quiet", "--return", "--command", &line.join(" "), "/dev/null"]);
    command
        .current_dir(site.folder())
        .envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(orders.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8_lossy(&output.stdout).into_owned()
}
