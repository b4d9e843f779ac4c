//! Words that people and models read about functions and parameters, as the component's author wrote them.

mod package_docs;
mod wit;

use crate::lower::{Lowered, function::DEFAULT};
use crate::node::{Entry, Table};
use fusebox_core::component::{ComponentShape, FunctionShape};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Words by function, under the names of the component's shape.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Words {
    /// What is said about each function.
    pub functions: BTreeMap<String, FunctionWords>,
}

/// Words about one function.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FunctionWords {
    /// What it does.
    pub description: Option<String>,
    /// What each parameter means.
    pub params: BTreeMap<String, String>,
}

impl FunctionWords {
    /// Takes a comment apart: lines such as ``- `text`: what to look for`` describe parameters, the rest the function.
    pub(crate) fn from_comment(comment: &str, function: &FunctionShape) -> Self {
        let mut words = Self::default();
        let mut rest = Vec::new();
        for line in comment.lines() {
            match param_line(line.trim()).filter(|(name, _)| function.params.iter().any(|(param, _)| param == name)) {
                Some((name, text)) => {
                    words.params.insert(name.to_owned(), text.to_owned());
                }
                None => rest.push(line.trim_end()),
            }
        }
        let rest = rest.join("\n").trim().to_owned();
        words.description = Some(rest).filter(|rest| !rest.is_empty());
        words
    }

    fn is_empty(&self) -> bool {
        self.description.is_none() && self.params.is_empty()
    }
}

/// The name and the text of a line that describes a parameter.
fn param_line(line: &str) -> Option<(&str, &str)> {
    let inside = line.trim_start_matches(['-', '*']).trim_start().strip_prefix('`')?;
    let (name, text) = inside.split_once('`')?;
    let text = text.trim_start().strip_prefix([':', '-', '–', '—'])?.trim();
    (!text.is_empty()).then_some((name, text))
}

impl Words {
    /// These words, and where they say nothing those of `other`.
    #[must_use]
    pub fn or(mut self, other: Self) -> Self {
        for (name, theirs) in other.functions {
            let ours = self.functions.entry(name).or_default();
            ours.description = ours.description.take().or(theirs.description);
            for (param, text) in theirs.params {
                ours.params.entry(param).or_insert(text);
            }
        }
        self
    }

    /// The manifest's text with these words at its end, so that they are stored, and read back, with it.
    #[must_use]
    pub fn append_to(&self, manifest: &str) -> String {
        let mut out = manifest.trim_end().to_owned();
        out.push('\n');
        for (name, words) in self.functions.iter().filter(|(_, words)| !words.is_empty()) {
            // Writing to a string cannot fail.
            let _ = writeln!(out, "\n[words.{}]", quoted(name));
            if let Some(description) = &words.description {
                let _ = writeln!(out, "description = {}", quoted(description));
            }
            for (param, text) in &words.params {
                let _ = writeln!(out, "params.{} = {}", quoted(param), quoted(text));
            }
        }
        out
    }

    /// The words that deploy wrote at a manifest's end.
    pub(crate) fn from_table(table: &Table) -> Self {
        let words = |entry: &Entry| {
            let inner = entry.node.table()?;
            let params = inner.table("params").entries();
            let words = FunctionWords {
                description: inner.text("description").map(|(text, _)| text.to_owned()),
                params: params
                    .filter_map(|entry| Some((entry.key.clone(), entry.node.text()?.to_owned())))
                    .collect(),
            };
            Some((entry.key.clone(), words))
        };
        Self {
            functions: table.entries().filter_map(words).collect(),
        }
    }

    /// Fills in what the manifest does not say itself.
    pub fn describe(&self, lowered: &mut Lowered) {
        for (name, words) in self.functions.iter().filter(|(_, words)| !words.is_empty()) {
            if !lowered.policy.functions.contains_key(name) {
                let known = lowered.provenance.clone();
                lowered
                    .provenance
                    .copy(&known, &format!("{DEFAULT}."), &format!("functions.{name}."));
            }
            let policy = &mut lowered.policy;
            let function = policy
                .functions
                .entry(name.clone())
                .or_insert_with(|| policy.default_function.clone());
            function.description = function.description.take().or_else(|| words.description.clone());
            for (param, text) in &words.params {
                function.params.entry(param.clone()).or_insert_with(|| text.clone());
            }
        }
    }

    /// Takes a comment over, when it says anything, for a function of the shape.
    fn add(&mut self, shape: &ComponentShape, interface: Option<&str>, name: &str, comment: &str) {
        if let Some(function) = find(shape, interface, name) {
            let words = FunctionWords::from_comment(comment, function);
            if !words.is_empty() {
                self.functions.insert(function.name.clone(), words);
            }
        }
    }
}

/// The function of the shape that `name` of `interface` (its name alone) is.
fn find<'a>(shape: &'a ComponentShape, interface: Option<&str>, name: &str) -> Option<&'a FunctionShape> {
    shape.functions.iter().find(|function| {
        let own = function.name.rsplit('.').next() == Some(name);
        own && function.interface.as_deref().map(bare_interface) == interface
    })
}

/// `api` of `acme:search/api@1.0.0`.
pub(crate) fn bare_interface(interface: &str) -> &str {
    let path = interface.rsplit('/').next().unwrap_or(interface);
    path.split('@').next().unwrap_or(path)
}

/// A text as TOML writes it: a basic string with its escapes, which are JSON's.
fn quoted(text: &str) -> String {
    // JSON writes no escape that TOML lacks, but leaves DEL as it is, which TOML does not.
    serde_json::Value::from(text).to_string().replace('\u{7f}', "\\u007f")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::manifest::Manifest;
    use crate::{HostFile, Presets};
    use proptest::prelude::*;

    fn lowered(text: &str) -> Lowered {
        let (lowered, findings) = Manifest::read("t.toml", text, &Presets::embedded(), &HostFile::default());
        assert_eq!(findings, []);
        lowered.unwrap()
    }

    fn words(description: &str, param: &str) -> Words {
        let words = FunctionWords {
            description: Some(description.to_owned()),
            params: [("text".to_owned(), param.to_owned())].into(),
        };
        Words {
            functions: [("query".to_owned(), words)].into(),
        }
    }

    #[test]
    fn the_manifest_speaks_first_then_wit_then_package_docs() {
        let own = "name = \"a\"\ncomponent = \"a.wasm\"\n[functions.query]\ndescription = \"manifest\"\n";
        let mut policy = lowered(own);
        let both = words("wit", "wit").or(words("docs", "docs"));
        assert_eq!(both, words("wit", "wit"));
        assert_eq!(Words::default().or(words("docs", "docs")), words("docs", "docs"));
        both.describe(&mut policy);
        let function = policy.policy.function("query");
        assert_eq!(function.description.as_deref(), Some("manifest"));
        assert_eq!(function.params["text"], "wit");
    }

    #[test]
    fn words_are_stored_with_the_manifest() {
        let text =
            words("Say \"hi\"\nand more", "a\tb").append_to("name = \"a\"\ncomponent = \"a.wasm\"\n[limits]\nlog = 5");
        let policy = lowered(&text);
        assert_eq!(
            policy.policy.function("query").description.as_deref(),
            Some("Say \"hi\"\nand more")
        );
        assert_eq!(policy.policy.function("query").params["text"], "a\tb");
        assert_eq!(
            policy.policy.function("query").retry,
            policy.policy.default_function.retry
        );
        assert_eq!(policy.policy.limits.log, 5);
    }

    proptest! {
        #[test]
        fn whatever_was_written_is_read_back(description in "[^\u{0}-\u{8}\u{b}\u{c}\u{e}-\u{1f}\u{7f}-\u{9f}]{0,40}") {
            prop_assume!(!description.trim().is_empty());
            let text = words(&description, "x").append_to("name = \"a\"\ncomponent = \"a.wasm\"\n");
            let read = lowered(&text).policy;
            prop_assert_eq!(read.function("query").description.as_deref(), Some(description.as_str()));
        }
    }
}
