//! Settings that are wrong.

use super::codes;
use crate::site::Site;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

#[test]
fn a_broken_operators_file_is_told_at_once_and_stops_every_command() {
    let site = Site::deployed(&["calculator"]);
    site.write(
        "fusebox.toml",
        "leese = \"3s\"\nlease = \"x\"\n[network]\nallow = [\"10.0.0.0/99\"]\n",
    );
    for command in [
        &["tools", "--json"][..],
        &["call", "calculator.evaluate", "{}", "--json"],
        &["config", "show", "--json"],
        &["deploy", "calculator.toml", "--json"],
    ] {
        let ran = site.fusebox(command).exits(64);
        assert_eq!(codes(&ran), ["FB0102", "FB0106", "FB0116"], "{}", ran.shown());
        assert_eq!(ran.json()["findings"][1]["line"], 2);
    }
    site.write("fusebox.toml", "[network\n");
    let ran = site.fusebox(&["tools", "--json"]).exits(64);
    assert_eq!(codes(&ran), ["FB0101"]);
}

#[test]
fn a_file_that_was_named_has_to_be_there() {
    let site = Site::new();
    site.fusebox(&["tools", "--config", "nothing.toml"])
        .exits(64)
        .says("nothing.toml");
    site.fusebox_with(&[("FUSEBOX_CONFIG", "nothing.toml")], &["tools"])
        .exits(64)
        .says("nothing.toml");
}

#[test]
fn a_wrong_variable_or_flag_names_itself() {
    let site = Site::new();
    let ran = site
        .fusebox_with(&[("FUSEBOX_LEASE", "soon")], &["tools", "--json"])
        .exits(64);
    assert_eq!(codes(&ran), ["FB0106"]);
    assert!(ran.stdout.contains("FUSEBOX_LEASE"), "{}", ran.shown());
    let ran = site.fusebox(&["tools", "--lease", "soon", "--json"]).exits(64);
    assert!(ran.stdout.contains("--lease"), "{}", ran.shown());
    site.fusebox(&["tools", "--leese", "3s"]).exits(64).says("--lease");
}

#[test]
fn a_variable_that_is_nearly_a_setting_is_pointed_out() {
    let site = Site::new();
    site.fusebox_with(&[("FUSEBOX_LEESE", "3s")], &["tools"])
        .exits(0)
        .says("FB0305")
        .says("FUSEBOX_LEASE");
    let ran = site
        .fusebox_with(&[("FUSEBOX_SOMETHING_ELSE_ENTIRELY", "1")], &["tools"])
        .exits(0);
    assert!(!ran.stderr.contains("FB0305"), "{}", ran.shown());
}

#[test]
fn a_file_of_secrets_that_others_may_read_is_not_read() {
    let site = Site::deployed(&["search", "calculator"]);
    fs::set_permissions(site.path("secrets.toml"), Permissions::from_mode(0o644)).unwrap();
    site.fusebox(&["secrets", "list"]).exits(64).says("chmod 600");
    let ran = site.fusebox(&["call", "search.query", r#"{"text":"wasm"}"#]);
    assert_ne!(ran.code, 0, "{}", ran.shown());
    assert!(ran.stderr.contains("chmod 600"), "{}", ran.shown());
    assert_eq!(site.upstreams().requests(None).len(), 0);
    // What needs no secret goes on.
    site.fusebox(&["call", "calculator.evaluate", r#"{"expression":"1"}"#])
        .exits(0);
    site.fusebox(&["doctor"]).exits(1);
    fs::set_permissions(site.path("secrets.toml"), Permissions::from_mode(0o600)).unwrap();
    site.fusebox(&["call", "search.query", r#"{"text":"wasm"}"#]).exits(0);
}

#[test]
fn a_database_of_no_known_kind_and_one_that_is_none_are_refused() {
    let site = Site::new();
    let ran = site
        .fusebox(&["tools", "--database", "mysql://db/fusebox", "--json"])
        .exits(64);
    assert_eq!(codes(&ran), ["FB0303"]);
    site.write("text.db", &"this is no database\n".repeat(100));
    site.fusebox(&["tools", "--database", "text.db"])
        .exits(19)
        .says("text.db");
    assert!(site.read("text.db").starts_with("this is no database"));
    site.fusebox(&["tools", "--database", "home"]).exits(19).says("home");
}

#[test]
fn ceilings_of_the_operator_cut_what_a_manifest_asks_for() {
    let site = Site::with("[ceilings]\noutput = \"1MiB\"\ntimeout = \"10s\"\n");
    site.deploy("faulty");
    let ran = site
        .fusebox(&["call", "faulty.huge-output", r#"{"mib":2}"#, "--json"])
        .exits(20);
    assert!(ran.stdout.contains("1048576"), "{}", ran.shown());
    let rows = site
        .fusebox(&["policy", "explain", "faulty.trap", "--json"])
        .exits(0)
        .json_lines();
    let row = rows.iter().find(|row| row["key"] == "limits.output").unwrap();
    assert_eq!(row["value"], "1MiB");
    assert!(
        row["clamp"]["by"].as_str().unwrap().contains("ceilings.output"),
        "{row}"
    );
}
