//! What the effects of one attempt came to: the evidence that the attempt is judged by.

use super::account::{record, request_line};
use super::{End, Way};
use crate::ports::sandbox::{EffectError, GuestRequest};
use crate::ports::transport::Incoming;
use crate::records::EffectRecord;
use crate::services::Service;
use fusebox_core::classify;
use fusebox_core::effect::{Answer, Effect, Kind};
use fusebox_core::idempotency;
use fusebox_core::ids::Digest;
use fusebox_core::time::Tick;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// Effects of one attempt at most: a guest that asks for what it is denied, over and over, must not fill the host's memory.
const MOST: usize = 10_000;
/// Characters of a path that are kept.
const PATH: usize = 1024;
/// Characters of a method that are kept: a guest may make up a long one.
const METHOD: usize = 32;
/// Effects without an answer whose reasons are told; the effects of an attempt are all listed anyway.
const REASONS: usize = 20;

/// Effects of one attempt, in the order of their numbers.
pub(crate) struct Ledger {
    started: Tick,
    first: u32,
    /// Effects whose tasks have not ended.
    in_flight: AtomicUsize,
    idle: Notify,
    entries: Mutex<Entries>,
}

#[derive(Default)]
struct Entries {
    effects: Vec<Effect>,
    /// What the evidence does not need, one for each effect.
    details: Vec<Detail>,
    closed: bool,
}

struct Detail {
    at: Duration,
    service: Option<Arc<Service>>,
    reason: Option<String>,
    /// It was broken off because the attempt's time was over.
    cut: bool,
}

/// An effect that may go on.
pub(super) struct Opened {
    pub(super) seq: u32,
    /// Its key, where the service takes one.
    pub(super) key: Option<Digest>,
}

/// All effects of an attempt that is over.
#[derive(Default)]
pub(crate) struct Settled {
    pub(crate) effects: Vec<Effect>,
    /// Numbers of those that were in flight when the attempt ended.
    pub(crate) in_flight: Vec<u32>,
    pub(crate) records: Vec<EffectRecord>,
    /// The services that were asked and failed at nothing.
    pub(crate) services: Vec<Arc<Service>>,
    /// What a person should know of those that got no answer.
    pub(crate) reasons: Vec<String>,
    /// The reason of each effect that got no answer, in the order of the effects.
    why: Vec<Option<String>>,
}

impl Ledger {
    /// The ledger of an attempt that starts now and whose first effect gets that number.
    pub(crate) fn new(started: Tick, first: u32) -> Self {
        Self {
            started,
            first,
            in_flight: AtomicUsize::new(0),
            idle: Notify::new(),
            entries: Mutex::default(),
        }
    }

    /// Enters an effect; `None` once the attempt has ended, or has had too many.
    pub(super) fn open(
        &self,
        way: &Way,
        request: &GuestRequest,
        service: Option<&Arc<Service>>,
        digest: Digest,
    ) -> Option<Opened> {
        let (now, wall) = (way.engine.ports.clock.tick(), way.engine.ports.clock.wall());
        let mut entries = self.lock();
        if entries.closed || entries.effects.len() >= MOST {
            return None;
        }
        let seq = self.first + u32::try_from(entries.effects.len()).unwrap_or(u32::MAX);
        let n = idempotency::occurrence(&entries.effects, digest);
        let takes_key = service.is_some_and(|service| service.policy.idempotency_header.is_some());
        let key_age = takes_key.then(|| wall.since(way.created));
        let repeatable =
            |service: &Arc<Service>| classify::is_repeatable(&request.method, &request.path, key_age, &service.policy);
        entries.effects.push(Effect {
            seq,
            kind: Kind::Http,
            service: service.map_or_else(|| Arc::from(""), |service| Arc::clone(&service.name)),
            method: request.method.chars().take(METHOD).collect(),
            path: request.path.chars().take(PATH).collect(),
            request: digest,
            occurrence: n,
            repeatable: service.is_none_or(repeatable),
            safe: classify::is_safe(&request.method),
            rejected_before_effect: false,
            answer: None,
            took: Duration::ZERO,
        });
        entries.details.push(Detail {
            at: now.since(self.started),
            service: service.cloned(),
            reason: None,
            cut: false,
        });
        Some(Opened {
            seq,
            key: takes_key.then(|| way.owner.effect_key(digest, n)),
        })
    }

    /// Enters how an effect ended; returns what the guest sees of it.
    pub(super) fn settle(&self, seq: u32, end: End) -> Result<Incoming, EffectError> {
        let End {
            answer,
            seen,
            reason,
            took,
            cut,
        } = end;
        let mut entries = self.lock();
        let index = (seq - self.first) as usize;
        let Entries { effects, details, .. } = &mut *entries;
        if let (Some(effect), Some(detail)) = (effects.get_mut(index), details.get_mut(index)) {
            effect.rejected_before_effect = match (&answer, &detail.service) {
                (Answer::Status { status, .. }, Some(service)) => service.policy.rejects_before_effect.contains(status),
                _ => false,
            };
            effect.answer = Some(answer);
            effect.took = took;
            detail.reason = reason;
            detail.cut = cut;
        }
        seen
    }

    /// Lets no more effects in, and names those in flight, with those that the end of the attempt's time broke off before its guest was stopped.
    pub(crate) fn close(&self) -> Vec<u32> {
        let mut entries = self.lock();
        entries.closed = true;
        let both = entries.effects.iter().zip(&entries.details);
        let open = both.filter(|(effect, detail)| effect.answer.is_none() || detail.cut);
        open.map(|(effect, _)| effect.seq).collect()
    }

    /// Waits for the effects in flight, each to its own timeout, and takes the evidence.
    pub(crate) async fn settled(&self, in_flight: Vec<u32>) -> Settled {
        // The attempt is the only one who waits; an end between the look and the wait is remembered.
        while self.in_flight.load(Ordering::Acquire) > 0 {
            self.idle.notified().await;
        }
        let (effects, details) = {
            let mut entries = self.lock();
            (
                std::mem::take(&mut entries.effects),
                std::mem::take(&mut entries.details),
            )
        };
        let both = || effects.iter().zip(&details);
        Settled {
            in_flight,
            records: both().map(|(effect, detail)| record(effect, detail.at)).collect(),
            reasons: reasons(&effects, &details),
            services: services(&effects, &details),
            why: details.into_iter().map(|detail| detail.reason).collect(),
            effects,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Settled {
    /// Why that effect got no answer.
    pub(crate) fn why(&self, seq: u32) -> Option<&str> {
        let mut both = self.effects.iter().zip(&self.why);
        both.find(|(effect, _)| effect.seq == seq)?.1.as_deref()
    }
}

/// While it is held, the end of the attempt waits.
pub(super) struct InFlight(Arc<Way>);

impl InFlight {
    pub(super) fn new(way: &Arc<Way>) -> Self {
        way.ledger.in_flight.fetch_add(1, Ordering::AcqRel);
        Self(Arc::clone(way))
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        if self.0.ledger.in_flight.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.ledger.idle.notify_one();
        }
    }
}

/// Each service that answered and failed at nothing, once.
fn services(effects: &[Effect], details: &[Detail]) -> Vec<Arc<Service>> {
    let (mut answered, mut failed) = (Vec::new(), Vec::new());
    for (effect, detail) in effects.iter().zip(details) {
        let Some(service) = &detail.service else { continue };
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
fn reasons(effects: &[Effect], details: &[Detail]) -> Vec<String> {
    let mut told = effects.iter().zip(details).filter_map(|(effect, detail)| {
        let reason = detail.reason.as_ref()?;
        Some(format!("effect {}, {}: {reason}", effect.seq, request_line(effect)))
    });
    let mut reasons: Vec<_> = told.by_ref().take(REASONS).collect();
    let more = told.count();
    if more > 0 {
        reasons.push(format!("{more} more effects without an answer"));
    }
    reasons
}
