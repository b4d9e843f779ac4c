//! Effects as rows for timelines and letters, and rows as evidence again when a run is to start over.

use super::answers;
use crate::catalog::Tool;
use crate::records::{EffectRecord, millis};
use crate::services::Service;
use fusebox_core::classify;
use fusebox_core::effect::{Answer, Effect, Kind};
use fusebox_core::idempotency;
use fusebox_core::ids::Digest;
use fusebox_core::policy::Idempotency;
use std::sync::Arc;
use std::time::Duration;

pub(super) fn request_line(effect: &Effect) -> String {
    format!("{} {}", effect.method, effect.path)
}

/// An effect as a row; `at` is when it was asked for, since the start of its attempt.
pub(super) fn record(effect: &Effect, at: Duration) -> EffectRecord {
    EffectRecord {
        seq: effect.seq,
        kind: effect.kind.name().to_owned(),
        service: effect.service.to_string(),
        request: request_line(effect),
        repeatable: classify::may_be_repeated(effect),
        in_doubt: classify::is_in_doubt(effect),
        answer: answers::shown(effect.answer.as_ref()),
        at_ms: millis(at),
        took_ms: millis(effect.took),
    }
}

/// A recorded effect as evidence again, judged by the service as it is today and by how old its key is by now.
fn evidence(record: &EffectRecord, service: Option<&Service>, key_age: Duration) -> Effect {
    let (method, path) = record.request.split_once(' ').unwrap_or((&record.request, ""));
    let answer = answers::read_answer(&record.answer);
    let policy = service.map(|service| &service.policy);
    let rejects = |status| policy.is_some_and(|policy| policy.rejects_before_effect.contains(&status));
    Effect {
        seq: record.seq,
        kind: Kind::Http,
        service: Arc::from(record.service.as_str()),
        method: method.to_owned(),
        path: path.to_owned(),
        request: Digest([0; 32]),
        occurrence: 0,
        repeatable: policy.is_some_and(|policy| classify::is_repeatable(method, path, Some(key_age), policy)),
        safe: classify::is_safe(method),
        rejected_before_effect: matches!(answer, Some(Answer::Status { status, .. }) if rejects(status)),
        answer,
        took: Duration::from_millis(record.took_ms),
    }
}

/// Whether a run may start over after those effects, when its keys are that old by then: one whose lifetime is over protects nobody.
/// `untold` says that there may have been others that nobody lived to tell of.
pub(crate) fn may_start_over<'a>(
    level: Idempotency,
    tool: &Tool,
    effects: impl IntoIterator<Item = &'a EffectRecord>,
    untold: bool,
    key_age: Duration,
) -> bool {
    let service = |record: &EffectRecord| tool.service(&record.service).map(|service| &**service);
    let told = effects
        .into_iter()
        .map(|record| evidence(record, service(record), key_age));
    let effects: Vec<_> = told.chain(untold.then(|| anything(tool, key_age))).collect();
    idempotency::may_start_over(level, &effects)
}

/// An effect of which nothing is known, so that only a key protects it that every service would honour.
fn anything(tool: &Tool, key_age: Duration) -> Effect {
    let honours = |service: &Arc<Service>| classify::is_repeatable("", "", Some(key_age), &service.policy);
    Effect {
        seq: 0,
        kind: Kind::Http,
        service: Arc::from(""),
        method: String::new(),
        path: String::new(),
        request: Digest([0; 32]),
        occurrence: 0,
        repeatable: tool.services.iter().all(honours),
        safe: false,
        rejected_before_effect: false,
        answer: None,
        took: Duration::ZERO,
    }
}
