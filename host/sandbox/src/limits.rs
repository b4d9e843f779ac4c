//! What an attempt may take: memory and tables of its guest, and memory of the host on its behalf. A refusal is kept, so
//! that the trap that usually follows is told as what it is.

use fusebox_core::policy::Limits;
use fusebox_engine::ports::sandbox::Limit;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use wasmtime::{Error, ResourceLimiter, Result};

/// A limit that was reached.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Refusal {
    pub(crate) limit: Limit,
    /// What was asked for, and how much is allowed.
    pub(crate) message: String,
}

/// Memory and tables of the guest's instances together.
pub(crate) struct GuestBudget {
    limits: Arc<Limits>,
    /// Largest single memory, in bytes, where the instance lives.
    largest: usize,
    memory: u64,
    elements: u64,
    /// What the last growth added, in case that the runtime cannot carry it out.
    last_memory: u64,
    last_elements: u64,
    refused: Option<Refusal>,
}

impl GuestBudget {
    pub(crate) fn new(limits: Arc<Limits>, largest: usize) -> Self {
        Self {
            limits,
            largest,
            memory: 0,
            elements: 0,
            last_memory: 0,
            last_elements: 0,
            refused: None,
        }
    }

    /// The last refusal.
    pub(crate) fn refused(&self) -> Option<&Refusal> {
        self.refused.as_ref()
    }

    fn refuse(&mut self, limit: Limit, message: String) {
        self.refused = Some(Refusal { limit, message });
    }
}

impl ResourceLimiter for GuestBudget {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> Result<bool> {
        let added = desired.saturating_sub(current) as u64;
        let wanted = self.memory.saturating_add(added);
        let allowed = self.limits.memory;
        if wanted > allowed {
            let message = format!("the guest asked for {wanted} bytes of memory; `limits.memory` allows {allowed}");
            self.refuse(Limit::Memory, message);
            return Ok(false);
        }
        // A memory that may not grow so far by its own declaration is refused by the runtime, and is nobody's limit.
        if desired > self.largest && maximum.is_none_or(|declared| desired <= declared) {
            let largest = self.largest;
            let message = format!(
                "the guest asked for a memory of {desired} bytes; an instance of the pool holds {largest} at most"
            );
            self.refuse(Limit::Memory, message);
            return Ok(false);
        }
        self.memory = wanted;
        self.last_memory = added;
        Ok(true)
    }

    fn memory_grow_failed(&mut self, _error: Error) -> Result<()> {
        self.memory = self.memory.saturating_sub(std::mem::take(&mut self.last_memory));
        Ok(())
    }

    fn table_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> Result<bool> {
        let added = desired.saturating_sub(current) as u64;
        let wanted = self.elements.saturating_add(added);
        let allowed = self.limits.table_elements;
        if wanted > allowed {
            let message =
                format!("the guest asked for {wanted} table elements; `limits.table-elements` allows {allowed}");
            self.refuse(Limit::Tables, message);
            return Ok(false);
        }
        self.elements = wanted;
        self.last_elements = added;
        Ok(true)
    }

    fn table_grow_failed(&mut self, _error: Error) -> Result<()> {
        self.elements = self.elements.saturating_sub(std::mem::take(&mut self.last_elements));
        Ok(())
    }
}

/// Bytes that the host holds for an attempt, in one sum: its arguments, bodies and headers, what effects carry, and the table of resources.
/// What crosses in a single call is bounded by what is left.
pub(crate) struct HostMemory {
    held: AtomicU64,
    /// The largest sum that was refused; zero when none was.
    refused: AtomicU64,
    allowed: u64,
}

impl HostMemory {
    /// A sum that may come to `allowed`, and that `held` bytes are taken of from the start.
    pub(crate) fn new(allowed: u64, held: u64) -> Arc<Self> {
        Arc::new(Self {
            held: AtomicU64::new(held),
            refused: AtomicU64::new(0),
            allowed,
        })
    }

    /// Holds so many bytes until the charge is dropped.
    ///
    /// # Errors
    /// [`Refusal`], when the host would then hold more than it may.
    pub(crate) fn charge(self: &Arc<Self>, bytes: u64) -> Result<Charge, Refusal> {
        let held = self.held.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        let charge = Charge {
            memory: Arc::clone(self),
            bytes,
        };
        if held > self.allowed {
            self.refused.fetch_max(held, Ordering::Relaxed);
            return Err(self.refusal(held));
        }
        Ok(charge)
    }

    /// A charge that holds nothing yet.
    pub(crate) fn nothing(self: &Arc<Self>) -> Charge {
        Charge {
            memory: Arc::clone(self),
            bytes: 0,
        }
    }

    /// Bytes that may be held in all.
    pub(crate) fn allowed(&self) -> u64 {
        self.allowed
    }

    /// Bytes that may be held besides.
    pub(crate) fn left(&self) -> u64 {
        self.allowed.saturating_sub(self.held.load(Ordering::Relaxed))
    }

    /// Refuses what would take more than [`Self::left`].
    pub(crate) fn refuse(&self) -> Refusal {
        let held = self.allowed.saturating_add(1);
        self.refused.fetch_max(held, Ordering::Relaxed);
        self.refusal(held)
    }

    /// The largest refusal.
    pub(crate) fn refused(&self) -> Option<Refusal> {
        let held = self.refused.load(Ordering::Relaxed);
        (held > 0).then(|| self.refusal(held))
    }

    fn refusal(&self, held: u64) -> Refusal {
        let allowed = self.allowed;
        Refusal {
            limit: Limit::HostMemory,
            message: format!("the host would hold {held} bytes for this run; `limits.host-memory` allows {allowed}"),
        }
    }
}

/// Bytes that are held.
pub(crate) struct Charge {
    memory: Arc<HostMemory>,
    bytes: u64,
}

impl Charge {
    /// Bytes that it holds.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Holds so many bytes more.
    ///
    /// # Errors
    /// [`Refusal`], as [`HostMemory::charge`].
    pub(crate) fn grow(&mut self, bytes: u64) -> Result<(), Refusal> {
        let mut more = self.memory.charge(bytes)?;
        self.bytes = self.bytes.saturating_add(std::mem::take(&mut more.bytes));
        Ok(())
    }

    /// Gives back what is held: its bytes are somebody else's now.
    pub(crate) fn release(&mut self) {
        let bytes = std::mem::take(&mut self.bytes);
        self.memory.held.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.release();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn memory_counts_over_all_memories_together() {
        let limits = Limits {
            memory: 3 << 16,
            ..Limits::default()
        };
        let mut budget = GuestBudget::new(Arc::new(limits), usize::MAX);
        assert!(budget.memory_growing(0, 2 << 16, None).unwrap());
        assert!(budget.memory_growing(0, 1 << 16, None).unwrap());
        assert!(!budget.memory_growing(1 << 16, 2 << 16, None).unwrap());
        assert_eq!(budget.refused().unwrap().limit, Limit::Memory);
    }

    #[test]
    fn a_growth_that_failed_is_given_back() {
        let limits = Limits {
            memory: 2 << 16,
            ..Limits::default()
        };
        let mut budget = GuestBudget::new(Arc::new(limits), usize::MAX);
        assert!(budget.memory_growing(0, 2 << 16, None).unwrap());
        budget.memory_grow_failed(Error::msg("no pages")).unwrap();
        assert!(budget.memory_growing(0, 2 << 16, None).unwrap());
    }

    #[test]
    fn a_dropped_charge_is_given_back_and_a_refusal_is_remembered() {
        let memory = HostMemory::new(110, 10);
        let charge = memory.charge(80).unwrap();
        assert!(memory.charge(30).is_err());
        drop(charge);
        assert!(memory.charge(100).is_ok());
        assert!(memory.refused().unwrap().message.contains("120"));
    }
}
