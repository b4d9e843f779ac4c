//! Rest between two attempts: a short one with the lease kept, a long one as a run that nobody holds (semantics.md §4).

use crate::engine::Engine;
use crate::ownership::{Hold, Ownership};
use crate::ports::store::{StoreError, Taken};
use crate::records::millis;
use crate::runs::{Facts, Run};
use fusebox_core::run::State;
use fusebox_core::time::Wall;
use std::sync::Arc;
use std::time::Duration;

/// A longer rest lets go of the run: no instance, no lease, and any host may wake it.
pub(crate) const SHORT: Duration = Duration::from_secs(1);

/// How a rest ended.
pub(crate) enum Rested {
    /// The run goes on here.
    Awake,
    /// Somebody cancelled it.
    Cancelled,
    /// Another host has woken it.
    Elsewhere,
    /// This host drains; any other wakes it.
    HandedOver,
    /// It could not be taken up again.
    Lost(StoreError),
}

/// Rests for so long between two attempts: a delay, which is part of the run's time.
pub(crate) async fn rest(engine: &Engine, run: &mut Run, after: Duration) -> Rested {
    sleep(engine, run, after, after).await
}

/// Waits for a timer of the guest. While nobody holds the run its deadline does not come nearer.
pub(crate) async fn wait(engine: &Engine, run: &mut Run, after: Duration) -> Rested {
    sleep(engine, run, after, Duration::ZERO).await
}

async fn sleep(engine: &Engine, run: &mut Run, after: Duration, counts: Duration) -> Rested {
    let until = engine.ports.clock.wall() + after;
    let durable = run.hold.get().is_some() && run.nested.is_none() && run.letter.is_none();
    let left = run.deadline.since(engine.ports.clock.tick()).saturating_sub(counts);
    let let_go = after > SHORT && durable && let_go(engine, run, until, left).await;
    if let_go && !run.waited_for {
        // A host that serves wakes it, perhaps this one.
        return Rested::HandedOver;
    }
    tokio::select! {
        () = engine.ports.clock.sleep(after) => {}
        () = run.cancel.cancelled() => {}
        () = over(engine, run), if let_go => return Rested::Elsewhere,
        () = engine.tasks.draining().cancelled(), if let_go => return Rested::HandedOver,
    }
    if let_go {
        match take_up(engine, run).await {
            Ok(()) => run.deadline = engine.ports.clock.tick() + left,
            Err(StoreError::Refused { .. }) => return Rested::Elsewhere,
            Err(error) => return Rested::Lost(error),
        }
    }
    if run.cancel.is_cancelled() {
        Rested::Cancelled
    } else {
        Rested::Awake
    }
}

/// Returns once the run that was let go is over: somebody cancelled it, or woke it and ended it.
async fn over(engine: &Engine, run: &Run) {
    loop {
        engine.ports.clock.sleep(SHORT).await;
        let stored = engine.ports.store.run(&run.tenant, &run.id).await;
        let state = stored.ok().flatten().and_then(|stored| State::from_name(&stored.state));
        if state.is_some_and(State::is_over) {
            return;
        }
    }
}

/// Lets a run go until then, with so much left of its time; `false` when that could not be stored, and the lease is kept.
pub(crate) async fn let_go(engine: &Engine, run: &mut Run, until: Wall, left: Duration) -> bool {
    let Some(fence) = run.hold.get().map(|ownership| ownership.fence().clone()) else {
        return false;
    };
    let journal = run.journal.unstored();
    let mut record = run.record(State::Sleeping);
    record.until = Some(until.0);
    record.left_ms = Some(millis(left));
    match engine.ports.store.sleep(&fence, record, journal).await {
        Ok(()) => {
            run.hold = Hold::default();
            true
        }
        Err(error) => {
            tracing::warn!(run = %run.id, %error, "the run could not be let go; its lease is kept meanwhile");
            false
        }
    }
}

/// Takes a run up again that was let go.
async fn take_up(engine: &Engine, run: &mut Run) -> Result<(), StoreError> {
    let length = Facts::lease(engine, &run.tool);
    let taken = engine.ports.clock.tick();
    let store = &engine.ports.store;
    let Taken { fence, run: record, .. } = store.take_run(&run.tenant, &run.id, &engine.owner, length).await?;
    if record.failure.is_some() {
        // It was ended meanwhile: somebody cancelled it while nobody held it.
        run.cancel.cancel();
    }
    let facts = Arc::clone(&run.facts);
    let ownership = Ownership::keep(engine, &facts.tenant, &facts.id, fence, taken, length, &run.cancel);
    run.hold = Hold::with(ownership);
    Ok(())
}
