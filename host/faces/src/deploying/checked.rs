//! A manifest checked against its component, its words, and the tools that it calls: every finding at once.

use super::Rules;
use super::words::words;
use async_trait::async_trait;
use bytes::Bytes;
use fusebox_core::component::{ComponentShape, Link};
use fusebox_core::ids::Digest;
use fusebox_engine::ports::sandbox::{Component, LoadError};
use fusebox_manifest::diagnostic::Diagnostic;
use fusebox_manifest::{BAD_COMPONENT, ComponentRef, Lowered, Manifest};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A manifest and what came with it.
#[derive(Clone, Debug, Default)]
pub struct Upload {
    /// Where the manifest was read, for messages.
    pub source: String,
    /// Its text.
    pub manifest: String,
    /// The component; `None` when the manifest names one that is deployed.
    pub component: Option<Bytes>,
    /// WIT source of the component, when there is any: name and text of each file.
    pub wit: Option<Vec<(String, String)>>,
    /// What could not be read, by the key of the manifest that names it.
    pub unread: Vec<(&'static str, Diagnostic)>,
}

/// A manifest as far as it could be read.
pub struct Checked {
    /// Where the manifest was read.
    pub source: String,
    /// Its text, with the words of the WIT source at its end.
    pub text: String,
    /// What it came down to; `None` when anything is wrong.
    pub lowered: Option<Lowered>,
    /// Everything that is wrong or worth saying.
    pub findings: Vec<Diagnostic>,
    /// The bytes of the component, when it could be loaded.
    pub wasm: Option<Bytes>,
    /// The component, when it could be loaded.
    pub component: Option<Arc<dyn Component>>,
    /// Who provides what it imports of other tools.
    pub links: Vec<Link>,
}

impl Checked {
    /// The tool's name, when nothing is wrong.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.lowered.as_ref().map(|lowered| lowered.policy.name.as_str())
    }
}

/// What a check looks at besides the uploads.
#[async_trait]
pub trait Surroundings: Send + Sync {
    /// Why the tools that are deployed cannot be asked for.
    type Error;
    /// Compiles a component.
    ///
    /// # Errors
    /// Why it cannot be loaded.
    async fn inspect(&self, wasm: Bytes) -> Result<Arc<dyn Component>, LoadError>;
    /// What a deployed tool offers; `None` when there is none of that name.
    ///
    /// # Errors
    /// That it cannot be found out.
    async fn offered(&self, tool: &str) -> Result<Option<ComponentShape>, Self::Error>;
    /// The bytes of a deployed component.
    ///
    /// # Errors
    /// The finding for the manifest that names it.
    async fn component(&self, digest: Digest) -> Result<Bytes, Diagnostic>;
}

/// Checks each manifest against its component and against the tools that it calls: those that are deployed, and those among the uploads.
///
/// # Errors
/// That deployed tools cannot be asked for; everything else is a finding.
pub async fn check<S: Surroundings>(uploads: Vec<Upload>, rules: &Rules, around: &S) -> Result<Vec<Checked>, S::Error> {
    let mut drafts = Vec::with_capacity(uploads.len());
    for upload in uploads {
        drafts.push(draft(upload, rules, around).await);
    }
    let mut shapes: BTreeMap<String, ComponentShape> = BTreeMap::new();
    for (manifest, checked) in &drafts {
        if let (Some(name), Some(component)) = (manifest.name(), &checked.component) {
            shapes.insert(name.to_owned(), component.shape().clone());
        }
    }
    for (manifest, _) in &drafts {
        for tool in manifest.tools() {
            if !shapes.contains_key(tool)
                && let Some(shape) = around.offered(tool).await?
            {
                shapes.insert(tool.to_owned(), shape);
            }
        }
    }
    let finished = drafts.into_iter().map(|(mut manifest, mut checked)| {
        if let Some(component) = &checked.component {
            checked.links = manifest.check_links(component.shape(), &|tool| shapes.get(tool).cloned());
        }
        (checked.lowered, checked.findings) = manifest.finish();
        checked
    });
    Ok(finished.collect())
}

/// Reads one manifest and checks it against its component.
async fn draft<S: Surroundings>(upload: Upload, rules: &Rules, around: &S) -> (Manifest, Checked) {
    let mut manifest = Manifest::draft(&upload.source, &upload.manifest, &rules.presets, &rules.settings);
    let mut checked = Checked {
        text: upload.manifest.clone(),
        source: upload.source.clone(),
        lowered: None,
        findings: Vec::new(),
        wasm: None,
        component: None,
        links: Vec::new(),
    };
    if let Some(reference) = manifest.component().cloned() {
        let at = manifest.span("component");
        match bytes_of(&reference, &upload, around).await {
            Ok(Some(wasm)) => match around.inspect(wasm.clone()).await {
                Ok(component) => {
                    let mut problems = Vec::new();
                    let words = words(upload.wit.as_deref(), &wasm, component.shape(), &mut problems);
                    checked.text = words.append_to(&upload.manifest);
                    manifest.check_component(component.shape(), &words);
                    checked.component = Some(component);
                    checked.wasm = Some(wasm);
                    for problem in problems {
                        manifest.add(problem);
                    }
                }
                Err(error) => manifest.add(Diagnostic::error(error.code, error.message).at(at)),
            },
            Ok(None) => {}
            Err(finding) => manifest.add(finding.at(at)),
        }
    }
    for (_, finding) in upload.unread {
        manifest.add(finding);
    }
    (manifest, checked)
}

/// The component that a manifest names; `None` when the upload says itself why it is not there.
async fn bytes_of<S: Surroundings>(
    reference: &ComponentRef,
    upload: &Upload,
    around: &S,
) -> Result<Option<Bytes>, Diagnostic> {
    match (reference, &upload.component) {
        (ComponentRef::Digest(digest), _) => around.component(*digest).await.map(Some),
        (ComponentRef::File(_), Some(wasm)) => Ok(Some(wasm.clone())),
        (ComponentRef::File(_), None) if upload.unread.iter().any(|(key, _)| *key == "component") => Ok(None),
        (ComponentRef::File(file), None) => Err(Diagnostic::error(
            BAD_COMPONENT,
            format!("the component {file} did not come with the manifest"),
        )
        .help("send its bytes along, or write the digest of a component that is deployed")),
        (ComponentRef::Oci(_), _) => Err(Diagnostic::error(BAD_COMPONENT, "the component is not in a file")),
    }
}
