//! Output: JSON for programs, tab-separated rows for pipes, colours for those who want them, and no fuss about closed pipes.

use crate::site::{Running, Site};
use fusebox_simulator::Service;
use serde_json::json;
use std::process::{Command, Stdio};
use std::time::Duration;

/// A site where there is something of everything.
fn lived_in() -> (Site, String, String) {
    let site = Site::deployed(&["calculator", "search"]);
    site.status(Service::Search, 503, Some(5));
    let ran = site.call("search.query", &json!({ "text": "wasm" })).exits(13);
    let run = ran.json()["error"]["run"].as_str().unwrap().to_owned();
    let letter = ran.letter();
    site.call("calculator.evaluate", &json!({ "expression": "1/0" }))
        .exits(10);
    (site, run, letter)
}

#[test]
fn every_command_prints_json_when_asked() {
    let (site, run, letter) = lived_in();
    let error = site.errors()[0]["id"].to_string();
    for line in [
        &["try", "calculator.wasm"][..],
        &["try", "calculator.wasm", "evaluate", r#"{"expression":"1"}"#],
        &["try", "calculator.wasm", "evaluate", r#"{"expression":"1/0"}"#],
        &["check", "search.toml"],
        &["explain"],
        &["explain", "FB0106"],
        &["explain", "FB9999"],
        &["schema", "manifest"],
        &["deploy", "search.toml"],
        &["deploy", "nothing.toml"],
        &["tools"],
        &["tools", "list"],
        &["tools", "show", "search"],
        &["tools", "show", "search.query"],
        &["tools", "disable", "search"],
        &["tools", "enable", "search"],
        &["call", "calculator.evaluate", r#"{"expression":"1"}"#],
        &["call", "calculator.evaluate", "{}"],
        &["runs"],
        &["runs", "list", "--state", "dead-lettered"],
        &["runs", "show", &run],
        &["dlq"],
        &["dlq", "show", &letter],
        &["dlq", "purge", &letter],
        &["errors"],
        &["errors", "show", &error],
        &["breakers"],
        &["breakers", "reset", "search/search"],
        &["config", "show"],
        &["policy", "explain", "search.query"],
        &["policy", "explain", "query", "--manifest", "search.toml"],
        &["secrets", "list"],
        &["secrets", "remove", "NOTHING"],
        &["doctor"],
        &["dlq", "replay", &letter, "--from-start"],
        &["dlq", "replay", &letter, "--dry-run"],
        &["dlq", "stats"],
        &["dlq", "pin", &letter],
        &["dlq", "unpin", &letter],
        &["dlq", "retain"],
        &["dlq", "retain", "--dry-run"],
        &["dlq", "resolve", &letter, "--close", "failed"],
        &["dlq", "redrives", "show", "rdv_01jd4m9q7gk0v3x8w2h5t6y1ze"],
        &["approvals", "show", "apr_01jd4m9q7gk0v3x8w2h5t6y1ze"],
        &["runs", "resume", &run],
        &["runs", "cancel", &run],
        &["tools", "remove", "search", "--yes"],
    ] {
        let ran = site.fusebox(&[line, &["--json"]].concat());
        let lines = ran.json_lines();
        assert!(!lines.is_empty(), "nothing on stdout of {}", ran.shown());
        for value in lines {
            assert!(value.is_object(), "{}", ran.shown());
            assert_eq!(value.get("error").is_some(), ran.code != 0, "{}", ran.shown());
        }
    }
}

#[test]
fn pipes_get_one_row_a_line_with_its_fields_parted_by_tabs() {
    let (site, run, letter) = lived_in();
    for (line, rows, first, fields) in [
        (&["tools"][..], 2, "calculator", 6),
        (&["dlq", "list"], 1, letter.as_str(), 9),
        (&["runs", "--tool", "search"], 1, run.as_str(), 7),
        (&["errors"], 1, "", 6),
        (&["secrets", "list"], 3, "LLM_KEY", 3),
        (&["doctor"], 6, "settings", 4),
    ] {
        let text = site.fusebox(line).exits(0).stdout;
        assert!(!text.contains('\u{1b}'), "{text:?}");
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), rows, "{line:?}: {text}");
        assert!(lines[0].starts_with(first), "no head: {text}");
        for row in lines {
            assert_eq!(row.split('\t').count(), fields, "{line:?}: {row:?}");
        }
    }
}

#[test]
fn a_secret_is_listed_with_each_host_once() {
    let site = Site::new();
    let row = &site.fusebox(&["secrets", "list", "--json"]).exits(0).json_lines()[0];
    assert_eq!(row["hosts"], json!([site.url(Service::Llm)]));
}

#[test]
fn data_goes_to_stdout_and_words_to_stderr() {
    let (site, _, letter) = lived_in();
    let ran = site
        .fusebox(&["call", "calculator.evaluate", r#"{"expression":"6*7"}"#])
        .exits(0);
    assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("42.0\n", ""));
    let ran = site
        .fusebox(&["call", "calculator.evaluate", r#"{"expression":"1/0"}"#])
        .exits(10);
    assert_eq!(ran.stdout, "");
    let ran = ran.says("error[tool-failed]").says("= help: ");
    assert!(!ran.stderr.contains('\u{1b}'), "{}", ran.shown());
    site.fusebox(&["dlq", "purge", &letter, "--yes"])
        .exits(0)
        .says("1 letter(s) closed");
    let empty = site.fusebox(&["dlq"]).exits(0);
    assert_eq!((empty.stdout.as_str(), empty.stderr.as_str()), ("", "no letters\n"));
}

#[test]
fn colours_come_when_they_are_asked_for() {
    let site = Site::new();
    let coloured = |variables: &[(&str, &str)], more: &[&str]| {
        let line = [&["check", "nothing.toml"], more].concat();
        site.fusebox_with(variables, &line).exits(64).stderr.contains('\u{1b}')
    };
    assert!(!coloured(&[], &[]), "stderr is no terminal");
    assert!(coloured(&[], &["--color", "always"]));
    assert!(
        coloured(&[("NO_COLOR", "1")], &["--color", "always"]),
        "a flag is stronger than a variable"
    );
    assert!(!coloured(&[("NO_COLOR", "1")], &[]));
    assert!(!coloured(&[], &["--color", "never"]));
}

#[test]
fn a_terminal_gets_a_table_with_a_head_and_colours_unless_told_otherwise() {
    let (site, _, _) = lived_in();
    // `script` gives the command a terminal.
    let on_a_terminal = |variables: &[(&str, &str)], line: &str| {
        let mut command = Command::new("script");
        let typed = format!("stty cols 200; {} {line}", env!("CARGO_BIN_EXE_fusebox"));
        command.args(["--quiet", "--return", "--command", &typed, "/dev/null"]);
        command
            .env("HOME", site.path("home"))
            .env("TERM", "xterm")
            .env_remove("NO_COLOR");
        command
            .envs(variables.iter().copied())
            .current_dir(site.folder())
            .stdin(Stdio::null());
        Running::start(&mut command, Duration::from_secs(60)).wait().stdout
    };
    let tools = on_a_terminal(&[], "tools");
    assert!(tools.contains("TOOL") && tools.contains("COMPONENT"), "{tools:?}");
    let broken = "check nothing.toml";
    assert!(on_a_terminal(&[], broken).contains("\u{1b}[1;31m"));
    assert!(!on_a_terminal(&[("NO_COLOR", "1")], broken).contains("\u{1b}[1;31m"));
    assert!(!on_a_terminal(&[], &format!("{broken} --color never")).contains("\u{1b}[1;31m"));
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let (site, _, _) = lived_in();
    for line in [
        "config show",
        "explain",
        "schema manifest",
        "completions bash",
        "explain FB0106",
        "tools",
        "--help",
    ] {
        let typed = format!(
            "set -o pipefail; {} {line} 2>stderr.txt | head -c 1 >/dev/null; echo ${{PIPESTATUS[0]}}",
            env!("CARGO_BIN_EXE_fusebox")
        );
        let mut command = Command::new("bash");
        command
            .args(["-c", &typed])
            .env("HOME", site.path("home"))
            .current_dir(site.folder())
            .stdin(Stdio::null());
        let ran = Running::start(&mut command, Duration::from_secs(60)).wait();
        assert_eq!(ran.stdout.trim(), "0", "`{line}`: {}", ran.shown());
        assert_eq!(site.read("stderr.txt"), "", "`{line}`");
    }
    // And one that was never there.
    let typed = format!("{} explain >&- 2>stderr.txt; echo $?", env!("CARGO_BIN_EXE_fusebox"));
    let mut command = Command::new("bash");
    command
        .args(["-c", &typed])
        .env("HOME", site.path("home"))
        .current_dir(site.folder())
        .stdin(Stdio::null());
    let ran = Running::start(&mut command, Duration::from_secs(60)).wait();
    assert!(!site.read("stderr.txt").contains("panicked"), "{}", ran.shown());
}

#[test]
fn what_guests_print_does_not_steer_the_terminal() {
    let site = Site::deployed(&["faulty"]);
    let message = "\u{1b}[2J\u{1b}]0;owned\u{7}\u{202e}";
    let ran = site.call("faulty.trap", &json!({ "message": message })).exits(21);
    let letter = ran.letter();
    let shown = site.fusebox(&["dlq", "show", &letter]).exits(0).stdout;
    let tried = site
        .fusebox(&["try", "faulty.wasm", "trap", &json!({ "message": message }).to_string()])
        .exits(21);
    for text in [&shown, &tried.stderr] {
        assert!(text.contains("owned"), "{text:?}");
        assert!(
            !text.contains('\u{1b}') && !text.contains('\u{7}') && !text.contains('\u{202e}'),
            "{text:?}"
        );
    }
}
