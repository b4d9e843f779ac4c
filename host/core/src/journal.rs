//! Where a run resumes, and what of its journal is served then (durability.md, "Where a run resumes").

mod entry;
mod seen;

pub use entry::{Diverged, Entry, matches};

use seen::Seen;

/// Where a run goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resume {
    /// That effect is made again, and what the guest asked for after it saw it fail is forgotten; everything else is served.
    /// Failures that were let in with no question between them are one point: all are made again, and the first to settle gives the number.
    At(u32),
    /// Everything is served, and the guest goes on from the end. After an attempt that failed this leads to the same failure once more.
    End,
    /// These may not be repeated and nobody knows what became of them: a person settles them.
    InDoubt(Vec<u32>),
}

/// What of a journal goes before the next attempt. What is left keeps its order, gaps and all: the next effect to settle comes above the
/// highest that is left.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cut {
    /// Forgotten. A nested call gives up its child's key with it: at its number something else may be asked.
    pub drop: Vec<u32>,
    /// Intents again, and [`Entry::resent`] from now on: sent before, and repeated under their key alone, so that the digest must be the same.
    pub reopen: Vec<u32>,
}

/// Where a run resumes whose attempt failed; `starts_over`: its function is `readonly` or `idempotent`.
///
/// That is the latest failure, if the guest did nothing since that may not be forgotten. What it asked for since and did not get is not
/// forgotten either: a guest that waits for a timer or a person has survived the failure. A nested call is never in doubt, since its
/// child has a journal of its own, and goes on by that.
#[must_use]
pub fn resume_point(entries: &[Entry], starts_over: bool) -> Resume {
    let seen = Seen::of(entries);
    let Some(latest) = entries
        .iter()
        .filter(|entry| entry.has_failed())
        .max_by_key(|entry| entry.order)
    else {
        return go_on(entries);
    };
    let point = Point::at(latest.seq(), &seen);
    let may_be_forgotten = |entry: &Entry| entry.is_harmless() || (starts_over && entry.is_settled());
    if entries
        .iter()
        .any(|entry| point.is_before(entry) && !may_be_forgotten(entry))
    {
        return go_on(entries);
    }
    let in_doubt = |entry: &&Entry| entry.is_in_doubt() && (!entry.is_settled() || point.is_made_again(entry));
    let in_doubt: Vec<u32> = entries.iter().filter(in_doubt).map(Entry::seq).collect();
    let first = entries
        .iter()
        .filter(|entry| point.is_made_again(entry))
        .min_by_key(|entry| entry.order);
    match first {
        Some(first) if in_doubt.is_empty() => Resume::At(first.seq()),
        _ => Resume::InDoubt(in_doubt),
    }
}

/// Where a run goes on whose attempt did not fail: it slept, waited for a person, was handed over, or lost its host. From the end, whatever
/// failures the guest has survived, unless something was sent and nobody knows what became of it.
#[must_use]
pub fn go_on(entries: &[Entry]) -> Resume {
    let lost = |entry: &&Entry| !entry.is_settled() && entry.is_in_doubt();
    let in_doubt: Vec<u32> = entries.iter().filter(lost).map(Entry::seq).collect();
    if in_doubt.is_empty() {
        Resume::End
    } else {
        Resume::InDoubt(in_doubt)
    }
}

/// What goes before the attempt that resumes there. Of a run in doubt nothing goes. What was never sent was never let in, and is asked for
/// again in any case.
#[must_use]
pub fn cut(entries: &[Entry], at: &Resume) -> Cut {
    match at {
        Resume::InDoubt(_) => Cut::default(),
        Resume::End => cut_by(entries, |_| false, |_| false),
        Resume::At(seq) => {
            let seen = Seen::of(entries);
            let point = Point::at(*seq, &seen);
            cut_by(
                entries,
                |entry| point.is_made_again(entry),
                |entry| point.is_before(entry),
            )
        }
    }
}

/// The cut that serves only what is below `from`.
#[must_use]
pub fn cut_from(entries: &[Entry], from: u32) -> Cut {
    cut_by(entries, |_| false, |entry| entry.seq() >= from)
}

/// Effects that may not be repeated and would happen again if the journal were served only below `from` (1: from the start); without those
/// named in `repeat`.
#[must_use]
pub fn would_repeat(entries: &[Entry], from: u32, repeat: &[u32]) -> Vec<u32> {
    let again = entries
        .iter()
        .filter(|entry| entry.seq() >= from && entry.may_not_happen_twice());
    again.map(Entry::seq).filter(|seq| !repeat.contains(seq)).collect()
}

/// Effects that would happen again in another run, whose keys protect nothing of what this one did; without those named in `repeat`.
#[must_use]
pub fn would_repeat_elsewhere(entries: &[Entry], repeat: &[u32]) -> Vec<u32> {
    let again = |entry: &&Entry| entry.may_not_happen_twice() || entry.needs_its_key();
    let again = entries.iter().filter(again).map(Entry::seq);
    again.filter(|seq| !repeat.contains(seq)).collect()
}

/// What goes from the journal once a person has said what became of an effect: what the guest asked for since it saw that fail, for with
/// the answer it would have asked for something else.
///
/// # Errors
/// Numbers of what may not be forgotten: the guest has gone on for good, and what it was told of the effect stands.
pub fn settle(entries: &[Entry], seq: u32) -> Result<Vec<u32>, Vec<u32>> {
    let seen = Seen::of(entries);
    let point = Point::at(seq, &seen);
    let since = || entries.iter().filter(|entry| point.is_before(entry));
    let stands: Vec<u32> = since().filter(|entry| !entry.is_harmless()).map(Entry::seq).collect();
    if stands.is_empty() {
        Ok(since().map(Entry::seq).collect())
    } else {
        Err(stands)
    }
}

/// A failure, and those that were let in together with it.
struct Point<'a> {
    seq: u32,
    after: Option<u32>,
    seen: &'a Seen,
}

impl<'a> Point<'a> {
    fn at(seq: u32, seen: &'a Seen) -> Self {
        let after = seen.first_after(seq);
        Self { seq, after, seen }
    }

    /// Whether the guest had seen the failure when it asked for that.
    fn is_before(&self, entry: &Entry) -> bool {
        self.after.is_some_and(|first| first <= entry.seq())
    }

    /// Whether it failed, and the guest asked for nothing between this failure and that.
    fn is_made_again(&self, entry: &Entry) -> bool {
        entry.seq() == self.seq || (entry.has_failed() && self.seen.first_after(entry.seq()) == self.after)
    }
}

fn cut_by(entries: &[Entry], again: impl Fn(&Entry) -> bool, forget: impl Fn(&Entry) -> bool) -> Cut {
    let mut cut = Cut::default();
    for entry in entries {
        if forget(entry) || entry.was_never_sent() || (again(entry) && !entry.needs_its_key()) {
            cut.drop.push(entry.seq());
        } else if again(entry) || entry.was_held_back() {
            cut.reopen.push(entry.seq());
        }
    }
    cut
}
