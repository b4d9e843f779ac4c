//! A version that may do more than the one before is deployed by a person who has said so.

use super::refused;
use crate::site::Site;
use fusebox_simulator::Service;

/// The search tool with a second host.
fn more(site: &Site) {
    let hosts = "hosts = [\"http://127.0.0.1:8801\", \"http://127.0.0.1:8802\"]";
    site.pipe(
        &[
            "secrets",
            "set",
            "SEARCH_KEY",
            "--host",
            &site.url(Service::Search),
            "--host",
            &site.url(Service::Llm),
        ],
        b"search-secret",
    )
    .exits(0);
    site.place("search", &[("hosts = [\"http://127.0.0.1:8801\"]", hosts)]);
}

#[test]
fn more_is_refused_until_it_is_accepted_by_digest() {
    let site = Site::deployed(&["search"]);
    more(&site);
    let ran = refused(&site, &["deploy", "search.toml"])
        .says("it may reach")
        .says(&site.url(Service::Llm))
        .says("secret `SEARCH_KEY`");
    let digest = ran.stderr.split("--accept ").nth(1).unwrap().trim();
    refused(
        &site,
        &[
            "deploy",
            "search.toml",
            "--accept",
            &format!("sha256:{}", "0".repeat(64)),
        ],
    );
    site.fusebox(&["deploy", "search.toml", "--accept", digest]).exits(0);
    let tools = site.fusebox(&["tools", "--json"]).exits(0).json_lines();
    assert_eq!(tools[0]["number"], 2);
    // From now on it is what the tool may do.
    let ran = site.fusebox(&["deploy", "search.toml", "--json"]).exits(0);
    assert_eq!(ran.json()["new"], false);
}

#[test]
fn one_that_grows_keeps_all_of_a_deployment_back() {
    let site = Site::deployed(&["search"]);
    site.place("calculator", &[]);
    more(&site);
    refused(&site, &["deploy", "calculator.toml", "search.toml"]);
}

#[test]
fn less_needs_nobodys_word() {
    let site = Site::new();
    more(&site);
    site.fusebox(&["deploy", "search.toml"]).exits(0);
    site.deploy("search");
    assert_eq!(site.fusebox(&["tools", "--json"]).exits(0).json_lines()[0]["number"], 2);
}

#[test]
fn the_same_again_is_unchanged() {
    let site = Site::deployed(&["calculator"]);
    let before = site.fusebox(&["tools", "--json"]).exits(0).stdout;
    let ran = site.fusebox(&["deploy", "calculator.toml"]).exits(0);
    assert!(
        ran.stdout.starts_with("unchanged calculator 1.0.0 (version 1, sha256:"),
        "{}",
        ran.shown()
    );
    assert_eq!(site.fusebox(&["tools", "--json"]).exits(0).stdout, before);
    site.deploy_with("calculator", &[("version = \"1.0.0\"", "version = \"1.1.0\"")]);
    let tools = site.fusebox(&["tools", "--json"]).exits(0).json_lines();
    assert_eq!(
        (tools[0]["number"].as_u64(), tools[0]["version"].as_str()),
        (Some(2), Some("1.1.0"))
    );
}
