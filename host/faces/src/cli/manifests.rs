//! Manifests as files: read with their components and WIT sources, for what `check`, `deploy` and `policy explain` share.

use super::moments::amount;
use super::place;
use super::wiring::Wiring;
use super::{Context, Failed};
use crate::deploying::{self, Checked, Surroundings, Upload, not_deployed};
use async_trait::async_trait;
use bytes::Bytes;
use fusebox_core::component::ComponentShape;
use fusebox_core::failure::Code;
use fusebox_core::ids::Digest;
use fusebox_engine::host::Host;
use fusebox_engine::ports::sandbox::{Component, LoadError};
use fusebox_engine::requests::Caller;
use fusebox_manifest::diagnostic::Diagnostic;
use fusebox_manifest::{BAD_COMPONENT, BAD_WIT, COMPONENT_TOO_LARGE, ComponentRef, Manifest};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A manifest is written by people; a larger file is something else.
const LARGEST_MANIFEST: u64 = 1 << 20;
/// Components above this are refused before they are read.
pub(super) const LARGEST_COMPONENT: u64 = 64 << 20;
/// Files of WIT source that are looked at, nested folders included.
const MOST_WIT_FILES: usize = 500;

/// Reads manifests and checks them in this process by its own rules, against the tools of the host that is asked.
///
/// # Errors
/// A manifest that cannot be read at all, or a host that cannot be asked; everything else is a finding.
pub(super) async fn load(paths: &[PathBuf], cx: &mut Context<'_>) -> Result<Vec<Checked>, Failed> {
    let uploads = read(paths, cx)?;
    let rules = cx.wiring.rules()?;
    let compiler = cx.wiring.scratch().await?;
    let names: Vec<_> = paths.iter().map(|path| path.display().to_string()).collect();
    cx.progress(&format!("compiling {}", names.join(", ")));
    let around = Around {
        wiring: cx.wiring,
        caller: &cx.caller,
        compiler,
    };
    let checked = deploying::check(uploads, &rules, &around).await;
    cx.progress("");
    checked
}

/// Compiles in this process; asks the host, when a manifest needs that, for the tools that it has.
struct Around<'a> {
    wiring: &'a dyn Wiring,
    caller: &'a Caller,
    compiler: Arc<Host>,
}

#[async_trait]
impl Surroundings for Around<'_> {
    type Error = Failed;

    async fn inspect(&self, wasm: Bytes) -> Result<Arc<dyn Component>, LoadError> {
        Ok(self.compiler.inspect(wasm).await?.1)
    }

    async fn offered(&self, tool: &str) -> Result<Option<ComponentShape>, Failed> {
        match self.wiring.host().await?.tool(self.caller, tool).await {
            Ok(found) => Ok(Some(found.shape())),
            Err(failure) if failure.code == Code::NotFound => Ok(None),
            Err(failure) => Err(failure.into()),
        }
    }

    async fn component(&self, digest: Digest) -> Result<Bytes, Diagnostic> {
        let host = self.wiring.host().await.map_err(|failed| {
            let (message, help) = failed.brief();
            Diagnostic::error(BAD_COMPONENT, format!("{digest} cannot be looked up: {message}")).help(help)
        })?;
        host.component(self.caller, digest).await.map_err(not_deployed)
    }
}

/// Reads manifests with the files that they name.
///
/// # Errors
/// A manifest that cannot be read at all; what it names and cannot be read is said in the upload.
pub(super) fn read(paths: &[PathBuf], cx: &Context<'_>) -> Result<Vec<Upload>, Failed> {
    let rules = cx.wiring.rules()?;
    let each = paths.iter().map(|path| {
        let path = &place::manifest(path)?;
        if path.extension().is_some_and(|end| end == "wasm") {
            return Err(Failed::usage(
                format!("{} is a component, not a manifest", path.display()),
                "write a manifest of two lines beside it (`name = \"…\"`, `component = \"….wasm\"`), or use `fusebox try`",
            ));
        }
        let text = read_manifest(path)?;
        let source = path.display().to_string();
        let manifest = Manifest::draft(&source, &text, &rules.presets, &rules.settings);
        let folder = path.parent().unwrap_or(Path::new(""));
        let mut upload = Upload {
            source,
            manifest: text,
            ..Upload::default()
        };
        if let Some(ComponentRef::File(file)) = manifest.component() {
            match read_component(&folder.join(file)) {
                Ok(wasm) => upload.component = Some(wasm),
                Err(finding) => {
                    let finding = unbuilt(finding, &manifest, path).at(manifest.span("component"));
                    upload.unread.push(("component", finding));
                }
            }
        }
        if let Some(wit) = manifest.wit() {
            let mut files = Vec::new();
            match wit_files(&folder.join(wit), &mut files) {
                Ok(()) => upload.wit = Some(files),
                Err(error) => upload
                    .unread
                    .push(("wit", unreadable_wit(wit, &error).at(manifest.span("wit")))),
            }
        }
        Ok(upload)
    });
    each.collect()
}

/// A component that cannot be read was perhaps never built.
fn unbuilt(finding: Diagnostic, manifest: &Manifest, path: &Path) -> Diagnostic {
    match manifest.build() {
        Some(_) if finding.code == BAD_COMPONENT => {
            finding.help(format!("type `fusebox build {}`, which builds it", path.display()))
        }
        _ => finding,
    }
}

fn unreadable_wit(wit: &str, error: &io::Error) -> Diagnostic {
    Diagnostic::error(BAD_WIT, format!("the WIT source `{wit}` cannot be read: {error}"))
        .help("write the folder of the component's WIT source, relative to the manifest, or leave `wit` out")
}

/// The text of a manifest.
///
/// # Errors
/// A file that cannot be read, or is too large.
pub(super) fn read_manifest(path: &Path) -> Result<String, Failed> {
    let help = "name the manifest of a tool, such as search.toml, or its folder";
    let unreadable = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => Failed::file(
            format!("there is no file or folder {}", path.display()),
            format!("{help}; `fusebox init NAME --lang python` makes one"),
        ),
        _ => Failed::file(format!("{} cannot be read: {error}", path.display()), help),
    };
    let file = File::open(path).map_err(unreadable)?;
    let mut text = String::new();
    file.take(LARGEST_MANIFEST + 1)
        .read_to_string(&mut text)
        .map_err(unreadable)?;
    if text.len() as u64 > LARGEST_MANIFEST {
        return Err(Failed::file(format!("{} is larger than 1 MiB", path.display()), help));
    }
    Ok(text)
}

/// The bytes of a component file; one that is too large is refused before it is read.
///
/// # Errors
/// What is wrong with it.
pub(super) fn read_component(path: &Path) -> Result<Bytes, Diagnostic> {
    let unreadable = |error: io::Error| {
        Diagnostic::error(
            BAD_COMPONENT,
            format!("the component {} cannot be read: {error}", path.display()),
        )
        .help("build the component, or write the path of its file, relative to the manifest")
    };
    let found = fs::metadata(path).map_err(unreadable)?;
    if !found.is_file() {
        return Err(unreadable(io::Error::other("it is not a file")));
    }
    if found.len() > LARGEST_COMPONENT {
        let message = format!(
            "{} is {}; a component has at most {}",
            path.display(),
            amount(found.len()),
            amount(LARGEST_COMPONENT)
        );
        return Err(Diagnostic::error(COMPONENT_TOO_LARGE, message)
            .help("strip debug information and data from it, or split the tool"));
    }
    fs::read(path).map(Bytes::from).map_err(unreadable)
}

/// Name and text of each `.wit` file.
fn wit_files(path: &Path, files: &mut Vec<(String, String)>) -> io::Result<()> {
    if path.is_file() {
        files.push((path.display().to_string(), fs::read_to_string(path)?));
        return Ok(());
    }
    let mut entries = fs::read_dir(path)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<io::Result<Vec<_>>>()?;
    entries.sort();
    for entry in entries {
        if files.len() >= MOST_WIT_FILES {
            return Err(io::Error::other(format!("there are more than {MOST_WIT_FILES} files")));
        }
        if entry.is_dir() || entry.extension().is_some_and(|end| end == "wit") {
            wit_files(&entry, files)?;
        }
    }
    Ok(())
}
