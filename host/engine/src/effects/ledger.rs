//! What the effects of one attempt came to: the evidence that the attempt is judged by.

use super::Way;
use crate::ports::sandbox::GuestRequest;
use crate::records::{EffectRecord, millis};
use crate::services::Service;
use fusebox_core::classify;
use fusebox_core::effect::{Answer, Effect, Lost, NotSent};
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
    /// The services that were asked.
    pub(crate) services: Vec<Arc<Service>>,
    /// What a person should know of those that got no answer.
    pub(crate) reasons: Vec<String>,
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
            service: service.map_or_else(|| Arc::from(""), |service| Arc::clone(&service.name)),
            method: request.method.clone(),
            path: request.path.chars().take(PATH).collect(),
            request: digest,
            occurrence: n,
            repeatable: service.is_none_or(repeatable),
            rejected_before_effect: false,
            answer: None,
            took: Duration::ZERO,
        });
        entries.details.push(Detail {
            at: now.since(self.started),
            service: service.cloned(),
            reason: None,
        });
        Some(Opened {
            seq,
            key: takes_key.then(|| way.owner.effect_key(digest, n)),
        })
    }

    /// Enters how an effect ended.
    pub(super) fn settle(&self, seq: u32, answer: Answer, took: Duration, reason: Option<String>) {
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
        }
    }

    /// Lets no more effects in, and names those in flight.
    pub(crate) fn close(&self) -> Vec<u32> {
        let mut entries = self.lock();
        entries.closed = true;
        let open = entries.effects.iter().filter(|effect| effect.answer.is_none());
        open.map(|effect| effect.seq).collect()
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
            records: both().map(|(effect, detail)| record(effect, detail)).collect(),
            reasons: both().filter_map(|(effect, detail)| reason(effect, detail)).collect(),
            services: services(&details),
            effects,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
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

/// Each service that was asked, once.
fn services(details: &[Detail]) -> Vec<Arc<Service>> {
    let mut services: Vec<Arc<Service>> = Vec::new();
    for service in details.iter().filter_map(|detail| detail.service.as_ref()) {
        if !services.iter().any(|known| Arc::ptr_eq(known, service)) {
            services.push(Arc::clone(service));
        }
    }
    services
}

fn reason(effect: &Effect, detail: &Detail) -> Option<String> {
    let reason = detail.reason.as_ref()?;
    Some(format!("effect {}, {}: {reason}", effect.seq, request_line(effect)))
}

fn request_line(effect: &Effect) -> String {
    format!("{} {}", effect.method, effect.path)
}

fn record(effect: &Effect, detail: &Detail) -> EffectRecord {
    EffectRecord {
        seq: effect.seq,
        service: effect.service.to_string(),
        request: request_line(effect),
        repeatable: classify::may_be_repeated(effect),
        in_doubt: classify::is_in_doubt(effect),
        answer: shown(effect.answer.as_ref()),
        at_ms: millis(detail.at),
        took_ms: millis(effect.took),
    }
}

/// A recorded effect as evidence again, judged by the service as it is today and by how old its key is by now.
pub(crate) fn evidence(record: &EffectRecord, service: Option<&Service>, key_age: Duration) -> Effect {
    let (method, path) = record.request.split_once(' ').unwrap_or((&record.request, ""));
    let answer = match record.answer.as_str() {
        "denied" => Some(Answer::Denied),
        text if text.starts_with(NOT_SENT) => Some(Answer::NotSent(NotSent::NotWritten)),
        text => text.parse().ok().map(|status| Answer::Status { status, hint: None }),
    };
    let policy = service.map(|service| &service.policy);
    let rejects = |status| policy.is_some_and(|policy| policy.rejects_before_effect.contains(&status));
    Effect {
        seq: record.seq,
        service: Arc::from(record.service.as_str()),
        method: method.to_owned(),
        path: path.to_owned(),
        request: Digest([0; 32]),
        occurrence: 0,
        repeatable: policy.is_some_and(|policy| {
            let key_age = policy.idempotency_header.as_ref().map(|_| key_age);
            classify::is_repeatable(method, path, key_age, policy)
        }),
        rejected_before_effect: matches!(answer, Some(Answer::Status { status, .. }) if rejects(status)),
        answer,
        took: Duration::from_millis(record.took_ms),
    }
}

/// How the answer of an effect begins that never left the host.
const NOT_SENT: &str = "not-sent: ";

/// An answer as a timeline shows it.
pub(super) fn shown(answer: Option<&Answer>) -> String {
    match answer {
        None => "unknown".to_owned(),
        Some(Answer::Status { status, .. }) => status.to_string(),
        Some(Answer::Denied) => "denied".to_owned(),
        Some(Answer::Cancelled) => format!("{NOT_SENT}the attempt ended"),
        Some(Answer::NotSent(kind)) => {
            let kind = match kind {
                NotSent::Dns => "dns",
                NotSent::Refused => "refused",
                NotSent::ConnectTimeout => "connect timeout",
                NotSent::Tls => "tls",
                NotSent::NotWritten => "not written",
                NotSent::BreakerOpen => "breaker open",
                NotSent::RateLimited => "rate limited",
            };
            format!("{NOT_SENT}{kind}")
        }
        Some(Answer::Lost(kind)) => {
            let kind = match kind {
                Lost::Reset => "reset",
                Lost::Timeout => "timeout",
                Lost::Malformed => "malformed",
            };
            format!("lost: {kind}")
        }
    }
}
