//! One HTTP exchange of a guest: its turn, its permit, its lease, its headers, and what came of it.

use super::{Way, request};
use crate::attempt::Bound;
use crate::breakers::Published;
use crate::ownership::SendRight;
use crate::ports::sandbox::{EffectError, GuestRequest};
use crate::ports::transport::{ExchangeError, Incoming, Outgoing};
use crate::services::Service;
use fusebox_core::breaker::Verdict;
use fusebox_core::classify;
use fusebox_core::effect::{Answer, Lost, NotSent};
use fusebox_core::ids::Digest;
use fusebox_core::policy::Origin;
use fusebox_core::retry_after;
use std::time::Duration;
use tokio::sync::SemaphorePermit;
use tracing::Span;

/// The headers that carry a trace on (W3C Trace Context).
const TRACEPARENT: &str = "traceparent";
const TRACESTATE: &str = "tracestate";

/// The end of one effect: the evidence, what the guest sees, and what a person reads.
pub(super) struct End {
    pub(super) answer: Answer,
    pub(super) seen: Result<Incoming, EffectError>,
    pub(super) reason: Option<String>,
    pub(super) took: Duration,
    /// It was broken off because the attempt's time was over.
    pub(super) cut: bool,
}

impl End {
    pub(super) fn denied(reason: String) -> Self {
        Self::without(Answer::Denied, EffectError::Denied, reason)
    }

    fn cancelled(reason: &str) -> Self {
        Self::without(Answer::Cancelled, EffectError::Ended, reason.to_owned())
    }

    fn not_sent(kind: NotSent, reason: String) -> Self {
        Self::without(Answer::NotSent(kind), EffectError::NotSent(kind), reason)
    }

    pub(super) fn without(answer: Answer, seen: EffectError, reason: String) -> Self {
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

impl Way {
    /// Rate limit, bulkhead, permit, lease, then the exchange itself.
    pub(super) async fn exchange(
        &self,
        service: &Service,
        origin: Origin,
        request: GuestRequest,
        key: Option<Digest>,
    ) -> End {
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
        let mask = match service.masks.of(secrets) {
            Ok(mask) => mask,
            Err(error) => return End::denied(format!("its secrets cannot be looked for in answers: {error}")),
        };
        let headers = self.traced(headers);
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
        let answered = answered.map(|incoming| match &mask {
            Some(mask) => mask.over(incoming),
            None => incoming,
        });
        let end = self
            .end_of(answered, now.since(sent))
            .within(timeout, service, self.bound);
        service.meters.exchanged(end.took);
        permit.settle(self.verdict(&end, timeout, service), end.took, now);
        end
    }

    /// The headers with the context of this effect's span, unless the guest or its manifest says another. It is no part of what was asked
    /// for: the request's digest was taken without it.
    fn traced(&self, mut headers: Vec<(String, Vec<u8>)>) -> Vec<(String, Vec<u8>)> {
        let told = |headers: &[(String, Vec<u8>)], header| headers.iter().any(|(name, _)| name == header);
        if told(&headers, TRACEPARENT) {
            return headers;
        }
        let brought = self.facts.trace.as_ref();
        let own = self.engine.ports.tracer.context(&Span::current());
        let trace = own
            .map(|trace| trace.with_state_of(brought))
            .or_else(|| brought.cloned());
        if let Some(trace) = trace {
            headers.push((TRACEPARENT.to_owned(), trace.traceparent().into_bytes()));
            if let Some(state) = trace.state.filter(|_| !told(&headers, TRACESTATE)) {
                headers.push((TRACESTATE.to_owned(), state.to_string().into_bytes()));
            }
        }
        headers
    }

    /// Waits for the rate limit, then for a place in the bulkhead, both within the attempt's time.
    async fn turn<'a>(&self, service: &'a Service) -> Result<SemaphorePermit<'a>, Box<End>> {
        let clock = &self.engine.ports.clock;
        if let Some(turns) = &service.turns {
            let asked = clock.tick();
            match turns.reserve(clock.as_ref(), self.latest).await {
                Ok(turn) if turn <= asked => {}
                Ok(turn) => {
                    if !self.wait(clock.sleep(turn.since(clock.tick()))).await {
                        turns.give_back(turn);
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
            Ok(place) = service.places.acquire() => return Ok(place),
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
pub(super) fn shown_authority(authority: &str) -> String {
    let cut: String = authority.chars().take(100).collect();
    format!("`{}`", cut.escape_debug())
}
