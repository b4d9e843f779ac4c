//! What the guest had seen when it asked for what.

use super::Entry;
use std::collections::HashMap;

/// For each effect that was let in, the first number that the guest asked for after it.
pub(super) struct Seen(HashMap<u32, u32>);

impl Seen {
    /// Read from what the records saw. Where a record is gone, it may have seen whatever could have been let in by then and no other record
    /// saw: so it is taken, lest something be forgotten that was asked for in the light of it.
    pub(super) fn of(entries: &[Entry]) -> Self {
        let mut first: HashMap<u32, u32> = HashMap::new();
        for entry in entries {
            for &let_in in &entry.saw {
                let number = first.entry(let_in).or_insert(entry.seq());
                *number = entry.seq().min(*number);
            }
        }
        let gone = gone(entries);
        if !gone.is_empty() {
            let mut settled: Vec<&Entry> = entries.iter().filter(|entry| entry.is_settled()).collect();
            settled.sort_by_key(|entry| entry.order);
            // Effects are let in as they settle: none before one that settled earlier.
            let mut not_before = 0;
            for entry in settled {
                let seen = first.get(&entry.seq()).copied().or_else(|| {
                    let by_then = not_before.max(entry.seq());
                    gone.iter().copied().find(|number| *number > by_then)
                });
                if let Some(number) = seen {
                    first.entry(entry.seq()).or_insert(number);
                    not_before = not_before.max(number.saturating_sub(1));
                }
            }
        }
        Self(first)
    }

    /// The first that was asked for after that effect was let in.
    pub(super) fn first_after(&self, seq: u32) -> Option<u32> {
        self.0.get(&seq).copied()
    }
}

/// Numbers of the records that are gone below the last.
fn gone(entries: &[Entry]) -> Vec<u32> {
    let mut left: Vec<u32> = entries.iter().map(Entry::seq).collect();
    left.sort_unstable();
    let mut gone = Vec::new();
    let mut next = 1;
    for number in left {
        gone.extend(next..number);
        next = number.saturating_add(1);
    }
    gone
}
