//! Three hosts under load, while they are killed and stopped, their database crashes and their network fails; then the books are balanced
//! (docs/crash-testing.md).
//!
//! `FUSEBOX_FLEET_EVENTS` and `FUSEBOX_CRASH_SEED` set how much happens and what.

mod disturbances;
mod takeovers;

use super::clients::Clients;
use super::{Fleet, Host};
use crate::harness::{Dice, SETTINGS, asked, books, deploy};
use disturbances::Disturbance;
use fusebox_test_postgres::{Durability, Server};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use takeovers::Takeovers;

/// Hosts of the fleet.
const HOSTS: usize = 3;
/// Disturbances of one run, unless the environment asks for more.
const EVENTS: u64 = 24;
/// What a host says when a write of it was refused because the run is another host's.
const FENCED: &str = "the run belongs to another host now";

#[test]
fn the_books_of_a_fleet_balance_whatever_happens_to_hosts_database_and_network() {
    let events = asked("FUSEBOX_FLEET_EVENTS", EVENTS);
    let seed = asked("FUSEBOX_CRASH_SEED", std::process::id().into());
    println!("seed {seed}, {events} disturbances of {HOSTS} hosts");
    let started = Instant::now();
    let Fleet { site, mut hosts } = Fleet::of(HOSTS, Server::own(Durability::Processes), SETTINGS);
    deploy(&site);
    let takeovers = Takeovers::watch(&site);
    for host in &mut hosts {
        host.start(&site);
    }
    let mut dice = Dice(seed);
    let clients = Clients::default();
    let (mut fenced, mut counts) = (0, BTreeMap::new());
    std::thread::scope(|scope| {
        let _over = clients.start(scope, &site, &hosts, seed);
        for event in 0..events {
            let disturbance = Disturbance::pick(event, &mut dice);
            println!("{:?}: {disturbance:?}", started.elapsed());
            *counts.entry(disturbance).or_default() += 1;
            fenced += disturbance.happen(&site, &mut hosts, &clients, &takeovers, &mut dice);
            for host in &mut hosts {
                let process = host.process.as_mut().unwrap();
                assert!(
                    process.running.runs(),
                    "a host ended by itself: {}",
                    process.running.said()
                );
            }
            std::thread::sleep(Duration::from_millis(dice.below(1500)));
        }
    });
    let disturbed = started.elapsed();
    for breaker in site.fusebox(&["breakers", "--json"]).exits(0).json_lines() {
        site.fusebox(&["breakers", "reset", breaker["key"].as_str().unwrap()])
            .exits(0);
    }
    clients.ask_each();
    takeovers.nobody_intruded(&site);
    let load = clients.load();
    books::settle(&site, &load, |until| books::wait_for_rest(&site, until));
    let figures = books::balance(&site, &load);
    for host in &mut hosts {
        fenced += end(host);
    }
    println!(
        "{events} disturbances of {HOSTS} hosts ({}), {}; {figures}; {fenced} writes of hosts that had lost a run refused; \
         disturbed for {disturbed:?}, settled in {:?}",
        Disturbance::told(&counts),
        takeovers.figures(&site),
        started.elapsed().checked_sub(disturbed).unwrap(),
    );
}

/// Drains a host; how many of its writes were refused.
fn end(host: &mut Host) -> usize {
    let process = host.process.take().unwrap();
    process.running.terminate();
    refused(&process.running.wait().exits(0).stderr)
}

/// How many writes were refused that a host tells of. It tells of no defect of its own.
fn refused(said: &str) -> usize {
    assert!(!said.contains("panicked"), "{said}");
    said.matches(FENCED).count()
}
