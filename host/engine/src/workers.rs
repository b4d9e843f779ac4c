//! The work of a serving host: takes runs that can go on, as many as it has places for.

use crate::engine::Engine;
use crate::recovery::{self, Lease};
use std::sync::Arc;

/// Runs that are taken at once at most: another host may have places too.
const BATCH: usize = 32;

/// Takes and carries out runs until the host takes no more.
pub(crate) async fn work(engine: Arc<Engine>) {
    let clock = &engine.ports.clock;
    while !engine.tasks.is_draining() {
        let took = take(&engine).await;
        if took < BATCH {
            tokio::select! {
                () = clock.sleep(engine.settings.recovery_poll) => {}
                () = engine.tasks.draining().cancelled() => {}
            }
        }
    }
}

/// Takes what can go on; says how many runs that were.
async fn take(engine: &Arc<Engine>) -> usize {
    let mut places = Vec::new();
    while places.len() < BATCH
        && let Ok(place) = engine.tasks.admit()
    {
        places.push(place);
    }
    if places.is_empty() {
        return 0;
    }
    let (length, at) = (engine.settings.lease, engine.ports.clock.tick());
    let limit = u32::try_from(places.len()).unwrap_or(1);
    let taken = match engine.ports.store.take(&engine.owner, length, limit).await {
        Ok(taken) => taken,
        Err(error) => {
            tracing::warn!(%error, "runs that nobody holds cannot be looked for");
            return 0;
        }
    };
    let count = taken.len();
    for (taken, place) in taken.into_iter().zip(places) {
        let engine = Arc::clone(engine);
        let tracker = engine.tasks.tracker().clone();
        let going_on = async move {
            let _place = place;
            let run = taken.run.id.clone();
            match recovery::go_on(&engine, Lease { taken, at, length }, false).await {
                Ok(_) => tracing::info!(%run, "succeeded"),
                Err(failure) => tracing::info!(%run, %failure, "went on, and did not succeed"),
            }
        };
        tracker.spawn(going_on);
    }
    count
}
