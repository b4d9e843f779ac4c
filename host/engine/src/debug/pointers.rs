//! Memory around values that look like addresses, and the texts that lie there: what a guest had in hand when it was stopped.

use crate::ports::debugger::{Memory, MemoryId, Stop, Value};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Lower values are counts and flags: toolchains put stack and data above.
const LOWEST: u64 = 1024;
/// Bytes that are shown.
const WINDOW: u64 = 64;
/// Places of one frame at most.
const OF_A_FRAME: usize = 4;
/// A shorter run of letters is chance.
const SHORTEST: u32 = 4;
/// Bytes of a text that are shown, and that one may have.
const SHOWN: u64 = 160;
const LONGEST: u32 = 1 << 20;

/// A value that looks like an address, and what lies there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Pointed {
    /// Number of the frame, from the innermost.
    pub frame: usize,
    /// `local 3` or `operand 0`.
    pub value: String,
    /// The address.
    pub address: u64,
    /// Its memory.
    pub memory: MemoryId,
    /// Where the bytes begin: the address, rounded down to 16.
    pub start: u64,
    /// The bytes in hexadecimal.
    pub hex: String,
    /// Texts that lie there, or that a pointer with a length points to from there.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub texts: Vec<String>,
}

/// The places that values of the frames point to, of each frame those with texts first.
pub(super) fn pointed(stop: &Stop) -> Vec<Pointed> {
    let mut all = Vec::new();
    for (number, frame) in stop.frames.iter().enumerate() {
        let Some((id, memory)) = frame.memory.and_then(|id| Some((id, stop.memory(id)?))) else {
            continue;
        };
        let locals = frame
            .locals
            .iter()
            .enumerate()
            .map(|(at, value)| (format!("local {at}"), value));
        let operands = frame
            .operands
            .iter()
            .enumerate()
            .map(|(at, value)| (format!("operand {at}"), value));
        let mut seen = BTreeSet::new();
        let mut here: Vec<_> = locals
            .chain(operands)
            .filter_map(|(name, value)| place(number, name, value, id, memory))
            .filter(|place| seen.insert(place.start))
            .collect();
        here.sort_by_key(|place| place.texts.is_empty());
        here.truncate(OF_A_FRAME);
        all.append(&mut here);
    }
    all
}

fn place(frame: usize, name: String, value: &Value, id: MemoryId, memory: &Memory) -> Option<Pointed> {
    let address = value
        .address()
        .filter(|address| (LOWEST..memory.size).contains(address))?;
    let start = address & !15;
    let bytes = memory.read(start, WINDOW);
    if bytes.iter().all(|byte| *byte == 0) {
        return None;
    }
    Some(Pointed {
        frame,
        value: name,
        address,
        memory: id,
        start,
        texts: texts(memory, address, &bytes),
        hex: hex(&bytes),
    })
}

/// The text at the address, and those that words of the window point to with their lengths, as slices and strings do.
fn texts(memory: &Memory, address: u64, window: &[u8]) -> Vec<String> {
    let mut texts = Vec::new();
    let here = memory.read(address, SHOWN);
    let printable = here
        .iter()
        .take_while(|byte| byte.is_ascii_graphic() || **byte == b' ')
        .count();
    if printable >= SHORTEST as usize {
        texts.extend(
            here.get(..printable)
                .and_then(|bytes| std::str::from_utf8(bytes).ok())
                .map(ToOwned::to_owned),
        );
    }
    let words: Vec<u32> = window
        .chunks_exact(4)
        .map(|word| word.try_into().map_or(0, u32::from_le_bytes))
        .collect();
    for pair in words.windows(2) {
        let (at, length) = (u64::from(pair[0]), pair[1]);
        let fits = at >= LOWEST && (SHORTEST..=LONGEST).contains(&length);
        if fits
            && at + u64::from(length) <= memory.size
            && let Some(text) = text(memory, at, length)
            && !texts.contains(&text)
        {
            texts.push(text);
        }
    }
    texts
}

/// UTF-8 without control characters but the usual ones.
fn text(memory: &Memory, at: u64, length: u32) -> Option<String> {
    let bytes = memory.read(at, u64::from(length));
    let text = std::str::from_utf8(&bytes).ok()?;
    if text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
        return None;
    }
    let most = usize::try_from(SHOWN).unwrap_or(usize::MAX);
    Some(match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}… ({length} bytes)", text.get(..end)?),
        None => text.to_owned(),
    })
}

pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::ports::debugger::{StoppedFrame, StoppedInstance};
    use crate::records::Frame;
    use std::collections::BTreeMap;

    fn value(kind: &str, bits: u128) -> Value {
        Value {
            kind: kind.to_owned(),
            value: bits.to_string(),
            bits: Some(bits),
        }
    }

    /// A memory with a text at 5,000, and at 3,000 a pointer to it with its length.
    fn stop(locals: Vec<Value>) -> Stop {
        let mut page = vec![0_u8; 65_536];
        page[5_000..5_012].copy_from_slice("grüße, Ann".as_bytes());
        page[3_000..3_004].copy_from_slice(&5_000_u32.to_le_bytes());
        page[3_004..3_008].copy_from_slice(&12_u32.to_le_bytes());
        let memory = Memory {
            size: 65_536,
            pages: BTreeMap::from([(0, page.into())]),
        };
        let frame = Frame {
            instance: Some(0),
            function: 1,
            name: None,
            location: None,
            offset: None,
        };
        Stop {
            causes: Vec::new(),
            frames: vec![StoppedFrame {
                frame,
                inlined_into: Vec::new(),
                locals,
                operands: Vec::new(),
                memory: Some(MemoryId { instance: 0, memory: 0 }),
            }],
            instances: vec![StoppedInstance {
                module: None,
                globals: Vec::new(),
                memories: vec![memory],
            }],
        }
    }

    #[test]
    fn a_text_is_found_through_its_pointer_and_length() {
        let places = pointed(&stop(vec![value("i32", 3_000)]));
        assert_eq!(places[0].texts, ["grüße, Ann"]);
        assert_eq!((places[0].value.as_str(), places[0].start), ("local 0", 2_992));
        assert!(places[0].hex.contains("88130000"), "{}", places[0].hex);
    }

    #[test]
    fn what_is_no_address_is_not_followed() {
        // Small, beyond the end, empty, no integer, and the same place once more.
        let values = vec![
            value("i32", 100),
            value("i32", 70_000),
            value("i32", 40_000),
            value("f64", 5_000),
            value("i64", 5_000),
            value("i32", 5_001),
        ];
        let places = pointed(&stop(values));
        assert_eq!(places.iter().map(|place| place.address).collect::<Vec<_>>(), [5_000]);
    }
}
