//! A tool's manifest, read: effective policy and every finding.

use crate::component;
use crate::diagnostic::{Diagnostic, Span, sort};
use crate::document;
use crate::form::ComponentRef;
use crate::host_file::HostFile;
use crate::links;
use crate::lower::{self, Build, Lowered};
use crate::presets::Presets;
use crate::schema::MANIFEST;
use crate::words::Words;
use fusebox_core::component::{ComponentShape, Link};

/// A manifest as far as it could be read, with what is wrong with it.
#[derive(Debug)]
pub struct Manifest {
    lowered: Option<Lowered>,
    findings: Vec<Diagnostic>,
}

impl Manifest {
    /// Reads a manifest under the operator's settings; policy only when nothing is wrong.
    #[must_use]
    pub fn read(file: &str, text: &str, presets: &Presets, host: &HostFile) -> (Option<Lowered>, Vec<Diagnostic>) {
        Self::draft(file, text, presets, host).finish()
    }

    /// Reads a manifest, to be checked against its component before its findings are shown all at once.
    #[must_use]
    pub fn draft(file: &str, text: &str, presets: &Presets, host: &HostFile) -> Self {
        let (table, mut findings) = document::read(file, text, &MANIFEST);
        let lowered = table.and_then(|table| {
            let (lowered, found) = lower::manifest(&table, presets, host);
            findings.extend(found);
            lowered
        });
        Self { lowered, findings }
    }

    /// Where its component is, when it says so.
    #[must_use]
    pub fn component(&self) -> Option<&ComponentRef> {
        self.lowered.as_ref().map(|lowered| &lowered.component)
    }

    /// The tool's name, when it could be read.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.lowered.as_ref().map(|lowered| lowered.policy.name.as_str())
    }

    /// Where its WIT source is, when it says so.
    #[must_use]
    pub fn wit(&self) -> Option<&str> {
        self.lowered.as_ref()?.wit.as_deref()
    }

    /// How its component is built, when it says so.
    #[must_use]
    pub fn build(&self) -> Option<&Build> {
        self.lowered.as_ref()?.build.as_ref()
    }

    /// The place of the value at `path`, when the manifest set it.
    #[must_use]
    pub fn span(&self, path: &str) -> Option<Span> {
        self.lowered.as_ref()?.provenance.span(path).cloned()
    }

    /// Checks it against its component, and gives functions and parameters the words that the component's author wrote.
    pub fn check_component(&mut self, shape: &ComponentShape, words: &Words) {
        if let Some(lowered) = &mut self.lowered {
            words.describe(lowered);
            self.findings.extend(component::check_component(lowered, shape));
        }
    }

    /// Checks what it says of other tools, by the shapes of those that are deployed, and finds who provides what its component imports.
    pub fn check_links(
        &mut self,
        shape: &ComponentShape,
        deployed: &dyn Fn(&str) -> Option<ComponentShape>,
    ) -> Vec<Link> {
        let Some(lowered) = &self.lowered else {
            return Vec::new();
        };
        let (links, findings) = links::check_links(lowered, shape, deployed);
        self.findings.extend(findings);
        links
    }

    /// The tools that it may call, each once, in the order of the manifest.
    #[must_use]
    pub fn tools(&self) -> Vec<&str> {
        let grants = self.lowered.iter().flat_map(|lowered| &lowered.policy.tools);
        let mut names: Vec<&str> = Vec::new();
        for grant in grants {
            if !names.contains(&grant.tool.as_str()) {
                names.push(&grant.tool);
            }
        }
        names
    }

    /// Adds a finding of the caller's, such as a component that cannot be loaded.
    pub fn add(&mut self, finding: Diagnostic) {
        self.findings.push(finding);
    }

    /// The policy, when nothing is wrong, and every finding in the order of the file.
    #[must_use]
    pub fn finish(self) -> (Option<Lowered>, Vec<Diagnostic>) {
        let mut findings = self.findings;
        sort(&mut findings);
        let lowered = self.lowered.filter(|_| !findings.iter().any(Diagnostic::is_error));
        (lowered, findings)
    }
}
