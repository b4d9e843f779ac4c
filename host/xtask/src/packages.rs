//! What guests and tests need from PyPI and npm, pinned by hash and kept in the cache.

use crate::folders;
use crate::process::{self, Tool};
use anyhow::{Context, Result};
use sha2::{Digest, Sha256};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const PYTHON: Tool = Tool {
    what: "Python 3",
    probe: &["python3", "--version"],
    debian: "apt-get install python3 python3-pip",
    macos: "brew install python",
    elsewhere: "see https://www.python.org/downloads",
};

const PIP: Tool = Tool {
    what: "pip",
    probe: &["python3", "-m", "pip", "--version"],
    debian: "apt-get install python3-pip",
    macos: "python3 -m ensurepip",
    elsewhere: "python3 -m ensurepip",
};

const NODE: Tool = Tool {
    what: "Node.js",
    probe: &["node", "--version"],
    debian: "apt-get install nodejs npm",
    macos: "brew install node",
    elsewhere: "see https://nodejs.org/en/download",
};

const NPM: Tool = Tool {
    what: "npm",
    probe: &["npm", "--version"],
    debian: "apt-get install npm",
    macos: "brew install node",
    elsewhere: "see https://nodejs.org/en/download",
};

/// The compiler of a Python guest, as a folder for `PYTHONPATH`.
pub(crate) fn python(guest: &Path) -> Result<PathBuf> {
    from_pypi(
        guest,
        "the compiler of Python guests (17 MB, 60 MB on disk, some seconds)",
    )
}

/// What the requirements file in a folder asks for, as a folder for `PYTHONPATH`; `what` is said before it is fetched.
pub(crate) fn from_pypi(of: &Path, what: &str) -> Result<PathBuf> {
    PYTHON.require()?;
    let requirements = of.join("requirements.txt");
    let cache = folders::cache("python")?;
    folders::cached(&cache, &key(&[&requirements])?, |work| {
        PIP.require()?;
        println!("Fetching {what} into {}", cache.display());
        process::run_quietly(
            Command::new("python3")
                .args([
                    "-m",
                    "pip",
                    "install",
                    "--quiet",
                    "--disable-pip-version-check",
                    "--no-compile",
                    "--require-hashes",
                ])
                .arg("--target")
                .arg(work)
                .arg("--requirement")
                .arg(&requirements),
        )
    })
}

/// The compiler of a JavaScript guest, as the folder of its programs.
pub(crate) fn javascript(guest: &Path) -> Result<PathBuf> {
    from_npm(
        guest,
        "the compiler of JavaScript guests (14 MB, 38 MB on disk, some seconds)",
    )
}

/// What the lock file in a folder asks for, as the folder of its programs; `what` is said before it is fetched.
pub(crate) fn from_npm(of: &Path, what: &str) -> Result<PathBuf> {
    NODE.require()?;
    let files = ["package.json", "package-lock.json"].map(|name| of.join(name));
    let cache = folders::cache("npm")?;
    let entry = folders::cached(&cache, &key(&[&files[0], &files[1]])?, |work| {
        NPM.require()?;
        println!("Fetching {what} into {}", cache.display());
        for file in &files {
            let name = file.file_name().context("a file has a name")?;
            fs::copy(file, work.join(name)).with_context(|| format!("cannot copy {}", file.display()))?;
        }
        process::run_quietly(
            Command::new("npm")
                .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
                .current_dir(work),
        )
    })?;
    Ok(entry.join("node_modules").join(".bin"))
}

/// Names a cache entry after the files that say what is in it.
fn key(files: &[&Path]) -> Result<String> {
    let mut hash = Sha256::new();
    for file in files {
        hash.update(fs::read(file).with_context(|| format!("cannot read {}", file.display()))?);
    }
    Ok(hex::encode(&hash.finalize()[..8]))
}
