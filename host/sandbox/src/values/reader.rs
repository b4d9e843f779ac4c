//! Reads JSON text (RFC 8259) token by token, led by the type that is expected: no tree, numbers as they are written.

use super::misfit::{Fit, misfit};
use std::borrow::Cow;

/// What a value is, told by its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Null,
    Bool,
    Number,
    String,
    Array,
    Object,
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool => "a boolean",
            Self::Number => "a number",
            Self::String => "a string",
            Self::Array => "an array",
            Self::Object => "an object",
        }
    }
}

/// A place in a JSON text.
pub(super) struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// What comes next.
    pub(super) fn peek(&mut self) -> Fit<Kind> {
        match self.byte_after_space() {
            Some(b'n') => Ok(Kind::Null),
            Some(b't' | b'f') => Ok(Kind::Bool),
            Some(b'-' | b'0'..=b'9') => Ok(Kind::Number),
            Some(b'"') => Ok(Kind::String),
            Some(b'[') => Ok(Kind::Array),
            Some(b'{') => Ok(Kind::Object),
            _ => self.broken("a value"),
        }
    }

    pub(super) fn null(&mut self) -> Fit<()> {
        self.word("null")
    }

    pub(super) fn boolean(&mut self) -> Fit<bool> {
        let value = self.byte_after_space() == Some(b't');
        self.word(if value { "true" } else { "false" })?;
        Ok(value)
    }

    /// A number as it is written.
    pub(super) fn number(&mut self) -> Fit<&'a str> {
        self.space();
        let start = self.at;
        self.eat(b'-');
        if !self.eat(b'0') {
            self.digits()?;
        }
        if self.eat(b'.') {
            self.digits()?;
        }
        if self.eat(b'e') || self.eat(b'E') {
            let _signed = self.eat(b'+') || self.eat(b'-');
            self.digits()?;
        }
        if matches!(
            self.byte(),
            Some(b'0'..=b'9' | b'.' | b'+' | b'-' | b'a'..=b'z' | b'A'..=b'Z')
        ) {
            return self.broken("the end of a number");
        }
        Ok(&self.text[start..self.at])
    }

    /// A string; borrowed unless it has escapes.
    pub(super) fn string(&mut self) -> Fit<Cow<'a, str>> {
        self.space();
        self.require(b'"', "`\"`")?;
        let plain = self.plain_run();
        if self.eat(b'"') {
            return Ok(Cow::Borrowed(plain));
        }
        let mut text = plain.to_owned();
        loop {
            match self.byte() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(Cow::Owned(text));
                }
                Some(b'\\') => {
                    self.at += 1;
                    text.push(self.escape()?);
                    text.push_str(self.plain_run());
                }
                Some(_) => return misfit(format!("a control character must be escaped, {}", self.place())),
                None => return self.broken("the end of a string"),
            }
        }
    }

    /// Enters an array or an object; what follows is asked of `item` or `key`.
    pub(super) fn open(&mut self, bracket: u8) -> Fit<Open> {
        self.space();
        self.require(bracket, if bracket == b'[' { "`[`" } else { "`{`" })?;
        Ok(Open { first: true })
    }

    /// Whether an array has another item, which is read next.
    pub(super) fn item(&mut self, open: &mut Open) -> Fit<bool> {
        if self.byte_after_space() == Some(b']') {
            self.at += 1;
            return Ok(false);
        }
        if !open.first {
            self.require(b',', "`,` or `]`")?;
        }
        open.first = false;
        Ok(true)
    }

    /// The next key of an object, whose value is read next.
    pub(super) fn key(&mut self, open: &mut Open) -> Fit<Option<Cow<'a, str>>> {
        if self.byte_after_space() == Some(b'}') {
            self.at += 1;
            return Ok(None);
        }
        if !open.first {
            self.require(b',', "`,` or `}`")?;
        }
        open.first = false;
        if self.byte_after_space() != Some(b'"') {
            return self.broken("a key in double quotes");
        }
        let key = self.string()?;
        self.space();
        self.require(b':', "`:`")?;
        Ok(Some(key))
    }

    /// Nothing but white space may follow.
    pub(super) fn end(&mut self) -> Fit<()> {
        match self.byte_after_space() {
            None => Ok(()),
            Some(_) => self.broken("the end of the text"),
        }
    }

    /// Whether only white space is left.
    pub(super) fn is_empty(&mut self) -> bool {
        self.byte_after_space().is_none()
    }

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn byte_after_space(&mut self) -> Option<u8> {
        self.space();
        self.byte()
    }

    fn space(&mut self) {
        while matches!(self.byte(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    fn eat(&mut self, byte: u8) -> bool {
        let there = self.byte() == Some(byte);
        self.at += usize::from(there);
        there
    }

    fn require(&mut self, byte: u8, what: &str) -> Fit<()> {
        if self.eat(byte) { Ok(()) } else { self.broken(what) }
    }

    fn word(&mut self, word: &str) -> Fit<()> {
        self.space();
        let rest = &self.text.as_bytes()[self.at..];
        let ends = |byte: &u8| !byte.is_ascii_alphanumeric();
        if rest.starts_with(word.as_bytes()) && rest.get(word.len()).is_none_or(ends) {
            self.at += word.len();
            return Ok(());
        }
        self.broken("a value")
    }

    fn digits(&mut self) -> Fit<()> {
        let start = self.at;
        while matches!(self.byte(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at == start {
            self.broken("a digit")
        } else {
            Ok(())
        }
    }

    /// Text up to the next quote, escape or control character.
    fn plain_run(&mut self) -> &'a str {
        let start = self.at;
        let rest = &self.text.as_bytes()[start..];
        let special = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..=0x1f);
        self.at += rest.iter().position(special).unwrap_or(rest.len());
        &self.text[start..self.at]
    }

    /// The character of an escape whose backslash is read.
    fn escape(&mut self) -> Fit<char> {
        let Some(byte) = self.byte() else {
            return self.broken("the end of a string");
        };
        self.at += 1;
        Ok(match byte {
            b'"' | b'\\' | b'/' => char::from(byte),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.unicode(),
            _ => {
                self.at -= 1;
                return self.broken("one of \" \\ / b f n r t u after a backslash");
            }
        })
    }

    /// A UTF-16 unit in hexadecimal, or two that are a surrogate pair.
    fn unicode(&mut self) -> Fit<char> {
        let first = self.hex()?;
        let code = match first {
            0xd800..=0xdbff if self.eat(b'\\') && self.eat(b'u') => match self.hex()? {
                second @ 0xdc00..=0xdfff => 0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00),
                _ => first,
            },
            _ => first,
        };
        match char::from_u32(code) {
            Some(scalar) => Ok(scalar),
            None => misfit(format!("half a surrogate pair is no character, {}", self.place())),
        }
    }

    fn hex(&mut self) -> Fit<u32> {
        let digits = self.text.as_bytes().get(self.at..self.at + 4);
        let value = digits.and_then(|digits| {
            let digit = |value: u32, byte: &u8| Some((value << 4) | char::from(*byte).to_digit(16)?);
            digits.iter().try_fold(0, digit)
        });
        match value {
            Some(value) => {
                self.at += 4;
                Ok(value)
            }
            None => self.broken("four hexadecimal digits"),
        }
    }

    fn broken<T>(&self, expected: &str) -> Fit<T> {
        let found = match self.text[self.at..].chars().next() {
            Some(found) => format!("found {found:?}"),
            None => "the text ends".to_owned(),
        };
        misfit(format!("expected {expected}, but {found} {}", self.place()))
    }

    fn place(&self) -> String {
        let before = &self.text[..self.at];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let line = 1 + before.bytes().filter(|byte| *byte == b'\n').count();
        format!("at line {line}, column {}", 1 + before[line_start..].chars().count())
    }
}

/// An array or an object that is being read.
pub(super) struct Open {
    first: bool,
}
