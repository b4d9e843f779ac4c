//! Open letters in numbers, and known-bad ones by their fingerprint.

use crate::records::LetterRecord;
use crate::requests::{LetterGroup, LetterStats};
use fusebox_core::dead_letter::{Kind, State, TOP_FRAMES};
use std::collections::BTreeMap;

/// Counts open letters.
pub(super) fn of(letters: &[LetterRecord]) -> LetterStats {
    let count = |keep: &dyn Fn(&LetterRecord) -> bool| letters.iter().filter(|letter| keep(letter)).count() as u64;
    let services = letters.iter().filter_map(|letter| letter.service.as_deref());
    LetterStats {
        open: letters.len() as u64,
        in_doubt: count(&|letter| letter.kind == Kind::InDoubt.name()),
        known_bad: count(&|letter| letter.kind == Kind::KnownBad.name()),
        replaying: count(&|letter| letter.state == State::Replaying.name()),
        by_service: most_first(services),
        by_class: most_first(letters.iter().map(|letter| letter.class.as_str())),
        oldest: letters.iter().map(|letter| letter.first_failed).min(),
        groups: groups(letters),
    }
}

fn most_first<'a>(names: impl Iterator<Item = &'a str>) -> Vec<(String, u64)> {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for name in names {
        *counts.entry(name).or_default() += 1;
    }
    let mut counts: Vec<_> = counts
        .into_iter()
        .map(|(name, count)| (name.to_owned(), count))
        .collect();
    counts.sort_by(|a, b| (b.1, &a.0).cmp(&(a.1, &b.0)));
    counts
}

fn groups(letters: &[LetterRecord]) -> Vec<LetterGroup> {
    let mut groups: BTreeMap<&str, LetterGroup> = BTreeMap::new();
    for letter in letters {
        let Some(fingerprint) = letter.fingerprint.as_deref() else {
            continue;
        };
        let group = groups.entry(fingerprint).or_insert_with(|| LetterGroup {
            fingerprint: fingerprint.to_owned(),
            tool: letter.run.tool.clone(),
            function: letter.run.function.clone(),
            class: letter.class.clone(),
            frames: letter.backtrace.iter().take(TOP_FRAMES).cloned().collect(),
            count: 0,
            oldest: letter.first_failed,
            newest: letter.last_failed,
            sample: letter.id.clone(),
        });
        group.count += 1;
        group.oldest = group.oldest.min(letter.first_failed);
        group.newest = group.newest.max(letter.last_failed);
    }
    let mut groups: Vec<_> = groups.into_values().collect();
    groups.sort_by(|a, b| (b.count, &a.fingerprint).cmp(&(a.count, &b.fingerprint)));
    groups
}
