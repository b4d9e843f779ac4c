//! `cargo xtask guests`: builds the example tools and puts each beside its manifest in `target/guests`.

pub(crate) mod compile;
mod component;
mod sources;

use crate::process::NotInstalled;
use crate::{folders, wasm_target};
use anyhow::{Context, Result};
use component::Component;
use sources::{Guest, Language};
use std::fs;
use std::path::{Path, PathBuf};

/// Builds the example tools into target/guests, those alone whose sources have changed
///
/// Rust guests need the wasm32-wasip2 target. Where it is not there, FUSEBOX_WASM says where it comes from: `debian` (packages, unpacked
/// into the cache folder), `rustup`, or `auto`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Leave out guests whose compiler cannot be had here, and name the command that would install it
    #[arg(long)]
    optional: bool,
}

/// What to do about a guest whose compiler cannot be had here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    /// End with the command that installs it.
    Fail,
    /// Go on without the guest.
    Skip,
}

/// What was built.
#[derive(Debug, Default)]
pub(crate) struct Built {
    /// The guests that are in `target/guests` now.
    pub(crate) ready: Vec<Ready>,
    /// Those that are not.
    pub(crate) missing: Vec<NotBuilt>,
}

/// A guest that is in `target/guests`.
#[derive(Debug)]
pub(crate) struct Ready {
    /// Its name.
    pub(crate) name: String,
    /// What it is written in.
    pub(crate) language: Language,
    /// Whether it was built just now.
    pub(crate) fresh: bool,
    /// What it is.
    pub(crate) component: Component,
}

/// A guest that was left out.
#[derive(Debug)]
pub(crate) struct NotBuilt {
    /// Its name.
    pub(crate) name: String,
    /// What it would need.
    pub(crate) needs: String,
    /// The command that installs what it needs.
    pub(crate) install: String,
}

/// Runs the subcommand.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let missing = if arguments.optional {
        Missing::Skip
    } else {
        Missing::Fail
    };
    let built = build(missing)?;
    report(&built);
    Ok(())
}

/// Builds what has changed.
///
/// # Errors
/// A guest that does not compile, or is no component that a host can run; under [`Missing::Fail`] also a compiler that is not there.
pub(crate) fn build(missing: Missing) -> Result<Built> {
    let folder = folders::guests();
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let _turn = folders::lock(&folders::guests_build())?;
    let guests = sources::discover(&folders::guest_examples())?;
    let compiler = wasm_target::prepare()?;

    let mut built = Built::default();
    let mut stale = Vec::new();
    for guest in guests {
        let fingerprint = guest.fingerprint(&compiler.version)?;
        match kept(&guest, &fingerprint, &folder) {
            Some(component) => built.ready.push(ready(guest, false, component)),
            None => stale.push((guest, fingerprint)),
        }
    }
    let rust: Vec<&Guest> = stale
        .iter()
        .map(|(guest, _)| guest)
        .filter(|guest| guest.language == Language::Rust)
        .collect();
    if !rust.is_empty() {
        compile::rust(&compiler, &rust)?;
    }
    for (guest, fingerprint) in stale {
        match compile::component(&guest).and_then(|wasm| install(&guest, &wasm, &fingerprint, &folder)) {
            Ok(component) => built.ready.push(ready(guest, true, component)),
            Err(error) => match error.downcast_ref::<NotInstalled>() {
                Some(needed) if missing == Missing::Skip => {
                    let not_built = NotBuilt {
                        name: guest.name.clone(),
                        needs: needed.what.to_owned(),
                        install: needed.install.to_owned(),
                    };
                    remove(&guest, &folder)?;
                    built.missing.push(not_built);
                }
                _ => return Err(error.context(format!("the guest `{}` cannot be built", guest.name))),
            },
        }
    }
    built.ready.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(built)
}

fn ready(guest: Guest, fresh: bool, component: Component) -> Ready {
    Ready {
        name: guest.name,
        language: guest.language,
        fresh,
        component,
    }
}

/// The guest as it was built before, if nothing has changed since: neither what it was made from nor what was made.
fn kept(guest: &Guest, fingerprint: &str, folder: &Path) -> Option<Component> {
    let wasm = fs::read(folder.join(guest.component())).ok()?;
    let stamp = fs::read_to_string(stamp(guest)).ok()?;
    let manifest = fs::read(folder.join(guest.manifest())).ok()?;
    if stamp != mark(fingerprint, &wasm) || manifest != fs::read(guest.folder.join(guest.manifest())).ok()? {
        return None;
    }
    component::outline(&wasm).ok()
}

/// Puts a built guest and its manifest side by side, whole or not at all.
fn install(guest: &Guest, wasm: &Path, fingerprint: &str, folder: &Path) -> Result<Component> {
    let bytes = fs::read(wasm).with_context(|| format!("cannot read {}", wasm.display()))?;
    let component = component::check(&bytes).with_context(|| format!("{} is no tool", wasm.display()))?;
    let manifest = fs::read(guest.folder.join(guest.manifest()))?;
    write_whole(&folder.join(guest.component()), &bytes)?;
    write_whole(&folder.join(guest.manifest()), &manifest)?;
    write_whole(&stamp(guest), mark(fingerprint, &bytes).as_bytes())?;
    Ok(component)
}

/// Takes away what was built from other sources.
fn remove(guest: &Guest, folder: &Path) -> Result<()> {
    for file in [guest.component(), guest.manifest()].map(|name| folder.join(name)) {
        if file.exists() {
            fs::remove_file(&file).with_context(|| format!("cannot remove {}", file.display()))?;
        }
    }
    Ok(())
}

fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    // Beside the folder, so that nobody takes a half-written file for a guest.
    let work = tempfile::NamedTempFile::new_in(folders::guests_build())?;
    fs::write(work.path(), bytes)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(work.path(), fs::Permissions::from_mode(0o644))?;
    }
    work.persist(path)
        .with_context(|| format!("cannot write {}", path.display()))?;
    Ok(())
}

fn stamp(guest: &Guest) -> PathBuf {
    folders::guests_build().join(format!("{}.stamp", guest.name))
}

/// What a stamp says: what the guest was made from, and what was made.
fn mark(fingerprint: &str, wasm: &[u8]) -> String {
    format!("{fingerprint}\n{}\n", sources::digest(wasm))
}

fn report(built: &Built) {
    println!("{:<12} {:<11} {:>10}  {:<10} exports", "guest", "language", "size", "");
    for guest in &built.ready {
        let size = format!("{} KiB", guest.component.size.div_ceil(1024));
        let state = if guest.fresh { "built" } else { "unchanged" };
        let exports = guest.component.exports.join(", ");
        println!(
            "{:<12} {:<11} {size:>10}  {state:<10} {exports}",
            guest.name,
            guest.language.name()
        );
    }
    for guest in &built.missing {
        println!(
            "{:<12} not built: {} is missing; install it with: {}",
            guest.name, guest.needs, guest.install
        );
    }
    println!("in {}", folders::guests().display());
}
