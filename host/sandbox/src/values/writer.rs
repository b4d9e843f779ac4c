//! Writes JSON text up to a limit.

use super::encode::EncodeError;
use std::fmt::{Display, Write as _};

/// JSON text that is being written.
pub(super) struct Writer {
    text: String,
    limit: usize,
}

impl Writer {
    /// `limit` in bytes.
    pub(super) fn new(limit: u64) -> Self {
        Self {
            text: String::new(),
            limit: usize::try_from(limit).unwrap_or(usize::MAX),
        }
    }

    pub(super) fn finish(self) -> String {
        self.text
    }

    /// Makes sure that so many bytes may follow.
    pub(super) fn room(&self, bytes: usize) -> Result<(), EncodeError> {
        if bytes > self.limit - self.text.len() {
            return Err(self.too_large());
        }
        Ok(())
    }

    fn too_large(&self) -> EncodeError {
        EncodeError::TooLarge {
            limit: self.limit as u64,
        }
    }

    /// Text as it is.
    pub(super) fn raw(&mut self, text: &str) -> Result<(), EncodeError> {
        self.room(text.len())?;
        self.text.push_str(text);
        Ok(())
    }

    /// A string, with the escapes that JSON demands and no others.
    pub(super) fn string(&mut self, text: &str) -> Result<(), EncodeError> {
        self.raw("\"")?;
        let mut rest = text;
        while let Some(at) = rest.bytes().position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f)) {
            self.raw(&rest[..at])?;
            match rest.as_bytes()[at] {
                b'"' => self.raw("\\\"")?,
                b'\\' => self.raw("\\\\")?,
                b'\n' => self.raw("\\n")?,
                b'\r' => self.raw("\\r")?,
                b'\t' => self.raw("\\t")?,
                control => self.raw(&format!("\\u{control:04x}"))?,
            }
            rest = &rest[at + 1..];
        }
        self.raw(rest)?;
        self.raw("\"")
    }

    /// A number, which is short: the limit is checked afterwards.
    pub(super) fn number(&mut self, number: impl Display) -> Result<(), EncodeError> {
        match write!(self.text, "{number}") {
            Ok(()) if self.text.len() <= self.limit => Ok(()),
            _ => Err(self.too_large()),
        }
    }

    /// A name of a type: letters, digits, `-` and `_`, which need no escapes.
    pub(super) fn name(&mut self, name: &str) -> Result<(), EncodeError> {
        self.raw("\"")?;
        self.raw(name)?;
        self.raw("\"")
    }
}
