//! What is kept of the state of a failed component: globals, memories by page, frames.

use super::text;
use fusebox_core::ids::Digest;
use serde::{Deserialize, Serialize};

/// The state of a component when its attempt failed (durability.md, "The letter's snapshot").
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Snapshot {
    /// Runtime and version that it ran on.
    pub runtime: String,
    /// Fingerprint of the runtime's settings that matter to compiled code.
    pub config: String,
    /// Name of the trap, when there was one.
    pub trap: Option<String>,
    /// Symbolised frames, innermost first.
    pub frames: Vec<Frame>,
    /// Core instances of the store, in the order in which they were made.
    pub instances: Vec<InstanceState>,
    /// Host resources that were open, such as `outgoing-request ×2`.
    pub resources: Vec<String>,
    /// Compressed pages by digest. They travel beside the snapshot and are stored as blobs of their own.
    #[serde(skip)]
    pub pages: Vec<Page>,
}

/// One 64 KiB page that is not empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Digest of the page before compression.
    pub digest: Digest,
    /// The page, compressed with zstd.
    pub zstd: Vec<u8>,
}

/// One frame of a guest's stack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Frame {
    /// Index into [`Snapshot::instances`] when it is known.
    pub instance: Option<u32>,
    /// Function index within its module.
    pub function: u32,
    /// Demangled name, when the component carries names.
    pub name: Option<String>,
    /// `file:line:column`, when the component carries line tables.
    pub location: Option<String>,
    /// Offset in the module's code, when it is known.
    pub offset: Option<u64>,
}

/// Globals and memories of one core instance.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct InstanceState {
    /// The module's own name, when it has one.
    pub module: Option<String>,
    /// Globals in the order of their index.
    pub globals: Vec<GlobalState>,
    /// Memories in the order of their index.
    pub memories: Vec<MemoryState>,
}

/// One global.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct GlobalState {
    /// `i32`, `i64`, `f32`, `f64`, `v128`, or `ref`.
    pub kind: String,
    /// Its bits in hexadecimal, so that a NaN survives; `null` for a reference.
    pub bits: Option<String>,
}

/// One linear memory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MemoryState {
    /// Its size in pages of 64 KiB.
    pub pages: u64,
    /// Pages that are not empty: index, and digest of the page before compression.
    pub stored: Vec<StoredPage>,
}

/// Where the content of one page is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct StoredPage {
    /// Index of the page in its memory.
    pub index: u64,
    /// Digest of the page before compression.
    #[serde(with = "text")]
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub digest: Digest,
}
