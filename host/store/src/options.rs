//! How a store is opened.

use std::fmt;

/// How a store is opened.
#[derive(Clone, Copy, Default)]
pub struct StoreOptions {
    /// What inputs, outputs, journals, snapshots and state are encrypted with; `None` leaves them as they are.
    pub key: Option<[u8; 32]>,
}

impl fmt::Debug for StoreOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreOptions")
            .field("key", &self.key.map(|_| ".."))
            .finish()
    }
}
