//! How a store is opened.

use crate::blobs::Blobs;
use std::fmt;

/// How a store is opened.
#[derive(Clone, Default)]
pub struct StoreOptions {
    /// What inputs, outputs, journals, snapshots and state are encrypted with; `None` leaves them as they are.
    pub key: Option<[u8; 32]>,
    /// Where components and pages are put; `None` puts them into the database.
    pub blobs: Option<Blobs>,
}

impl fmt::Debug for StoreOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreOptions")
            .field("key", &self.key.map(|_| ".."))
            .field("blobs", &self.blobs)
            .finish()
    }
}
