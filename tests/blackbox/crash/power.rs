//! Loss of power: what was not synced to the disk is gone, and what was acknowledged is there.

use super::{accept, site};
use crate::harness::load::Load;
use crate::harness::{Dice, asked};
use crate::site::{PATIENCE, Running};
use std::fs;
use std::time::Duration;

/// How often the power fails.
const FAILURES: u64 = 8;

/// A host is killed, and its files are copied as a disk would have them after a loss of power: of the log any prefix that holds at least what
/// was synced when the last run was acknowledged. Whoever opens the copy finds every acknowledged run, and a sound database.
#[test]
fn what_was_acknowledged_is_there_after_a_loss_of_power() {
    let seed = asked("FUSEBOX_CRASH_SEED", std::process::id().into());
    println!("seed {seed}");
    let mut dice = Dice(seed);
    let site = site();
    let mut load = Load::default();
    let mut dropped = 0;
    for failure in 0..FAILURES {
        let host = Running::start(&mut site.command(&["serve"]), PATIENCE);
        accept(&site, &mut load, &mut dice);
        std::thread::sleep(Duration::from_millis(dice.below(400)));
        accept(&site, &mut load, &mut dice);
        // The log was synced before the last of them was acknowledged; what is written from now on may be lost.
        let acknowledged = load.accepted.clone();
        let (base, log) = (site.path("fusebox.db"), site.path("fusebox.db-wal"));
        let synced = fs::metadata(&log).map_or(0, |log| log.len());
        accept(&site, &mut load, &mut dice);
        std::thread::sleep(Duration::from_millis(dice.below(400)));
        host.kill();
        let copy = format!("lost-{failure}.db");
        fs::copy(&base, site.path(&copy)).unwrap();
        let bytes = fs::read(&log).unwrap_or_default();
        let length = bytes.len() as u64;
        let kept = (synced + dice.below(length.saturating_sub(synced) + 1)).min(length);
        dropped += length - kept;
        fs::write(
            site.path(&format!("{copy}-wal")),
            &bytes[..usize::try_from(kept).unwrap()],
        )
        .unwrap();
        let variables = [("FUSEBOX_DATABASE", copy.as_str())];
        let listed = site
            .fusebox_with(&variables, &["runs", "list", "--limit", "100000", "--json"])
            .exits(0);
        let found: Vec<_> = listed
            .json_lines()
            .iter()
            .map(|run| run["id"].as_str().unwrap().to_owned())
            .collect();
        for id in acknowledged.keys() {
            assert!(found.contains(id), "{id} was acknowledged and is lost");
        }
    }
    println!(
        "{FAILURES} losses of power, {dropped} bytes of the log dropped, {} runs acknowledged: none is lost",
        load.accepted.len()
    );
}
