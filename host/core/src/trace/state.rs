//! What the systems of a trace tell each other about it: `tracestate` (<https://www.w3.org/TR/trace-context/#tracestate-header>).

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// So many characters are handed on in any case; of more, whole entries are left out.
const KEPT: usize = 512;
/// Longer entries are left out first.
const LONG_ENTRY: usize = 128;
/// Entries of a list.
const ENTRIES: usize = 32;
/// Characters of a key, and of a value.
const LONGEST: usize = 256;

/// A list of `key=value`, handed on as it came.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TraceState(Arc<str>);

/// A `tracestate` that is none: the whole header is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a tracestate is a list of up to 32 entries `key=value`, each key once, such as vendor=value,tenant@system=value"
)]
pub struct NoTraceState;

impl fmt::Display for TraceState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for TraceState {
    type Err = NoTraceState;

    /// Reads a list, several headers joined by commas. One of at most 512 characters is kept to the letter; of a longer one entries are
    /// left out, those above 128 characters first, then from the end.
    fn from_str(text: &str) -> Result<Self, NoTraceState> {
        let text = text.trim_matches([' ', '\t']);
        let mut entries: Vec<&str> = text.split(',').map(|entry| entry.trim_matches([' ', '\t'])).collect();
        entries.retain(|entry| !entry.is_empty());
        let mut keys = BTreeSet::new();
        for entry in &entries {
            let (key, value) = entry.split_once('=').ok_or(NoTraceState)?;
            if !is_key(key) || !is_value(value) || !keys.insert(key) {
                return Err(NoTraceState);
            }
        }
        if entries.is_empty() || entries.len() > ENTRIES {
            return Err(NoTraceState);
        }
        if text.len() <= KEPT {
            return Ok(Self(Arc::from(text)));
        }
        let length = |entries: &[&str]| entries.iter().map(|entry| entry.len() + 1).sum::<usize>() - 1;
        if length(&entries) > KEPT {
            entries.retain(|entry| entry.len() <= LONG_ENTRY);
        }
        while !entries.is_empty() && length(&entries) > KEPT {
            entries.pop();
        }
        if entries.is_empty() {
            return Err(NoTraceState);
        }
        Ok(Self(Arc::from(entries.join(","))))
    }
}

/// `vendor`, or `tenant@system`. Which of the two it is matters to nobody here, nor how long each part is.
fn is_key(key: &str) -> bool {
    let is_lower = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit();
    let (first, parts) = (key.bytes().next(), key.split('@').count());
    first.is_some_and(is_lower)
        && key.len() <= LONGEST
        && parts <= 2
        && key.bytes().all(|c| is_lower(c) || b"_-*/@".contains(&c))
        && !key.ends_with('@')
}

fn is_value(value: &str) -> bool {
    let printable = value.bytes().all(|c| (b' '..=b'~').contains(&c) && c != b'=');
    !value.is_empty() && value.len() <= LONGEST && printable
}
