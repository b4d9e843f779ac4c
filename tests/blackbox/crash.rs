//! The real binary under load, killed at every point where something becomes durable and at random instants, started again until everything
//! is settled; then the books are balanced (docs/crash-testing.md).
//!
//! `cargo test --features failpoints --test blackbox crash::`. `FUSEBOX_CRASH_KILLS` and `FUSEBOX_CRASH_SEED` set how many kills and which.

mod points;
mod power;

use crate::harness::load::{self, Load};
use crate::harness::{Dice, SETTINGS, asked, books, deploy};
use crate::site::{PATIENCE, Running, Site};
use points::Point;
use std::time::{Duration, Instant};

/// Kills of one run, unless the environment asks for more.
const KILLS: u32 = 200;
/// A host that has not met its point by then is killed from outside.
const SURVIVES: Duration = Duration::from_millis(1500);
/// The books are looked at after so many kills.
const ROUND: u32 = 25;

/// A site that every host and command of the test uses.
fn site() -> Site {
    let site = Site::with(SETTINGS);
    deploy(&site);
    site
}

#[test]
fn cases_34_to_39_64_68_and_70_the_books_balance_after_every_kind_of_crash() {
    let kills = u32::try_from(asked("FUSEBOX_CRASH_KILLS", u64::from(KILLS))).unwrap();
    let seed = asked("FUSEBOX_CRASH_SEED", std::process::id().into());
    println!("seed {seed}, {kills} kills");
    let started = Instant::now();
    let site = site();
    let mut dice = Dice(seed);
    let mut load = Load::default();
    let (mut by_point, mut from_outside) = (0, 0);
    for kill in 0..kills {
        accept(&site, &mut load, &mut dice);
        let point = Point::pick(kill, &mut dice);
        if kill_once(&site, &mut load, point.as_ref(), &mut dice) {
            by_point += 1;
        } else {
            from_outside += 1;
        }
        if (kill + 1) % ROUND == 0 {
            books::never_twice(&site, &load);
        }
    }
    let settled = Instant::now();
    books::settle(&site, &load, |until| work(&site, until));
    assert_eq!(site.sql("PRAGMA integrity_check"), "ok");
    let figures = books::balance(&site, &load);
    println!(
        "{kills} kills ({by_point} at failpoints, {from_outside} at random instants), {figures}; killing took {:?}, settling {:?}",
        settled.duration_since(started),
        settled.elapsed()
    );
}

/// Accepts a few more runs, and lets something go wrong with some of their upstreams.
fn accept(site: &Site, load: &mut Load, dice: &mut Dice) {
    load::fault(site, dice);
    for _ in 0..=dice.below(2) {
        let order = load.next(dice);
        let accepted = order.detach(site).exits(0);
        load.accept(accepted.json()["run"].as_str().unwrap(), &order);
    }
}

/// A call that waits for its outcome, and whose process is to die at the point.
fn call_that_dies(site: &Site, load: &mut Load, point: &Point) -> Running {
    let order = load.next_that_changes();
    let mut command = order.command(site, &["--json"]);
    command.env("FUSEBOX_FAILPOINT", point.to_string());
    Running::start(&mut command, PATIENCE)
}

/// Lets a host work that nobody kills, until nothing moves.
fn work(site: &Site, until: Instant) {
    let host = site.start(&["serve"]);
    books::wait_for_rest(site, until);
    // One that had nothing to do is ended perhaps before it listens to signals.
    host.terminate();
    let ended = host.wait();
    assert!(matches!(ended.code, 0 | -15), "{}", ended.shown());
}

/// Starts a host and a call that die at the point, or are killed when they have not; whether the point was met.
fn kill_once(site: &Site, load: &mut Load, point: Option<&Point>, dice: &mut Dice) -> bool {
    let mut command = site.command(&["serve"]);
    if let Some(point) = point {
        command.env("FUSEBOX_FAILPOINT", point.to_string());
    }
    let mut host = Running::start(&mut command, PATIENCE);
    let mut call = point.map(|point| call_that_dies(site, load, point));
    let until = Instant::now()
        + if point.is_some() {
            SURVIVES
        } else {
            Duration::from_millis(dice.below(900))
        };
    while Instant::now() < until && (host.runs() && call.as_mut().is_none_or(Running::runs)) {
        std::thread::sleep(Duration::from_millis(5));
    }
    let met = !host.runs() || call.as_mut().is_some_and(|call| !call.runs());
    host.kill();
    if let Some(call) = call {
        call.kill();
    }
    point.is_some() && met
}
