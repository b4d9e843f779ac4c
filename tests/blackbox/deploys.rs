//! Deploys while several hosts on one database take calls.

use crate::http::client::Served;
use crate::site::{Site, eventually, runtime};
use fusebox_test_postgres::{Database, Server};
use serde_json::json;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

const EVALUATE: &str = "/v1/tools/calculator/functions/evaluate/calls";
/// Every call leaves a run that says which version it ran.
const RECORDED: (&str, &str) = ("durability = \"none\"", "durability = \"always\"");

fn site() -> (Site, Database) {
    let database = runtime().block_on(Database::empty(Arc::new(Server::shared())));
    let site = Site::with(&format!("database = \"{}\"", database.url()));
    site.deploy_with("calculator", &[RECORDED]);
    (site, database)
}

/// Deploys the next version: the manifest says so, and the component is another one.
fn deploy_second(site: &Site) {
    site.place(
        "calculator",
        &[RECORDED, ("version = \"1.0.0\"", "version = \"2.0.0\"")],
    );
    let mut component = fs::read(site.path("calculator.wasm")).unwrap();
    // A section without a meaning: its id, its length, the length of its name, its name.
    component.extend(b"\0\x07\x06second");
    fs::remove_file(site.path("calculator.wasm")).unwrap();
    fs::write(site.path("calculator.wasm"), component).unwrap();
    site.fusebox(&["deploy", "calculator.toml"]).exits(0);
}

/// What the calls at one host came to, in their order: the version and the component that ran, or the code of the refusal.
type Seen = Mutex<Vec<String>>;

/// Calls one after the other until told to stop.
fn call_on(host: &Served, stop: &AtomicBool, seen: &Seen) {
    while !stop.load(Ordering::SeqCst) {
        let answer = host.post("", EVALUATE, &json!({ "expression": "6*7" }));
        let what = if answer.status == 200 {
            assert_eq!(answer.json()["output"], 42.0);
            let run = answer.json()["run"].as_str().unwrap().to_owned();
            let run = host.get("", &format!("/v1/runs/{run}")).is(200).json();
            format!("{} {}", run["version"], run["component"].as_str().unwrap())
        } else {
            let problem = answer.json();
            let told = |name: &str| problem[name].as_str().unwrap_or_default().to_owned();
            format!("{} {}", told("code"), told("detail"))
        };
        seen.lock().unwrap().push(what);
        thread::sleep(Duration::from_millis(5));
    }
}

/// Calls at three hosts without a pause while `meanwhile` is carried out, which can look at what they have seen.
fn at_three_hosts(site: &Site, meanwhile: impl FnOnce(&[Seen; 3])) -> [Vec<String>; 3] {
    let hosts = [0; 3].map(|_| Served::start(site));
    let (stop, seen) = (AtomicBool::new(false), [0; 3].map(|_| Seen::default()));
    thread::scope(|scope| {
        for (host, seen) in hosts.iter().zip(&seen) {
            scope.spawn(|| call_on(host, &stop, seen));
        }
        // A test that fails ends the calls too.
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| meanwhile(&seen)));
        stop.store(true, Ordering::SeqCst);
        if let Err(failed) = done {
            std::panic::resume_unwind(failed);
        }
    });
    for host in hosts {
        host.end();
    }
    seen.map(|seen| seen.into_inner().unwrap())
}

/// Waits until the last answer of each host begins so.
fn all_answer(what: &str, seen: &[Seen; 3]) {
    eventually(&format!("every host answers {what}"), || {
        seen.iter().all(|seen| {
            let seen = seen.lock().unwrap();
            seen.last().is_some_and(|last| last.starts_with(what))
        })
    });
}

#[test]
fn every_host_goes_over_to_a_new_version_and_no_call_fails() {
    let (site, _database) = site();
    let all = at_three_hosts(&site, |seen| {
        all_answer("1 ", seen);
        deploy_second(&site);
        all_answer("2 ", seen);
    });
    let mut versions: Vec<_> = all.iter().flatten().cloned().collect();
    versions.sort();
    versions.dedup();
    assert_eq!(versions.len(), 2, "a version has one component: {versions:?}");
    for seen in &all {
        assert!(seen.is_sorted(), "what was switched stays so: {seen:?}");
    }
}

#[test]
fn what_is_switched_off_or_removed_is_so_at_every_host() {
    let (site, _database) = site();
    let all = at_three_hosts(&site, |seen| {
        all_answer("1 ", seen);
        site.fusebox(&["tools", "disable", "calculator"]).exits(0);
        all_answer("tool-disabled", seen);
        site.fusebox(&["tools", "enable", "calculator"]).exits(0);
        all_answer("1 ", seen);
        site.fusebox(&["tools", "remove", "calculator", "--yes"]).exits(0);
        all_answer("not-found", seen);
    });
    for mut seen in all {
        seen.dedup_by_key(|what| what.split(' ').next().unwrap().to_owned());
        assert_eq!(seen.len(), 4, "each switch is made once: {seen:?}");
    }
}
