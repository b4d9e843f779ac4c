//! The debugger: runs an attempt again in code that keeps frames, locals and operands readable, and reads the guest's
//! state where it was stopped, before its stack is unwound.

use crate::ports::sandbox::{AttemptEnd, Effects, LoadError};
use crate::records::{Frame, GlobalState, Log, Snapshot};
use async_trait::async_trait;
use bytes::Bytes;
use fusebox_core::ids::Digest;
use fusebox_core::policy::Limits;
use fusebox_core::time::Wall;
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Bytes of a page.
pub const PAGE: u64 = 64 << 10;

/// Loads components for debugging.
#[async_trait]
pub trait Debugger: Send + Sync {
    /// The component, compiled for debugging: from the cache, else by the compiler's process within its limits.
    ///
    /// # Errors
    /// [`LoadError`] with its code.
    async fn load(&self, digest: Digest, wasm: Bytes) -> Result<Arc<dyn Debuggee>, LoadError>;
}

/// A component that is debugged.
pub trait Debuggee: Send + Sync {
    /// Runs one attempt to its end, whatever that is.
    ///
    /// # Errors
    /// That the input does not fit the function.
    fn run(&self, replay: DebugSpec) -> BoxFuture<'_, Result<Debugged, String>>;
}

/// What is run.
pub struct DebugSpec {
    /// Exported function.
    pub function: String,
    /// Its arguments as JSON text.
    pub input: String,
    /// Its limits, those of the attempt that is run again.
    pub limits: Arc<Limits>,
    /// Environment variables that the guest sees.
    pub env: Arc<[(String, String)]>,
    /// Seed of the guest's random numbers.
    pub seed: [u8; 32],
    /// Where the guest's wall clock starts.
    pub wall: Wall,
    /// Wall time after which a guest is stopped that does not end: debugged code is several times slower.
    pub time: Duration,
    /// What serves its effects; it performs nothing.
    pub effects: Arc<dyn Effects>,
}

/// What came of it.
pub struct Debugged {
    /// How it ended.
    pub end: AttemptEnd,
    /// What the guest printed.
    pub log: Log,
    /// Where the guest stood when it was stopped; `None` when it returned.
    pub stop: Option<Stop>,
    /// Its state at the end, to be compared with that of a letter; or why there is none.
    pub snapshot: Result<Snapshot, String>,
}

/// Where a guest stood when it was stopped, and its state there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Stop {
    /// The trap by its name, or the host's error: causes, outermost first.
    pub causes: Vec<String>,
    /// Frames, innermost first.
    pub frames: Vec<StoppedFrame>,
    /// Core instances in the order in which they were made: the numbers are those of a letter's snapshot.
    pub instances: Vec<StoppedInstance>,
}

/// One frame.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct StoppedFrame {
    /// Where it is.
    #[serde(flatten)]
    pub frame: Frame,
    /// Functions that the guest's compiler put this one into: `name (file:line:column)`, innermost first.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub inlined_into: Vec<String>,
    /// Its parameters and locals.
    pub locals: Vec<Value>,
    /// Its operands, the last one pushed last.
    pub operands: Vec<Value>,
    /// The memory that its addresses mean.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub memory: Option<MemoryId>,
}

/// A memory by its instance and its number there, as `dlq show --memory I:M` has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct MemoryId {
    /// Index of the core instance.
    pub instance: u32,
    /// Index of the memory among those that the instance defines.
    pub memory: u32,
}

/// A value of a guest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Value {
    /// `i32`, `i64`, `f32`, `f64`, `v128`, or `ref`.
    #[serde(rename = "type")]
    pub kind: String,
    /// For a person: integers signed, in decimal; a reference is `null` or `set`.
    pub value: String,
    /// Its bits; `None` for a reference.
    #[serde(skip_serializing_if = "Option::is_none", default, with = "bits")]
    pub bits: Option<u128>,
}

/// Bits in hexadecimal, since few readers of JSON have numbers of 128 bits.
mod bits {
    use serde::{Deserialize as _, Deserializer, Serializer};

    #[expect(clippy::ref_option, reason = "the signature is serde's")]
    pub(super) fn serialize<S: Serializer>(bits: &Option<u128>, to: S) -> Result<S::Ok, S::Error> {
        match bits {
            Some(bits) => to.collect_str(&format_args!("{bits:#x}")),
            None => to.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u128>, D::Error> {
        let text = Option::<String>::deserialize(from)?;
        let parsed = text.map(|text| u128::from_str_radix(text.trim_start_matches("0x"), 16));
        parsed.transpose().map_err(serde::de::Error::custom)
    }
}

impl Value {
    /// The address that it is, if it may be one.
    #[must_use]
    pub fn address(&self) -> Option<u64> {
        match self.kind.as_str() {
            "i32" | "i64" => u64::try_from(self.bits?).ok(),
            _ => None,
        }
    }
}

/// One core instance.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct StoppedInstance {
    /// The module's own name, when it has one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub module: Option<String>,
    /// Globals that it defines.
    pub globals: Vec<GlobalState>,
    /// Memories that it defines.
    #[serde(skip)]
    pub memories: Vec<Memory>,
}

/// The content of one memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// Its size in bytes.
    pub size: u64,
    /// Pages that are not empty, by their index.
    pub pages: BTreeMap<u64, Box<[u8]>>,
}

impl Memory {
    /// A part of it, cut at its end.
    #[must_use]
    pub fn read(&self, offset: u64, length: u64) -> Vec<u8> {
        let start = offset.min(self.size);
        let end = start.saturating_add(length).min(self.size);
        let mut bytes = vec![0; usize::try_from(end - start).unwrap_or(0)];
        for index in start / PAGE..end.div_ceil(PAGE) {
            let Some(page) = self.pages.get(&index) else { continue };
            let first = index * PAGE;
            let (from, to) = (start.max(first), end.min(first + page.len() as u64));
            if from < to {
                let span = |from: u64, to: u64| usize::try_from(from).unwrap_or(0)..usize::try_from(to).unwrap_or(0);
                let (source, target) = (span(from - first, to - first), span(from - start, to - start));
                if let (Some(source), Some(target)) = (page.get(source), bytes.get_mut(target)) {
                    target.copy_from_slice(source);
                }
            }
        }
        bytes
    }
}

impl Stop {
    /// A memory by its numbers.
    #[must_use]
    pub fn memory(&self, id: MemoryId) -> Option<&Memory> {
        let instance = self.instances.get(id.instance as usize)?;
        instance.memories.get(id.memory as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_memory_crosses_pages_and_is_cut_at_the_end() {
        let mut page = vec![0_u8; 65_536];
        page[65_535] = 1;
        let memory = Memory {
            size: 3 * PAGE,
            pages: BTreeMap::from([(0, page.into()), (2, vec![7; 65_536].into())]),
        };
        assert_eq!(memory.read(PAGE - 2, 4), [0, 1, 0, 0]);
        assert_eq!(memory.read(2 * PAGE - 1, 2), [0, 7]);
        assert_eq!(memory.read(3 * PAGE - 1, 10), [7]);
        assert!(memory.read(u64::MAX, 10).is_empty());
    }
}
