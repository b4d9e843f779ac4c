//! Hosts that share a PostgreSQL database.

use crate::site::{Site, eventually, runtime};
use fusebox_simulator::{Fault, Service};
use fusebox_test_postgres::{Database, Pooler, Server};
use serde_json::json;
use std::sync::Arc;

/// A site on an empty database.
fn site() -> (Site, Arc<Database>) {
    let database = runtime().block_on(Database::empty(Arc::new(Server::shared())));
    let database = Arc::new(database);
    (Site::on(&database, "lease = \"2s\""), database)
}

#[test]
fn tools_calls_and_letters_are_kept_in_postgres() {
    let (site, _database) = site();
    site.deploy("search");
    site.status(Service::Search, 503, Some(5));
    let letter = site
        .call("search.query", &json!({ "text": "sandbox" }))
        .exits(13)
        .letter();
    site.fusebox(&["breakers", "reset", "search/search"]).exits(0);
    assert_eq!(site.letters().len(), 1);
    site.fusebox(&["dlq", "replay", &letter]).exits(0);
    assert_eq!(site.letters().len(), 0);
    let runs = site.runs();
    assert_eq!(runs.len(), 1);
    assert_eq!(runs[0]["state"], "succeeded");
    assert!(!site.path("fusebox.db").exists());
}

#[test]
fn what_a_killed_host_held_is_taken_over_by_another() {
    let (site, _database) = site();
    site.deploy("search");
    site.fault(Service::Search, Fault::Hang, Some(1));
    let accepted = site
        .call_with("search.query", &json!({ "text": "wasm" }), &["--detach"])
        .exits(0);
    let run = accepted.json()["run"].as_str().unwrap().to_owned();
    let one = site.start(&["serve"]);
    eventually("the search is in flight", || site.requests(Service::Search).len() == 1);
    let two = site.start(&["serve"]);
    one.kill();
    site.fusebox(&["runs", "follow", &run, "--every", "50ms"]).exits(0);
    let shown = site.run(&run);
    assert_eq!(
        (&shown["state"], &shown["recoveries"]),
        (&json!("succeeded"), &json!(1))
    );
    assert_eq!(site.requests(Service::Search).len(), 2);
    two.terminate();
    two.wait().exits(0).says("serving postgres://127.0.0.1:");
}

#[test]
fn hosts_work_through_a_pooler_that_lends_sessions_for_a_transaction() {
    let server = Arc::new(Server::shared());
    let database = runtime().block_on(Database::empty(Arc::clone(&server)));
    let pooler = Pooler::start(server, 2);
    let settings = format!("database = \"{}\"\nlease = \"2s\"", pooler.url(database.name()));
    let site = Site::with(&settings);
    site.deploy("search");
    site.deploy("ledger");
    site.fault(Service::Search, Fault::Hang, Some(1));
    let accepted = site
        .call_with("search.query", &json!({ "text": "wasm" }), &["--detach"])
        .exits(0);
    let run = accepted.json()["run"].as_str().unwrap().to_owned();
    let one = site.start(&["serve"]);
    eventually("the search is in flight", || site.requests(Service::Search).len() == 1);
    let (two, three) = (site.start(&["serve"]), site.start(&["serve"]));
    one.kill();
    let transfer = json!({ "from-account": "alice", "to-account": "bob", "amount": 1 });
    let detached: Vec<_> = (0..12)
        .map(|n| site.start_call("ledger.transfer", &transfer, &["--detach", "--key", &format!("k{n}")]))
        .collect();
    for call in detached {
        let run = call.wait().exits(0).json()["run"].as_str().unwrap().to_owned();
        site.fusebox(&["runs", "follow", &run, "--every", "50ms"]).exits(0);
    }
    site.fusebox(&["runs", "follow", &run, "--every", "50ms"]).exits(0);
    assert_eq!(site.run(&run)["recoveries"], 1);
    assert_eq!(site.upstreams().ledger().transfers.len(), 12);
    for host in [two, three] {
        host.terminate();
        host.wait().exits(0);
    }
}

#[test]
fn the_password_is_shown_to_nobody() {
    let (site, database) = site();
    let url = database.url();
    let password = url.split([':', '@']).nth(2).unwrap().to_owned();
    let serving = site.start(&["serve", "--json"]);
    eventually("it serves", || serving.printed().contains("serving"));
    serving.terminate();
    let wrong = url.replace(&password, "wrong");
    let nowhere = url.replace(&format!("127.0.0.1:{}", database.server().port()), "127.0.0.1:1");
    let all = [
        serving.wait().exits(0),
        site.fusebox(&["config", "show"]).exits(0),
        site.fusebox(&["config", "show", "--json"]).exits(0),
        site.fusebox(&["doctor"]).exits(0),
        site.fusebox(&["doctor", "--database", &wrong]).exits(1),
        site.fusebox_with(&[("FUSEBOX_DATABASE", &wrong)], &["tools"])
            .exits(19)
            .says("password authentication failed")
            .says("Mend user and password"),
        site.fusebox_with(&[("FUSEBOX_DATABASE", &nowhere)], &["tools"])
            .exits(19)
            .says("cannot be reached"),
        site.fusebox_with(&[("FUSEBOX_DATABASE", &format!("{url}_none"))], &["tools"])
            .exits(19)
            .says("does not exist")
            .says("createdb"),
        site.fusebox_with(&[("FUSEBOX_DATABASE", &url.replace("127.0.0.1", "["))], &["tools"])
            .exits(19)
            .says("postgres://USER:PASSWORD@HOST:PORT/DATABASE"),
    ];
    for ran in all {
        assert!(
            !ran.stdout.contains(&password) && !ran.stderr.contains(&password),
            "{}",
            ran.shown()
        );
    }
}
