//! Effects as rows for timelines and letters.

use super::answers;
use crate::records::{EffectRecord, millis};
use fusebox_core::classify;
use fusebox_core::effect::Effect;
use std::time::Duration;

pub(super) fn request_line(effect: &Effect) -> String {
    format!("{} {}", effect.method, effect.path)
}

impl EffectRecord {
    /// An effect as a row; `at` is when it was asked for, since the start of its attempt.
    pub(crate) fn of(effect: &Effect, at: Duration) -> Self {
        Self {
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
}
