//! Facts about texts.

wit_bindgen::generate!({ path: "wit", world: "tool" });

use exports::local::{{snake}}::text::{Counts, Error, Guest};

struct Text;

impl Guest for Text {
    fn count(text: String) -> Result<Counts, Error> {
        let words = text.split_whitespace().count();
        if words == 0 {
            return Err(Error::NoWords);
        }
        let lines = text.lines().filter(|line| !line.trim().is_empty()).count();
        Ok(Counts {
            words: count(words),
            lines: count(lines),
            characters: count(text.chars().count()),
        })
    }
}

/// A count as the interface has it; no input is long enough to exceed it.
fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

export!(Text);
