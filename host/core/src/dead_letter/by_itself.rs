//! Which letters are replayed without a person, and which of them is next (`auto-replay`, semantics.md §6).

use super::Kind;
use crate::policy::AutoReplay;
use crate::time::Wall;

/// So often a letter is replayed by itself, unless the operator says otherwise.
pub const AUTO_REPLAYS: u32 = 3;

/// Whether a run's letter is replayed by itself. An unkeyed caller that waited was told "failed" and may have called again.
#[must_use]
pub fn replays_by_itself(wanted: AutoReplay, kind: Kind, keyed: bool, detached: bool) -> bool {
    wanted == AutoReplay::WhenClosed && kind == Kind::Retryable && (keyed || detached)
}

/// A letter that waits for its service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// How often it was replayed by itself.
    pub replays: u32,
    /// When it failed first.
    pub since: Wall,
    /// Its upstream's hint: not before this.
    pub not_before: Option<Wall>,
}

/// Which of them is next, when each is replayed at most `most` times: the fewest replayed, and of these the oldest. So what fails again and
/// again goes behind what was not tried yet, and in the end waits for a person.
#[must_use]
pub fn next_by_itself(waiting: &[Waiting], most: u32, now: Wall) -> Option<usize> {
    let may = |letter: &Waiting| letter.replays < most && letter.not_before.is_none_or(|at| at <= now);
    let candidates = waiting.iter().enumerate().filter(|(_, letter)| may(letter));
    candidates
        .min_by_key(|(_, letter)| (letter.replays, letter.since))
        .map(|(index, _)| index)
}
