//! A digest of decoded values that does not depend on how they were spelled.
//!
//! The canonical form is a byte string, by which two values of one type are equal exactly when their byte strings are:
//! a tag for the kind, then numbers at full width in big-endian order, text and lists after their length. A field or
//! an argument that is an absent option leaves no trace, so that a new optional field changes no fingerprint. Maps are
//! sorted, -0.0 is 0.0, and there is one NaN. The form is stored with runs: a change needs a new [`DOMAIN`].

use crate::shape::wit_type::Field;
use fusebox_core::ids::Digest;
use sha2::{Digest as _, Sha256};
use std::mem::size_of;
use std::ops::Range;
use wasmtime::component::Val;

/// Begins every hashed text, so that a fingerprint is never mistaken for the digest of something else.
const DOMAIN: &[u8] = b"fusebox arguments v1\0";

/// Bytes that sorting takes for each entry of a map, beside the key's own size.
pub(crate) const SORTED_ENTRY: usize = size_of::<(Range<usize>, usize)>() + 16;

/// SHA-256 of arguments in canonical form.
pub(crate) fn fingerprint(params: &[Field], values: &[Val]) -> Digest {
    let mut hash = Hash::new();
    hash.put(DOMAIN);
    named(params.iter().map(|field| field.name.kebab()).zip(values), &mut hash);
    hash.finish()
}

/// Takes the bytes of a canonical form.
trait Sink {
    fn put(&mut self, bytes: &[u8]);
}

impl Sink for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

/// SHA-256 that is fed in blocks: most pieces are a few bytes long.
struct Hash {
    sha: Sha256,
    block: [u8; 512],
    used: usize,
}

impl Hash {
    fn new() -> Self {
        Self {
            sha: Sha256::new(),
            block: [0; 512],
            used: 0,
        }
    }

    fn flush(&mut self) {
        self.sha.update(&self.block[..self.used]);
        self.used = 0;
    }

    fn finish(mut self) -> Digest {
        self.flush();
        Digest(self.sha.finalize().into())
    }
}

impl Sink for Hash {
    fn put(&mut self, bytes: &[u8]) {
        if bytes.len() > self.block.len() - self.used {
            self.flush();
        }
        match self.block.get_mut(self.used..self.used + bytes.len()) {
            Some(room) => {
                room.copy_from_slice(bytes);
                self.used += bytes.len();
            }
            None => self.sha.update(bytes),
        }
    }
}

fn value(val: &Val, out: &mut impl Sink) {
    match val {
        Val::Option(None) => out.put(&[0x00]),
        Val::Bool(false) => out.put(&[0x01]),
        Val::Bool(true) => out.put(&[0x02]),
        Val::S8(n) => signed(i64::from(*n), out),
        Val::S16(n) => signed(i64::from(*n), out),
        Val::S32(n) => signed(i64::from(*n), out),
        Val::S64(n) => signed(*n, out),
        Val::U8(n) => unsigned(u64::from(*n), out),
        Val::U16(n) => unsigned(u64::from(*n), out),
        Val::U32(n) => unsigned(u64::from(*n), out),
        Val::U64(n) => unsigned(*n, out),
        Val::Float32(n) => {
            out.put(&[0x05]);
            out.put(&(if n.is_nan() { f32::NAN } else { n + 0.0 }).to_bits().to_be_bytes());
        }
        Val::Float64(n) => {
            out.put(&[0x06]);
            out.put(&(if n.is_nan() { f64::NAN } else { n + 0.0 }).to_bits().to_be_bytes());
        }
        Val::Char(scalar) => {
            out.put(&[0x07]);
            out.put(&u32::from(*scalar).to_be_bytes());
        }
        Val::String(text) => {
            out.put(&[0x08]);
            string(text, out);
        }
        Val::List(items) if matches!(items.first(), Some(Val::U8(_))) => bytes(items, out),
        Val::List(items) => sequence(0x0a, items, out),
        Val::Map(entries) => map(entries, out),
        Val::Record(fields) => {
            out.put(&[0x0c]);
            named(fields.iter().map(|(name, val)| (name.as_str(), val)), out);
        }
        Val::Tuple(items) => sequence(0x0d, items, out),
        Val::Variant(case, carried) => {
            out.put(&[0x0e]);
            string(case, out);
            optional(carried.as_deref(), out);
        }
        Val::Enum(case) => {
            out.put(&[0x0f]);
            string(case, out);
        }
        Val::Option(Some(some)) => {
            out.put(&[0x10]);
            value(some, out);
        }
        Val::Result(Ok(carried)) => {
            out.put(&[0x11]);
            optional(carried.as_deref(), out);
        }
        Val::Result(Err(carried)) => {
            out.put(&[0x12]);
            optional(carried.as_deref(), out);
        }
        Val::Flags(names) => {
            out.put(&[0x13]);
            length(names.len(), out);
            names.iter().for_each(|name| string(name, out));
        }
        // No function that takes these is a tool: shape leaves it out.
        Val::Resource(_) | Val::Future(_) | Val::Stream(_) | Val::ErrorContext(_) => out.put(&[0xff]),
        Val::FixedLengthList(items) => sequence(0x14, items, out),
    }
}

fn signed(n: i64, out: &mut impl Sink) {
    out.put(&[0x03]);
    out.put(&n.to_be_bytes());
}

fn unsigned(n: u64, out: &mut impl Sink) {
    out.put(&[0x04]);
    out.put(&n.to_be_bytes());
}

fn length(count: usize, out: &mut impl Sink) {
    out.put(&(count as u64).to_be_bytes());
}

fn string(text: &str, out: &mut impl Sink) {
    length(text.len(), out);
    out.put(text.as_bytes());
}

fn sequence(tag: u8, items: &[Val], out: &mut impl Sink) {
    out.put(&[tag]);
    length(items.len(), out);
    items.iter().for_each(|item| value(item, out));
}

/// A list of bytes, which may be long, without a tag for each.
fn bytes(items: &[Val], out: &mut impl Sink) {
    out.put(&[0x09]);
    length(items.len(), out);
    for item in items {
        if let Val::U8(byte) = item {
            out.put(&[*byte]);
        }
    }
}

fn optional(carried: Option<&Val>, out: &mut impl Sink) {
    match carried {
        Some(val) => {
            out.put(&[1]);
            value(val, out);
        }
        None => out.put(&[0]),
    }
}

/// Names and values; absent options are left out.
fn named<'v>(fields: impl Iterator<Item = (&'v str, &'v Val)> + Clone, out: &mut impl Sink) {
    let present = fields.filter(|(_, val)| !matches!(val, Val::Option(None)));
    length(present.clone().count(), out);
    for (name, val) in present {
        string(name, out);
        value(val, out);
    }
}

/// A map is the same in any order of its keys.
fn map(entries: &[(Val, Val)], out: &mut impl Sink) {
    let keys = Keys::sorted(entries);
    out.put(&[0x0b]);
    length(entries.len(), out);
    for (range, at) in &keys.order {
        out.put(&keys.bytes[range.clone()]);
        value(&entries[*at].1, out);
    }
}

/// Indices, in order, of entries whose key a later entry has too.
pub(crate) fn overridden(entries: &[(Val, Val)]) -> Vec<usize> {
    let keys = Keys::sorted(entries);
    let key = |(range, _): &(Range<usize>, usize)| &keys.bytes[range.clone()];
    let repeated = keys.order.windows(2).filter(|two| key(&two[0]) == key(&two[1]));
    let mut indices: Vec<_> = repeated.map(|two| two[0].1).collect();
    indices.sort_unstable();
    indices
}

/// Keys of a map in canonical form, sorted.
struct Keys {
    bytes: Vec<u8>,
    /// Where a key's bytes are, and the index of its entry.
    order: Vec<(Range<usize>, usize)>,
}

impl Keys {
    fn sorted(entries: &[(Val, Val)]) -> Self {
        let mut bytes = Vec::new();
        let mut order = Vec::with_capacity(entries.len());
        for (at, (key, _)) in entries.iter().enumerate() {
            let start = bytes.len();
            value(key, &mut bytes);
            order.push((start..bytes.len(), at));
        }
        order.sort_by(|a, b| bytes[a.0.clone()].cmp(&bytes[b.0.clone()]).then(a.1.cmp(&b.1)));
        Self { bytes, order }
    }
}

#[cfg(test)]
mod tests;
