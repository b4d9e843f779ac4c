//! The boundary that every effect of an attempt passes, in a task of the engine that outlives the instance: served from the journal, or
//! performed and journaled.

mod account;
pub(crate) mod answers;
mod asked;
mod durable;
mod ledger;
mod mask;
mod own;
mod request;

use asked::asked;
pub(crate) use asked::identity;
use ledger::{Ending, InFlight, Opened};
pub(crate) use ledger::{Ledger, Settled};

use crate::approvals::{self, Gate, Question};
use crate::attempt::Bound;
use crate::breakers::Published;
use crate::engine::Engine;
use crate::nested;
use crate::ownership::{Hold, SendRight};
use crate::ports::sandbox::{Ask, AttemptEnd, Delivery, EffectError, Effects, Got, GuestRequest, Stopped};
use crate::ports::store::StateWrite;
use crate::ports::transport::{ExchangeError, Incoming, Outgoing};
use crate::records::ApprovalRecord;
use crate::runs::{Facts, Parent};
use crate::services::Service;
use async_trait::async_trait;
use fusebox_core::breaker::Verdict;
use fusebox_core::classify;
use fusebox_core::effect::{Answer, Lost, NotSent};
use fusebox_core::ids::Digest;
use fusebox_core::journal::Diverged;
use fusebox_core::policy::{Durability, Origin};
use fusebox_core::retry::Attempts;
use fusebox_core::retry_after;
use fusebox_core::time::{Tick, Wall};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;
use tokio::sync::SemaphorePermit;
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

/// The end of one effect: the evidence, what the guest sees, and what a person reads.
struct End {
    answer: Answer,
    seen: Result<Incoming, EffectError>,
    reason: Option<String>,
    took: Duration,
    /// It was broken off because the attempt's time was over.
    cut: bool,
}

impl End {
    fn denied(reason: String) -> Self {
        Self::without(Answer::Denied, EffectError::Denied, reason)
    }

    fn cancelled(reason: &str) -> Self {
        Self::without(Answer::Cancelled, EffectError::Ended, reason.to_owned())
    }

    fn not_sent(kind: NotSent, reason: String) -> Self {
        Self::without(Answer::NotSent(kind), EffectError::NotSent(kind), reason)
    }

    fn without(answer: Answer, seen: EffectError, reason: String) -> Self {
        Self {
            answer,
            seen: Err(seen),
            reason: Some(reason),
            took: Duration::ZERO,
            cut: false,
        }
    }

    /// An exchange that was allowed to last so long: when that was over, says whose time it was.
    fn within(mut self, timeout: Duration, service: &Service, bound: Bound) -> Self {
        let timed_out = matches!(
            self.answer,
            Answer::Lost(Lost::Timeout) | Answer::NotSent(NotSent::ConnectTimeout)
        );
        if timed_out && self.took >= timeout {
            self.cut = timeout < service.policy.timeout;
            let whose = match (self.cut, bound) {
                (false, _) => "is the service's `timeout`",
                (true, Bound::Timeout) => "was left of the attempt's `timeout`",
                (true, Bound::Deadline) => "was left of the run's deadline",
            };
            let why = self.reason.take().unwrap_or_default();
            self.reason = Some(format!("{why}; {} {whose}", crate::refusals::shown(timeout)));
        }
        self
    }
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
        let span = tracing::info_span!(
            parent: &self.span, "effect", seq, kind = effect.kind.name(), method = effect.method,
            service = service.as_ref().map_or("", |service| &service.name), answer = tracing::field::Empty
        );
        let timer = matches!(ask, Ask::Timer { .. });
        let waited_for = (!timer).then(|| InFlight::new(&way));
        let performed = async move {
            let _waited_for = waited_for;
            let end = way.perform(ask, effect, service, known, by_key, first).await;
            if let Some((end, state)) = end {
                Span::current().record("answer", answers::shown(Some(&end.answer)));
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

    /// Rate limit, bulkhead, permit, lease, then the exchange itself.
    async fn exchange(&self, service: &Service, origin: Origin, request: GuestRequest, key: Option<Digest>) -> End {
        let clock = &self.engine.ports.clock;
        let _place = match self.turn(service).await {
            Ok(place) => place,
            Err(end) => return *end,
        };
        let secrets = self.engine.ports.secrets.as_ref();
        let headers = request::headers(&request.headers, &service.policy, &origin, key, secrets);
        let (headers, secrets) = match headers {
            Ok(sent) => sent,
            Err(error) => return End::denied(error.to_string()),
        };
        let permit = match self.permit(service).await {
            Ok(permit) => permit,
            Err(reason) => return End::not_sent(NotSent::BreakerOpen, reason),
        };
        if let Some(right) = self.right()
            && !right.outlasts(service.policy.timeout.min(self.left())).await
        {
            let reason = "the run's lease could not be kept, so nothing was sent".to_owned();
            return End::without(Answer::NotSent(NotSent::NotWritten), EffectError::Ended, reason);
        }
        let sent = clock.tick();
        let timeout = service.policy.timeout.min(self.latest.since(sent));
        // The store was asked meanwhile, perhaps for long; nothing is sent on behalf of an attempt that is over.
        if self.ended.is_cancelled() || timeout.is_zero() {
            return End::cancelled("the attempt ended before the effect was sent");
        }
        let outgoing = Outgoing {
            origin,
            method: request.method,
            path: request.path,
            headers,
            body: request.body,
            timeout,
            max_response: service.policy.max_response,
        };
        let answered = self.engine.ports.transport.exchange(outgoing).await;
        let now = clock.tick();
        let answered = answered.map(|incoming| mask::mask(incoming, &secrets));
        let end = self
            .end_of(answered, now.since(sent))
            .within(timeout, service, self.bound);
        permit.settle(self.verdict(&end, timeout, service), end.took, now);
        end
    }

    /// Waits for the rate limit, then for a place in the bulkhead, both within the attempt's time.
    async fn turn<'a>(&self, service: &'a Service) -> Result<SemaphorePermit<'a>, Box<End>> {
        let clock = &self.engine.ports.clock;
        if let Some(limiter) = &service.limiter {
            let asked = clock.tick();
            match limiter.reserve(asked, self.latest) {
                Ok(Duration::ZERO) => {}
                Ok(wait) => {
                    if !self.wait(clock.sleep(wait)).await {
                        limiter.give_back(asked + wait);
                        let end = End::cancelled("the attempt ended while the effect waited for the rate limit");
                        return Err(Box::new(end));
                    }
                }
                Err(wait) => {
                    let end = End::not_sent(NotSent::RateLimited, beyond_limit(service, wait));
                    return Err(Box::new(end));
                }
            }
        }
        let end = tokio::select! {
            biased;
            Ok(place) = service.bulkhead.acquire() => return Ok(place),
            () = self.ended.cancelled() => End::cancelled("the attempt ended while the effect waited for its turn"),
            () = clock.sleep(self.left()) => End::not_sent(NotSent::RateLimited, no_turn(service)),
        };
        Err(Box::new(end))
    }

    /// What the end says of its service. One whom the run's deadline left less than half of its time was not put to the test, or a caller
    /// with short deadlines could open its breaker for all.
    fn verdict(&self, end: &End, timeout: Duration, service: &Service) -> Verdict {
        if end.cut && self.bound == Bound::Deadline && timeout < service.policy.timeout / 2 {
            return Verdict::Ignored;
        }
        classify::verdict_of(&end.answer)
    }

    /// The right to send, where there is a lease to lose.
    fn right(&self) -> Option<SendRight> {
        self.hold.get().map(crate::ownership::Ownership::right)
    }

    /// What is left of the attempt's time.
    fn left(&self) -> Duration {
        self.latest.since(self.engine.ports.clock.tick())
    }

    /// Waits, unless the attempt ends first; says whether it waited to the end.
    async fn wait(&self, waiting: impl Future<Output = ()>) -> bool {
        tokio::select! {
            () = waiting => !self.ended.is_cancelled(),
            () = self.ended.cancelled() => false,
        }
    }

    /// The breaker's permit. The one who begins to probe asks the store first, so that of all hosts one sends.
    async fn permit(&self, service: &Service) -> Result<crate::breakers::Held, String> {
        let admit = || {
            let refused = service.breaker.admit(self.engine.ports.clock.tick());
            refused.map_err(|refusal| crate::refusals::breaker_open(&service.name, &service.key, refusal).message)
        };
        loop {
            let held = admit()?;
            if !held.began_probing() || self.engine.breakers.publish(&service.breaker).await != Published::Theirs {
                return Ok(held);
            }
        }
    }

    fn end_of(&self, answered: Result<Incoming, ExchangeError>, took: Duration) -> End {
        let (answer, seen, reason) = match answered {
            Ok(incoming) => {
                let hints = incoming.headers.iter().filter(|(name, _)| name == "retry-after");
                let hint = retry_after::read(hints.map(|(_, value)| value.as_slice()), self.engine.ports.clock.wall());
                let status = incoming.status;
                (Answer::Status { status, hint }, Ok(incoming), None)
            }
            Err(ExchangeError::NotSent { kind, reason }) => {
                (Answer::NotSent(kind), Err(EffectError::NotSent(kind)), Some(reason))
            }
            Err(ExchangeError::Lost { kind, reason }) => {
                (Answer::Lost(kind), Err(EffectError::Lost(kind)), Some(reason))
            }
            Err(ExchangeError::Denied { reason }) => (Answer::Denied, Err(EffectError::Denied), Some(reason)),
        };
        End {
            answer,
            seen,
            reason,
            took,
            cut: false,
        }
    }
}

fn beyond_limit(service: &Service, wait: Duration) -> String {
    let wait = crate::refusals::shown(wait);
    format!(
        "the rate limit of `{}` would admit the request in {wait}, beyond the attempt's time",
        service.key
    )
}

fn no_turn(service: &Service) -> String {
    format!(
        "`{}` has {} exchanges in flight (`concurrency`) and none ended within the attempt's time",
        service.key, service.policy.concurrency
    )
}

/// A guest may write anything there; a person should be able to read it.
fn shown_authority(authority: &str) -> String {
    let cut: String = authority.chars().take(100).collect();
    format!("`{}`", cut.escape_debug())
}
