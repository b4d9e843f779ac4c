//! The work of a serving host: takes runs that can go on, as many as it has places for.

use crate::engine::Engine;
use crate::ports::fleet::Topic;
use crate::recovery::{self, Lease};
use std::sync::Arc;
use tokio::sync::OwnedSemaphorePermit;

/// Runs that are taken at once at most: another host may have places too.
const BATCH: usize = 32;

/// Takes and carries out runs until the host takes no more.
pub(crate) async fn work(engine: Arc<Engine>) {
    let (clock, draining) = (&engine.ports.clock, engine.tasks.draining());
    let mut told = engine.ports.fleet.told(Topic::Runs);
    loop {
        told.mark_unchanged();
        let place = tokio::select! {
            Ok(place) = engine.tasks.place() => place,
            () = draining.cancelled() => return,
        };
        if take(&engine, place).await {
            continue;
        }
        tokio::select! {
            () = clock.sleep(engine.settings.recovery_poll) => {}
            Ok(()) = told.changed() => {}
            () = draining.cancelled() => return,
        }
    }
}

/// Takes what can go on, with that place and those that are free besides; `true` when there may be more.
async fn take(engine: &Arc<Engine>, place: OwnedSemaphorePermit) -> bool {
    let mut places = vec![place];
    while places.len() < BATCH
        && let Ok(place) = engine.tasks.admit()
    {
        places.push(place);
    }
    let (length, at) = (engine.settings.lease, engine.ports.clock.tick());
    let limit = u32::try_from(places.len()).unwrap_or(1);
    let taken = match engine
        .ports
        .store
        .take(&engine.owner, length, limit, &engine.catalog.busy())
        .await
    {
        Ok(taken) => taken,
        Err(error) => {
            tracing::warn!(%error, "runs that nobody holds cannot be looked for");
            return false;
        }
    };
    let all = taken.len() == places.len();
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
    all
}
