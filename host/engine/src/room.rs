//! Room for an attempt: a place in its tool's bulkhead, and instances of the pool.

use crate::engine::Engine;
use crate::failures;
use crate::refusals;
use crate::runs::{Facts, Run};
use fusebox_core::failure::Failure;
use tokio::sync::{Semaphore, SemaphorePermit};

/// Fewest instances of a pool that has room for nested calls.
const SMALLEST_POOL: u32 = 8;

/// The instances of the pool, in parts by depth: half for roots, a quarter for what they call, an eighth for what that calls, and the rest
/// for everything deeper. A call never waits for instances that its own callers hold, so nesting cannot starve itself (durability.md).
#[derive(Debug)]
pub(crate) struct Pool {
    parts: [Part; 4],
}

#[derive(Debug)]
struct Part {
    free: Semaphore,
    size: u32,
}

impl Pool {
    pub(crate) fn new(instances: u32) -> Self {
        let instances = instances.max(SMALLEST_POOL);
        let (half, quarter, eighth) = (instances / 2, instances / 4, instances / 8);
        let parts = [half, quarter, eighth, instances - half - quarter - eighth];
        Self {
            parts: parts.map(|size| Part {
                free: Semaphore::new(size as usize),
                size,
            }),
        }
    }

    fn part(&self, depth: u32) -> &Part {
        let last = self.parts.len() - 1;
        &self.parts[usize::try_from(depth).unwrap_or(last).min(last)]
    }
}

/// Given back when it is dropped.
pub(crate) struct Room<'a> {
    _bulkhead: Option<SemaphorePermit<'a>>,
    _instances: SemaphorePermit<'a>,
}

/// Waits for room, within the deadline.
pub(crate) async fn take<'a>(engine: &'a Engine, facts: &'a Facts, run: &Run) -> Result<Room<'a>, Box<Failure>> {
    let tool = &facts.tool;
    // A tree has one place in each bulkhead, or its own nesting could keep it waiting for ever.
    let has_one = facts.nested.is_some() && run.places.contains(&tool.policy.name);
    let bulkhead = if has_one {
        None
    } else {
        let full = || refusals::no_place(&tool.policy.name, tool.limits.concurrency);
        Some(permits(engine, &tool.bulkhead, 1, run, full).await?)
    };
    let part = engine.pool.part(facts.nested.as_ref().map_or(0, |nested| nested.depth));
    let weight = tool.component.facts().weight.min(part.size);
    let full = || refusals::no_instance(&tool.policy.name, part.size);
    let instances = permits(engine, &part.free, weight, run, full).await?;
    Ok(Room {
        _bulkhead: bulkhead,
        _instances: instances,
    })
}

async fn permits<'a>(
    engine: &Engine,
    from: &'a Semaphore,
    count: u32,
    run: &Run,
    full: impl Fn() -> Box<Failure>,
) -> Result<SemaphorePermit<'a>, Box<Failure>> {
    if let Ok(permits) = from.try_acquire_many(count) {
        return Ok(permits);
    }
    let clock = &engine.ports.clock;
    tokio::select! {
        permits = from.acquire_many(count) => permits.map_err(|_| full()),
        () = run.cancel.cancelled() => Err(Box::new(failures::cancelled(run))),
        () = clock.sleep(run.deadline.since(clock.tick())) => Err(full()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_are_the_whole_pool_and_half_of_it_is_for_roots() {
        for instances in [8, 9, 15, 256, 100_000] {
            let pool = Pool::new(instances);
            let sizes = pool.parts.each_ref().map(|part| part.size);
            assert_eq!(sizes.iter().sum::<u32>(), instances);
            assert_eq!(pool.part(0).size, instances / 2);
            assert!(sizes.iter().all(|size| *size > 0), "{sizes:?}");
            assert_eq!(pool.part(16).size, sizes[3]);
        }
    }
}
