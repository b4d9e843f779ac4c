//! Open letters in numbers.

use fusebox_engine::requests::{LetterGroup, LetterStats};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Open letters in numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Stats {
    /// All that are open.
    pub open: u64,
    /// Of these, in doubt.
    pub in_doubt: u64,
    /// Of these, known to be bad.
    pub known_bad: u64,
    /// Being replayed.
    pub replaying: u64,
    /// First failure of the oldest, milliseconds since 1970.
    pub oldest: Option<i64>,
    /// By service; what failed at none is left out.
    pub by_service: BTreeMap<String, u64>,
    /// By class.
    pub by_class: BTreeMap<String, u64>,
    /// Known-bad ones, grouped, most first.
    pub groups: Vec<LetterGroup>,
}

impl From<LetterStats> for Stats {
    fn from(stats: LetterStats) -> Self {
        Self {
            open: stats.open,
            in_doubt: stats.in_doubt,
            known_bad: stats.known_bad,
            replaying: stats.replaying,
            oldest: stats.oldest,
            by_service: stats.by_service.into_iter().collect(),
            by_class: stats.by_class.into_iter().collect(),
            groups: stats.groups,
        }
    }
}

impl From<Stats> for LetterStats {
    fn from(stats: Stats) -> Self {
        Self {
            open: stats.open,
            in_doubt: stats.in_doubt,
            known_bad: stats.known_bad,
            replaying: stats.replaying,
            by_service: most_first(stats.by_service),
            by_class: most_first(stats.by_class),
            oldest: stats.oldest,
            groups: stats.groups,
        }
    }
}

fn most_first(counts: BTreeMap<String, u64>) -> Vec<(String, u64)> {
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by(|a, b| (b.1, &a.0).cmp(&(a.1, &b.0)));
    counts
}
