//! Bounds what one input may make the host allocate.

use super::misfit::{Fit, exhausted};
use std::mem::size_of;
use wasmtime::component::Val;

/// Host memory that is left for one input. A short JSON text can stand for a large value: each element of a list of
/// bytes takes a whole `Val`, and `{}` can stand for a record of a hundred absent fields.
pub(super) struct Budget {
    limit: u64,
    left: u64,
}

impl Budget {
    pub(super) fn new(limit: u64) -> Self {
        Self { limit, left: limit }
    }

    /// Bytes that are left.
    pub(super) fn left(&self) -> u64 {
        self.left
    }

    /// Takes bytes before they are allocated.
    pub(super) fn take(&mut self, bytes: usize) -> Fit<()> {
        match self.left.checked_sub(bytes as u64) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => exhausted(format!(
                "the input needs more than the {} bytes of memory that it may take on the host; \
                 send less, or raise `limits.host-memory`",
                self.limit
            )),
        }
    }

    /// A box of one value.
    pub(super) fn take_box(&mut self) -> Fit<()> {
        self.take(size_of::<Val>())
    }

    /// Makes room for one more item, by doubling.
    pub(super) fn grow<T>(&mut self, items: &mut Vec<T>) -> Fit<()> {
        if items.len() == items.capacity() {
            let more = items.capacity().max(4);
            self.take(more.saturating_mul(size_of::<T>()))?;
            items.reserve_exact(more);
        }
        Ok(())
    }
}
