//! Where a process dies: before and after every write of the store, and every request to an upstream.

use crate::harness::Dice;
use std::fmt;

/// What makes something durable, or sends it.
const METHODS: [&str; 16] = [
    "claim",
    "append",
    "go_on",
    "finish",
    "claim_nested",
    "finish_nested",
    "take",
    "renew",
    "sleep",
    "record_finished",
    "put_pages",
    "swap_breaker",
    "lease_letter",
    "release_letter",
    "append_errors",
    "exchange",
];

/// One point.
pub(crate) struct Point {
    method: &'static str,
    after: bool,
    call: u64,
}

impl Point {
    /// The point of that kill: all of them first, at their first calls, then any at random; every fourth kill has none and comes from
    /// outside at a random instant.
    pub(crate) fn pick(kill: u32, dice: &mut Dice) -> Option<Self> {
        if kill % 4 == 3 {
            return None;
        }
        let turn = (kill - kill / 4) as usize;
        let enumerated = turn < METHODS.len() * 2;
        let at = if enumerated {
            turn
        } else {
            usize::try_from(dice.below(METHODS.len() as u64 * 2)).unwrap()
        };
        Some(Self {
            method: METHODS[at / 2],
            after: at % 2 == 1,
            call: if enumerated { 1 } else { 1 + dice.below(12) },
        })
    }
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let side = if self.after { "after" } else { "before" };
        write!(f, "{}:{side}:{}", self.method, self.call)
    }
}
