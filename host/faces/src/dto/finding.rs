//! A finding about a file as data, with the line that it is about, so that it can be shown where the file is not.

use fusebox_manifest::diagnostic::{Diagnostic, Severity, Span};
use fusebox_manifest::explain;
use serde::{Deserialize, Serialize};

/// A finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Finding {
    /// Its code, `FBnnnn`.
    pub code: String,
    /// `error` or `warning`.
    pub severity: String,
    /// What is wrong.
    pub message: String,
    /// The file.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub file: Option<String>,
    /// Line, from 1.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub line: Option<u32>,
    /// Column in characters, from 1.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub column: Option<u32>,
    /// Characters that are meant.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub length: Option<u32>,
    /// The line itself.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub text: Option<String>,
    /// What to write or type instead.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub help: Option<String>,
}

impl From<&Diagnostic> for Finding {
    fn from(found: &Diagnostic) -> Self {
        let span = found.span.as_ref();
        Self {
            code: found.code.to_owned(),
            severity: found.severity.name().to_owned(),
            message: found.message.clone(),
            file: span.map(|span| span.file.to_string()),
            line: span.map(|span| span.line),
            column: span.map(|span| span.col),
            length: span.map(|span| span.len),
            text: span.map(|span| span.text.to_string()),
            help: found.help.clone(),
        }
    }
}

/// The code of a finding that this version does not know, from a newer host.
const UNKNOWN: &str = "FB0000";

impl From<&Finding> for Diagnostic {
    fn from(found: &Finding) -> Self {
        let known = explain(&found.code).map(|page| page.code);
        let message = match known {
            Some(_) => found.message.clone(),
            None => format!("{} (the host's {})", found.message, found.code),
        };
        let severity = match found.severity.as_str() {
            "warning" => Severity::Warning,
            _ => Severity::Error,
        };
        let span = found.file.as_deref().zip(found.line).map(|(file, line)| Span {
            file: file.into(),
            line,
            col: found.column.unwrap_or(1).max(1),
            len: found.length.unwrap_or(1).max(1),
            text: found.text.as_deref().unwrap_or_default().into(),
        });
        Self {
            code: known.unwrap_or(UNKNOWN),
            severity,
            message,
            span,
            help: found.help.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use fusebox_manifest::{HostFile, Manifest, Presets};

    #[test]
    fn a_finding_survives_the_way_to_another_machine() {
        let text = "name = \"a\"\nversion = \"1.0.0\"\ncomponent = \"a.wasm\"\ntimeuot = \"5x\"\n";
        let (_, findings) = Manifest::read("a.toml", text, &Presets::embedded(), &HostFile::default());
        assert!(!findings.is_empty());
        for found in findings {
            let travelled = serde_json::to_string(&Finding::from(&found)).unwrap();
            let back: Finding = serde_json::from_str(&travelled).unwrap();
            assert_eq!(Diagnostic::from(&back), found);
        }
    }

    #[test]
    fn a_code_of_a_newer_host_is_told_in_words() {
        let newer = Finding {
            code: "FB9999".to_owned(),
            ..Finding::from(&Diagnostic::error("FB0101", "too new"))
        };
        let shown = Diagnostic::from(&newer);
        assert!(shown.message.contains("FB9999") && shown.is_error(), "{shown:?}");
    }
}
