//! What waits for somebody, in numbers.

use fusebox_core::dead_letter::Kind;

/// What waits for somebody, every tenant together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Open letters of each kind, those that are being replayed too, by the order of [`Kind::ALL`].
    pub letters: [u64; Kind::ALL.len()],
    /// First failure of the oldest of them, milliseconds since 1970.
    pub oldest: Option<i64>,
    /// Questions that a person can still answer.
    pub approvals: u64,
    /// When the oldest of them was asked, milliseconds since 1970.
    pub oldest_approval: Option<i64>,
}

impl Backlog {
    /// Adds open letters of a kind by its name; one that this version does not know is no letter that it could do anything about.
    pub fn add(&mut self, kind: &str, count: u64, oldest: i64) {
        let place = Kind::ALL.iter().position(|known| known.name() == kind);
        if let Some(letters) = place.and_then(|place| self.letters.get_mut(place)) {
            *letters += count;
            self.oldest = Some(self.oldest.map_or(oldest, |known| known.min(oldest)));
        }
    }
}
