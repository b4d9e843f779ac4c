//! The boundary that every effect of an attempt passes, in a task of the engine that outlives the instance: served from the journal, or
//! performed and journaled.

mod account;
pub(crate) mod answers;
mod asked;
mod durable;
mod exchange;
mod ledger;
mod mask;
mod own;
mod request;

use asked::asked;
pub(crate) use asked::identity;
use exchange::{End, shown_authority};
use ledger::{Ending, InFlight, Opened};
pub(crate) use ledger::{Ledger, Settled};
pub(crate) use mask::Masks;

use crate::approvals::{self, Gate, Question};
use crate::attempt::Bound;
use crate::engine::Engine;
use crate::nested;
use crate::ownership::Hold;
use crate::ports::sandbox::{Ask, AttemptEnd, Delivery, EffectError, Effects, Got, Stopped};
use crate::ports::store::StateWrite;
use crate::records::ApprovalRecord;
use crate::runs::{Facts, Parent};
use crate::services::Service;
use crate::spans;
use async_trait::async_trait;
use fusebox_core::effect::Answer;
use fusebox_core::journal::Diverged;
use fusebox_core::policy::Durability;
use fusebox_core::retry::Attempts;
use fusebox_core::time::{Tick, Wall};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, Span};

/// A timer that lasts longer is durable, and a run that waits for nothing else lets go of its instance and its lease meanwhile.
pub(crate) const LONG: Duration = Duration::from_secs(10);

/// How a call of another tool ended: what its caller gets, and what that says of it.
pub(crate) struct Called {
    pub(crate) got: crate::ports::sandbox::Called,
    pub(crate) answer: Answer,
    /// The service that it failed at.
    pub(crate) service: Option<String>,
    pub(crate) reason: Option<String>,
}

impl Called {
    /// The function returned.
    pub(crate) fn done(got: crate::ports::sandbox::Called) -> Self {
        Self {
            got,
            answer: Answer::Done,
            service: None,
            reason: None,
        }
    }

    pub(crate) fn failed(&self) -> bool {
        matches!(self.answer, Answer::Failed { .. })
    }
}

/// Why the engine ends an attempt.
#[derive(Clone, Debug)]
pub(crate) enum Stop {
    /// The guest asked for something else than the journal holds.
    Diverged(Diverged),
    /// The guest ended, and the journal holds more.
    Short(Diverged),
    /// What was sent before, and may not be repeated but as it was, was asked for in another form.
    Doubt(Diverged),
    /// More effects than the host keeps for one run.
    TooMany(usize),
    /// The guest waits for time alone, and for long.
    Sleep(Wall),
    /// A person has to be asked first.
    Suspend(Box<ApprovalRecord>),
    /// The host drains.
    Drain,
    /// The next effect would be performed, and this replay performs nothing.
    Dry(Box<fusebox_core::effect::Effect>),
    /// What has to be durable could not be made so.
    Store(crate::ports::store::StoreError),
}

impl Stop {
    /// Whether it is why the attempt is over. What the guest left out of its journal matters only when it came to an end of its own.
    pub(crate) fn applies(&self, end: &AttemptEnd) -> bool {
        match self {
            Self::Short(_) => matches!(
                end,
                AttemptEnd::Ok { .. } | AttemptEnd::Err { .. } | AttemptEnd::Trap { .. } | AttemptEnd::CallFailed
            ),
            _ => !matches!(
                end,
                AttemptEnd::Timeout | AttemptEnd::Cancelled | AttemptEnd::Host { .. }
            ),
        }
    }
}

/// The way out of one attempt.
pub(crate) struct Way {
    /// For effects, which outlast the instance that asked for them.
    pub(crate) me: Weak<Self>,
    pub(crate) engine: Arc<Engine>,
    pub(crate) facts: Arc<Facts>,
    pub(crate) ledger: Ledger,
    /// The lease that every exchange must end within, once there is one.
    pub(crate) hold: Hold,
    /// When the attempt's time is over: nothing is sent later, and no exchange lasts longer.
    pub(crate) latest: Tick,
    /// What that time ends with.
    pub(crate) bound: Bound,
    /// Performs nothing.
    pub(crate) dry: bool,
    /// A letter is replayed.
    pub(crate) replay: bool,
    /// The number of the attempt.
    pub(crate) number: u32,
    /// The attempts of this step, which those of nested calls are part of.
    pub(crate) attempts: Attempts,
    /// What nested calls that failed have used up, by their number.
    pub(crate) spent: Mutex<Vec<(u32, Attempts)>>,
    /// The tools whose bulkheads the tree has a place in.
    pub(crate) places: Vec<String>,
    /// Who called, for a nested run.
    pub(crate) parent: Option<Parent>,
    /// Ends the run here.
    pub(crate) stop: CancellationToken,
    /// Ends what still waits to be sent, once the attempt has ended.
    pub(crate) ended: CancellationToken,
    pub(crate) span: Span,
}

#[async_trait]
impl Effects for Way {
    fn begin(&self, ask: Ask) -> Result<u32, Stopped> {
        let Some(way) = self.me.upgrade() else {
            return Err(Stopped);
        };
        let clock = &self.engine.ports.clock;
        let (now, wall) = (clock.tick(), clock.wall());
        let asked = asked(self, &ask, now);
        let effect = asked.effect.clone();
        let (service, by_key) = (asked.service.clone(), asked.by_key);
        let (seq, occurrence, known, first) = match self.ledger.open(asked, now, wall)? {
            Opened::Served(seq) => return Ok(seq),
            Opened::Live {
                seq,
                occurrence,
                known,
                asked,
            } => (seq, occurrence, known, asked),
        };
        let effect = fusebox_core::effect::Effect {
            seq,
            occurrence,
            ..effect
        };
        if self.dry {
            self.ledger.stop(Stop::Dry(Box::new(effect)));
            return Err(Stopped);
        }
        if self.engine.tasks.is_draining() && self.hold.get().is_some() {
            self.ledger.stop(Stop::Drain);
            return Err(Stopped);
        }
        let span = spans::effect(&self.span, &effect, &ask);
        let timer = matches!(ask, Ask::Timer { .. });
        let waited_for = (!timer).then(|| InFlight::new(&way));
        let performed = async move {
            let _waited_for = waited_for;
            let end = way.perform(ask, effect, service, known, by_key, first).await;
            if let Some((end, state)) = end {
                spans::answered(&end.answer, &answers::shown(Some(&end.answer)));
                way.settle(seq, end, state).await;
            }
        };
        self.engine.io.spawn(performed.instrument(span));
        Ok(seq)
    }

    async fn next(&self) -> Result<Delivery, Stopped> {
        let clock = &self.engine.ports.clock;
        self.ledger.next(|| clock.wall(), |timers| self.sleeps(timers)).await
    }

    fn abandon(&self, seq: u32) {
        self.ledger.abandon(seq);
    }

    fn is_live(&self) -> bool {
        self.ledger.is_live()
    }
}

impl Way {
    /// Performs one effect; `None` when it came to nothing: a timer that nobody waits for, or an attempt that was stopped instead.
    async fn perform(
        self: &Arc<Self>,
        ask: Ask,
        effect: fusebox_core::effect::Effect,
        service: Option<Arc<Service>>,
        known: bool,
        by_key: bool,
        first: Wall,
    ) -> Option<(Ending, Vec<StateWrite>)> {
        let plain = |ending| Some((ending, Vec::new()));
        // What its key alone protects has to be sent again as it was, so it has to be known that it was sent.
        let needs_intent =
            (!known && (!effect.repeatable || by_key)) || matches!(ask, Ask::Timer { after } if after > LONG);
        if needs_intent && let Err(error) = self.intend(effect.seq).await {
            let reason =
                format!("it could not be made durable that it is about to be sent ({error}), so it was not sent");
            self.ledger.stop(Stop::Store(error));
            return plain(Ending::of(
                End::without(Answer::Cancelled, EffectError::Ended, reason),
                &[],
            ));
        }
        match ask {
            Ask::Http(request) => {
                let origin = request::origin(request.tls, &request.authority);
                let key = service
                    .as_ref()
                    .filter(|service| service.policy.idempotency_header.is_some())
                    .map(|_| self.facts.key_owner().effect_key(effect.request, effect.occurrence));
                let rejects: Vec<u16> = service
                    .as_ref()
                    .map(|service| service.policy.rejects_before_effect.clone())
                    .unwrap_or_default();
                let end = match (service, origin) {
                    (Some(service), Some(origin)) => self.exchange(&service, origin, request, key).await,
                    _ => End::denied(format!(
                        "{} is not a host of any service of `{}`: name it under `services` in its manifest",
                        shown_authority(&request.authority),
                        self.facts.tool.policy.name
                    )),
                };
                plain(Ending::of(end, &rejects))
            }
            Ask::Timer { after } => self.timer(effect.seq, after, first).await.and_then(plain),
            Ask::Call { target, input } => {
                let asked = self.engine.ports.clock.tick();
                let called = Box::pin(nested::call(self, &effect, &target, &input)).await?;
                if let Some(service) = &called.service {
                    self.ledger.at_service(effect.seq, service);
                }
                plain(Ending {
                    answer: called.answer,
                    got: Got::Call(called.got),
                    reason: called.reason,
                    took: self.engine.ports.clock.tick().since(asked),
                    cut: false,
                    rejected: false,
                })
            }
            Ask::State { scope, ask } => Some(self.state(effect.seq, scope, ask).await),
            Ask::Tools => plain(self.offered().await),
            Ask::Describe { tool, function } => plain(self.described(&tool, &function).await),
            Ask::Context => plain(self.told()),
            Ask::Approval { question, details } => self.asks(&effect, &question, &details).await.and_then(plain),
        }
    }

    /// Asks a person; `None` when the run is suspended until there is an answer.
    async fn asks(&self, effect: &fusebox_core::effect::Effect, question: &str, details: &str) -> Option<Ending> {
        if self.facts.durability == Durability::None {
            return Some(Ending::refused(
                "a run that leaves no record cannot wait for a person".to_owned(),
            ));
        }
        let asked = Question {
            facts: &self.facts,
            run: &self.facts.id,
            step: effect.seq,
            question,
            details,
            fingerprint: effect.request,
            because: "the tool asks",
            expires: self.facts.function.policy.approval_expires,
        };
        let gate = match approvals::gate(&self.engine, &asked).await {
            Ok(Gate::Closed(asked)) => self.intend(effect.seq).await.map(|()| Gate::Closed(asked)),
            gate => gate,
        };
        match gate {
            // The answer is journaled with the question's end: there is nothing else that could use it.
            Ok(Gate::Open(_)) => Some(Ending::done(Got::Approval(Ok(())))),
            Ok(Gate::Declined(why)) => Some(Ending::done(Got::Approval(Err(why)))),
            Ok(Gate::Closed(asked)) => {
                self.ledger.stop(Stop::Suspend(asked));
                None
            }
            Err(error) => {
                self.ledger.stop(Stop::Store(error));
                None
            }
        }
    }

    /// A nested call that failed has used up so many of this step's attempts.
    pub(crate) fn spent(&self, seq: u32, attempts: Attempts) {
        let mut spent = self.spent.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        spent.push((seq, attempts));
    }

    /// Waits; `None` when nobody waits for it any more.
    async fn timer(&self, seq: u32, after: Duration, first: Wall) -> Option<Ending> {
        let clock = &self.engine.ports.clock;
        // What passed while nobody held the run counts.
        let left = after.saturating_sub(clock.wall().since(first));
        let asked = clock.tick();
        tokio::select! {
            () = clock.sleep(left) => Some(Ending {
                answer: Answer::Done,
                got: Got::Timer,
                reason: None,
                took: clock.tick().since(asked),
                cut: false,
                rejected: false,
            }),
            () = self.ledger.abandoned(seq) => None,
        }
    }

    /// Whether a guest that waits for these timers alone lets go of its run meanwhile.
    fn sleeps(&self, timers: &[Tick]) -> Option<Stop> {
        let clock = &self.engine.ports.clock;
        let left = timers.iter().min()?.since(clock.tick());
        let may = left > LONG && self.hold.get().is_some() && self.facts.nested.is_none() && !self.dry;
        may.then(|| Stop::Sleep(clock.wall() + left))
    }
}
