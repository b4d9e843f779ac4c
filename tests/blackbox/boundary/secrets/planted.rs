//! A value that nobody may find, and the traces by which it would be known.

use aho_corasick::AhoCorasick;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use std::fmt::Write as _;

/// A value that was planted.
pub(super) struct Planted {
    pub(super) name: &'static str,
    /// Texts that are it, or tell it: each is long enough to be no accident.
    traces: Vec<Vec<u8>>,
    finder: AhoCorasick,
}

impl Planted {
    /// A value, known by itself, by its longest part that no escape changes, in base64 wherever it begins there, and in hexadecimal.
    pub(super) fn new(name: &'static str, value: &str) -> Self {
        let plain = value.split(|c: char| !c.is_ascii_alphanumeric());
        let core = plain.max_by_key(|part| part.len()).unwrap();
        assert!(core.len() >= 8, "{value} has no part to know it by");
        let mut traces = vec![value.to_owned(), core.to_owned()];
        for before in ["", "1", "12"] {
            for text in [
                STANDARD_NO_PAD.encode(format!("{before}{value}")),
                URL_SAFE_NO_PAD.encode(format!("{before}{value}")),
            ] {
                // What the text before it and after it have no part in.
                traces.push(text[(before.len() * 8).div_ceil(6)..text.len() - 1].to_owned());
            }
        }
        traces.push(hex(value));
        traces.push(hex(value).to_uppercase());
        Self::known_by(name, traces.into_iter().map(String::into_bytes).collect())
    }

    fn known_by(name: &'static str, traces: Vec<Vec<u8>>) -> Self {
        let finder = AhoCorasick::new(&traces).unwrap();
        Self { name, traces, finder }
    }

    /// Bytes that are never text, besides.
    pub(super) fn or(mut self, bytes: &[u8]) -> Self {
        self.traces.push(bytes.to_vec());
        Self::known_by(self.name, self.traces)
    }

    /// The first trace in there.
    pub(super) fn found(&self, bytes: &[u8]) -> Option<String> {
        let found = self.finder.find(bytes)?;
        Some(String::from_utf8_lossy(&self.traces[found.pattern().as_usize()]).into_owned())
    }
}

/// What an upstream may make of a credential that it repeats.
pub(super) fn repeated(value: &str) -> Vec<String> {
    let percent = |left: &str, upper: bool| {
        value.bytes().fold(String::new(), |mut text, byte| {
            let c = char::from(byte);
            if c.is_ascii_alphanumeric() || left.contains(c) {
                text.push(c);
            } else if upper {
                write!(text, "%{byte:02X}").unwrap();
            } else {
                write!(text, "%{byte:02x}").unwrap();
            }
            text
        })
    };
    let json = serde_json::to_string(value).unwrap();
    let mut all = vec![
        value.to_owned(),
        hex(value),
        hex(value).to_uppercase(),
        percent("-._~", true),
        percent("-._~", false),
        percent("-_.!~*'()", true),
        json.replace('/', "\\/"),
        json,
        value.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;"),
    ];
    for before in ["", "a", "ab", "user:"] {
        for engine in [&STANDARD, &STANDARD_NO_PAD, &URL_SAFE, &URL_SAFE_NO_PAD] {
            all.push(engine.encode(format!("{before}{value}")));
            all.push(engine.encode(format!("{before}{value}\r\n")));
        }
    }
    all
}

fn hex(value: &str) -> String {
    value.bytes().map(|byte| format!("{byte:02x}")).collect()
}
