//! The evidence that an attempt is judged by, once it is over, and what its next attempt is served from.

use super::Slot;
use crate::effects::Stop;
use crate::effects::account::request_line;
use crate::journal::{Journal, Stored};
use crate::records::EffectRecord;
use crate::services::Service;
use fusebox_core::classify;
use fusebox_core::effect::{Answer, Effect};
use std::sync::Arc;

/// Effects without an answer whose reasons are told; the effects of an attempt are all listed anyway.
const REASONS: usize = 20;

/// All effects of an attempt that is over.
#[derive(Default)]
pub(crate) struct Settled {
    /// Served ones too: the guest saw them.
    pub(crate) effects: Vec<Effect>,
    /// Numbers of those that were in flight when the attempt ended.
    pub(crate) in_flight: Vec<u32>,
    /// What was performed, as rows.
    pub(crate) records: Vec<EffectRecord>,
    /// How many effects the journal served.
    pub(crate) served: u32,
    /// Whether something that was performed has left the host.
    pub(crate) began: bool,
    /// The services that were asked and failed at nothing.
    pub(crate) services: Vec<Arc<Service>>,
    /// What a person should know of those that got no answer.
    pub(crate) reasons: Vec<String>,
    /// What the next attempt is served from.
    pub(crate) journal: Journal,
    /// Why the engine ended the attempt.
    pub(crate) stop: Option<Stop>,
    /// The reason of each effect that got no answer, in the order of the effects.
    pub(super) why: Vec<Option<String>>,
}

/// What the next attempt is served from: not what was never sent, unless it is in the store. A timer that had not fired is waited for on, if
/// the attempt was only interrupted; else it is as if it had never been asked for.
pub(super) fn kept(slots: Vec<Option<Slot>>, interrupted: bool) -> Journal {
    let mut journal = Journal::default();
    for mut slot in slots.into_iter().flatten() {
        let pending = slot.due.is_some() && slot.entry.settled.is_none();
        let waited_for = pending && interrupted && !slot.abandoned;
        if pending && !waited_for {
            slot.entry.effect.answer = Some(Answer::Cancelled);
        }
        let entry = slot.entry;
        let sent = entry.effect.answer != Some(Answer::Cancelled) && entry.settled.is_some();
        if sent || waited_for || entry.stored > Stored::Nothing {
            journal.put(entry);
        }
    }
    journal
}

/// Each service that answered in this attempt and failed at nothing, once.
pub(super) fn services<'a>(slots: impl Iterator<Item = &'a Slot>) -> Vec<Arc<Service>> {
    let (mut answered, mut failed) = (Vec::new(), Vec::new());
    for slot in slots.filter(|slot| slot.live) {
        let Some(service) = &slot.service else { continue };
        let effect = &slot.entry.effect;
        let services = match effect.answer {
            Some(Answer::Status { .. }) if !classify::has_failed(effect) => &mut answered,
            _ => &mut failed,
        };
        if !services.iter().any(|known| Arc::ptr_eq(known, service)) {
            services.push(Arc::clone(service));
        }
    }
    answered.retain(|service| !failed.iter().any(|failed| Arc::ptr_eq(failed, service)));
    answered
}

/// Why the first of those that got no answer got none, and how many more there are.
pub(super) fn reasons<'a>(slots: impl Iterator<Item = &'a Slot>) -> Vec<String> {
    let mut told = slots.filter_map(|slot| {
        let reason = slot.entry.settled.as_ref()?.reason.as_ref()?;
        let effect = &slot.entry.effect;
        Some(format!("effect {}, {}: {reason}", effect.seq, request_line(effect)))
    });
    let mut reasons: Vec<_> = told.by_ref().take(REASONS).collect();
    let more = told.count();
    if more > 0 {
        reasons.push(format!("{more} more effects without an answer"));
    }
    reasons
}

impl Settled {
    /// Why that effect got no answer.
    pub(crate) fn why(&self, seq: u32) -> Option<&str> {
        let mut both = self.effects.iter().zip(&self.why);
        both.find(|(effect, _)| effect.seq == seq)?.1.as_deref()
    }
}
