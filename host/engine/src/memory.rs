//! What a letter keeps of a component's memory, read back from its compressed pages.

use crate::engine::Engine;
use crate::records::{LetterRecord, MemoryState, Snapshot};
use crate::refusals;
use crate::requests::MemoryRange;
use bytes::Bytes;
use fusebox_core::failure::Failure;
use fusebox_core::ids::Digest;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// Bytes of a page.
const PAGE: u64 = 64 << 10;
/// Bytes that are read at once at most.
const MOST: u64 = 64 << 20;

/// A part of one memory; pages that are not kept were empty.
pub(crate) async fn read(engine: &Engine, letter: &LetterRecord, range: MemoryRange) -> Result<Vec<u8>, Box<Failure>> {
    let memory = snapshot(letter)?
        .instances
        .get(range.instance)
        .and_then(|instance| instance.memories.get(range.memory))
        .ok_or_else(|| refusals::no_memory(letter.id.as_str(), range.instance, range.memory))?;
    let (start, end) = bounds(memory, range);
    let mut bytes = vec![0; usize::try_from(end - start).unwrap_or(0)];
    for stored in &memory.stored {
        let first = stored.index.saturating_mul(PAGE);
        let (from, to) = (start.max(first), end.min(first.saturating_add(PAGE)));
        if from < to {
            let page = page(engine, letter, stored.digest).await?;
            let (source, target) = (span(from - first, to - first), span(from - start, to - start));
            if let (Some(source), Some(target)) = (page.get(source), bytes.get_mut(target)) {
                target.copy_from_slice(source);
            }
        }
    }
    Ok(bytes)
}

fn bounds(memory: &MemoryState, range: MemoryRange) -> (u64, u64) {
    let size = memory.pages.saturating_mul(PAGE);
    let start = range.offset.min(size);
    (start, start.saturating_add(range.length.min(MOST)).min(size))
}

fn span(from: u64, to: u64) -> std::ops::Range<usize> {
    usize::try_from(from).unwrap_or(usize::MAX)..usize::try_from(to).unwrap_or(usize::MAX)
}

/// A standard core dump of the whole snapshot.
pub(crate) async fn coredump(engine: &Engine, letter: &LetterRecord) -> Result<Vec<u8>, Box<Failure>> {
    let snapshot = snapshot(letter)?;
    let mut pages: HashMap<Digest, Bytes> = HashMap::new();
    let memories = snapshot.instances.iter().flat_map(|instance| &instance.memories);
    for stored in memories.flat_map(|memory| &memory.stored) {
        if let Entry::Vacant(page) = pages.entry(stored.digest) {
            page.insert(compressed(engine, letter, stored.digest).await?);
        }
    }
    let dump = engine
        .ports
        .sandbox
        .coredump(snapshot, &|digest| pages.get(&digest).cloned());
    dump.map_err(|what| refusals::internal(format!("no core dump can be made of {}: {what}", letter.id)))
}

fn snapshot(letter: &LetterRecord) -> Result<&Snapshot, Box<Failure>> {
    letter.snapshot.as_ref().ok_or_else(|| {
        let why = letter.no_snapshot.as_deref().unwrap_or("it was not kept");
        refusals::no_snapshot(letter.id.as_str(), why)
    })
}

async fn compressed(engine: &Engine, letter: &LetterRecord, digest: Digest) -> Result<Bytes, Box<Failure>> {
    let page = engine.ports.store.page(&letter.tenant, digest).await;
    page.map_err(|error| refusals::store("a page of the snapshot cannot be read", &error))?
        .ok_or_else(|| refusals::internal(format!("the store has lost the page {digest} of {}", letter.id)))
}

async fn page(engine: &Engine, letter: &LetterRecord, digest: Digest) -> Result<Vec<u8>, Box<Failure>> {
    let compressed = compressed(engine, letter, digest).await?;
    let limit = usize::try_from(PAGE).unwrap_or(usize::MAX);
    zstd::bulk::decompress(&compressed, limit)
        .map_err(|error| refusals::internal(format!("the page {digest} of {} is damaged: {error}", letter.id)))
}
