//! `fusebox try`: one call of a component, with nothing granted and nothing left behind.

use crate::site::{Site, guest};
use std::fs;

#[test]
fn it_needs_no_database_and_leaves_nothing() {
    let site = Site::new();
    site.place("calculator", &[]);
    for file in ["fusebox.toml", "secrets.toml", "secrets.lock", "calculator.toml"] {
        fs::remove_file(site.path(file)).unwrap();
    }
    let before = names(&site);
    let ran = site
        .fusebox(&["try", "calculator.wasm", "evaluate", r#"{"expression":"2+2"}"#])
        .exits(0);
    assert_eq!(ran.stdout, "4.0\n");
    site.fusebox(&["try", "calculator.wasm"]).exits(0);
    site.fusebox(&["try", "calculator.wasm", "evaluate", r#"{"expression":"1/0"}"#])
        .exits(10);
    assert_eq!(names(&site), before);
    assert_eq!(fs::read_dir(site.path("home")).unwrap().count(), 0);
}

fn names(site: &Site) -> Vec<std::ffi::OsString> {
    let mut names: Vec<_> = fs::read_dir(site.folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    names.sort();
    names
}

#[test]
fn it_lists_functions_with_their_types() {
    let site = Site::new();
    site.place("calculator", &[]);
    let ran = site.fusebox(&["try", "calculator.wasm"]).exits(0);
    assert_eq!(ran.stdout.lines().count(), 1);
    assert!(
        ran.stdout
            .starts_with("evaluate(expression: string) -> result<f64, variant { syntax("),
        "{}",
        ran.shown()
    );
    let ran = site.fusebox(&["try", "calculator.wasm", "--json"]).exits(0);
    assert_eq!(ran.json()["input-schema"]["properties"]["expression"]["type"], "string");
}

#[test]
fn it_grants_nothing_and_makes_one_attempt() {
    let site = Site::new();
    site.place("faulty", &[]);
    let ran = site
        .fusebox(&["try", "faulty.wasm", "denied-host", "{}", "--json"])
        .exits(11);
    assert_eq!(ran.json()["error"]["code"], "denied");
    let ran = site.fusebox(&["try", "faulty.wasm", "environment", "--json"]).exits(0);
    assert_eq!(ran.json()["output"], serde_json::json!([]));
    site.fusebox(&["try", "faulty.wasm", "endless-loop", "--timeout", "300ms"])
        .exits(20);
    assert_eq!(site.upstreams().requests(None).len(), 0);
}

#[test]
fn it_shows_log_and_backtrace_of_a_trap() {
    let site = Site::new();
    let ran = site.fusebox(&[
        "try",
        guest("faulty.wasm").to_str().unwrap(),
        "trap",
        r#"{"message":"the belt has slipped"}"#,
    ]);
    let ran = ran
        .exits(21)
        .says("err| the belt has slipped")
        .says("faulty::crash::give_up")
        .says("error[fault]");
    // There is no letter to look at, so none is named.
    assert!(!ran.stderr.contains("dlq show LETTER"), "{}", ran.shown());
}

#[test]
fn wrong_input_names_its_source() {
    let site = Site::new();
    site.place("calculator", &[]);
    site.write("input.json", "{\"expression\":3}");
    site.fusebox(&["try", "calculator.wasm", "evaluate", "@input.json"])
        .exits(65)
        .says("input.json: ");
    site.pipe(&["try", "calculator.wasm", "evaluate", "-"], b"{")
        .exits(65)
        .says("stdin: ");
    site.fusebox(&["try", "calculator.wasm", "nothing"])
        .exits(16)
        .says("`evaluate`");
}
