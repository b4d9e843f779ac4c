//! What is measured when somebody looks: breakers, budgets and pools from memory, letters and questions as they were last counted.

use crate::engine::Engine;
use crate::ports::store::Backlog;
use fusebox_core::breaker::State;
use fusebox_core::dead_letter::Kind;
use fusebox_core::time::Wall;
use metrics::gauge;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How often letters and questions are counted.
const COUNT: Duration = Duration::from_secs(10);

/// What was shown last.
#[derive(Default)]
pub(crate) struct Gauges {
    backlog: Mutex<Backlog>,
    /// Services whose breakers and budgets have been shown: one that is gone must not stay as it was.
    shown: Mutex<Shown>,
}

#[derive(Default)]
struct Shown {
    breakers: BTreeMap<Arc<str>, f64>,
    budgets: BTreeMap<Arc<str>, f64>,
}

/// Counts what the store holds, until the host takes no more work.
pub(crate) async fn work(engine: Arc<Engine>) {
    while !engine.tasks.is_draining() {
        match engine.ports.store.backlog().await {
            Ok(backlog) => *lock(&engine.meters.gauges.backlog) = backlog,
            Err(error) => {
                tracing::warn!(%error, "letters and questions cannot be counted; their metrics stay as they were")
            }
        }
        tokio::select! {
            () = engine.ports.clock.sleep(COUNT) => {}
            () = engine.tasks.draining().cancelled() => {}
        }
    }
}

impl Gauges {
    /// Shows everything as it is now.
    pub(crate) fn show(&self, engine: &Engine) {
        self.waiting(engine.ports.clock.wall());
        let mut shown = lock(&self.shown);
        let breakers = engine.breakers.all().into_iter();
        let breakers = breakers.map(|cell| (Arc::clone(cell.key_shared()), rank(cell.state())));
        show("fusebox_breaker_state", &mut shown.breakers, breakers, f64::max, 0.0);
        let budgets = engine.services.all().into_iter();
        let budgets = budgets.map(|service| (Arc::clone(&service.key), f64::from(service.budget().tokens())));
        show("fusebox_budget_tokens", &mut shown.budgets, budgets, f64::min, f64::NAN);
        let calls = (engine.tasks.in_flight(), engine.settings.max_calls);
        pool("calls", calls);
        if let Some(pooled) = engine.ports.sandbox.pool() {
            pool("instances", (pooled.in_use, pooled.size));
        }
    }

    fn waiting(&self, now: Wall) {
        let backlog = *lock(&self.backlog);
        for (kind, count) in Kind::ALL.iter().zip(backlog.letters) {
            gauge!("fusebox_letters_open", "kind" => kind.name()).set(float(count));
        }
        let age = |since: Option<i64>| since.map_or(0.0, |since| now.since(Wall(since)).as_secs_f64());
        gauge!("fusebox_letters_oldest_seconds").set(age(backlog.oldest));
        gauge!("fusebox_approvals_waiting").set(float(backlog.approvals));
        gauge!("fusebox_approvals_oldest_seconds").set(age(backlog.oldest_approval));
    }
}

/// Shows one value for each service, of all tenants the one that `worse` prefers; a service that is gone gets `gone`.
fn show(
    name: &'static str,
    shown: &mut BTreeMap<Arc<str>, f64>,
    values: impl Iterator<Item = (Arc<str>, f64)>,
    worse: impl Fn(f64, f64) -> f64,
    gone: f64,
) {
    let mut now: BTreeMap<Arc<str>, f64> = BTreeMap::new();
    for (key, value) in values {
        now.entry(key)
            .and_modify(|known| *known = worse(*known, value))
            .or_insert(value);
    }
    for key in shown.keys().filter(|key| !now.contains_key(*key)) {
        gauge!(name, "service" => Arc::clone(key)).set(gone);
    }
    for (key, value) in &now {
        gauge!(name, "service" => Arc::clone(key)).set(*value);
    }
    *shown = now;
}

fn pool(name: &'static str, (in_use, size): (usize, usize)) {
    gauge!("fusebox_pool_in_use", "pool" => name).set(float(in_use as u64));
    gauge!("fusebox_pool_size", "pool" => name).set(float(size as u64));
}

/// How much a state keeps from being done.
fn rank(state: State) -> f64 {
    match state {
        State::Disabled => -1.0,
        State::Closed => 0.0,
        State::HalfOpen => 1.0,
        State::Open => 2.0,
        State::ForcedOpen => 3.0,
    }
}

/// Counts that matter are far below what a float holds exactly.
#[expect(clippy::cast_precision_loss, reason = "gauges are floats")]
fn float(count: u64) -> f64 {
    count as f64
}

fn lock<T>(what: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    what.lock().unwrap_or_else(PoisonError::into_inner)
}
