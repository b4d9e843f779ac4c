//! What a failure was, judged from evidence: the typed end of an attempt and its effects (semantics.md §3).

use crate::breaker::Verdict;
use crate::effect::{Answer, Effect, Hint, Kind, NotSent};
use crate::failure::{Class, Code};
use crate::policy::ServicePolicy;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

/// How an attempt ended, told by types alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End<'a> {
    /// The function returned well.
    Ok,
    /// The function returned an error, with that case of its error type when it has cases.
    Err(Option<&'a str>),
    /// The guest trapped.
    Trap,
    /// A call of another tool failed, and its caller has no way to be told.
    CallFailed,
    /// The guest called `wasi:cli/exit`.
    Exit,
    /// The guest broke the ABI.
    Abi,
    /// A limit other than time was reached.
    Limit,
    /// The attempt's time was over.
    Timeout,
    /// Somebody cancelled the run.
    Cancelled,
    /// The host failed, not the guest.
    Host,
}

/// All that a judgement rests on.
#[derive(Clone, Copy, Debug)]
pub struct Evidence<'a> {
    /// How the attempt ended.
    pub end: End<'a>,
    /// Its effects by number, settled: those that were in flight at its end were waited for.
    pub effects: &'a [Effect],
    /// Numbers of the effects that were in flight when the attempt ended.
    pub in_flight: &'a [u32],
    /// Cases of the function's error type that the manifest maps.
    pub errors: &'a BTreeMap<String, Class>,
}

/// Why an attempt failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// What a policy does with it.
    pub class: Class,
    /// What a face does with it.
    pub code: Code,
    /// The effect that it comes down to, when there is one: breaker, budget and letter go by its service.
    pub effect: Option<u32>,
    /// The service of that effect.
    pub service: Option<Arc<str>>,
    /// What that service said about when to come back.
    pub hint: Option<Hint>,
    /// The effect was held back by a breaker or a rate limit: an attempt made soon would be held back too.
    pub held_back: bool,
    /// Numbers of the effects that are in doubt.
    pub in_doubt: Vec<u32>,
}

/// Judges the end of an attempt; `None` when it ended well. Effects that are in doubt all the same are named by [`in_doubt`].
#[must_use]
pub fn judge(evidence: &Evidence<'_>) -> Option<Judgement> {
    let (class, code, effect) = match evidence.end {
        End::Ok => return None,
        _ if evidence.effects.iter().any(is_in_doubt) => (
            Class::InDoubt,
            Code::InDoubt,
            evidence.effects.iter().rev().find(|effect| is_in_doubt(effect)),
        ),
        End::Err(case) => returned(evidence, case),
        End::Trap => by_effect(evidence).unwrap_or((Class::Fault, Code::Fault, None)),
        End::CallFailed => by_call(evidence),
        End::Exit | End::Abi => (Class::Fault, Code::Fault, None),
        End::Limit => (Class::Exhausted, Code::Exhausted, None),
        End::Timeout => timed_out(evidence),
        End::Cancelled => (Class::Control, Code::Cancelled, None),
        End::Host => (Class::Fault, Code::Internal, None),
    };
    let refused = |effect: &Effect| {
        matches!(
            effect.answer,
            Some(Answer::NotSent(NotSent::BreakerOpen | NotSent::RateLimited))
        )
    };
    Some(Judgement {
        class,
        code,
        effect: effect.map(|effect| effect.seq),
        service: effect.map(|effect| effect.service.clone()),
        hint: effect.and_then(hint_of),
        held_back: effect.is_some_and(refused),
        in_doubt: in_doubt(evidence.effects),
    })
}

type Finding<'a> = (Class, Code, Option<&'a Effect>);

/// The function returned an error: a refusal, which no word of the manifest makes into anything else; the manifest's word; the failed
/// effect's; or it is an answer.
fn returned<'a>(evidence: &Evidence<'a>, case: Option<&str>) -> Finding<'a> {
    let effect = last_failed(evidence.effects);
    let mapped = case.and_then(|case| evidence.errors.get(case)).copied();
    match mapped.filter(|_| !effect.is_some_and(is_denied)) {
        // The effect gives service and hint only where the mapped class speaks of an upstream too.
        Some(class) => {
            let effect = effect.filter(|_| is_upstreams(class));
            (class, code_of(class, effect), effect)
        }
        None => by_effect(evidence).unwrap_or((Class::Caller, Code::ToolFailed, None)),
    }
}

/// The time was over while an effect was in flight: its class at that moment, whatever came later; else the guest computed too long.
fn timed_out<'a>(evidence: &Evidence<'a>) -> Finding<'a> {
    // A guest that waits for a timer waits for nobody else.
    let upstreams = |effect: &&Effect| matches!(effect.kind, Kind::Http | Kind::Call);
    let in_flight = |effect: &&Effect| upstreams(effect) && evidence.in_flight.contains(&effect.seq);
    match evidence.effects.iter().rev().find(in_flight) {
        None => (Class::Exhausted, Code::Exhausted, None),
        Some(effect) => {
            let class = match effect.answer {
                Some(Answer::NotSent(_) | Answer::Cancelled | Answer::Denied) => Class::NotSent,
                Some(Answer::Status { .. } | Answer::Lost(_) | Answer::Done | Answer::Failed { .. }) | None => {
                    Class::Unknown
                }
            };
            (class, code_of(class, Some(effect)), Some(effect))
        }
    }
}

/// The effect that a trap or an unmapped error comes down to.
fn by_effect<'a>(evidence: &Evidence<'a>) -> Option<Finding<'a>> {
    let effect = last_failed(evidence.effects)?;
    let class = class_of(effect)?;
    Some((class, code_of(class, Some(effect)), Some(effect)))
}

/// The call that ended the attempt: its class is the attempt's, whatever it is. One that answered by an error of its own is an answer.
fn by_call<'a>(evidence: &Evidence<'a>) -> Finding<'a> {
    let calls = evidence.effects.iter().filter(|effect| effect.kind == Kind::Call);
    let call = calls.max_by_key(|effect| effect.seq);
    let class = call.and_then(class_of).unwrap_or(Class::Caller);
    (class, code_of(class, call), call)
}

/// The latest effect that failed or was refused and whose request has not been answered since. One that the end of its attempt came
/// before cannot be why the attempt ended.
fn last_failed(effects: &[Effect]) -> Option<&Effect> {
    let mut answered = HashSet::new();
    let before_the_end = |effect: &&Effect| effect.answer != Some(Answer::Cancelled);
    effects.iter().rev().filter(before_the_end).find(|effect| {
        if !has_failed(effect) && !is_denied(effect) {
            answered.insert(effect.request);
            return false;
        }
        !answered.contains(&effect.request)
    })
}

fn is_denied(effect: &Effect) -> bool {
    effect.answer == Some(Answer::Denied)
}

/// Whether it failed, as the guest saw it: a 404 is an answer.
#[must_use]
pub fn has_failed(effect: &Effect) -> bool {
    class_of(effect).is_some_and(is_upstreams)
}

/// Whether anything of it has left the host, as far as is known.
#[must_use]
pub fn left_the_host(effect: &Effect) -> bool {
    let stayed = matches!(
        effect.answer,
        Some(Answer::NotSent(_) | Answer::Denied | Answer::Cancelled)
    );
    effect.kind == Kind::Http && !stayed || effect.kind == Kind::Call
}

/// Classes that speak of an upstream: what failed may be made again.
#[must_use]
pub fn is_upstreams(class: Class) -> bool {
    matches!(
        class,
        Class::Transient | Class::Throttled | Class::NotSent | Class::Unknown
    )
}

fn code_of(class: Class, effect: Option<&Effect>) -> Code {
    match class {
        Class::Transient | Class::Throttled | Class::NotSent | Class::Unknown => {
            match effect.and_then(|effect| effect.answer.as_ref()) {
                Some(Answer::NotSent(NotSent::BreakerOpen)) => Code::BreakerOpen,
                _ => Code::UpstreamFailed,
            }
        }
        Class::Caller => Code::ToolFailed,
        Class::Exhausted => Code::Exhausted,
        Class::Fault => Code::Fault,
        Class::Control => Code::Denied,
        Class::InDoubt => Code::InDoubt,
    }
}

/// The class of one effect by itself; `None` when the upstream answered well. One that has no answer yet is unknown.
#[must_use]
pub fn class_of(effect: &Effect) -> Option<Class> {
    match effect.answer {
        Some(Answer::Status { status, .. }) => class_of_status(status),
        Some(Answer::NotSent(_) | Answer::Cancelled) => Some(Class::NotSent),
        Some(Answer::Lost(_)) | None => Some(Class::Unknown),
        Some(Answer::Denied) => Some(Class::Control),
        Some(Answer::Done) => None,
        Some(Answer::Failed { class, .. }) => Some(class),
    }
}

/// The class of an HTTP status; `None` for one that is no failure.
#[must_use]
pub fn class_of_status(status: u16) -> Option<Class> {
    match status {
        429 => Some(Class::Throttled),
        501 | 505 => Some(Class::Caller),
        500..=599 => Some(Class::Transient),
        0..=399 => None,
        _ => Some(Class::Caller),
    }
}

/// What the end of an effect means to the breaker of its service.
#[must_use]
pub fn verdict_of(answer: &Answer) -> Verdict {
    match answer {
        Answer::Status { status, .. } => match class_of_status(*status) {
            Some(Class::Transient) => Verdict::Failure,
            Some(Class::Throttled) => Verdict::Throttled,
            _ => Verdict::Success,
        },
        Answer::NotSent(NotSent::BreakerOpen | NotSent::RateLimited)
        | Answer::Denied
        | Answer::Cancelled
        // What a nested call did to a breaker its own effects have said already.
        | Answer::Done
        | Answer::Failed { .. } => Verdict::Ignored,
        Answer::NotSent(_) | Answer::Lost(_) => Verdict::Failure,
    }
}

/// What the end of an attempt means to the tool's own breaker, which counts the tool's own faults alone.
#[must_use]
pub fn verdict_of_tool(end: End<'_>, judgement: Option<&Judgement>) -> Verdict {
    match end {
        End::Ok | End::Err(_) => Verdict::Success,
        End::Exit | End::Abi => Verdict::Failure,
        End::Trap if judgement.is_some_and(|judgement| judgement.class == Class::Fault) => Verdict::Failure,
        End::Trap | End::CallFailed | End::Limit | End::Timeout | End::Cancelled | End::Host => Verdict::Ignored,
    }
}

/// Whether a request of that method changes nothing and is read only for its answer.
#[must_use]
pub fn is_safe(method: &str) -> bool {
    // Safe methods: RFC 9110, section 9.2.1.
    matches!(method, "GET" | "HEAD" | "OPTIONS" | "TRACE")
}

/// Whether a request may be repeated, before its answer is looked at: by its method, by the key that it carries, or by the service's word.
///
/// `key_age` is how long ago the request was first sent with its key; `None` when it carries none.
#[must_use]
pub fn is_repeatable(method: &str, path: &str, key_age: Option<Duration>, service: &ServicePolicy) -> bool {
    // Safe and idempotent methods: RFC 9110, section 9.2.
    matches!(method, "GET" | "HEAD" | "OPTIONS" | "TRACE" | "PUT" | "DELETE")
        || service.repeatable.iter().any(|pattern| pattern.matches(method, path))
        || matches!((key_age, &service.idempotency_header), (Some(age), Some(header)) if age < header.lifetime)
}

/// Whether an effect may be repeated now that its end is known.
#[must_use]
pub fn may_be_repeated(effect: &Effect) -> bool {
    effect.repeatable || did_not_happen(effect)
}

/// Whether its end proves that nothing happened.
#[must_use]
pub fn did_not_happen(effect: &Effect) -> bool {
    effect.rejected_before_effect
        || matches!(
            effect.answer,
            Some(Answer::NotSent(_) | Answer::Denied | Answer::Cancelled)
        )
}

/// Whether nobody may repeat it and nobody knows what became of it: unknown, or a 5xx.
#[must_use]
pub fn is_in_doubt(effect: &Effect) -> bool {
    match class_of(effect) {
        // A nested call is in doubt when one of its own effects is, and never by itself: its child goes on where it stopped.
        Some(Class::InDoubt) => true,
        Some(Class::Unknown | Class::Transient) => effect.kind == Kind::Http && !may_be_repeated(effect),
        _ => false,
    }
}

/// Numbers of the effects that are in doubt.
#[must_use]
pub fn in_doubt(effects: &[Effect]) -> Vec<u32> {
    effects
        .iter()
        .filter(|effect| is_in_doubt(effect))
        .map(|effect| effect.seq)
        .collect()
}

fn hint_of(effect: &Effect) -> Option<Hint> {
    match effect.answer {
        Some(Answer::Status { hint, .. } | Answer::Failed { hint, .. }) => hint,
        _ => None,
    }
}
