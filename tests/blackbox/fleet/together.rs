//! What hosts of one database know of each other without waiting for it, and the limits that they keep together.

use super::Fleet;
use crate::site::{Site, eventually};
use fusebox_simulator::{Fault, Service};
use serde_json::{Value, json};
use std::thread;

/// Three hosts that look by themselves every five minutes only, with a search service whose section goes on so.
fn fleet(limits: &str) -> Fleet {
    Fleet::searching("recovery = { poll = \"5m\" }\n", limits)
}

/// What each of so many searches at each host comes to, all at once; `meanwhile` is done until the last is over.
fn search(fleet: &Fleet, each: usize, mut meanwhile: impl FnMut(&Site)) -> Vec<(u16, Value)> {
    thread::scope(|threads| {
        let hosts = fleet.hosts.iter().map(|host| host.process.as_ref().unwrap());
        let calls = hosts.flat_map(|host| {
            (0..each).map(move |_| {
                move || host.post("", "/v1/tools/search/functions/query/calls", &json!({ "text": "wasm" }))
            })
        });
        let calls: Vec<_> = calls.map(|call| threads.spawn(call)).collect();
        while !calls.iter().all(thread::ScopedJoinHandle::is_finished) {
            meanwhile(&fleet.site);
        }
        let answers = calls.into_iter().map(|call| call.join().unwrap());
        answers.map(|answer| (answer.status, answer.json())).collect()
    })
}

#[test]
fn a_run_that_nobody_waits_for_is_taken_at_once() {
    let fleet = fleet("");
    for _ in 0..3 {
        let accepted = fleet
            .site
            .call_with("search.query", &json!({ "text": "wasm" }), &["--detach"])
            .exits(0)
            .json();
        let run = accepted["run"].as_str().unwrap();
        eventually("a host hears of it", || fleet.site.run(run)["state"] == "succeeded");
    }
}

#[test]
fn a_service_has_no_more_requests_of_all_hosts_in_flight_than_it_bears() {
    let fleet = fleet("concurrency = 2");
    fleet.site.fault(Service::Search, Fault::Delay(300), None);
    let mut most = 0;
    let answers = search(&fleet, 2, |site| {
        let requests = site.requests(Service::Search);
        most = most.max(requests.iter().filter(|request| request.answer.is_none()).count());
    });
    assert!(answers.iter().all(|(status, _)| *status == 200), "{answers:?}");
    assert_eq!(fleet.site.requests(Service::Search).len(), 6);
    assert_eq!(most, 2);
}

#[test]
fn a_service_gets_no_more_requests_of_all_hosts_than_its_rate_limit_lets_through() {
    let fleet = fleet("rate-limit = \"4/h\"");
    let answers = search(&fleet, 3, |_| thread::yield_now());
    let (found, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|(status, _)| *status == 200);
    assert_eq!((found.len(), refused.len()), (4, 5), "{answers:?}");
    assert!(
        refused
            .iter()
            .all(|(_, problem)| problem.to_string().contains("rate limit")),
        "{refused:?}"
    );
    assert_eq!(fleet.site.requests(Service::Search).len(), 4);
}
