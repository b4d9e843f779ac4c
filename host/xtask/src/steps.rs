//! Commands that tasks are made of, announced before they run and named when they fail.

use crate::folders;
use crate::process;
use anyhow::Result;
use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

/// Where cargo puts what it builds.
pub(crate) fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| folders::root().join("target"), |folder| folders::root().join(folder))
}

/// A binary that a step before has built; `profile` is `debug` or `release`.
pub(crate) fn binary(profile: &str, name: &str) -> PathBuf {
    target().join(profile).join(name)
}

/// Builds the host, and the upstreams that are simulated for it; `profile` as for [`binary`].
///
/// # Errors
/// As [`run`].
pub(crate) fn build(profile: &str) -> Result<()> {
    let mut arguments = vec![
        "build",
        "--quiet",
        "--package",
        "fusebox",
        "--package",
        "fusebox-simulator",
    ];
    if profile == "release" {
        arguments.push("--release");
    }
    cargo(&arguments)
}

/// Says something before it takes time.
pub(crate) fn announce(text: &str) {
    eprintln!("{text}");
}

/// Runs a command in the workspace's folder.
///
/// # Errors
/// A program that is not there, or that failed; both named.
pub(crate) fn run(title: &str, command: &mut Command) -> Result<()> {
    eprintln!("\n--- {title}");
    let start = Instant::now();
    process::run(command.current_dir(folders::root()))?;
    eprintln!("--- {title}: {:.0} s", start.elapsed().as_secs_f32());
    Ok(())
}

/// Runs cargo.
///
/// # Errors
/// As [`run`].
pub(crate) fn cargo(arguments: &[&str]) -> Result<()> {
    let title = format!("cargo {}", arguments.join(" "));
    run(&title, Command::new(env!("CARGO")).args(arguments))
}
