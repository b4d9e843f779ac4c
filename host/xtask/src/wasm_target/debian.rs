//! A private compiler with the standard library of `wasm32-wasip2`, made of Debian's packages. Nothing is installed: the packages are
//! unpacked into the cache folder. Debian's `rustc-web` brings compiler and sources but no such library, so it is built from them once;
//! linker and component encoder are those of the ordinary toolchain.

use super::TARGET;
use crate::folders;
use crate::process::{self, NotInstalled};
use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The compiler.
const COMPILER: &str = "rustc-web";
/// Its own standard library, by the name that does not change.
const LIBRARY: &str = "libstd-rust-web-dev";
/// The sources of the standard library.
const SOURCES: &str = "rust-web-src";
/// The C library below it.
const LIBC: &str = "wasi-libc";

/// Starts the compiler where it lies, with the libraries beside it.
const LAUNCHER: &str = r#"#!/bin/sh
d=${0%/*}
LD_LIBRARY_PATH=$d/usr/lib/@MULTIARCH@${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH} exec "$d/usr/bin/rustc" "$@"
"#;

/// The smallest package that makes cargo build the standard library. Cargo wants one.
const PACKAGE: &str = r#"[package]
name = "p"
version = "0.0.0"
edition = "2021"
[profile.release]
panic = "abort"
[workspace]
"#;

/// Whether this is root on a Debian whose package lists have the compiler.
pub(super) fn is_offered() -> bool {
    process::is_debian() && is_root() && (is_known() || (update().is_ok() && is_known()))
}

fn is_root() -> bool {
    process::output(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0")
}

fn is_known() -> bool {
    process::succeeds(Command::new("apt-cache").args(["show", COMPILER]))
}

fn update() -> Result<()> {
    process::run_quietly(Command::new("apt-get").args(["-qq", "update"]))
}

/// The compiler's path; made at the first time.
pub(super) fn compiler() -> Result<PathBuf> {
    for (program, install) in [
        ("apt-get", "a Debian system"),
        ("dpkg-deb", "apt-get install dpkg"),
        ("tar", "apt-get install tar"),
    ] {
        if !process::succeeds(Command::new(program).arg("--version")) {
            return Err(NotInstalled { what: program, install }.into());
        }
    }
    let host = Host::of_ordinary_compiler()?;
    let cache = folders::cache("wasm-rust")?;
    let entry = folders::cached(&cache, &host.key(), |work| {
        println!(
            "Making a compiler with the {TARGET} standard library out of Debian's packages, once: 140 MB to fetch, 480 MB on disk, \
             one to three minutes, in {}",
            cache.display()
        );
        host.make(work)
    })?;
    Ok(entry.join("rustc"))
}

/// What the ordinary compiler says of this machine.
struct Host {
    version: String,
    /// For example `x86_64-unknown-linux-gnu`.
    triple: String,
    /// Where its linker and component encoder are.
    tools: PathBuf,
}

impl Host {
    fn of_ordinary_compiler() -> Result<Self> {
        let version = process::output(Command::new("rustc").arg("-vV"))?;
        let sysroot = process::output(Command::new("rustc").args(["--print", "sysroot"]))?;
        let triple = version.lines().find_map(|line| line.strip_prefix("host: "));
        let triple = triple.context("`rustc -vV` names no host")?.to_owned();
        let tools = Path::new(sysroot.trim()).join("lib/rustlib").join(&triple).join("bin");
        if !tools.join("wasm-component-ld").exists() {
            bail!(
                "{} has no wasm-component-ld; use a toolchain of rustup, 1.85 or newer",
                tools.display()
            );
        }
        Ok(Self { version, triple, tools })
    }

    /// Debian's name for libraries of this machine, for example `x86_64-linux-gnu`.
    fn multiarch(&self) -> String {
        self.triple.replace("-unknown", "")
    }

    /// Another toolchain, or another recipe, is another compiler.
    fn key(&self) -> String {
        let mut hash = Sha256::new();
        for part in [
            self.version.as_str(),
            &self.tools.to_string_lossy(),
            include_str!("debian.rs"),
        ] {
            hash.update(part);
            hash.update([0]);
        }
        hex::encode(&hash.finalize()[..8])
    }

    fn make(&self, work: &Path) -> Result<()> {
        let packages = Packages::fetch(&work.join("packages"))?;
        for package in &packages.compiler {
            packages.unpack(package, work, &["--exclude=./usr/share", "--exclude=*/rustdoc"])?;
        }
        self.launcher(work)?;
        let rustlib = work.join("usr/lib/rustlib");
        symlink(&self.tools, rustlib.join(&self.triple).join("bin")).context("cannot link to the linker")?;

        let library = rustlib.join(TARGET).join("lib");
        let startup = library.join("self-contained");
        fs::create_dir_all(&startup)?;
        packages.unpack(
            LIBC,
            &startup,
            &["--strip-components=4", "--wildcards", "./usr/lib/wasm32-wasi/*"],
        )?;
        if !startup.join("crt1-reactor.o").exists() {
            bail!("Debian's {LIBC} has no crt1-reactor.o; this recipe does not fit its version");
        }

        let build = work.join("build");
        fs::create_dir_all(build.join("src"))?;
        packages.unpack(SOURCES, &build, &["--wildcards", "./usr/src/rustc-*/library/*"])?;
        build_library(work, &build)?;
        collect(&build, &library)?;
        fs::remove_dir_all(&build)?;
        fs::remove_dir_all(work.join("packages"))?;
        Ok(())
    }

    fn launcher(&self, work: &Path) -> Result<()> {
        let path = work.join("rustc");
        fs::write(&path, LAUNCHER.replace("@MULTIARCH@", &self.multiarch()))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
        Ok(())
    }
}

/// Debian's packages, fetched.
struct Packages {
    folder: PathBuf,
    /// Those that are the compiler: the program, its libraries, and LLVM.
    compiler: Vec<String>,
}

impl Packages {
    fn fetch(folder: &Path) -> Result<Self> {
        // Lists that are old name versions that are gone. Without root they have to be good enough.
        if is_root()
            && let Err(error) = update()
        {
            eprintln!("warning: {error:#}");
        }
        let library = dependency(LIBRARY, "libstd-rust-web-")?;
        let llvm = dependency(&library, "libllvm")?;
        let compiler = vec![COMPILER.to_owned(), LIBRARY.to_owned(), library, llvm];
        fs::create_dir_all(folder)?;
        process::run_quietly(
            Command::new("apt-get")
                // The user `_apt` may not write to a cache folder of root's.
                .args(["-qq", "-o", "APT::Sandbox::User=root", "download", SOURCES, LIBC])
                .args(&compiler)
                .current_dir(folder),
        )?;
        Ok(Self {
            folder: folder.to_owned(),
            compiler,
        })
    }

    /// Unpacks a package's files; the options are tar's.
    fn unpack(&self, package: &str, into: &Path, options: &[&str]) -> Result<()> {
        let archive = fs::read_dir(&self.folder)?
            .flatten()
            .find(|file| file.file_name().to_string_lossy().starts_with(&format!("{package}_")))
            .with_context(|| format!("apt-get did not fetch {package}"))?;
        let mut files = Command::new("dpkg-deb")
            .arg("--fsys-tarfile")
            .arg(archive.path())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start `dpkg-deb`")?;
        let pipe = files.stdout.take().context("dpkg-deb has no output")?;
        let tar = Command::new("tar")
            .arg("-x")
            .arg("-C")
            .arg(into)
            .args(options)
            .stdin(pipe)
            .status();
        let unpacked = files.wait()?.success() && tar.context("cannot start `tar`")?.success();
        if !unpacked {
            bail!("cannot unpack {package} into {}", into.display());
        }
        Ok(())
    }
}

/// The first dependency of a package whose name begins so.
fn dependency(package: &str, prefix: &str) -> Result<String> {
    let known = process::output(Command::new("apt-cache").args(["depends", package]))?;
    let found = known
        .lines()
        .filter_map(|line| line.trim().strip_prefix("Depends: "))
        .find(|name| name.starts_with(prefix));
    Ok(found
        .with_context(|| format!("Debian's {package} depends on no {prefix}*"))?
        .to_owned())
}

/// Has cargo build the standard library from its sources.
fn build_library(work: &Path, build: &Path) -> Result<()> {
    fs::write(build.join("Cargo.toml"), PACKAGE)?;
    fs::write(build.join("src/lib.rs"), "")?;
    let sources = fs::read_dir(build.join("usr/src"))?
        .flatten()
        .next()
        .with_context(|| format!("{SOURCES} has no sources"))?;
    let remap = |from: &Path, to: &str| format!("--remap-path-prefix={}={to}", from.display());
    let flags = [
        // Guests are built with link-time optimisation.
        "-Cembed-bitcode=yes".to_owned(),
        remap(build, "/rust-src"),
        remap(&folders::cargo_home()?, "/cargo"),
    ];
    process::run_quietly(
        crate::guests::compile::cargo()
            .args([
                "build",
                "--quiet",
                "--release",
                "-Zbuild-std=std,panic_abort",
                "--target",
                TARGET,
                "--target-dir",
                "target",
            ])
            .env("RUSTC", work.join("rustc"))
            .env("RUSTC_BOOTSTRAP", "1")
            .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"))
            // Cargo looks for the sources in the sysroot; this is its one way to name another place.
            .env("__CARGO_TESTS_ONLY_SRC_ROOT", sources.path().join("library"))
            .current_dir(build),
    )
}

/// Moves the built libraries to where the compiler looks for them.
fn collect(build: &Path, library: &Path) -> Result<()> {
    let built = build.join("target").join(TARGET).join("release/deps");
    for file in fs::read_dir(&built)? {
        let file = file?;
        let name = file.file_name().to_string_lossy().into_owned();
        if name.ends_with(".rlib") && !name.starts_with("libp-") {
            fs::rename(file.path(), library.join(&name))?;
        }
    }
    Ok(())
}
