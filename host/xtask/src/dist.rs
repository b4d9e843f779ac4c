//! `cargo xtask dist`: an archive with the binary, completions, manual pages and presets, and its digest beside it.

mod proof;

use crate::process::{self, Tool};
use crate::{folders, steps};
use anyhow::{Context, Result};
use clap::ValueEnum;
use sha2::{Digest, Sha256};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Makes target/dist/fusebox-VERSION-ARCH-OS.tar.gz and SHA256SUMS, and looks whether what is in it works
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// How the binary is built; `dev` is for trying this command
    #[arg(long, default_value = "release")]
    profile: Profile,
    /// Use the binary that was built before
    #[arg(long)]
    built: bool,
}

/// How the binary is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Profile {
    /// Optimised: what is shipped.
    Release,
    /// As the tests have it.
    Dev,
}

impl Profile {
    fn name(self) -> &'static str {
        match self {
            Self::Release => "release",
            Self::Dev => "dev",
        }
    }

    /// The folder that cargo puts its binaries into.
    fn folder(self) -> &'static str {
        match self {
            Self::Release => "release",
            Self::Dev => "debug",
        }
    }
}

const STRIP: Tool = Tool {
    what: "strip",
    probe: &["strip", "--version"],
    debian: "apt-get install binutils",
    macos: "xcode-select --install",
    elsewhere: "see https://www.gnu.org/software/binutils",
};

/// Where completions lie, for each shell.
const COMPLETIONS: [(&str, &str); 3] = [
    ("bash", "share/bash-completion/completions/fusebox"),
    ("zsh", "share/zsh/site-functions/_fusebox"),
    ("fish", "share/fish/vendor_completions.d/fusebox.fish"),
];

/// Where manual pages lie.
const PAGES: &str = "share/man/man1";

/// Where presets and rules lie.
const POLICIES: &str = "share/fusebox/policies";

/// Files of the repository that come along.
const DOCUMENTS: [&str; 3] = ["LICENSE", "README.md", "CHANGELOG.md"];

/// Runs the subcommand, after building the binary.
///
/// # Errors
/// As [`make`], or what could not be built.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let profile = arguments.profile;
    if !arguments.built {
        steps::cargo(&["build", "--locked", "--package", "fusebox", "--profile", profile.name()])?;
    }
    make(profile)
}

/// Packs the archive of the built binary, and looks whether it is whole.
///
/// # Errors
/// What could not be packed, or what does not work in the archive.
pub(crate) fn make(profile: Profile) -> Result<()> {
    STRIP.require()?;
    let binary = steps::target().join(profile.folder()).join("fusebox");
    let dist = folders::root().join("target/dist");
    fs::create_dir_all(&dist).with_context(|| format!("cannot make {}", dist.display()))?;
    let _turn = folders::lock(&dist)?;
    let work = tempfile::tempdir_in(&dist).context("cannot make a folder")?;
    let name = name();
    let folder = work.path().join(&name);
    fill(&folder, &binary)?;
    let archive = dist.join(format!("{name}.tar.gz"));
    pack(work.path(), &name, &archive)?;
    proof::check(&archive, &name)?;
    let digest = hex::encode(Sha256::digest(fs::read(&archive)?));
    fs::write(dist.join("SHA256SUMS"), format!("{digest}  {name}.tar.gz\n"))?;
    println!(
        "{} ({} KiB)\n{digest}",
        archive.display(),
        fs::metadata(&archive)?.len().div_ceil(1024)
    );
    Ok(())
}

/// The archive's name, without its ending.
fn name() -> String {
    format!(
        "fusebox-{}-{}-{}",
        env!("CARGO_PKG_VERSION"),
        std::env::consts::ARCH,
        std::env::consts::OS
    )
}

/// Lays out what is packed.
fn fill(folder: &Path, binary: &Path) -> Result<()> {
    let shipped = folder.join("bin/fusebox");
    let place = |path: &str| -> Result<PathBuf> {
        let path = folder.join(path);
        let parent = path.parent().unwrap_or(folder);
        fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))?;
        Ok(path)
    };
    place("bin/fusebox")?;
    process::run_quietly(Command::new("strip").arg("-o").arg(&shipped).arg(binary))?;
    for (shell, path) in COMPLETIONS {
        let script = process::output(Command::new(&shipped).args(["completions", shell]))?;
        fs::write(place(path)?, script)?;
    }
    let pages = place(PAGES)?;
    fs::create_dir_all(&pages)?;
    process::run_quietly(Command::new(&shipped).arg("man").arg(&pages))?;
    let policies = place(POLICIES)?;
    copy_all(&folders::root().join("policies"), &policies)?;
    for document in DOCUMENTS {
        fs::copy(folders::root().join(document), place(document)?)
            .with_context(|| format!("cannot copy {document}"))?;
    }
    Ok(())
}

fn copy_all(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_all(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), &target).with_context(|| format!("cannot copy {}", entry.path().display()))?;
        }
    }
    Ok(())
}

/// Packs a folder; the same files make the same archive, whoever packs them and when.
fn pack(work: &Path, name: &str, archive: &Path) -> Result<()> {
    process::run_quietly(
        Command::new("tar")
            .args([
                "--create",
                "--sort=name",
                "--owner=0",
                "--group=0",
                "--numeric-owner",
                "--mode=u=rwX,go=rX",
                "--mtime=@0",
                "--use-compress-program=gzip -n",
                "--file",
            ])
            .arg(archive)
            .arg(name)
            .current_dir(work),
    )
}
