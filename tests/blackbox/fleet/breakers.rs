//! Breakers of a fleet: one opening for all, one probe of all, and a host that nobody hears goes by what it knows.

use super::Fleet;
use crate::http::client::Served;
use crate::site::{Site, eventually};
use fusebox_simulator::{Fault, Service};
use serde_json::{Value, json};
use std::thread;

const KEY: &str = "search/search";

/// Three hosts; the breaker of their search service opens at the second failure in a row.
fn fleet(cooldown: &str) -> Fleet {
    let breaker = format!("breaker = {{ failure-threshold = 2, cooldown = \"{cooldown}\", max-cooldown = \"10m\" }}");
    Fleet::searching("lease = \"3s\"\n", &breaker)
}

fn served(fleet: &Fleet, at: usize) -> &Served {
    fleet.hosts[at].process.as_ref().unwrap()
}

fn search(host: &Served) -> (u16, Value) {
    let answer = host.post("", "/v1/tools/search/functions/query/calls", &json!({ "text": "wasm" }));
    (answer.status, answer.json())
}

fn sent(site: &Site) -> usize {
    site.requests(Service::Search).len()
}

/// Opens the breaker by failures that this host sees.
fn trip(fleet: &Fleet, at: usize) {
    fleet.site.status(Service::Search, 503, Some(2));
    let before = sent(&fleet.site);
    for _ in 0..2 {
        assert_ne!(search(served(fleet, at)).0, 200);
    }
    assert_eq!(sent(&fleet.site), before + 2);
}

/// Whether a host refuses to send because of the breaker.
fn refuses(host: &Served) -> bool {
    search(host).1["code"] == "breaker-open"
}

#[test]
fn an_opening_on_one_host_opens_the_breaker_of_all() {
    let fleet = fleet("5m");
    // Each has its own, closed.
    for at in 0..3 {
        assert_eq!(search(served(&fleet, at)).0, 200);
    }
    trip(&fleet, 0);
    assert!(refuses(served(&fleet, 0)));
    for at in [1, 2] {
        eventually("the others know", || refuses(served(&fleet, at)));
    }
    let before = sent(&fleet.site);
    for at in 0..3 {
        assert!(refuses(served(&fleet, at)));
    }
    assert_eq!(sent(&fleet.site), before);
}

#[test]
fn one_probe_goes_out_from_all_hosts() {
    let fleet = fleet("3s");
    trip(&fleet, 0);
    for at in 0..3 {
        eventually("every host knows", || refuses(served(&fleet, at)));
    }
    let before = sent(&fleet.site);
    // Whoever is first when the cooldown is over waits for its answer while all others ask.
    fleet.site.fault(Service::Search, Fault::Delay(3000), Some(1));
    let answers: Vec<u16> = thread::scope(|scope| {
        let callers: Vec<_> = (0..3)
            .map(|at| {
                let fleet = &fleet;
                scope.spawn(move || {
                    let mut answers = Vec::new();
                    // Refused ones ask again, until the probe is out and for as long as it takes.
                    eventually("somebody's probe was answered", || {
                        answers.push(search(served(fleet, at)).0);
                        assert!(
                            sent(&fleet.site) <= before + 1 || fleet.site.breaker(KEY)["state"] == "closed",
                            "a second probe was sent"
                        );
                        answers.ends_with(&[200])
                    });
                    answers
                })
            })
            .collect();
        callers.into_iter().flat_map(|caller| caller.join().unwrap()).collect()
    });
    assert!(
        answers.len() > 6,
        "they were refused while the probe was out: {answers:?}"
    );
    assert_eq!(fleet.site.breaker(KEY)["state"], "closed");
}

#[test]
fn a_host_cut_off_from_the_database_goes_by_what_it_knows_and_hears_of_the_rest_afterwards() {
    let fleet = fleet("5m");
    for at in 0..3 {
        assert_eq!(search(served(&fleet, at)).0, 200);
    }
    let alone = &fleet.hosts[2];
    alone.network.silence();
    trip(&fleet, 0);
    eventually("the other one knows", || refuses(served(&fleet, 1)));
    let before = sent(&fleet.site);
    assert_eq!(
        search(served(&fleet, 2)).0,
        200,
        "what it does not know of does not stop it"
    );
    assert_eq!(sent(&fleet.site), before + 1);
    // What happens there opens its own, without the database.
    trip(&fleet, 2);
    assert!(refuses(served(&fleet, 2)));
    // An operator at another host holds the breaker open meanwhile.
    served(&fleet, 0)
        .post("", "/v1/breakers/search%2Fsearch/open", &json!({}))
        .is(200);
    alone.network.resume();
    let state = |at: usize| {
        let listed = served(&fleet, at).get("", "/v1/breakers").json();
        // A host that cannot ask the database yet says so.
        let all = listed["items"].as_array()?;
        Some(all.iter().find(|breaker| breaker["key"] == KEY)?["state"].clone())
    };
    eventually("the operator's word is everywhere", || {
        (0..3).all(|at| state(at) == Some(json!("forced-open")))
    });
    assert!((0..3).all(|at| refuses(served(&fleet, at))));
    served(&fleet, 1)
        .post("", "/v1/breakers/search%2Fsearch/close", &json!({}))
        .is(200);
    eventually("it is closed everywhere", || {
        (0..3).all(|at| search(served(&fleet, at)).0 == 200)
    });
}
