//! Where each effective value came from: the line that set it, a preset, the default, and the ceiling that cut it.

use crate::diagnostic::Span;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// Who set a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SetBy {
    /// Nobody: the documented default.
    Default,
    /// A preset.
    Preset {
        /// Its name.
        name: String,
        /// Its file; those that come with Fusebox are `policies/NAME.toml`.
        file: Arc<str>,
        /// Line, from 1.
        line: u32,
    },
    /// A line of a manifest or of the operator's file.
    File(Span),
    /// An environment variable.
    Variable(String),
    /// A flag of the command line.
    Flag(String),
    /// Another value of the same policy, which this one follows.
    Follows(&'static str),
}

impl fmt::Display for SetBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Preset { name, file, line } => write!(f, "preset `{name}` ({file}:{line})"),
            Self::File(span) => write!(f, "{}:{}", span.file, span.line),
            Self::Variable(name) => write!(f, "variable {name}"),
            Self::Flag(name) => write!(f, "flag {name}"),
            Self::Follows(key) => write!(f, "follows `{key}`"),
        }
    }
}

/// A ceiling that cut a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clamp {
    /// The value before.
    pub asked: String,
    /// The ceiling's key and who set it.
    pub by: String,
}

impl fmt::Display for Clamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cut from {} by {}", self.asked, self.by)
    }
}

/// What is known of the values of one policy, by their path: `functions.query.timeout`, `services.search.breaker.cooldown`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Provenance {
    set: BTreeMap<String, SetBy>,
    clamps: BTreeMap<String, Clamp>,
}

impl Provenance {
    /// Who set the value at `path`.
    #[must_use]
    pub fn set_by(&self, path: &str) -> &SetBy {
        self.set.get(path).unwrap_or(&SetBy::Default)
    }

    /// The ceiling that cut the value at `path`.
    #[must_use]
    pub fn clamp(&self, path: &str) -> Option<&Clamp> {
        self.clamps.get(path)
    }

    /// The place of the value at `path`, when a file set it.
    #[must_use]
    pub fn span(&self, path: &str) -> Option<&Span> {
        match self.set_by(path) {
            SetBy::File(span) => Some(span),
            _ => None,
        }
    }

    pub(crate) fn note(&mut self, path: impl Into<String>, by: SetBy) {
        self.set.insert(path.into(), by);
    }

    pub(crate) fn note_clamp(&mut self, path: impl Into<String>, clamp: Clamp) {
        self.clamps.insert(path.into(), clamp);
    }

    /// Takes over what another policy knows of its values below `from`, under `to`.
    pub(crate) fn copy(&mut self, other: &Self, from: &str, to: &str) {
        for (path, by) in &other.set {
            if let Some(rest) = path.strip_prefix(from) {
                self.set.insert(format!("{to}{rest}"), by.clone());
            }
        }
        for (path, clamp) in &other.clamps {
            if let Some(rest) = path.strip_prefix(from) {
                self.clamps.insert(format!("{to}{rest}"), clamp.clone());
            }
        }
    }
}
