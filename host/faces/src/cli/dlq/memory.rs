//! A part of the memory that a letter keeps, as hexadecimal and text.

use super::{Context, Failed};
use crate::api::Api;
use clap::Args;
use fusebox_engine::records::LetterRecord;
use fusebox_engine::requests::MemoryRange;
use std::fmt::Write as _;

/// Which part of which memory.
#[derive(Debug, Args)]
pub(super) struct Range {
    /// Show a memory: INSTANCE:MEMORY, as listed under `state`
    #[arg(long, value_name = "I:M")]
    memory: Option<String>,
    /// First byte, decimal or 0x…
    #[arg(long, default_value = "0", requires = "memory", value_parser = number)]
    offset: u64,
    /// How many bytes, decimal or 0x…
    #[arg(long, default_value = "256", requires = "memory", value_parser = number)]
    length: u64,
}

impl Range {
    /// The range that was asked for.
    ///
    /// # Errors
    /// An index that is none.
    pub(super) fn range(&self) -> Result<Option<MemoryRange>, Failed> {
        let Some(memory) = &self.memory else { return Ok(None) };
        let parsed = memory
            .split_once(':')
            .and_then(|(instance, memory)| Some((instance.parse().ok()?, memory.parse().ok()?)));
        let Some((instance, memory)) = parsed else {
            return Err(Failed::usage(
                format!("`{memory}` does not name a memory"),
                "write two numbers as `fusebox dlq show LETTER` lists them, such as --memory 1:0",
            ));
        };
        Ok(Some(MemoryRange {
            instance,
            memory,
            offset: self.offset,
            length: self.length,
        }))
    }
}

/// A number as addresses are written.
///
/// # Errors
/// What it is instead.
pub(in crate::cli) fn number(text: &str) -> Result<u64, String> {
    let found = match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16),
        None => text.parse(),
    };
    found.map_err(|_| "write a number such as 4096 or 0x1000".to_owned())
}

/// Shows a range.
///
/// # Errors
/// What the host refused.
pub(super) async fn show(
    host: &dyn Api,
    letter: &LetterRecord,
    range: MemoryRange,
    cx: &mut Context<'_>,
) -> Result<(), Failed> {
    let bytes = host.memory(&cx.caller, &letter.id, range).await?;
    if cx.out.json() {
        cx.out
            .value(&serde_json::json!({ "offset": range.offset, "hex": hex::encode(&bytes) }))?;
    } else {
        cx.out.text(&hex_view(range.offset, &bytes))?;
    }
    Ok(())
}

/// Sixteen bytes a line: offset, hexadecimal, printable ASCII; lines that repeat the one before are left out, marked `*`.
pub(in crate::cli) fn hex_view(offset: u64, bytes: &[u8]) -> String {
    let mut out = String::new();
    let mut before: Option<&[u8]> = None;
    let mut left_out = false;
    for (number, line) in bytes.chunks(16).enumerate() {
        let last = (number + 1) * 16 >= bytes.len();
        if before == Some(line) && !last {
            if !left_out {
                out.push_str("*\n");
            }
            left_out = true;
            continue;
        }
        left_out = false;
        before = Some(line);
        let hex: Vec<_> = line
            .chunks(8)
            .map(|half| half.iter().map(|byte| format!("{byte:02x} ")).collect::<String>())
            .collect();
        let text: String = line
            .iter()
            .map(|&byte| {
                if byte.is_ascii_graphic() || byte == b' ' {
                    char::from(byte)
                } else {
                    '.'
                }
            })
            .collect();
        // Writing to a string cannot fail.
        let _ = writeln!(
            out,
            "{:08x}  {:<49} |{text}|",
            offset + number as u64 * 16,
            hex.join(" ")
        );
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_shown_with_their_place() {
        let mut bytes = vec![0_u8; 64];
        bytes[0..5].copy_from_slice(b"hello");
        bytes[63] = 0xff;
        insta::assert_snapshot!(hex_view(0x10_0000, &bytes));
    }

    #[test]
    fn numbers_in_two_notations() {
        assert_eq!(number("0x10"), Ok(16));
        assert_eq!(number("10"), Ok(10));
        assert!(number("-1").is_err() && number("0xg").is_err());
    }
}
