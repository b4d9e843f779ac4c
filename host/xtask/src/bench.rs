//! `cargo xtask bench`: what the call boundary costs, as one table of ratios. It never fails for being slow.

use crate::{folders, process, steps};
use anyhow::{Context, Result};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

/// Each pass measures everything once for about a second. What is compared is measured in the same pass, and the table shows
/// medians over the passes, so that what else the machine does weighs little.
const PASSES: u32 = 5;

/// A benchmark as its folder below criterion's is named.
type Name = &'static str;

/// What one operation is, and how it is told.
#[derive(Clone, Copy)]
enum Unit {
    /// Time of one operation; the benchmark does so many at once.
    Each(u32),
    /// Operations in a second; the benchmark does so many at once.
    PerSecond(u32),
}

/// A line of the table: one thing done by hand and through Fusebox.
struct Line {
    what: &'static str,
    unit: Unit,
    raw: Option<Name>,
    fusebox: Option<Name>,
    aim: &'static str,
}

const LINES: [Line; 10] = [
    Line {
        what: "fresh instance, typed call",
        unit: Unit::Each(1),
        raw: Some("call/raw-typed"),
        fusebox: None,
        aim: "",
    },
    Line {
        what: "fresh instance, JSON in and out",
        unit: Unit::Each(1),
        raw: Some("call/raw"),
        fusebox: Some("call/fusebox"),
        aim: "< 1.15",
    },
    Line {
        what: "  16 callers, guests on their own threads",
        unit: Unit::Each(16),
        raw: Some("calls/raw/16"),
        fusebox: Some("calls/fusebox/16"),
        aim: "",
    },
    Line {
        what: "breaker, verdict and retry budget",
        unit: Unit::Each(1),
        raw: None,
        fusebox: Some("guard"),
        aim: "<= 150 ns",
    },
    Line {
        what: "durable calls, 1 caller",
        unit: Unit::PerSecond(1),
        raw: Some("durable/raw/1"),
        fusebox: Some("durable/fusebox/1"),
        aim: "",
    },
    Line {
        what: "durable calls, 16 callers",
        unit: Unit::PerSecond(16),
        raw: Some("durable/raw/16"),
        fusebox: Some("durable/fusebox/16"),
        aim: "",
    },
    Line {
        what: "durable calls, 256 callers",
        unit: Unit::PerSecond(256),
        raw: Some("durable/raw/256"),
        fusebox: Some("durable/fusebox/256"),
        aim: "",
    },
    Line {
        what: "resume: effects served from the journal",
        unit: Unit::PerSecond(9_900),
        raw: Some("resume/raw"),
        fusebox: Some("resume/fusebox"),
        aim: "",
    },
    Line {
        what: "snapshot, 1 MiB of dirty memory",
        unit: Unit::Each(1),
        raw: Some("snapshot/raw/1"),
        fusebox: Some("snapshot/fusebox/1"),
        aim: "",
    },
    Line {
        what: "snapshot, 16 MiB of dirty memory",
        unit: Unit::Each(1),
        raw: Some("snapshot/raw/16"),
        fusebox: Some("snapshot/fusebox/16"),
        aim: "",
    },
];

/// Allocations each time, as the benchmark of that name prints them.
#[derive(Deserialize)]
struct Allocations {
    guard: u64,
    raw: u64,
    fusebox: u64,
}

/// The part of criterion's estimates that is used, in nanoseconds.
#[derive(Deserialize)]
struct Estimates {
    median: Estimate,
}

#[derive(Deserialize)]
struct Estimate {
    point_estimate: f64,
}

/// Nanoseconds by benchmark, one for each pass.
type Times = BTreeMap<Name, Vec<f64>>;

/// Builds and runs all benchmarks and prints the table.
///
/// # Errors
/// A benchmark that cannot be built or run.
pub(crate) fn run() -> Result<()> {
    steps::announce(
        "Builds an optimised host (about 15 minutes on two cores the first time), then measures for about 4 minutes; a machine that is busy otherwise shows less.",
    );
    steps::cargo(&["bench", "--package", "fusebox-bench", "--locked", "--no-run"])?;
    let folder = steps::target().join("bench");
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    let mut times = Times::new();
    for pass in 1..=PASSES {
        steps::announce(&format!("pass {pass} of {PASSES}"));
        process::run_quietly(
            bench(&["boundary", "guard", "durability", "resume", "snapshot"]).env("CRITERION_HOME", &folder),
        )?;
        for name in LINES.iter().flat_map(|line| [line.raw, line.fusebox]).flatten() {
            times.entry(name).or_default().push(estimate(&folder, name)?);
        }
    }
    let allocations = process::output(&mut bench(&["allocations"]))?;
    let allocations = serde_json::from_str(&allocations).context("the count of allocations cannot be read")?;
    print(&times, &allocations);
    Ok(())
}

fn bench(names: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO"));
    command
        .current_dir(folders::root())
        .args(["bench", "--package", "fusebox-bench", "--locked", "--quiet"]);
    for name in names {
        command.args(["--bench", name]);
    }
    command
}

fn estimate(folder: &Path, name: Name) -> Result<f64> {
    let path = folder.join(name).join("new").join("estimates.json");
    let text = fs::read(&path).with_context(|| format!("{name} left no {}", path.display()))?;
    let estimates: Estimates =
        serde_json::from_slice(&text).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(estimates.median.point_estimate)
}

fn print(times: &Times, allocations: &Allocations) {
    println!("\n{}", row("", "raw", "Fusebox", "ratio", "aim"));
    for line in &LINES {
        let told = |name: Option<Name>| {
            let each = name.and_then(|name| median(times.get(name)?.iter().copied()));
            each.map_or_else(String::new, |nanos| line.unit.told(nanos))
        };
        let ratio = ratio(times, line).map_or_else(String::new, |ratio| format!("{ratio:.2}"));
        println!(
            "{}",
            row(line.what, &told(line.raw), &told(line.fusebox), &ratio, line.aim)
        );
    }
    let Allocations { guard, raw, fusebox } = allocations;
    println!(
        "{}",
        row(
            "allocations: JSON in and out",
            &raw.to_string(),
            &fusebox.to_string(),
            "",
            ""
        )
    );
    println!(
        "{}",
        row("allocations: breaker, verdict, budget", "", &guard.to_string(), "", "0")
    );
    println!(
        "\nraw: wasmtime, SQLite or memory used directly, for the same or the least of it; ratio: time through Fusebox by time of raw, the median of {PASSES} passes."
    );
}

fn row(what: &str, raw: &str, fusebox: &str, ratio: &str, aim: &str) -> String {
    format!("{what:<42}{raw:>12}{fusebox:>12}{ratio:>8}  {aim}")
        .trim_end()
        .to_owned()
}

/// The time through Fusebox by the time of raw, pass by pass.
fn ratio(times: &Times, line: &Line) -> Option<f64> {
    let (raw, fusebox) = (times.get(line.raw?)?, times.get(line.fusebox?)?);
    median(raw.iter().zip(fusebox).map(|(raw, fusebox)| fusebox / raw))
}

/// The middle one; `None` of none.
pub(crate) fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

impl Unit {
    fn told(self, nanos: f64) -> String {
        match self {
            Self::Each(at_once) => match nanos / f64::from(at_once) {
                nanos if nanos < 1e3 => format!("{nanos:.0} ns"),
                nanos if nanos < 1e6 => format!("{:.2} us", nanos / 1e3),
                nanos => format!("{:.2} ms", nanos / 1e6),
            },
            Self::PerSecond(at_once) => format!("{:.0}/s", f64::from(at_once) * 1e9 / nanos),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_the_median_of_the_passes_and_not_the_ratio_of_medians() {
        let times = Times::from([
            ("call/raw", vec![100.0, 1000.0, 200.0]),
            ("call/fusebox", vec![110.0, 1100.0, 400.0]),
        ]);
        assert_eq!(ratio(&times, &LINES[1]), Some(1.1));
        assert_eq!(ratio(&times, &LINES[0]), None);
    }

    #[test]
    fn a_benchmark_of_many_at_once_is_told_by_one() {
        assert_eq!(Unit::Each(16).told(160_000.0), "10.00 us");
        assert_eq!(Unit::PerSecond(16).told(1e9), "16/s");
        assert_eq!(Unit::Each(1).told(2_500_000.0), "2.50 ms");
    }
}
