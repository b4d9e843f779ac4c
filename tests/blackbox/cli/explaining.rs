//! What explains itself: codes, schemas, settings and policies with their origins, and the doctor.

use crate::site::{Site, guest};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;

fn rows(ran: &crate::site::Ran) -> BTreeMap<String, (String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    ran.json_lines()
        .iter()
        .map(|row| (text(&row["key"]), (text(&row["value"]), text(&row["set-by"]))))
        .collect()
}

#[track_caller]
fn is(rows: &BTreeMap<String, (String, String)>, key: &str, value: &str, set_by: &str) {
    let found = rows.get(key).unwrap_or_else(|| panic!("there is no {key}: {rows:?}"));
    assert_eq!((found.0.as_str(), found.1.as_str()), (value, set_by), "{key}");
}

#[test]
fn every_code_has_a_page() {
    let site = Site::new();
    let codes = site.fusebox(&["explain", "--json"]).exits(0).json_lines();
    assert!(codes.len() > 50, "{}", codes.len());
    for code in &codes {
        let code = code["code"].as_str().unwrap();
        let page = site.fusebox(&["explain", code]).exits(0).stdout;
        assert!(page.starts_with("# ") && page.lines().count() >= 3, "{code}: {page}");
    }
    site.fusebox(&["explain", "fb0106"]).exits(0);
    site.fusebox(&["explain", "FB9999"]).exits(64).says("FB9999");
}

#[test]
fn the_codes_that_are_printed_are_codes_that_are_explained() {
    let site = Site::new();
    site.write("t.toml", "name = \"t\"\ncomponent = \"t.wasm\"\ntimeout = 3\n");
    let ran = site.fusebox(&["check", "t.toml", "--json"]).exits(64);
    let findings = ran.json()["findings"].clone();
    for finding in findings.as_array().unwrap() {
        site.fusebox(&["explain", finding["code"].as_str().unwrap()]).exits(0);
    }
}

#[test]
fn schemas_take_the_files_that_the_parser_takes() {
    let site = Site::new();
    let validator = |kind: &str| {
        let schema = site.fusebox(&["schema", kind, "--json"]).exits(0).json();
        assert_eq!(schema, site.fusebox(&["schema", kind]).exits(0).json(), "{kind}");
        jsonschema::validator_for(&schema).unwrap()
    };
    let json = |text: &str| serde_json::to_value(toml::from_str::<toml::Table>(text).unwrap()).unwrap();
    let manifest = validator("manifest");
    for tool in [
        "calculator",
        "email",
        "faulty",
        "ledger",
        "llm",
        "search",
        "slugify",
        "wordcount",
    ] {
        let text = fs::read_to_string(guest(&format!("{tool}.toml"))).unwrap();
        let problems: Vec<_> = manifest
            .iter_errors(&json(&text))
            .map(|error| error.to_string())
            .collect();
        assert_eq!(problems, Vec::<String>::new(), "{tool}");
    }
    for wrong in [
        "name = 3\ncomponent = \"a.wasm\"",
        "name = \"a\"",
        "name = \"a\"\ncomponent = \"a.wasm\"\ncolour = 1",
    ] {
        assert!(!manifest.is_valid(&json(wrong)), "{wrong}");
    }
    let host = validator("host");
    assert!(host.is_valid(&json(&site.read("fusebox.toml"))));
    assert!(!host.is_valid(&json("leese = \"3s\"")));
    let preset = validator("preset");
    let text = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/policies/llm.toml")).unwrap();
    assert!(preset.is_valid(&json(&text)));
    site.fusebox(&["schema", "poem"]).exits(64);
}

#[test]
fn settings_name_who_set_them_and_flags_are_strongest() {
    let site = Site::with("lease = \"20s\"\ndrain = \"21s\"\nmax-calls = 22\n");
    let variables = [("FUSEBOX_DRAIN", "31s"), ("FUSEBOX_MAX_CALLS", "32")];
    let ran = site
        .fusebox_with(&variables, &["config", "show", "--json", "--max-calls", "42"])
        .exits(0);
    let rows = rows(&ran);
    is(&rows, "lease", "20s", "fusebox.toml:1");
    is(&rows, "drain", "31s", "variable FUSEBOX_DRAIN");
    is(&rows, "max-calls", "42", "flag --max-calls");
    is(&rows, "log", "warn", "default");
    is(&rows, "network.allow", "127.0.0.1", "fusebox.toml:6");
    let docs = site.fusebox(&["config", "show", "--docs"]).exits(0).stdout;
    let lease = docs.lines().find(|line| line.starts_with("lease\t")).unwrap();
    assert!(lease.contains("FUSEBOX_LEASE") && lease.contains("--lease"), "{lease}");
}

#[test]
fn the_operators_file_is_found_in_a_folder_above() {
    let site = Site::deployed(&["calculator"]);
    fs::create_dir_all(site.path("deep/down")).unwrap();
    let mut command = site.command(&["tools", "--json"]);
    command.current_dir(site.path("deep/down"));
    let ran = crate::site::Running::start(&mut command, crate::site::PATIENCE)
        .wait()
        .exits(0);
    assert_eq!(ran.json_lines().len(), 1);
    assert_eq!(fs::read_dir(site.path("deep/down")).unwrap().count(), 0);
}

#[test]
fn policies_name_the_line_that_set_each_value() {
    let site = Site::new();
    site.place("search", &[]);
    let line = |part: &str| {
        let text = site.read("search.toml");
        let at = text.lines().position(|line| line.contains(part)).unwrap() + 1;
        format!("search.toml:{at}")
    };
    let of_file = rows(
        &site
            .fusebox(&["policy", "explain", "query", "--manifest", "search.toml", "--json"])
            .exits(0),
    );
    is(
        &of_file,
        "functions.query.idempotency",
        "readonly",
        &line("idempotency ="),
    );
    is(&of_file, "functions.query.timeout", "5s", &line("timeout ="));
    is(&of_file, "functions.query.deadline", "1m", "default");
    is(&of_file, "functions.query.retry.base", "10ms", &line("retry ="));
    let (attempts, by) = &of_file["functions.query.retry.attempts"];
    assert_eq!(attempts, "5");
    assert!(by.starts_with("preset `idempotent` (policies/idempotent.toml:"), "{by}");
    is(&of_file, "services.search.breaker.failure-threshold", "5", "default");

    site.fusebox(&["deploy", "search.toml"]).exits(0);
    let deployed = rows(&site.fusebox(&["policy", "explain", "search.query", "--json"]).exits(0));
    assert_eq!(deployed, of_file);
    site.fusebox(&["policy", "explain", "search.nothing"])
        .exits(64)
        .says("write one of: query");
    site.fusebox(&["policy", "explain", "nothing.query"]).exits(16);
}

#[test]
fn tools_show_what_they_offer() {
    let site = Site::deployed(&["search"]);
    let text = site.fusebox(&["tools", "show", "search"]).exits(0).stdout;
    for part in [
        "query(text: string, limit: option<u32>) -> result<list<record { title: string, ",
        "What to search for",
        &format!("reaches search at {}", site.url(fusebox_simulator::Service::Search)),
        "readonly",
    ] {
        assert!(text.contains(part), "`{part}` is not in\n{text}");
    }
    let shown = site
        .fusebox(&["tools", "show", "search.query", "--json"])
        .exits(0)
        .json();
    let schema = &shown["functions"][0]["input-schema"];
    let validator = jsonschema::validator_for(schema).unwrap();
    assert!(validator.is_valid(&json!({ "text": "wasm" })));
    assert!(validator.is_valid(&json!({ "text": "wasm", "limit": 3 })));
    assert!(!validator.is_valid(&json!({ "text": "wasm", "limit": -3 })));
    assert!(!validator.is_valid(&json!({})));
    site.fusebox(&["tools", "show", "nothing"]).exits(16);
    site.fusebox(&["tools", "show", "search.nothing"]).exits(64);
}

#[test]
fn a_doctor_tells_a_good_site_from_a_broken_one() {
    let site = Site::deployed(&["calculator"]);
    let states = |ran: &crate::site::Ran| -> Vec<String> {
        let state = |row: &Value| row["state"].as_str().unwrap().to_owned();
        ran.json_lines().iter().map(state).collect()
    };
    let good = site.fusebox(&["doctor", "--json"]).exits(0);
    assert_eq!(states(&good), ["well"; 6]);
    // Rules are checked against the tools, which are in the database.
    for (flag, path, count) in [
        ("--database", "home", 2),
        ("--cache", "fusebox.toml", 2),
        ("--secrets-file", "home", 1),
    ] {
        let broken = site.fusebox(&["doctor", "--json", flag, path]).exits(1);
        let unwell: Vec<_> = broken
            .json_lines()
            .into_iter()
            .filter(|row| row["state"] == "unwell")
            .collect();
        assert_eq!(unwell.len(), count, "{}", broken.shown());
        assert!(unwell[0]["help"].is_string(), "what to do: {}", unwell[0]);
    }
    site.write("fusebox.toml", "lease = 3\n");
    let broken = site.fusebox(&["doctor"]).exits(1);
    assert!(
        broken.stdout.contains("UNWELL") && broken.stdout.contains("lease"),
        "{}",
        broken.shown()
    );
}
