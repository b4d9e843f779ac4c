//! One finding about a file: a stable code, the place, what is wrong, and what to write instead.

use serde_json::{Value, json};
use std::fmt;
use std::sync::Arc;

/// Whether a finding stops the deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Nothing is changed until it is mended.
    Error,
    /// Said, and gone on with.
    Warning,
}

impl Severity {
    /// The word printed before the code.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// A place in a file, with the line itself, so that a finding can be printed when the file is gone.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Span {
    /// The file's name as the caller gave it.
    pub file: Arc<str>,
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub col: u32,
    /// Characters marked; at least 1, and never beyond the line's end.
    pub len: u32,
    /// The line, without its end.
    pub text: Arc<str>,
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.col)
    }
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Stable code, `FBnnnn`; the key of `fusebox explain`.
    pub code: &'static str,
    /// Whether it stops the deployment.
    pub severity: Severity,
    /// What is wrong.
    pub message: String,
    /// Where; `None` for what stands in no file, such as an environment variable.
    pub span: Option<Span>,
    /// What to write or type instead.
    pub help: Option<String>,
}

impl Diagnostic {
    /// An error without a place.
    #[must_use]
    pub fn error(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            severity: Severity::Error,
            message: message.into(),
            span: None,
            help: None,
        }
    }

    /// A warning without a place.
    #[must_use]
    pub fn warning(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::error(code, message)
        }
    }

    /// The same finding at that place.
    #[must_use]
    pub fn at(mut self, span: impl Into<Option<Span>>) -> Self {
        self.span = span.into();
        self
    }

    /// The same finding with that advice.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Whether it stops the deployment.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    /// The form printed under `--json`.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut out = json!({
            "code": self.code,
            "severity": self.severity.name(),
            "message": self.message,
        });
        if let Some(span) = &self.span {
            out["file"] = json!(&*span.file);
            out["line"] = json!(span.line);
            out["column"] = json!(span.col);
            out["length"] = json!(span.len);
        }
        if let Some(help) = &self.help {
            out["help"] = json!(help);
        }
        out
    }
}

/// The order in which findings are printed: by place, those without one first; errors before warnings of one place.
pub(crate) fn sort(diagnostics: &mut [Diagnostic]) {
    diagnostics.sort_by(|a, b| {
        let place = |d: &Diagnostic| d.span.as_ref().map(|s| (s.line, s.col));
        place(a)
            .cmp(&place(b))
            .then_with(|| (a.severity, a.code).cmp(&(b.severity, b.code)))
    });
}

/// A file's text and where its lines begin: turns byte offsets into places.
#[derive(Clone, Debug)]
pub(crate) struct Source<'a> {
    file: Arc<str>,
    text: &'a str,
    starts: Vec<usize>,
}

impl<'a> Source<'a> {
    /// The text of a file under the name that findings print.
    pub(crate) fn new(file: &str, text: &'a str) -> Self {
        let starts = std::iter::once(0)
            .chain(text.match_indices('\n').map(|(at, _)| at + 1))
            .collect();
        Self {
            file: file.into(),
            text,
            starts,
        }
    }

    /// The place of a range of bytes; one that spans lines is cut at the end of its first.
    pub(crate) fn span(&self, range: std::ops::Range<usize>) -> Span {
        let start = self.floor(range.start);
        let end = self.floor(range.end.max(start));
        let line = self.starts.partition_point(|&at| at <= start) - 1;
        let from = self.starts[line];
        let to = self.starts.get(line + 1).map_or(self.text.len(), |&next| next - 1);
        let text = self.text[from..to].trim_end_matches('\r');
        let start = start.min(from + text.len());
        let end = end.clamp(start, from + text.len());
        let count = |text: &str| u32::try_from(text.chars().count()).unwrap_or(u32::MAX);
        Span {
            file: self.file.clone(),
            line: u32::try_from(line + 1).unwrap_or(u32::MAX),
            col: count(&self.text[from..start]).saturating_add(1),
            len: count(&self.text[start..end]).max(1),
            text: text.into(),
        }
    }

    fn floor(&self, mut at: usize) -> usize {
        at = at.min(self.text.len());
        while !self.text.is_char_boundary(at) {
            at -= 1;
        }
        at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_count_characters_and_end_with_the_line() {
        let source = Source::new("a.toml", "é = 1\r\nb = \"\"\"\nx\"\"\"\n");
        let one = source.span(0..2);
        assert_eq!((one.line, one.col, one.len, &*one.text), (1, 1, 1, "é = 1"));
        let two = source.span(5..6);
        assert_eq!((two.line, two.col), (1, 5));
        let many = source.span(12..19);
        assert_eq!((many.line, many.col, many.len), (2, 5, 3));
        let past = source.span(900..1000);
        assert_eq!((past.line, past.col, past.len), (4, 1, 1));
        assert_eq!(Source::new("e", "").span(0..0).line, 1);
    }
}
