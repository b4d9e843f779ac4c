//! A host that dies in the middle: nothing is executed twice that may not be, and the database stays sound.

use crate::site::{Site, eventually};
use fusebox_simulator::{Fault, Service};
use serde_json::{Value, json};

fn transfer() -> Value {
    json!({ "from-account": "alice", "to-account": "bob", "amount": 100 })
}

/// A site whose leases are short: an exchange with the ledger lasts half a second at most.
fn site() -> Site {
    let site = Site::with("lease = \"3s\"\n");
    site.deploy_with(
        "ledger",
        &[("[services.ledger]\n", "[services.ledger]\ntimeout = \"500ms\"\n")],
    );
    site
}

/// Whether the lease of the only run is over, by the clock of the database.
fn lease_is_over(site: &Site) -> bool {
    site.sql("SELECT lease_until FROM runs").parse::<i64>().unwrap() < site.now()
}

#[test]
fn case_34_a_keyed_run_whose_host_was_killed_keeps_its_key() {
    let site = site();
    site.fault(Service::Ledger, Fault::Hang, Some(1));
    let call = site.start_call("ledger.transfer", &transfer(), &["--key", "order-1"]);
    eventually("the transfer is in flight", || {
        site.requests(Service::Ledger).len() == 1
    });
    call.kill();
    assert_eq!(site.sql("PRAGMA integrity_check"), "ok");

    // Its lease is not over: whoever asks is told that the run has the key.
    let again = site
        .call_with("ledger.transfer", &transfer(), &["--key", "order-1"])
        .exits(17);
    assert_eq!(again.json()["error"]["code"], "key-in-use");
    let alive = again.json()["error"]["message"].clone();
    let run = again.json()["error"]["run"].as_str().unwrap().to_owned();
    assert_eq!(site.run(&run)["state"], "running");

    // Afterwards too, and told so: nobody knows how far the run came, so nobody begins it anew.
    eventually("the lease is over", || lease_is_over(&site));
    let again = site
        .call_with("ledger.transfer", &transfer(), &["--key", "order-1", "--wait", "30s"])
        .exits(17);
    let error = &again.json()["error"];
    assert_eq!(
        (error["code"].as_str(), error["run"].as_str()),
        (Some("key-in-use"), Some(run.as_str()))
    );
    assert_ne!(error["message"], alive, "whoever asks is told that its host is gone");
    assert!(
        again.took.as_secs() < 20,
        "nobody waits for a host that has gone: {:?}",
        again.took
    );
    let other = json!({ "from-account": "alice", "to-account": "bob", "amount": 101 });
    let other = site
        .call_with("ledger.transfer", &other, &["--key", "order-1"])
        .exits(17);
    assert_eq!(other.json()["error"]["code"], "key-reused");

    assert_eq!(
        site.requests(Service::Ledger).len(),
        1,
        "nothing was sent a second time"
    );
    assert_eq!(site.upstreams().ledger().transfers.len(), 0);
    // Others go on.
    site.call_with("ledger.transfer", &transfer(), &["--key", "order-2"])
        .exits(0);
    assert_eq!(site.upstreams().ledger().transfers.len(), 1);
}

#[test]
fn case_34_an_effect_that_was_executed_before_the_crash_is_not_executed_again() {
    let site = site();
    // The ledger executes and answers so slowly that the host dies before it has the whole answer.
    site.fault(Service::Ledger, Fault::Trickle(100), Some(1));
    let call = site.start_call("ledger.transfer", &transfer(), &["--key", "order-1"]);
    eventually("the transfer was executed", || {
        site.upstreams().ledger().transfers.len() == 1
    });
    call.kill();
    eventually("the lease is over", || lease_is_over(&site));
    for _ in 0..2 {
        site.call_with("ledger.transfer", &transfer(), &["--key", "order-1"])
            .exits(17);
    }
    assert_eq!(site.upstreams().ledger().transfers.len(), 1);
    assert_eq!(site.upstreams().ledger().balances["alice"], 900);
    assert_eq!(site.sql("PRAGMA integrity_check"), "ok");
}

#[test]
fn case_35_a_mail_in_flight_when_its_host_dies_is_sent_once() {
    let site = Site::with("lease = \"1s\"\n");
    site.deploy_with(
        "email",
        &[("[services.mail]\n", "[services.mail]\ntimeout = \"500ms\"\n")],
    );
    site.fault(Service::Mail, Fault::Trickle(100), Some(1));
    let mail = json!({ "to": "ann@example.com", "subject": "Hello", "body": "Once is enough" });
    let call = site.start_call("email.send", &mail, &["--key", "mail-1"]);
    eventually("the mail was sent", || site.upstreams().mails().len() == 1);
    call.kill();
    eventually("the lease is over", || lease_is_over(&site));
    site.call_with("email.send", &mail, &["--key", "mail-1"]).exits(17);
    assert_eq!(site.upstreams().mails().len(), 1);
    let runs = site.runs();
    assert_eq!(runs.len(), 1, "accepted means not lost: {runs:?}");
}

#[test]
fn a_readonly_run_that_died_is_simply_called_again() {
    let site = Site::deployed(&["search"]);
    site.fault(Service::Search, Fault::Hang, Some(1));
    let query = json!({ "text": "wasm" });
    let call = site.start_call("search.query", &query, &[]);
    eventually("the search is in flight", || site.requests(Service::Search).len() == 1);
    call.kill();
    site.call("search.query", &query).exits(0);
    assert_eq!(site.requests(Service::Search).len(), 2);
    assert_eq!(site.sql("PRAGMA integrity_check"), "ok");
}

#[test]
fn killed_in_the_middle_of_many_calls_the_database_is_sound_and_every_outcome_is_true() {
    let site = site();
    for round in 0..4 {
        let key = format!("round-{round}");
        let call = site.start_call("ledger.transfer", &transfer(), &["--key", &key]);
        std::thread::sleep(std::time::Duration::from_millis(40 * (round + 1)));
        call.kill();
        assert_eq!(site.sql("PRAGMA integrity_check; PRAGMA foreign_key_check"), "ok");
    }
    // What the database calls succeeded was executed, once each.
    let executed = site.upstreams().ledger().transfers.len();
    let succeeded = site
        .sql("SELECT count(*) FROM runs WHERE state = 'succeeded'")
        .parse::<usize>()
        .unwrap();
    assert!(succeeded <= executed, "{succeeded} of {executed}");
    for round in 0..4 {
        let ran = site.call_with("ledger.transfer", &transfer(), &["--key", &format!("round-{round}")]);
        assert!(matches!(ran.code, 0 | 17), "{}", ran.shown());
    }
    for (key, count) in site.upstreams().ledger().per_key {
        assert_eq!(count.executed, 1, "{key}");
    }
}
