//! Manifests that are wrong.

use super::{codes, refused};
use crate::site::Site;

#[test]
fn every_problem_of_a_manifest_is_told_at_once_with_its_line() {
    let site = Site::deployed(&["calculator"]);
    site.write(
        "many.toml",
        r#"name = "Many Things"
version = "one"
component = "calculator.wasm"
colour = "red"

[services.search]
hosts = ["not a host"]
timeout = "5 parsecs"

[functions.evaluate]
idempotency = "sometimes"
retry = "eternal"
"#,
    );
    let ran = refused(&site, &["deploy", "many.toml", "--json"]);
    let findings = ran.json()["findings"].clone();
    let found: Vec<_> = findings
        .as_array()
        .unwrap()
        .iter()
        .filter(|finding| finding["severity"] == "error")
        .map(|finding| {
            assert_eq!(finding["file"], "many.toml");
            assert!(finding["help"].is_string(), "what to write instead: {finding}");
            (finding["line"].as_u64().unwrap(), finding["code"].as_str().unwrap())
        })
        .collect();
    let expected = [
        (1, "FB0105"),
        (2, "FB0114"),
        (4, "FB0102"),
        (7, "FB0111"),
        (8, "FB0106"),
        (11, "FB0110"),
        (12, "FB0201"),
    ];
    assert_eq!(found, expected);

    let text = refused(&site, &["deploy", "many.toml"]);
    assert_eq!(text.stdout, "");
    for (line, code) in expected {
        assert!(text.stderr.contains(&format!("error[{code}]")), "{}", text.shown());
        assert!(text.stderr.contains(&format!("many.toml:{line}:")), "{}", text.shown());
    }
    assert!(text.stderr.contains("7 errors"), "{}", text.shown());
    assert_eq!(
        codes(&site.fusebox(&["check", "many.toml", "--json"]).exits(64)).len(),
        7
    );
}

#[test]
fn one_wrong_manifest_of_several_keeps_all_from_being_deployed() {
    let site = Site::deployed(&["calculator"]);
    site.place("search", &[]);
    site.place("llm", &[("version = \"1.0.0\"", "version = \"1\"")]);
    let ran = refused(&site, &["deploy", "search.toml", "llm.toml", "--json"]);
    assert_eq!(codes(&ran), ["FB0114"]);
}

#[test]
fn two_tools_of_one_name_are_refused() {
    let site = Site::deployed(&["calculator"]);
    site.write("again.toml", &site.read("calculator.toml").replace("1.0.0", "2.0.0"));
    let ran = refused(&site, &["deploy", "calculator.toml", "again.toml", "--json"]);
    assert_eq!(codes(&ran), ["FB0208"]);
}

#[test]
fn names_that_the_component_does_not_have_are_found() {
    let site = Site::deployed(&["search"]);
    site.place(
        "search",
        &[
            ("[functions.query]", "[functions.querry]"),
            ("[functions.query.params]", "[functions.querry.params]"),
        ],
    );
    let ran = refused(&site, &["deploy", "search.toml", "--json"]);
    assert!(codes(&ran).contains(&"FB0601".to_owned()), "{}", ran.shown());
    refused(&site, &["deploy", "search.toml"]).says("did you mean `query`?");

    site.place("search", &[("\"rate-limited\" =", "\"rate-limit\" =")]);
    let ran = refused(&site, &["deploy", "search.toml", "--json"]);
    assert_eq!(codes(&ran), ["FB0602"]);
}

#[test]
fn what_is_no_manifest_is_said() {
    let site = Site::deployed(&["calculator"]);
    refused(&site, &["deploy", "calculator.wasm"]).says("is a component, not a manifest");
    refused(&site, &["check", "calculator.wasm"]).says("is a component, not a manifest");
    refused(&site, &["deploy", "nothing.toml"]).says("there is no file or folder nothing.toml");
    refused(&site, &["deploy", "home"]).says("the folder home has no manifest");
    refused(&site, &["deploy"]);
    site.write("broken.toml", "name = \"x\"\n[functions\n");
    let ran = refused(&site, &["deploy", "broken.toml", "--json"]);
    assert_eq!(codes(&ran), ["FB0101"]);
    assert_eq!(ran.json()["findings"][0]["line"], 2);
    site.write("large.toml", &"# nothing\n".repeat(200_000));
    refused(&site, &["deploy", "large.toml"]).says("1 MiB");
    std::fs::write(site.path("bytes.toml"), b"name = \"\xff\"").unwrap();
    refused(&site, &["deploy", "bytes.toml"]);
}

#[test]
fn credentials_do_not_stand_in_manifests() {
    let site = Site::deployed(&["calculator"]);
    site.place(
        "search",
        &[(
            "Bearer ${secret:SEARCH_KEY}",
            "Bearer sk-123456789012345678901234567890",
        )],
    );
    let ran = site.fusebox(&["check", "search.toml", "--json"]).exits(0);
    assert_eq!(ran.json()["findings"][0]["code"], "FB0206");
    assert!(
        !ran.stdout.contains("sk-1234"),
        "a finding does not repeat it: {}",
        ran.shown()
    );
    site.place(
        "search",
        &[(
            "SEARCH_URL = \"http://127.0.0.1:8801\"",
            "SEARCH_URL = \"${secret:SEARCH_KEY}\"",
        )],
    );
    let ran = refused(&site, &["deploy", "search.toml", "--json"]);
    assert_eq!(codes(&ran), ["FB0212"]);
}

#[test]
fn calls_of_what_is_not_there_are_refused() {
    let site = Site::deployed(&["calculator"]);
    for (target, code, says) in [
        ("calculator.evaluat", 16, "`evaluate`"),
        ("calculato.evaluate", 16, "calculato"),
        ("calculator", 64, "TOOL.FUNCTION"),
        (".evaluate", 64, "TOOL.FUNCTION"),
    ] {
        site.fusebox(&["call", target, "{}"]).exits(code).says(says);
    }
    site.fusebox(&["call", "calculator.evaluate", "@nothing.json"])
        .exits(64)
        .says("nothing.json");
    site.fusebox(&["call", "calculator.evaluate", "{"]).exits(65);
    site.fusebox(&["call", "calculator.evaluate", "{}", "--deadline", "soon"])
        .exits(64);
    site.fusebox(&["tools", "disable", "calculator"]).exits(0);
    let ran = site
        .fusebox(&["call", "calculator.evaluate", r#"{"expression":"1"}"#, "--json"])
        .exits(16);
    assert_eq!(ran.json()["error"]["code"], "tool-disabled");
    site.fusebox(&["tools", "enable", "calculator"]).exits(0);
    site.fusebox(&["call", "calculator.evaluate", r#"{"expression":"1"}"#])
        .exits(0);
    site.fusebox(&["tools", "remove", "calculator"]).exits(64).says("--yes");
    site.fusebox(&["tools", "remove", "calculator", "--yes"]).exits(0);
    site.fusebox(&["call", "calculator.evaluate", r#"{"expression":"1"}"#])
        .exits(16);
    site.fusebox(&["tools", "enable", "calculator"]).exits(16);
}
