//! A Rust compiler that has the standard library of `wasm32-wasip2`: the one that is there, one made of Debian's packages, or rustup's.

mod debian;

use crate::process::{self, Tool};
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The target of Rust guests.
pub(crate) const TARGET: &str = "wasm32-wasip2";

const RUSTUP: Tool = Tool {
    what: "rustup",
    probe: &["rustup", "--version"],
    debian: "apt-get install rustup",
    macos: "brew install rustup",
    elsewhere: "see https://rustup.rs",
};

/// Says where the target's standard library comes from when it is not there: `debian`, `rustup`, or `auto`, which is Debian's packages
/// where this is root on a Debian that has them, and rustup otherwise.
const CHOICE: &str = "FUSEBOX_WASM";

/// A compiler for guests.
#[derive(Clone, Debug)]
pub(crate) struct Compiler {
    /// The program, where it is not the ordinary `rustc`. It is for guests alone.
    pub(crate) rustc: Option<PathBuf>,
    /// What it says of itself.
    pub(crate) version: String,
}

/// Finds or makes a compiler for guests.
pub(crate) fn prepare() -> Result<Compiler> {
    if has_target(Path::new("rustc"))? {
        return compiler(None);
    }
    let choice = std::env::var(CHOICE).unwrap_or_else(|_| "auto".to_owned());
    let debian = match choice.as_str() {
        "auto" => debian::is_offered(),
        "debian" => true,
        "rustup" => false,
        other => bail!("{CHOICE} is `{other}`; write `debian`, `rustup` or `auto`"),
    };
    if debian {
        return compiler(Some(debian::compiler()?));
    }
    RUSTUP.require()?;
    println!("Adding the target {TARGET} to the toolchain in use (25 MB, 100 MB on disk): rustup target add {TARGET}");
    process::run(Command::new("rustup").args(["target", "add", TARGET]))?;
    compiler(None)
}

fn compiler(rustc: Option<PathBuf>) -> Result<Compiler> {
    let program = rustc.as_deref().unwrap_or(Path::new("rustc"));
    let version = process::output(Command::new(program).arg("-vV"))?;
    Ok(Compiler { rustc, version })
}

/// Whether a compiler has the target's standard library.
fn has_target(rustc: &Path) -> Result<bool> {
    let folder = process::output(Command::new(rustc).args(["--print", "target-libdir", "--target", TARGET]))
        .context("the Rust compiler does not know its folders")?;
    let Ok(files) = fs::read_dir(folder.trim()) else {
        return Ok(false);
    };
    let names = files
        .flatten()
        .map(|file| file.file_name().to_string_lossy().into_owned());
    Ok(names
        .into_iter()
        .any(|name| name.starts_with("libstd-") && name.ends_with(".rlib")))
}
