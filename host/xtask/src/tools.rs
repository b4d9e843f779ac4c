//! Programs that the tests need besides cargo.

use crate::process::{self, Tool, is_debian, succeeds};
use crate::{folders, steps};
use anyhow::Result;
use std::path::PathBuf;
use std::process::Command;

/// The version of cargo-deny that is built when there is none.
const CARGO_DENY: &str = "0.20.2";

/// Whether cargo-nextest is there; plain `cargo test` does the same, slower and in one process a crate.
pub(crate) fn nextest() -> bool {
    succeeds(Command::new(env!("CARGO")).args(["nextest", "--version"]))
}

const PROMTOOL: Tool = Tool {
    what: "promtool",
    probe: &["promtool", "--version"],
    debian: "apt-get install --no-install-recommends prometheus",
    macos: "brew install prometheus",
    elsewhere: "see https://prometheus.io/download",
};

const POSTGRES: Tool = Tool {
    what: "the server of PostgreSQL",
    probe: &[
        "sh",
        "-c",
        "initdb --version || $(pg_config --bindir)/initdb --version || ls /usr/lib/postgresql/*/bin/initdb",
    ],
    debian: "apt-get install --no-install-recommends postgresql",
    macos: "brew install postgresql",
    elsewhere: "see https://www.postgresql.org/download",
};

const PGBOUNCER: Tool = Tool {
    what: "PgBouncer",
    probe: &["sh", "-c", "pgbouncer --version || /usr/sbin/pgbouncer --version"],
    debian: "apt-get install --no-install-recommends pgbouncer",
    macos: "brew install pgbouncer",
    elsewhere: "see https://www.pgbouncer.org/install.html",
};

/// promtool, installed from Debian's archive where this process may.
///
/// # Errors
/// The command that installs it.
pub(crate) fn promtool() -> Result<&'static str> {
    from_debian(&PROMTOOL, "prometheus", "60 MB, a minute")?;
    Ok("promtool")
}

/// The server that tests start, each run its own; installed from Debian's archive where this process may.
///
/// # Errors
/// The command that installs it.
pub(crate) fn postgres() -> Result<()> {
    from_debian(&POSTGRES, "postgresql", "60 MB, a minute")
}

/// The pooler that tests start before that server; installed from Debian's archive where this process may.
///
/// # Errors
/// The command that installs it.
pub(crate) fn pgbouncer() -> Result<()> {
    from_debian(&PGBOUNCER, "pgbouncer", "1 MB, some seconds")
}

/// A program that Debian's archive has, installed where this process may; `cost` is said before.
///
/// # Errors
/// The command that installs it.
pub(crate) fn from_debian(tool: &Tool, package: &str, cost: &str) -> Result<()> {
    if tool.require().is_err() && is_debian() {
        steps::announce(&format!(
            "{} is not installed, so Debian's package `{package}` is: {cost}",
            tool.what
        ));
        let install = ["install", "--yes", "--no-install-recommends", package];
        // Where this process may not, the command that does it is named below.
        let _ = process::run_quietly(
            Command::new("apt-get")
                .args(install)
                .env("DEBIAN_FRONTEND", "noninteractive"),
        );
    }
    tool.require()
}

/// cargo-deny: the installed one, or one built below `target/tools`.
///
/// # Errors
/// When it cannot be built.
pub(crate) fn cargo_deny() -> Result<PathBuf> {
    if succeeds(Command::new("cargo-deny").arg("--version")) {
        return Ok(PathBuf::from("cargo-deny"));
    }
    let root = folders::root().join("target/tools");
    let built = root.join("bin/cargo-deny");
    if !built.exists() {
        steps::announce("cargo-deny is not installed, so it is built below target/tools: a few minutes, 1 GB");
        let version = format!("={CARGO_DENY}");
        let target = folders::root().join("target/tools/build");
        steps::run(
            "cargo-deny",
            Command::new(env!("CARGO"))
                .args([
                    "install",
                    "--quiet",
                    "--locked",
                    "--debug",
                    "cargo-deny",
                    "--version",
                    &version,
                    "--root",
                ])
                .arg(&root)
                .env("CARGO_TARGET_DIR", &target)
                .env("CARGO_PROFILE_DEV_DEBUG", "false"),
        )?;
        std::fs::remove_dir_all(target)?;
    }
    Ok(built)
}
