//! `cargo xtask clients`: clients that others wrote, against a host that serves: what they can do with it is what was promised.

mod api;
mod packages;
mod site;
mod suites;

use crate::{guests, steps};
use anyhow::{Result, bail};
pub(crate) use packages::python;
use site::Site;
use std::time::{Duration, Instant};

/// Runs clients that others wrote (MCP's own tests, SDKs and Inspector, an agent, schemathesis) against a host that serves
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Only the suites whose name has this word in it
    #[arg(long)]
    only: Option<String>,
    /// Use the guests and binaries that were built before
    #[arg(long)]
    built: bool,
}

/// Runs the subcommand, after building what it needs.
///
/// # Errors
/// A step that could not be made, or the suites that failed.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    if !arguments.built {
        guests::build(guests::Missing::Skip)?;
        steps::build("debug")?;
    }
    check(arguments.only.as_deref())
}

/// Runs the suites against what was built.
///
/// # Errors
/// As [`run`].
pub(crate) fn check(only: Option<&str>) -> Result<()> {
    let wanted = |name: &str| only.is_none_or(|only| name.contains(only));
    let suites: Vec<_> = suites::ALL.iter().filter(|suite| wanted(suite.name)).collect();
    if suites.is_empty() {
        let names: Vec<_> = suites::ALL.iter().map(|suite| suite.name).collect();
        bail!("no suite has that word in its name; there are {}", names.join(", "));
    }
    let site = Site::open()?;
    let mut ended = Vec::new();
    for suite in suites {
        println!("\n--- {}", suite.name);
        let start = Instant::now();
        let result = (suite.run)(&site);
        if let Err(error) = &result {
            println!("{error:#}");
        }
        ended.push((suite.name, result.is_ok(), start.elapsed()));
    }
    report(&ended);
    let failed: Vec<_> = ended
        .iter()
        .filter(|(_, good, _)| !good)
        .map(|(name, ..)| *name)
        .collect();
    if !failed.is_empty() {
        bail!(
            "failed: {}; the host's log is in {}",
            failed.join(", "),
            site.folder().display()
        );
    }
    Ok(())
}

fn report(ended: &[(&str, bool, Duration)]) {
    println!("\n{:<44} {:>8} {:>8}", "suite", "result", "seconds");
    for (name, good, took) in ended {
        let result = if *good { "ok" } else { "FAILED" };
        println!("{name:<44} {result:>8} {:>8.1}", took.as_secs_f32());
    }
    let total: Duration = ended.iter().map(|(.., took)| *took).sum();
    println!("{:<44} {:>8} {:>8.1}", "", "", total.as_secs_f32());
}
