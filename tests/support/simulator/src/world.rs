//! Everything that the simulator knows: scripts, rate limits, what was asked, and what was really done.

use crate::clock::now;
use crate::fault::{Fault, Script};
use crate::http::{Reply, Request};
use crate::record::{Answered, Recorded};
use crate::service::Service;
use crate::services::ledger::{Ledger, LedgerView};
use crate::services::llm::{Llm, ScriptedMessage};
use crate::services::mail::{Mail, Outbox};
use crate::services::search;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// How long a port may take to open or close.
const PATIENCE: Duration = Duration::from_secs(5);

/// At most `requests` in any `per_ms` milliseconds; what is over gets 429 and a Retry-After in whole seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RateLimit {
    /// How many.
    pub requests: usize,
    /// In how many milliseconds.
    pub per_ms: u64,
}

/// Whether a port refuses connections: as wanted, and as it is.
#[derive(Default)]
pub(crate) struct Gate {
    pub(crate) wanted: watch::Sender<bool>,
    pub(crate) applied: watch::Sender<bool>,
}

#[derive(Default)]
struct Upstream {
    script: Script,
    limit: Option<RateLimit>,
    /// Arrivals within the limit's window.
    recent: VecDeque<Instant>,
}

#[derive(Default)]
struct State {
    upstreams: [Upstream; 4],
    requests: Vec<Recorded>,
    arrivals: u64,
    connections: u64,
    outbox: Outbox,
    ledger: Ledger,
    llm: Llm,
}

/// The shared state of all listeners.
#[derive(Default)]
pub(crate) struct World {
    state: Mutex<State>,
    gates: [Gate; 4],
}

impl World {
    /// A panic of one connection must not stop the others from counting.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn gate(&self, service: Service) -> &Gate {
        &self.gates[service.index()]
    }

    /// The number of a new connection.
    pub(crate) fn connected(&self) -> u64 {
        let mut state = self.state();
        state.connections += 1;
        state.connections
    }

    /// Returns once the service's port refuses connections.
    pub(crate) async fn refusing(&self, service: Service) {
        let mut wanted = self.gate(service).wanted.subscribe();
        // The sender lives as long as this world.
        let _ = wanted.wait_for(|refuse| *refuse).await;
    }

    /// Records a request and takes the fault that is meant for it.
    pub(crate) fn arrived(&self, service: Service, connection: u64, request: &Request) -> (u64, Option<Fault>) {
        let mut state = self.state();
        state.arrivals += 1;
        let n = state.arrivals;
        state.requests.push(Recorded::new(n, service, connection, request));
        let script = &mut state.upstreams[service.index()].script;
        let fault = script.take();
        self.gate(service).wanted.send_replace(script.refuses());
        (n, fault)
    }

    /// Notes how a request was answered.
    pub(crate) fn answered(&self, n: u64, answer: Answered) {
        let mut state = self.state();
        if let Some(request) = state.requests.iter_mut().find(|request| request.n == n) {
            request.answer = Some(answer);
        }
    }

    /// Does what the request asks for.
    pub(crate) fn work(&self, service: Service, n: u64, request: &Request) -> Reply {
        let mut state = self.state();
        let state = &mut *state;
        if let Some(throttled) = state.upstreams[service.index()].throttle(now()) {
            return throttled;
        }
        match service {
            Service::Search => search::serve(request),
            Service::Llm => state.llm.serve(request),
            Service::Mail => state.outbox.serve(n, request),
            Service::Ledger => state.ledger.serve(n, request),
        }
    }

    /// Adds a fault to a script and waits until the port does as it says.
    pub(crate) async fn script(&self, service: Service, fault: Fault, times: Option<u64>) -> Result<(), String> {
        let refuses = {
            let script = &mut self.state().upstreams[service.index()].script;
            script.push(fault, times)?;
            script.refuses()
        };
        self.apply(service, refuses).await
    }

    /// Empties the scripts of one service, or of all.
    pub(crate) async fn clear_faults(&self, service: Option<Service>) -> Result<(), String> {
        for each in Service::ALL {
            if service.is_none_or(|only| only == each) {
                self.state().upstreams[each.index()].script.clear();
                self.apply(each, false).await?;
            }
        }
        Ok(())
    }

    async fn apply(&self, service: Service, refuse: bool) -> Result<(), String> {
        let gate = self.gate(service);
        gate.wanted.send_replace(refuse);
        let mut applied = gate.applied.subscribe();
        let followed = tokio::time::timeout(PATIENCE, applied.wait_for(|now| *now == refuse)).await;
        match followed {
            Ok(Ok(_)) => Ok(()),
            _ => Err(format!("the port of {service:?} could not be opened or closed")),
        }
    }

    pub(crate) fn limit(&self, service: Service, limit: Option<RateLimit>) {
        let upstream = &mut self.state().upstreams[service.index()];
        upstream.limit = limit;
        upstream.recent.clear();
    }

    /// Replaces what the model says next.
    pub(crate) fn script_llm(&self, script: Vec<ScriptedMessage>) -> Result<(), String> {
        if script.iter().any(ScriptedMessage::is_empty) {
            return Err("each message needs content or tool_calls".to_owned());
        }
        self.state().llm.follow(script);
        Ok(())
    }

    /// Everything as at the start; connections stay.
    pub(crate) async fn reset(&self) -> Result<(), String> {
        self.clear_faults(None).await?;
        let mut state = self.state();
        *state = State {
            connections: state.connections,
            ..State::default()
        };
        Ok(())
    }

    pub(crate) fn requests(&self, service: Option<Service>) -> Vec<Recorded> {
        let state = self.state();
        let wanted = |request: &&Recorded| service.is_none_or(|only| only == request.service);
        state.requests.iter().filter(wanted).cloned().collect()
    }

    pub(crate) fn mails(&self) -> Vec<Mail> {
        self.state().outbox.mails().to_vec()
    }

    pub(crate) fn ledger(&self) -> LedgerView {
        self.state().ledger.view()
    }
}

impl Upstream {
    /// The refusal of a request that is over the limit. Refused requests do not count against it.
    fn throttle(&mut self, now: Instant) -> Option<Reply> {
        let limit = self.limit?;
        let window = Duration::from_millis(limit.per_ms);
        while self
            .recent
            .front()
            .is_some_and(|oldest| now.duration_since(*oldest) >= window)
        {
            self.recent.pop_front();
        }
        if self.recent.len() < limit.requests {
            self.recent.push_back(now);
            return None;
        }
        let wait = self
            .recent
            .front()
            .map_or(window, |oldest| window.saturating_sub(now.duration_since(*oldest)));
        let seconds = wait.as_millis().div_ceil(1000).max(1);
        Some(Reply::error(429, "too many requests").with("retry-after", seconds.to_string()))
    }
}
