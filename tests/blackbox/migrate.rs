//! `fusebox migrate`: everything into another database, and back.

use crate::site::{Bucket, Site, eventually, runtime};
use fusebox_simulator::{Fault, Service};
use fusebox_test_postgres::{Database, Server};
use serde_json::{Value, json};
use std::sync::Arc;

/// A letter with memory, a key with its outcome, an API key, and the trail of all that.
fn fill(site: &Site) -> String {
    site.deploy("search");
    site.deploy("ledger");
    let transfer = json!({ "from-account": "alice", "to-account": "bob", "amount": 1 });
    site.call_with("ledger.transfer", &transfer, &["--key", "k"]).exits(0);
    site.status(Service::Search, 503, Some(5));
    let letter = site.call("search.query", &json!({ "text": "wasm" })).exits(13).letter();
    site.fusebox(&["breakers", "reset", "search/search"]).exits(0);
    site.fusebox(&["keys", "create", "ci", "--role", "caller"]).exits(0);
    letter
}

/// What the commands tell of everything.
fn told(site: &Site, letter: &str) -> Vec<String> {
    let lists = [
        &["tools", "--json"][..],
        &["runs", "--json"],
        &["dlq", "show", letter, "--json"],
        &["keys", "list", "--json"],
        &["breakers", "--json"],
        &["errors", "--json"],
    ];
    let mut all: Vec<_> = lists.iter().map(|list| site.fusebox(list).exits(0).stdout).collect();
    let shown: Value = serde_json::from_str(&all[2]).unwrap();
    let instances = shown["snapshot"]["instances"].as_array().unwrap();
    let memory = instances
        .iter()
        .position(|instance| instance["memories"][0].is_object())
        .unwrap();
    let memory = format!("{memory}:0");
    all.push(
        site.fusebox(&["dlq", "show", letter, "--memory", &memory])
            .exits(0)
            .stdout,
    );
    all
}

/// Goes over to another database.
fn use_database(site: &mut Site, database: &str) {
    site.set("FUSEBOX_DATABASE", database);
}

#[test]
fn everything_goes_to_postgres_and_back() {
    let mut site = Site::new();
    let letter = fill(&site);
    let before = told(&site, &letter);
    let database = runtime().block_on(Database::empty(Arc::new(Server::shared())));
    let there = site
        .fusebox(&["migrate", "--to", &database.url(), "--json"])
        .exits(0)
        .json();
    assert_eq!(there["objects"], 0, "{there}");
    assert!(there["rows"].as_u64().unwrap() > 10, "{there}");
    assert!(
        !there
            .to_string()
            .contains(database.url().split(['@', ':']).nth(2).unwrap()),
        "{there}"
    );
    site.fusebox(&["migrate", "--to", &database.url()])
        .exits(64)
        .says("holds something already");

    use_database(&mut site, &database.url());
    assert_eq!(told(&site, &letter), before);
    let back = site.fusebox(&["migrate", "--to", "back.db", "--json"]).exits(0).json();
    // The entry of this copy is one more.
    assert_eq!(back["rows"].as_u64(), there["rows"].as_u64().map(|rows| rows + 1));

    use_database(&mut site, "back.db");
    assert_eq!(told(&site, &letter), before);
    let copies = ["audit", "list", "--action", "database.copy", "--json"];
    let copies = site.fusebox(&copies).exits(0).json_lines();
    let entry = |entry: &Value| {
        format!(
            "{} {}",
            entry["subject"].as_str().unwrap(),
            entry["outcome"].as_str().unwrap()
        )
    };
    let port = database.server().port();
    assert_eq!(
        copies.iter().map(entry).collect::<Vec<_>>(),
        [
            "back.db begun".to_owned(),
            format!("postgres://127.0.0.1:{port}/{} begun", database.name())
        ]
    );
    site.fusebox(&["audit", "verify"]).exits(0);
    // Life goes on: the key is known, the letter replays.
    let transfer = json!({ "from-account": "alice", "to-account": "bob", "amount": 1 });
    let stored = site.call_with("ledger.transfer", &transfer, &["--key", "k"]).exits(0);
    assert_eq!(stored.json()["stored"], true);
    site.fusebox(&["dlq", "replay", &letter]).exits(0);
}

#[test]
fn objects_are_copied_into_the_folder_of_the_new_database() {
    let bucket = Bucket::start();
    let mut site = Site::with(&bucket.settings());
    Bucket::admit(&mut site);
    let letter = fill(&site);
    let objects = bucket.keys("").len();
    let database = runtime().block_on(Database::empty(Arc::new(Server::shared())));
    let there = site
        .fusebox(&["migrate", "--to", &database.url(), "--json"])
        .exits(0)
        .json();
    assert_eq!(there["objects"].as_u64(), u64::try_from(objects).ok(), "{there}");
    assert_eq!(bucket.keys("").len(), 2 * objects);
    // What is removed from one is there in the other.
    let before = told(&site, &letter);
    for tool in ["search", "ledger"] {
        site.fusebox(&["tools", "remove", tool, "--yes"]).exits(0);
    }
    site.sql("UPDATE pages SET put_at = put_at - 3600000");
    site.fusebox(&["dlq", "purge", &letter, "--yes"]).exits(0);
    assert_eq!(bucket.keys("").len(), objects);
    use_database(&mut site, &database.url());
    assert_eq!(told(&site, &letter), before);
}

#[test]
fn a_database_that_a_host_works_on_is_not_copied() {
    let site = Site::deployed(&["search"]);
    site.fault(Service::Search, Fault::Hang, Some(1));
    site.call_with("search.query", &json!({ "text": "wasm" }), &["--detach"])
        .exits(0);
    let serving = site.start(&["serve"]);
    eventually("the search is in flight", || site.requests(Service::Search).len() == 1);
    site.fusebox(&["migrate", "--to", "copy.db"])
        .exits(64)
        .says("stop every host first");
    let copies = ["audit", "list", "--action", "database.copy", "--json"];
    let outcomes: Vec<_> = site.fusebox(&copies).exits(0).json_lines();
    let outcomes: Vec<_> = outcomes
        .iter()
        .map(|entry| entry["outcome"].as_str().unwrap())
        .collect();
    assert_eq!(outcomes, ["failed", "begun"]);
    serving.kill();
}
