//! A manifest with its component and its words, checked as one: what `check`, `deploy` and `policy explain` share.

use super::moments::amount;
use super::{Context, Failed};
use bytes::Bytes;
use fusebox_core::component::{ComponentShape, Link};
use fusebox_core::failure::Code;
use fusebox_core::ids::Digest;
use fusebox_engine::host::Host;
use fusebox_engine::ports::sandbox::Component;
use fusebox_manifest::diagnostic::Diagnostic;
use fusebox_manifest::{BAD_COMPONENT, BAD_WIT, COMPONENT_TOO_LARGE, ComponentRef, Lowered, Manifest, Words};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use wasmparser::{Parser, Payload};

/// A manifest is written by people; a larger file is something else.
const LARGEST_MANIFEST: u64 = 1 << 20;
/// Components above this are refused before they are read.
pub(super) const LARGEST_COMPONENT: u64 = 64 << 20;
/// Files of WIT source that are looked at, nested folders included.
const MOST_WIT_FILES: usize = 500;

/// A manifest as far as it could be read.
pub(super) struct Loaded {
    /// Where the manifest stands.
    pub(super) path: PathBuf,
    /// Its text, with the words of the WIT source at its end.
    pub(super) text: String,
    /// What it came down to; `None` when anything is wrong.
    pub(super) lowered: Option<Lowered>,
    /// Everything that is wrong or worth saying.
    pub(super) findings: Vec<Diagnostic>,
    /// The bytes of the component, when it could be loaded.
    pub(super) wasm: Option<Bytes>,
    /// The component, when it could be loaded.
    pub(super) component: Option<Arc<dyn Component>>,
    /// Who provides what it imports of other tools.
    pub(super) links: Vec<Link>,
}

impl Loaded {
    /// The tool's name, when nothing is wrong.
    pub(super) fn name(&self) -> Option<&str> {
        self.lowered.as_ref().map(|lowered| lowered.policy.name.as_str())
    }
}

/// Reads manifests, loads their components, and checks each against its component and against the tools that it calls: those that are
/// deployed, and those among the files.
///
/// # Errors
/// A manifest that cannot be read at all, or a database that cannot be asked; everything else is a finding.
pub(super) async fn load(paths: &[PathBuf], cx: &mut Context<'_>) -> Result<Vec<Loaded>, Failed> {
    let mut drafts = Vec::with_capacity(paths.len());
    for path in paths {
        cx.progress(&format!("compiling {}", path.display()));
        drafts.push(draft(path, cx).await?);
    }
    cx.progress("");
    let mut shapes: BTreeMap<String, ComponentShape> = BTreeMap::new();
    for (manifest, loaded) in &drafts {
        if let (Some(name), Some(component)) = (manifest.name(), &loaded.component) {
            shapes.insert(name.to_owned(), component.shape().clone());
        }
    }
    for (manifest, _) in &drafts {
        for tool in manifest.tools() {
            if !shapes.contains_key(tool)
                && let Some(shape) = offered(tool, cx).await?
            {
                shapes.insert(tool.to_owned(), shape);
            }
        }
    }
    let finished = drafts.into_iter().map(|(mut manifest, mut loaded)| {
        if let Some(component) = &loaded.component {
            loaded.links = manifest.check_links(component.shape(), &|tool| shapes.get(tool).cloned());
        }
        (loaded.lowered, loaded.findings) = manifest.finish();
        loaded
    });
    Ok(finished.collect())
}

/// What a deployed tool offers; `None` when there is none of that name.
async fn offered(tool: &str, cx: &mut Context<'_>) -> Result<Option<ComponentShape>, Failed> {
    let host = cx.wiring.host().await?;
    match host.tool(&cx.caller, tool).await {
        Ok(view) => Ok(Some(view.component.shape().clone())),
        Err(failure) if failure.code == Code::NotFound => Ok(None),
        Err(failure) => Err(failure.into()),
    }
}

/// Reads one manifest and checks it against its component.
async fn draft(path: &Path, cx: &mut Context<'_>) -> Result<(Manifest, Loaded), Failed> {
    if path.extension().is_some_and(|end| end == "wasm") {
        return Err(Failed::usage(
            format!("{} is a component, not a manifest", path.display()),
            "write a manifest of two lines beside it (`name = \"…\"`, `component = \"….wasm\"`), or use `fusebox try`",
        ));
    }
    let text = read_manifest(path)?;
    let name = path.display().to_string();
    let mut manifest = Manifest::draft(&name, &text, cx.wiring.presets()?, cx.wiring.settings()?);
    let folder = path.parent().unwrap_or(Path::new("")).to_owned();
    let mut loaded = Loaded {
        path: path.to_owned(),
        text: text.clone(),
        lowered: None,
        findings: Vec::new(),
        wasm: None,
        component: None,
        links: Vec::new(),
    };
    if let Some(reference) = manifest.component().cloned() {
        let at = manifest.span("component");
        match bytes_of(&reference, &folder, cx).await {
            Ok(wasm) => {
                let host = cx.wiring.scratch().await?;
                match host.inspect(wasm.clone()).await {
                    Ok((_, component)) => {
                        let words = words(&manifest, &folder, &wasm, component.as_ref(), &mut loaded.findings);
                        loaded.text = words.append_to(&text);
                        manifest.check_component(component.shape(), &words);
                        loaded.component = Some(component);
                        loaded.wasm = Some(wasm);
                    }
                    Err(error) => manifest.add(Diagnostic::error(error.code, error.message).at(at)),
                }
            }
            Err(finding) => manifest.add(finding.at(at)),
        }
    }
    for finding in loaded.findings.drain(..) {
        manifest.add(finding);
    }
    Ok((manifest, loaded))
}

fn read_manifest(path: &Path) -> Result<String, Failed> {
    let help = "name the manifest of a tool, such as search.toml";
    let unreadable = |error: io::Error| Failed::file(format!("{} cannot be read: {error}", path.display()), help);
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

async fn bytes_of(reference: &ComponentRef, folder: &Path, cx: &Context<'_>) -> Result<Bytes, Diagnostic> {
    match reference {
        ComponentRef::File(file) => read_component(&folder.join(file)),
        ComponentRef::Digest(digest) => deployed(*digest, cx).await,
        ComponentRef::Oci(_) => Err(Diagnostic::error(BAD_COMPONENT, "the component is not in a file")),
    }
}

async fn deployed(digest: Digest, cx: &Context<'_>) -> Result<Bytes, Diagnostic> {
    let host: Arc<Host> = cx.wiring.host().await.map_err(|_| {
        Diagnostic::error(
            BAD_COMPONENT,
            format!("{digest} cannot be looked up: the database failed"),
        )
        .help("type `fusebox doctor`")
    })?;
    match host.component(&cx.caller, digest).await {
        Ok(bytes) => Ok(bytes),
        Err(failure) => Err(Diagnostic::error(BAD_COMPONENT, failure.message)
            .help("write the path of a file, or a digest that `fusebox tools` lists")),
    }
}

fn words(
    manifest: &Manifest,
    folder: &Path,
    wasm: &[u8],
    component: &dyn Component,
    findings: &mut Vec<Diagnostic>,
) -> Words {
    let mut words = Words::default();
    if let Some(wit) = manifest.wit() {
        let mut files = Vec::new();
        match wit_files(&folder.join(wit), &mut files) {
            Ok(()) => {
                let (found, problems) = Words::from_wit(&files, component.shape());
                words = found;
                findings.extend(problems);
            }
            Err(error) => findings.push(
                Diagnostic::error(BAD_WIT, format!("the WIT source `{wit}` cannot be read: {error}"))
                    .help(
                        "write the folder of the component's WIT source, relative to the manifest, or leave `wit` out",
                    )
                    .at(manifest.span("wit")),
            ),
        }
    }
    match package_docs(wasm) {
        Some(section) => words.or(Words::from_package_docs(section, component.shape())),
        None => words,
    }
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

/// The custom section `package-docs` of the outermost component, where toolchains keep comments.
fn package_docs(wasm: &[u8]) -> Option<&[u8]> {
    let mut depth = 0_u32;
    for payload in Parser::new(0).parse_all(wasm) {
        match payload.ok()? {
            Payload::Version { .. } => depth += 1,
            Payload::End(_) => depth = depth.checked_sub(1)?,
            Payload::CustomSection(section) if depth == 1 && section.name() == "package-docs" => {
                return Some(section.data());
            }
            _ => {}
        }
    }
    None
}
