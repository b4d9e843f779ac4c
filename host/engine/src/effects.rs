//! The egress boundary: every effect of an attempt passes here, in a task of the engine that outlives the instance.

mod account;
mod ledger;
mod mask;
mod request;

pub(crate) use account::may_start_over;
use ledger::InFlight;
pub(crate) use ledger::{Ledger, Settled};

use crate::attempt::Bound;
use crate::breakers::Published;
use crate::catalog::Tool;
use crate::engine::Engine;
use crate::keys::KeyOwner;
use crate::ownership::SendRight;
use crate::ports::sandbox::{EffectError, Effects, GuestRequest};
use crate::ports::transport::{ExchangeError, Incoming, Outgoing};
use crate::services::Service;
use async_trait::async_trait;
use fusebox_core::breaker::Verdict;
use fusebox_core::classify;
use fusebox_core::effect::{Answer, Lost, NotSent};
use fusebox_core::ids::Digest;
use fusebox_core::policy::Origin;
use fusebox_core::retry_after;
use fusebox_core::time::{Tick, Wall};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::SemaphorePermit;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, Span};

/// The way out of one attempt.
pub(crate) struct Way {
    /// For effects, which outlast the instance that asked for them.
    pub(crate) me: Weak<Self>,
    pub(crate) engine: Arc<Engine>,
    pub(crate) tool: Arc<Tool>,
    pub(crate) ledger: Ledger,
    /// Whose effects these are: what their keys are made of.
    pub(crate) owner: KeyOwner,
    /// The lease that every exchange must end within.
    pub(crate) right: Option<SendRight>,
    /// When the run was accepted: no key of it was sent earlier.
    pub(crate) created: Wall,
    /// When the attempt's time is over: nothing is sent later, and no exchange lasts longer.
    pub(crate) latest: Tick,
    /// What that time ends with.
    pub(crate) bound: Bound,
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
    async fn http(&self, request: GuestRequest) -> Result<Incoming, EffectError> {
        let Some(way) = self.me.upgrade() else {
            return Err(EffectError::Ended);
        };
        let origin = request::origin(request.tls, &request.authority);
        let service = origin.as_ref().and_then(|origin| way.tool.service_at(origin)).cloned();
        let digest = request::digest(&request);
        let waited_for = InFlight::new(&way);
        let Some(opened) = way.ledger.open(&way, &request, service.as_ref(), digest) else {
            return Err(EffectError::Ended);
        };
        let span = tracing::info_span!(
            parent: &way.span, "effect", seq = opened.seq, method = request.method,
            service = service.as_ref().map_or("", |service| &service.name), answer = tracing::field::Empty
        );
        let effect = async move {
            let _waited_for = waited_for;
            let end = match (service, origin) {
                (Some(service), Some(origin)) => way.exchange(&service, origin, request, opened.key).await,
                _ => End::denied(format!(
                    "{} is not a host of any service of `{}`: name it under `services` in its manifest",
                    shown_authority(&request.authority),
                    way.tool.policy.name
                )),
            };
            Span::current().record("answer", account::shown(Some(&end.answer)));
            way.ledger.settle(opened.seq, end)
        };
        let task = self.engine.io.spawn(effect.instrument(span));
        match task.await {
            Ok(seen) => seen,
            Err(error) => {
                // Its entry stays without an answer, so it is judged as unknown.
                tracing::error!(%error, "an effect's task ended before its effect did");
                Err(EffectError::Ended)
            }
        }
    }
}

impl Way {
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
        if let Some(right) = &self.right
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
