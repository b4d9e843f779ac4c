//! The real binary under load, killed at every point where something becomes durable and at random instants, started again until everything
//! is settled; then the books are balanced (docs/crash-testing.md).
//!
//! `cargo test --features failpoints --test blackbox crash::`. `FUSEBOX_CRASH_KILLS` and `FUSEBOX_CRASH_SEED` set how many kills and which.

mod books;
mod load;
mod points;
mod power;

use crate::site::{PATIENCE, Running, Site};
use load::Load;
use points::Point;
use std::time::{Duration, Instant};

/// Kills of one run, unless the environment asks for more.
const KILLS: u32 = 200;
/// A host that has not met its point by then is killed from outside.
const SURVIVES: Duration = Duration::from_millis(1500);
/// The books are looked at after so many kills.
const ROUND: u32 = 25;

fn asked(variable: &str, default: u64) -> u64 {
    match std::env::var(variable) {
        Ok(text) => text.parse().expect(variable),
        Err(_) => default,
    }
}

/// Numbers that a seed makes up: splitmix64 (Steele, Lea, Flood 2014).
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % most.max(1)
    }
}

/// A site whose leases are short, whose services answer soon, and where no run is given up for having been recovered often.
fn site() -> Site {
    let site = Site::with("lease = \"3s\"\nrecovery = { poll = \"100ms\", cap = 1000 }\n");
    for (tool, service) in load::TOOLS {
        let header = format!("[services.{service}]\n");
        let quick = format!("{header}timeout = \"1500ms\"\n");
        let replaced = [(header.as_str(), quick.as_str())];
        let replacements: &[(&str, &str)] = if service.is_empty() { &[] } else { &replaced };
        site.deploy_with(tool, replacements);
    }
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
        load.add(&site, &mut dice);
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
    books::settle(&site, &load);
    let figures = books::balance(&site, &load);
    println!(
        "{kills} kills ({by_point} at failpoints, {from_outside} at random instants), {figures}; killing took {:?}, settling {:?}",
        settled.duration_since(started),
        settled.elapsed()
    );
}

/// Starts a host and a call that die at the point, or are killed when they have not; whether the point was met.
fn kill_once(site: &Site, load: &mut Load, point: Option<&Point>, dice: &mut Dice) -> bool {
    let mut command = site.command(&["serve"]);
    if let Some(point) = point {
        command.env("FUSEBOX_FAILPOINT", point.to_string());
    }
    let mut host = Running::start(&mut command, PATIENCE);
    let mut call = load.call_that_dies(site, point);
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
