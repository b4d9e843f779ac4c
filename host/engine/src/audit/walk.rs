//! A walk along an audit trail, entry by entry, that finds what was changed, removed, inserted or moved.

use crate::records::{AuditFault, AuditHead, AuditRecord, AuditVerdict};
use fusebox_core::ids::Digest;

/// Faults that are told.
const FAULTS: usize = 100;

/// How far the walk is, and what it found.
pub(super) struct Walk {
    /// The trail's end when the walk began, as it is kept apart from the entries.
    end: AuditHead,
    /// The entry that was seen last.
    seen: AuditHead,
    entries: u64,
    /// The hash that is still looked for.
    known: Option<Digest>,
    faults: Vec<AuditFault>,
}

impl Walk {
    /// A walk to that end, on the way to which there is an entry of the hash `known`.
    pub(super) fn to(end: AuditHead, known: Option<Digest>) -> Self {
        Self {
            end,
            seen: AuditHead::EMPTY,
            entries: 0,
            known: known.filter(|known| *known != AuditHead::EMPTY.hash),
            faults: Vec::new(),
        }
    }

    /// Number of the entry that was seen last.
    pub(super) fn last(&self) -> i64 {
        self.seen.number
    }

    /// Looks at the next entry.
    pub(super) fn step(&mut self, entry: &AuditRecord) {
        let next = self.seen.number + 1;
        if entry.number > next {
            let gone = match entry.number - 1 {
                last if last == next => format!("entry {next} was removed"),
                last => format!("entries {next} to {last} were removed"),
            };
            self.fault(next, gone);
        }
        if entry.computed_hash() != entry.hash {
            self.fault(entry.number, "it was changed".to_owned());
        } else if entry.number == next && entry.previous != self.seen.hash {
            let fault = "it does not follow the entry before it: one of the two was changed, inserted or moved";
            self.fault(entry.number, fault.to_owned());
        }
        self.known = self.known.filter(|known| *known != entry.hash);
        self.seen = entry.head();
        self.entries += 1;
        if self.seen.number == self.end.number && self.seen.hash != self.end.hash {
            let fault = "it is not the entry that the trail ended with".to_owned();
            self.fault(entry.number, fault);
        }
    }

    /// What was found, now that there is no further entry; `end` is where the trail ends by now.
    pub(super) fn end(mut self, end: AuditHead) -> AuditVerdict {
        let last = self.seen.number;
        if last < self.end.number {
            let missing = format!("the end is missing: entries {} to {}", last + 1, self.end.number);
            self.fault(last + 1, missing);
        }
        if last > end.number {
            let added = format!("it was added behind the trail's end, which is entry {}", end.number);
            self.fault(end.number + 1, added);
        }
        if let Some(known) = self.known {
            let lost = format!("no entry has the hash {known}: the trail was rewritten since that was noted down");
            self.fault(last, lost);
        }
        AuditVerdict {
            whole: self.faults.is_empty(),
            entries: self.entries,
            last,
            head: self.seen.hash,
            faults: self.faults,
        }
    }

    fn fault(&mut self, number: i64, fault: String) {
        if self.faults.len() < FAULTS {
            self.faults.push(AuditFault { number, fault });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::AuditEntry;

    /// A trail of five entries.
    fn trail() -> Vec<AuditRecord> {
        let mut head = AuditHead::EMPTY;
        let entry = |subject: &str| AuditEntry {
            tenant: "default".to_owned(),
            at: 1_767_225_600_000,
            principal: "local".to_owned(),
            action: "tool.remove".to_owned(),
            subject: subject.to_owned(),
            detail: "{}".to_owned(),
            outcome: "begun".to_owned(),
        };
        ["a", "b", "c", "d", "e"]
            .into_iter()
            .map(|subject| {
                let record = AuditRecord::after(head, entry(subject));
                head = record.head();
                record
            })
            .collect()
    }

    fn end() -> AuditHead {
        trail().last().map_or(AuditHead::EMPTY, AuditRecord::head)
    }

    fn walked(entries: &[AuditRecord], end: AuditHead, known: Option<Digest>) -> AuditVerdict {
        let mut walk = Walk::to(end, known);
        entries.iter().for_each(|entry| walk.step(entry));
        walk.end(end)
    }

    /// Numbers of the entries that are found broken after that change.
    fn found(change: impl FnOnce(&mut Vec<AuditRecord>)) -> Vec<i64> {
        let mut entries = trail();
        change(&mut entries);
        let verdict = walked(&entries, end(), None);
        assert_eq!(verdict.whole, verdict.faults.is_empty());
        verdict.faults.iter().map(|fault| fault.number).collect()
    }

    /// Numbers and links every entry anew from `first` on, as somebody would who knows how.
    fn forged(entries: &mut [AuditRecord], first: usize) {
        for at in first..entries.len() {
            let before = at
                .checked_sub(1)
                .map_or(AuditHead::EMPTY, |before| entries[before].head());
            entries[at].number = before.number + 1;
            entries[at].previous = before.hash;
            entries[at].hash = entries[at].computed_hash();
        }
    }

    #[test]
    fn a_trail_as_it_was_written_is_whole() {
        let verdict = walked(&trail(), end(), None);
        assert!(verdict.whole, "{verdict:?}");
        assert_eq!((verdict.entries, verdict.last, verdict.head), (5, 5, end().hash));
        assert!(walked(&[], AuditHead::EMPTY, None).whole);
    }

    #[test]
    fn what_was_changed_is_found_where_it_is() {
        assert_eq!(found(|entries| entries[2].subject.push('x')), [3]);
        assert_eq!(found(|entries| entries[0].at += 1), [1]);
        assert_eq!(found(|entries| entries[4].outcome = "failed".to_owned()), [5]);
        // With a hash that fits again, the next entry tells; the last one's is kept apart.
        let rehashed = |at: usize| {
            move |entries: &mut Vec<AuditRecord>| {
                entries[at].subject.push('x');
                entries[at].hash = entries[at].computed_hash();
            }
        };
        assert_eq!(found(rehashed(1)), [3]);
        assert_eq!(found(rehashed(4)), [5]);
    }

    #[test]
    fn what_was_removed_is_found_where_it_was() {
        assert_eq!(found(|entries| drop(entries.remove(0))), [1]);
        assert_eq!(found(|entries| drop(entries.drain(1..3))), [2]);
        assert_eq!(found(|entries| entries.truncate(3)), [4]);
        assert_eq!(found(Vec::clear), [1]);
        // Numbered anew, so that there is no gap.
        let renumbered = |entries: &mut Vec<AuditRecord>| {
            entries.remove(1);
            for (entry, number) in entries.iter_mut().zip(1..) {
                entry.number = number;
            }
        };
        assert_eq!(found(renumbered), [2, 3, 4, 5]);
    }

    #[test]
    fn what_was_inserted_moved_or_added_is_found() {
        let inserted = |entries: &mut Vec<AuditRecord>| {
            let mut extra = entries[1].clone();
            extra.number = 3;
            extra.previous = extra.hash;
            extra.hash = extra.computed_hash();
            entries.insert(2, extra);
            for (entry, number) in entries.iter_mut().zip(1..).skip(3) {
                entry.number = number;
            }
        };
        assert_eq!(found(inserted).first(), Some(&4));
        assert_eq!(found(|entries| entries.swap(1, 2)).first(), Some(&2));
        let added = |entries: &mut Vec<AuditRecord>| {
            let extra = entries[0].clone();
            entries.push(extra);
            forged(entries, 5);
        };
        assert_eq!(found(added), [6]);
    }

    #[test]
    fn a_trail_that_was_forged_as_a_whole_is_told_by_a_head_that_was_kept_elsewhere() {
        let mut entries = trail();
        let known = entries[2].hash;
        assert!(walked(&entries, end(), Some(known)).whole);
        entries[1].subject.push('x');
        forged(&mut entries, 1);
        let end = entries[4].head();
        assert!(walked(&entries, end, None).whole, "nothing in the database tells");
        let verdict = walked(&entries, end, Some(known));
        assert!(
            !verdict.whole && verdict.faults[0].fault.contains("rewritten"),
            "{verdict:?}"
        );
    }

    #[test]
    fn what_is_written_meanwhile_is_no_fault() {
        let entries = trail();
        let mut walk = Walk::to(entries[2].head(), None);
        entries.iter().for_each(|entry| walk.step(entry));
        assert!(walk.end(end()).whole);
    }
}
