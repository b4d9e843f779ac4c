//! How a guest of each language is compiled. A change of this file rebuilds them all.

use super::sources::{Guest, Language};
use crate::wasm_target::{Compiler, TARGET};
use crate::{folders, packages, process};
use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Cargo without what the caller's environment would change in a build for another target.
pub(crate) fn cargo() -> Command {
    let mut cargo = Command::new("cargo");
    for variable in [
        "CARGO_BUILD_RUSTC_WRAPPER",
        "CARGO_BUILD_TARGET",
        "CARGO_ENCODED_RUSTFLAGS",
        "CARGO_TARGET_DIR",
        "RUSTC",
        "RUSTC_WORKSPACE_WRAPPER",
        "RUSTC_WRAPPER",
        "RUSTFLAGS",
    ] {
        cargo.env_remove(variable);
    }
    cargo
}

/// Compiles guests that are written in Rust, all at once.
pub(super) fn rust(compiler: &Compiler, guests: &[&Guest]) -> Result<()> {
    let examples = folders::guest_examples();
    println!(
        "Compiling {} guests in Rust (400 MB on disk; a minute or two the first time)",
        guests.len()
    );
    let mut command = cargo();
    command.args([
        "build",
        "--quiet",
        "--release",
        "--locked",
        "--target",
        TARGET,
        "--target-dir",
    ]);
    command.arg(cargo_target());
    for guest in guests {
        command.args(["--package", &guest.name]);
    }
    if let Some(rustc) = &compiler.rustc {
        command.env("RUSTC", rustc);
    }
    // Backtraces name files as the repository does, not as this machine does.
    let flags = [(&examples, "guest-examples"), (&folders::cargo_home()?, "/cargo")]
        .map(|(from, to)| format!("--remap-path-prefix={}={to}", from.display()));
    process::run(
        command
            .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"))
            .current_dir(examples),
    )
}

/// The path of a compiled guest; one in Rust was compiled before.
pub(super) fn component(guest: &Guest) -> Result<PathBuf> {
    match guest.language {
        Language::Rust => Ok(cargo_target().join(TARGET).join("release").join(guest.component())),
        Language::Python => python(guest),
        Language::JavaScript => javascript(guest),
    }
}

fn cargo_target() -> PathBuf {
    folders::guests_build().join("cargo")
}

fn python(guest: &Guest) -> Result<PathBuf> {
    let packages = packages::python(&guest.folder)?;
    let work = work(guest)?;
    // The compiler writes a cache beside the sources that it reads, so it reads a copy.
    fs::copy(guest.folder.join("app.py"), work.join("app.py")).context("cannot copy app.py")?;
    println!("Compiling `{}` in Python (15 to 30 s)", guest.name);
    let component = work.join(guest.component());
    process::run_quietly(
        Command::new("python3")
            .arg(packages.join("bin").join("componentize-py"))
            .env("PYTHONPATH", &packages)
            .args(["--world", "tool", "--wit-path"])
            .arg(interfaces(guest, &work)?)
            .args(["componentize", "app", "--output"])
            .arg(&component)
            .current_dir(&work),
    )?;
    Ok(component)
}

fn javascript(guest: &Guest) -> Result<PathBuf> {
    let programs = packages::javascript(&guest.folder)?;
    println!("Compiling `{}` in JavaScript (some seconds)", guest.name);
    let work = work(guest)?;
    let component = work.join(guest.component());
    process::run_quietly(
        Command::new(programs.join("componentize-qjs"))
            .args(["--sync", "--stub-wasi", "--world", "tool", "--wit"])
            .arg(interfaces(guest, &work)?)
            .arg("--js")
            .arg(guest.folder.join("app.js"))
            .arg("--output")
            .arg(&component),
    )?;
    Ok(component)
}

/// A guest's WIT with the host's package beside it, as the compilers of both languages want what a world includes.
fn interfaces(guest: &Guest, work: &Path) -> Result<PathBuf> {
    let folder = work.join("wit");
    let host = folder.join("deps").join("fusebox-host");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&host)?;
    for (from, to) in [(guest.folder.join("wit"), &folder), (folders::wit(), &host)] {
        for entry in fs::read_dir(&from).with_context(|| format!("cannot read {}", from.display()))? {
            let file = entry?.path();
            if let (Some(name), true) = (file.file_name(), file.extension().is_some_and(|end| end == "wit")) {
                fs::copy(&file, to.join(name)).with_context(|| format!("cannot copy {}", file.display()))?;
            }
        }
    }
    Ok(folder)
}

/// A folder to build one guest in.
fn work(guest: &Guest) -> Result<PathBuf> {
    let work: &Path = &folders::guests_build().join(&guest.name);
    fs::create_dir_all(work).with_context(|| format!("cannot make {}", work.display()))?;
    Ok(work.to_owned())
}
