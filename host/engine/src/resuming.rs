//! Where a run goes on after a failed attempt, and how its attempts are counted (semantics.md §4, durability.md "Where a run resumes").

use crate::budgets::Retries;
use crate::effects::answers;
use crate::engine::Engine;
use crate::records::{AttemptRecord, EffectRecord};
use crate::runs::Run;
use fusebox_core::classify;
use fusebox_core::effect::Answer;
use fusebox_core::failure::Class;
use fusebox_core::idempotency;
use fusebox_core::journal::{self, Cut, Resume};
use fusebox_core::policy::{Durability, RetryFrom, RetryPolicy};
use fusebox_core::retry::Attempts;
use std::time::Duration;

/// Where a run goes on.
pub(crate) struct Resuming {
    /// The number of the effect that is made again; 0 when the run starts over.
    pub(crate) point: u32,
    /// What of the journal goes before.
    pub(crate) cut: Cut,
}

/// Where a run goes on after an attempt that failed; `None` when it may not.
pub(crate) fn after(run: &Run) -> Option<Resuming> {
    let evidence = run.journal.evidence();
    let level = run.function.policy.idempotency;
    let start_over = || {
        let effects = evidence.iter().map(|entry| &entry.effect);
        idempotency::may_start_over(level, effects).then(|| Resuming {
            point: 0,
            cut: journal::cut_from(&evidence, 1),
        })
    };
    if run.durability == Durability::None || run.function.policy.retry_from == RetryFrom::Start {
        return start_over();
    }
    match journal::resume_point(&evidence, level.may_start_over()) {
        at @ Resume::At(point) => Some(Resuming {
            point,
            cut: journal::cut(&evidence, &at),
        }),
        // Served whole it would only fail again.
        Resume::End => start_over(),
        Resume::InDoubt(_) => None,
    }
}

impl Resuming {
    /// Whether the keys of what is sent again still protect it at the end of an attempt that starts after that delay.
    pub(crate) fn keys_last(&self, engine: &Engine, run: &Run, after: Duration) -> bool {
        let end = engine.ports.clock.wall() + after + run.function.policy.timeout;
        run.journal
            .iter()
            .filter(|entry| entry.by_key && (self.cut.reopen.contains(&entry.effect.seq) || self.point == 0))
            .all(|entry| {
                let age = end.since(entry.asked);
                let service = run.tool.service(&entry.effect.service);
                service.is_some_and(|service| {
                    classify::is_repeatable(&entry.effect.method, &entry.effect.path, Some(age), &service.policy)
                })
            })
    }
}

/// The number of the last effect that failed in that attempt: about where it would have gone on.
fn failed_at(attempt: &AttemptRecord) -> u32 {
    let failed = |effect: &&EffectRecord| match answers::read_answer(&effect.answer) {
        Some(Answer::Status { status, .. }) => classify::class_of_status(status).is_some_and(classify::is_upstreams),
        Some(Answer::Failed { class, .. }) => class != Class::Caller,
        Some(Answer::NotSent(_) | Answer::Lost(_)) | None => true,
        Some(Answer::Denied | Answer::Cancelled | Answer::Done) => false,
    };
    let failed = attempt.effects.iter().filter(failed);
    failed.map(|effect| effect.seq).max().unwrap_or(0)
}

/// The attempts of a run: those at one resume point, and all of them. One that got further starts counting anew.
#[derive(Clone)]
pub(crate) struct Steps {
    allowed: u32,
    here: Attempts,
    point: u32,
    made: u32,
}

impl Steps {
    /// `allowed`: what the layer above leaves to this one.
    fn new(policy: &RetryPolicy, allowed: Option<Attempts>) -> Self {
        let allowed = allowed.map_or(policy.attempts, Attempts::left);
        Self {
            allowed,
            here: Attempts::of(allowed),
            point: 0,
            made: 0,
        }
    }

    /// The steps of a run that goes on: the attempts that other hosts made of it count. Those of a replay begin anew, and so do those of a
    /// nested call, which its caller's attempts bound.
    pub(crate) fn of(run: &Run) -> Self {
        let mut steps = Self::new(&run.function.policy.retry, run.allowed);
        if run.nested.is_some() {
            return steps;
        }
        let before = run.letter.as_ref().map_or(0, |letter| letter.run.attempts.len());
        for attempt in run.attempts.iter().skip(before) {
            // One that was interrupted has not failed, and does not count.
            if Class::from_name(&attempt.outcome).is_some() {
                steps.begin();
                steps.failed_at(failed_at(attempt), &mut Retries::default());
            }
        }
        steps
    }

    /// An attempt starts.
    pub(crate) fn begin(&mut self) {
        self.here.begin();
        self.made = self.made.saturating_add(1);
    }

    /// It failed, and would go on there.
    pub(crate) fn failed_at(&mut self, point: u32, retries: &mut Retries) {
        if point > self.point {
            self.point = point;
            self.here = Attempts::of(self.allowed);
            self.here.begin();
            retries.got_further();
        }
    }

    /// It came down to a call whose own attempts were this step's too.
    pub(crate) fn spent_inside(&mut self, inner: Attempts) {
        self.here.spent_inside(inner);
    }

    pub(crate) fn at_this_point(&self) -> Attempts {
        self.here
    }

    pub(crate) fn in_all(&self) -> u32 {
        self.made
    }
}
