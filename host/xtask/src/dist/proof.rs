//! Looks whether an archive is whole: it is unpacked, and everything in it is used once.

use super::{COMPLETIONS, DOCUMENTS, PAGES, POLICIES};
use crate::{folders, process};
use anyhow::{Context, Result, bail, ensure};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

/// Shells that can say whether a script is right, where they are installed.
const SHELLS: [&str; 3] = ["bash", "zsh", "fish"];

/// Unpacks an archive and tries what is in it.
///
/// # Errors
/// What is missing, or does not work.
pub(super) fn check(archive: &Path, name: &str) -> Result<()> {
    let work = tempfile::tempdir().context("cannot make a folder")?;
    process::run_quietly(Command::new("tar").arg("-xzf").arg(archive).arg("-C").arg(work.path()))?;
    let folder = work.path().join(name);
    for document in DOCUMENTS {
        ensure!(folder.join(document).is_file(), "{document} is missing");
    }
    let binary = folder.join("bin/fusebox");
    let version = process::output(Command::new(&binary).arg("--version"))?;
    ensure!(
        version.trim() == format!("fusebox {}", env!("CARGO_PKG_VERSION")),
        "the binary calls itself {version}"
    );
    completions(&folder)?;
    pages(&folder, &commands(&binary)?)?;
    policies(&folder)?;
    stands_alone(&binary, work.path())
}

/// The names of the commands, as the help lists them.
fn commands(binary: &Path) -> Result<BTreeSet<String>> {
    let help = process::output(Command::new(binary).arg("--help"))?;
    let list = help
        .split("\nCommands:\n")
        .nth(1)
        .context("the help lists no commands")?;
    let names = list
        .lines()
        .take_while(|line| !line.is_empty())
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help");
    Ok(names.map(str::to_owned).collect())
}

fn completions(folder: &Path) -> Result<()> {
    for (shell, path) in COMPLETIONS {
        let script = folder.join(path);
        let text = fs::read_to_string(&script).with_context(|| format!("the completions of {shell} are missing"))?;
        ensure!(text.contains("deploy"), "the completions of {shell} know no `deploy`");
        if SHELLS.contains(&shell) && process::succeeds(Command::new(shell).args(["-c", "true"])) {
            process::run_quietly(Command::new(shell).arg("-n").arg(&script))?;
        }
    }
    Ok(())
}

/// Every command has a page that man renders.
fn pages(folder: &Path, commands: &BTreeSet<String>) -> Result<()> {
    let pages = folder.join(PAGES);
    ensure!(
        pages.join("fusebox.1").is_file(),
        "the page of fusebox itself is missing"
    );
    for command in commands {
        let page = pages.join(format!("fusebox-{command}.1"));
        ensure!(page.is_file(), "the page of `{command}` is missing");
    }
    if !process::succeeds(Command::new("man").arg("--version")) {
        return Ok(());
    }
    for entry in fs::read_dir(&pages)? {
        let page = entry?.path();
        let shown = process::output(
            Command::new("man")
                .arg("-l")
                .arg(&page)
                .env("MANPAGER", "cat")
                .env("MANWIDTH", "100"),
        )?;
        if !shown.contains("SYNOPSIS") || !shown.contains("fusebox") {
            bail!("man renders {} as: {shown}", page.display());
        }
    }
    Ok(())
}

/// What is shipped is what the repository has.
fn policies(folder: &Path) -> Result<()> {
    let source = folders::root().join("policies");
    let listed = |folder: &Path| -> Result<BTreeSet<_>> {
        let entries = fs::read_dir(folder).with_context(|| format!("{} is missing", folder.display()))?;
        entries.map(|entry| Ok(entry?.file_name())).collect()
    };
    let (shipped, ours) = (listed(&folder.join(POLICIES))?, listed(&source)?);
    ensure!(shipped == ours, "the presets are {shipped:?}, and not {ours:?}");
    Ok(())
}

/// The binary does something real where nothing else of Fusebox is.
fn stands_alone(binary: &Path, home: &Path) -> Result<()> {
    process::run_quietly(
        Command::new(binary)
            .args(["doctor", "--color", "never"])
            .env_clear()
            .env("HOME", home)
            .current_dir(home),
    )
}
