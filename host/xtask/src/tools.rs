//! Programs that the tests need besides cargo.

use crate::process::succeeds;
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
