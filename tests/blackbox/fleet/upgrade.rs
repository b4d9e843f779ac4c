//! A rolling upgrade: the next version changes the schema while hosts of this one work, and they are replaced one at a time
//! (docs/deployment.md).
//!
//! The next version is played by its migration, which is applied and written down as the migrator does it. It adds and takes nothing away.

use super::Fleet;
use super::clients::Clients;
use crate::harness::{SETTINGS, asked, books, deploy};
use crate::site::{Site, eventually, runtime};
use fusebox_test_postgres::Server;
use std::time::Duration;

/// What one release adds.
const ADDED: [&str; 3] = [
    "ALTER TABLE runs ADD COLUMN later TEXT NOT NULL DEFAULT 'nothing yet'",
    "CREATE TABLE later (tenant TEXT NOT NULL, run TEXT NOT NULL, PRIMARY KEY (tenant, run))",
    "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) VALUES (9000, 'later', true, '', 0)",
];
/// What a release says that needs hosts of the one before.
const TAKEN: &str = "UPDATE schema_compatibility SET oldest = 9000, version = '7.1.0'";

#[test]
fn hosts_are_replaced_one_at_a_time_under_load_and_nothing_is_lost() {
    let seed = asked("FUSEBOX_CRASH_SEED", std::process::id().into());
    println!("seed {seed}");
    let Fleet { site, mut hosts } = Fleet::of(3, Server::shared(), SETTINGS);
    deploy(&site);
    for host in &mut hosts {
        host.start(&site);
    }
    let clients = Clients::default();
    std::thread::scope(|scope| {
        let _over = clients.start(scope, &site, &hosts, seed);
        let some_more = |before: usize| eventually("calls go on", || clients.accepted() >= before + 10);
        some_more(0);
        // The first of the next version brings the schema up to date; the others work on.
        let migration = format!(
            "DO $$ BEGIN {}; END $$",
            ADDED
                .map(|sql| sql.replace('\'', "''"))
                .map(|sql| format!("EXECUTE '{sql}'"))
                .join("; ")
        );
        runtime().block_on(site.database().ask(&migration));
        some_more(clients.accepted());
        for at in 0..hosts.len() {
            let leaving = hosts[at].process.take().unwrap();
            clients.listen(&hosts);
            leaving.running.terminate();
            let left = leaving.running.wait().exits(0);
            assert!(left.stdout.contains("\"drained\""), "{}", left.shown());
            some_more(clients.accepted());
            hosts[at].start(&site);
            clients.listen(&hosts);
        }
        some_more(clients.accepted());
    });
    clients.ask_each();
    let load = clients.load();
    books::settle(&site, &load, |until| books::wait_for_rest(&site, until));
    println!("{}", books::balance(&site, &load));
    assert_eq!(site.sql("SELECT count(*) FROM runs WHERE later <> 'nothing yet'"), "0");

    // What takes something away keeps hosts out that would miss it.
    runtime().block_on(site.database().ask(TAKEN));
    too_old(&site);
    for host in hosts {
        host.process.unwrap().end();
    }
}

#[test]
fn a_file_says_too_which_versions_may_use_it() {
    let site = Site::deployed(&["ledger"]);
    let transfer = serde_json::json!({ "from-account": "alice", "to-account": "bob", "amount": 1 });
    let serving = site.start(&["serve"]);
    for sql in ADDED {
        site.sql(sql);
    }
    site.call_with("ledger.transfer", &transfer, &["--key", "a"]).exits(0);
    serving.terminate();
    serving.wait().exits(0);
    let again = site.start(&["serve"]);
    let run = site
        .call_with("ledger.transfer", &transfer, &["--key", "b", "--detach"])
        .exits(0);
    let run = run.json()["run"].as_str().unwrap().to_owned();
    site.fusebox(&["runs", "follow", &run, "--every", "50ms"]).exits(0);
    assert_eq!(site.upstreams().ledger().transfers.len(), 2);
    again.terminate();
    again.wait().exits(0);
    let copy = site.fusebox(&["migrate", "--to", "copy.db"]);
    assert_ne!(copy.code, 0, "what is not known cannot be copied");
    copy.says("upgraded by a newer Fusebox");
    site.sql(TAKEN);
    too_old(&site);
}

/// A host of this version is refused, and told which one to install.
fn too_old(site: &Site) {
    let refused = site.fusebox(&["serve"]);
    assert!(refused.took < Duration::from_secs(20), "{}", refused.shown());
    refused
        .exits(19)
        .says("schema 9000")
        .says("Install Fusebox 7.1.0 or later");
}
