//! `cargo xtask test`: everything that has to hold, in the order in which it fails soonest.

use crate::{clients, deployment, dist, folders, guests, load, packages, readme, steps, tools};
use anyhow::Result;
use std::process::Command;
use std::time::Duration;

/// Runs all checks; the first that fails ends it.
///
/// # Errors
/// The check that failed.
pub(crate) fn run() -> Result<()> {
    steps::announce(
        "Format, guests, lints, tests, docs and licences: about 40 minutes and 10 GB below target/ on two cores the first time, a few minutes later on.",
    );
    steps::cargo(&["fmt", "--all", "--check"])?;
    steps::run(
        "format of the guests",
        Command::new(env!("CARGO")).args([
            "fmt",
            "--all",
            "--check",
            "--manifest-path",
            "guest-examples/Cargo.toml",
        ]),
    )?;
    guests::build(guests::Missing::Fail)?;
    steps::cargo(&[
        "clippy",
        "--workspace",
        "--all-targets",
        "--features",
        "failpoints",
        "--locked",
        "--",
        "--deny",
        "warnings",
    ])?;
    steps::cargo(&["build", "--workspace", "--all-targets", "--locked"])?;
    // The tests use promtool too, and start PostgreSQL, PgBouncer and a store of objects.
    tools::postgres()?;
    tools::pgbouncer()?;
    let objects = packages::from_pypi(
        &folders::root().join("tests/s3"),
        "a server that speaks S3's protocol (20 MB, 80 MB on disk, some seconds)",
    )?;
    prometheus()?;
    deployment::check()?;
    let tests: &[&str] = if tools::nextest() {
        &["nextest", "run", "--workspace", "--locked", "--no-fail-fast"]
    } else {
        &["test", "--workspace", "--all-targets", "--locked", "--no-fail-fast"]
    };
    steps::run(
        "tests",
        Command::new(env!("CARGO")).args(tests).env("FUSEBOX_TEST_S3", objects),
    )?;
    load::check("debug", Duration::from_secs(20))?;
    clients::check(None)?;
    readme::check(&[readme::Language::Python, readme::Language::Js])?;
    dist::make(dist::Profile::Dev)?;
    steps::cargo(&[
        "test",
        "--locked",
        "--features",
        "failpoints",
        "--test",
        "blackbox",
        "--",
        "crash::",
        "fleet::upgrade",
        "--nocapture",
        // Each of them fills the machine.
        "--test-threads=1",
    ])?;
    steps::cargo(&["test", "--workspace", "--doc", "--locked"])?;
    steps::run(
        "documentation",
        Command::new(env!("CARGO"))
            .args([
                "doc",
                "--workspace",
                "--no-deps",
                "--locked",
                "--document-private-items",
            ])
            .env("RUSTDOCFLAGS", "--deny warnings"),
    )?;
    steps::run(
        "licences and sources of dependencies",
        Command::new(tools::cargo_deny()?).args(["check", "bans", "licenses", "sources"]),
    )
}

/// The rules that are shipped for Prometheus, and whether each fires where it should.
fn prometheus() -> Result<()> {
    let promtool = tools::promtool()?;
    steps::run(
        "rules for Prometheus",
        Command::new(promtool).args(["check", "rules", "policies/prometheus-rules.yaml"]),
    )?;
    steps::run(
        "alerts of these rules",
        Command::new(promtool).args(["test", "rules", "policies/prometheus-rules-test.yaml"]),
    )
}
