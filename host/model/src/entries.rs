//! The journal of a state as the decisions of the core take it.

use crate::protocol::Protocol;
use crate::rules::Rule;
use crate::state::{Came, Slot, State, What};
use fusebox_core::effect::{Answer, Effect, Kind, Lost, NotSent};
use fusebox_core::ids::Digest;
use fusebox_core::journal::Entry;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

static UPSTREAM: LazyLock<Arc<str>> = LazyLock::new(|| Arc::from("upstream"));

/// The number of the core, from 1.
pub(crate) fn number(seq: usize) -> u32 {
    u32::try_from(seq).unwrap_or(u32::MAX).saturating_add(1)
}

/// The index of that number.
pub(crate) fn index(number: u32) -> usize {
    number.saturating_sub(1) as usize
}

/// What the journal holds. The guest asks for one thing after the other, each in the light of what came before.
pub(crate) fn entries(protocol: &Protocol, state: &State) -> Vec<Entry> {
    let slots = state.store.journal.iter().enumerate();
    let mut settled = 0;
    let held = slots.filter_map(|(seq, slot)| {
        let (answer, resent) = match *slot {
            Slot::Empty => return None,
            Slot::Intent { resent } => (None, resent),
            Slot::Settled { came, resent } => (Some(answer(came)), resent),
        };
        settled += u32::from(answer.is_some());
        let keyed = protocol.effects[seq] == What::Keyed;
        let protected = !state.world.keys_over || !protocol.holds(Rule::KeysEnd);
        Some(Entry {
            order: answer.is_some().then_some(settled),
            effect: Effect {
                seq: number(seq),
                kind: Kind::Http,
                service: Arc::clone(&UPSTREAM),
                method: String::new(),
                path: String::new(),
                request: Digest([0; 32]),
                occurrence: 0,
                repeatable: keyed && protected,
                safe: false,
                rejected_before_effect: false,
                answer,
                took: Duration::ZERO,
            },
            saw: if seq == 0 { Vec::new() } else { vec![number(seq - 1)] },
            by_key: keyed && protocol.holds(Rule::ResentKeepsItsKey),
            resent: resent && protocol.holds(Rule::RefusalProvesNothingOfTheFirstTime),
        })
    });
    held.collect()
}

fn answer(came: Came) -> Answer {
    match came {
        Came::Answered => Answer::Status {
            status: 200,
            hint: None,
        },
        Came::Unknown => Answer::Lost(Lost::Timeout),
        Came::Refused => Answer::NotSent(NotSent::Refused),
    }
}
