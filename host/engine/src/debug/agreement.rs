//! Whether a replay reached the state that a letter keeps, and the first difference when it did not.

use super::pointers::hex;
use crate::records::{InstanceState, MemoryState, Page, Snapshot};
use fusebox_core::ids::Digest;
use serde::{Deserialize, Serialize};

/// Bytes of a page.
const PAGE: usize = 64 << 10;
/// Bytes that are shown of either side.
const SHOWN: usize = 16;

/// What came of the comparison.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Agreement {
    /// Every global and every page is as it was.
    Same {
        /// Pages that are not empty.
        pages: usize,
        /// Globals.
        globals: usize,
    },
    /// Something is not.
    Differs {
        /// What, and how.
        first: String,
    },
    /// It cannot be told.
    Unknown {
        /// Why.
        why: String,
    },
}

/// A difference in the content of a page, whose bytes have to be looked at.
pub(super) struct PageDiffers {
    memory: String,
    index: u64,
    before: Option<Digest>,
    after: Option<Digest>,
}

/// The first difference of two states.
pub(super) enum Difference {
    Told(String),
    Page(PageDiffers),
}

/// Compares globals and pages; `None` when all are equal.
pub(super) fn difference(before: &Snapshot, after: &Snapshot) -> Option<Difference> {
    let told = |text: String| Some(Difference::Told(text));
    if before.instances.len() != after.instances.len() {
        let (was, is) = (before.instances.len(), after.instances.len());
        return told(format!("the letter has {was} core instance(s), the replay {is}"));
    }
    for (number, (before, after)) in before.instances.iter().zip(&after.instances).enumerate() {
        if let Some(text) = globals(number, before, after) {
            return told(text);
        }
        for (index, (before, after)) in before.memories.iter().zip(&after.memories).enumerate() {
            if let Some(difference) = memories(&format!("{number}:{index}"), before, after) {
                return Some(difference);
            }
        }
    }
    None
}

fn globals(number: usize, before: &InstanceState, after: &InstanceState) -> Option<String> {
    let counts = |state: &InstanceState| (state.globals.len(), state.memories.len());
    if counts(before) != counts(after) {
        return Some(format!("instance {number} defines other globals or memories"));
    }
    let mut pairs = before.globals.iter().zip(&after.globals).enumerate();
    let (index, (was, is)) = pairs.find(|(_, (was, is))| was != is)?;
    let bits = |bits: &Option<String>| bits.clone().unwrap_or_else(|| "a reference".to_owned());
    Some(format!(
        "global {index} of instance {number} was {} {}, and is {} {}",
        was.kind,
        bits(&was.bits),
        is.kind,
        bits(&is.bits)
    ))
}

fn memories(name: &str, before: &MemoryState, after: &MemoryState) -> Option<Difference> {
    if before.pages != after.pages {
        return Some(Difference::Told(format!(
            "memory {name} was of {} page(s), and is of {}",
            before.pages, after.pages
        )));
    }
    let digest = |state: &MemoryState, index| {
        let stored = state.stored.iter().find(|page| page.index == index);
        stored.map(|page| page.digest)
    };
    let mut indices: Vec<u64> = before
        .stored
        .iter()
        .chain(&after.stored)
        .map(|page| page.index)
        .collect();
    indices.sort_unstable();
    let index = indices
        .into_iter()
        .find(|&index| digest(before, index) != digest(after, index))?;
    Some(Difference::Page(PageDiffers {
        memory: name.to_owned(),
        index,
        before: digest(before, index),
        after: digest(after, index),
    }))
}

impl PageDiffers {
    /// The page as the letter keeps it; `None` when it was empty.
    pub(super) fn before(&self) -> Option<Digest> {
        self.before
    }

    /// The first byte that differs; `before` is the letter's page, compressed.
    pub(super) fn told(&self, before: Option<&[u8]>, replayed: &[Page]) -> String {
        let after = self
            .after
            .and_then(|digest| replayed.iter().find(|page| page.digest == digest));
        let (was, is) = (content(before), content(after.map(|page| page.zstd.as_slice())));
        let at = was.iter().zip(&is).position(|(was, is)| was != is).unwrap_or(0);
        let shown = |page: &[u8]| hex(page.get(at..(at + SHOWN).min(page.len())).unwrap_or_default());
        format!(
            "memory {} at {:#x} was {}, and is {}",
            self.memory,
            self.index * PAGE as u64 + at as u64,
            shown(&was),
            shown(&is)
        )
    }
}

/// A page, empty where there is none; a damaged one counts as empty too, and differs where it should not.
fn content(zstd: Option<&[u8]>) -> Vec<u8> {
    let page = zstd.and_then(|zstd| zstd::bulk::decompress(zstd, PAGE).ok());
    page.unwrap_or_else(|| vec![0; PAGE])
}

/// What is compared, in numbers.
pub(super) fn same(state: &Snapshot) -> Agreement {
    let memories = state.instances.iter().flat_map(|instance| &instance.memories);
    Agreement::Same {
        pages: memories.map(|memory| memory.stored.len()).sum(),
        globals: state.instances.iter().map(|instance| instance.globals.len()).sum(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::records::{GlobalState, StoredPage};
    use crate::requests::digest_of;

    fn page(byte: u8) -> (Digest, Page) {
        let mut content = vec![0_u8; PAGE];
        content[300] = byte;
        let digest = digest_of(&content);
        let zstd = zstd::bulk::compress(&content, 3).unwrap();
        (digest, Page { digest, zstd })
    }

    fn state(global: &str, byte: u8) -> Snapshot {
        let (digest, page) = page(byte);
        Snapshot {
            instances: vec![InstanceState {
                module: None,
                globals: vec![GlobalState {
                    kind: "i32".to_owned(),
                    bits: Some(global.to_owned()),
                }],
                memories: vec![MemoryState {
                    pages: 2,
                    stored: vec![StoredPage { index: 1, digest }],
                }],
            }],
            pages: vec![page],
            ..Snapshot::default()
        }
    }

    fn told(before: &Snapshot, after: &Snapshot) -> Option<String> {
        Some(match difference(before, after)? {
            Difference::Told(text) => text,
            Difference::Page(page) => {
                let kept = before.pages.iter().find(|kept| Some(kept.digest) == page.before());
                page.told(kept.map(|page| page.zstd.as_slice()), &after.pages)
            }
        })
    }

    #[test]
    fn equal_states_differ_in_nothing() {
        assert_eq!(told(&state("0x1", 7), &state("0x1", 7)), None);
        assert_eq!(same(&state("0x1", 7)), Agreement::Same { pages: 1, globals: 1 });
    }

    #[test]
    fn the_first_difference_is_named_with_its_place_and_both_sides() {
        let global = told(&state("0x1", 7), &state("0x2", 8)).unwrap();
        assert_eq!(global, "global 0 of instance 0 was i32 0x1, and is i32 0x2");
        let byte = told(&state("0x1", 7), &state("0x1", 8)).unwrap();
        assert!(byte.starts_with("memory 0:0 at 0x1012c was 07000000"), "{byte}");
        assert!(byte.contains("and is 08000000"), "{byte}");
        let mut empty = state("0x1", 7);
        empty.instances[0].memories[0].stored.clear();
        let gone = told(&state("0x1", 7), &empty).unwrap();
        assert!(
            gone.contains("was 07000000") && gone.contains("and is 00000000"),
            "{gone}"
        );
    }
}
