//! Arguments of a call as the command line takes them: JSON itself, `@FILE`, or `-` for stdin.

use super::failed::Failed;
use serde::de::IgnoredAny;
use std::io::Read;

/// No input that a guest could take is larger.
const LARGEST: u64 = 64 << 20;

/// JSON text, and where it came from.
#[derive(Debug)]
pub(super) struct Input {
    /// The text.
    pub(super) text: String,
    /// A file's name or `stdin`, unless it stood on the command line.
    source: Option<String>,
}

impl Input {
    /// Reads what the argument names.
    ///
    /// # Errors
    /// A file that cannot be read, is too large, or is not UTF-8.
    pub(super) fn read(argument: &str) -> Result<Self, Failed> {
        if argument == "-" {
            return Self::file(argument);
        }
        if let Some(path) = argument.strip_prefix('@') {
            return Self::file(path);
        }
        Ok(Self {
            text: argument.to_owned(),
            source: None,
        })
    }

    /// Reads a file; `-` is stdin.
    ///
    /// # Errors
    /// A file that cannot be read, is too large, or is not UTF-8.
    pub(super) fn file(path: &str) -> Result<Self, Failed> {
        if path == "-" {
            return Self::limited(std::io::stdin().lock(), "stdin");
        }
        let file = std::fs::File::open(path).map_err(|error| {
            Failed::file(
                format!("{path} cannot be read: {error}"),
                "name a file of JSON text (after @, where the JSON itself may stand too)",
            )
        })?;
        Self::limited(file, path)
    }

    /// A message about the text, with the file that it came from, or with what a shell does to JSON that it gets unquoted.
    pub(super) fn place(&self, message: &str) -> String {
        match &self.source {
            Some(source) => format!("{source}: {message}"),
            None if self.is_json() => message.to_owned(),
            None => format!("{message}; in a shell, JSON stands in single quotes, or in a file: @FILE"),
        }
    }

    fn is_json(&self) -> bool {
        self.text.is_empty() || serde_json::from_str::<IgnoredAny>(&self.text).is_ok()
    }

    fn limited(from: impl Read, source: &str) -> Result<Self, Failed> {
        let unreadable = |error: std::io::Error| {
            Failed::file(
                format!("{source} cannot be read: {error}"),
                "the input is JSON text in UTF-8",
            )
        };
        let mut text = String::new();
        from.take(LARGEST + 1).read_to_string(&mut text).map_err(unreadable)?;
        if text.len() as u64 > LARGEST {
            return Err(Failed::file(
                format!("{source} is larger than 64 MiB"),
                "pass large data by reference, such as a URL that the tool may read",
            ));
        }
        Ok(Self {
            text,
            source: Some(source.to_owned()),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn json_files_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("in.json");
        std::fs::write(&path, "{\"a\":1}").unwrap();
        let name = format!("@{}", path.display());
        assert_eq!(Input::read(&name).unwrap().text, "{\"a\":1}");
        assert_eq!(Input::read("{}").unwrap().text, "{}");
        assert_eq!(Input::read("{}").unwrap().place("no"), "no");
        assert!(Input::read("{a:1}").unwrap().place("no").contains("single quotes"));
        assert!(!Input::read(&name).unwrap().place("no").contains("single quotes"));
        std::fs::write(&path, [0xff, 0xfe]).unwrap();
        assert!(Input::read(&name).is_err());
        assert!(Input::read("@/does/not/exist").is_err());
    }
}
