//! Letters that replay by themselves once their service is well (`auto-replay = "when-closed"`, semantics.md §6).

use crate::engine::Engine;
use crate::records::LetterRecord;
use crate::replay;
use crate::requests::{Begin, Caller, Replay};
use fusebox_core::dead_letter::{Waiting, next_by_itself};
use fusebox_core::time::Wall;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Letters that are looked at together.
const BATCH: u32 = 256;

/// Replays letters, one at a time and no faster than the operator allows, until the host takes no more work.
pub(crate) async fn work(engine: Arc<Engine>) {
    let rate = engine.settings.auto_replay_rate;
    let pace = rate.per.checked_div(rate.requests).unwrap_or(rate.per);
    while !engine.tasks.is_draining() {
        let waited = if next(&engine).await {
            pace
        } else {
            engine.settings.recovery_poll
        };
        tokio::select! {
            () = engine.ports.clock.sleep(waited.max(Duration::from_millis(1))) => {}
            () = engine.tasks.draining().cancelled() => {}
        }
    }
}

/// Replays the letter whose turn it is; `false` when no service of a waiting letter is well.
async fn next(engine: &Arc<Engine>) -> bool {
    let letters = match engine.ports.store.waiting(BATCH).await {
        Ok(letters) => letters,
        Err(error) => {
            tracing::warn!(%error, "letters that wait for their service cannot be looked for");
            return false;
        }
    };
    let mut well: BTreeMap<(String, String), bool> = BTreeMap::new();
    let mut ready = Vec::new();
    for letter in letters {
        let service = (letter.run.tool.clone(), letter.service.clone().unwrap_or_default());
        let is_well = match well.get(&service) {
            Some(known) => *known,
            None => {
                let found = is_well(engine, &letter).await;
                well.insert(service, found);
                found
            }
        };
        if is_well {
            ready.push(letter);
        }
    }
    let waiting: Vec<_> = ready.iter().map(waiting).collect();
    let turn = next_by_itself(&waiting, engine.settings.auto_replay_max, engine.ports.clock.wall());
    let Some(letter) = turn.and_then(|turn| ready.get(turn)) else {
        return false;
    };
    replay_one(engine, letter).await;
    true
}

fn waiting(letter: &LetterRecord) -> Waiting {
    Waiting {
        replays: letter.auto_replays,
        since: Wall(letter.first_failed),
        not_before: letter.not_before.map(Wall),
    }
}

/// Whether its service would let a request through: closed, or its cooldown is over and the replay is the probe.
async fn is_well(engine: &Arc<Engine>, letter: &LetterRecord) -> bool {
    let tenant = Arc::from(letter.tenant.as_str());
    let Ok(tool) = engine.catalog.get(engine, &tenant, &letter.run.tool).await else {
        return false;
    };
    let now = engine.ports.clock.tick();
    let service = letter.service.as_deref().and_then(|name| tool.service(name));
    tool.breaker.peek(now).is_ok() && service.is_none_or(|service| service.breaker.peek(now).is_ok())
}

async fn replay_one(engine: &Arc<Engine>, letter: &LetterRecord) {
    let Ok(_place) = engine.tasks.admit() else { return };
    let caller = Caller {
        tenant: Arc::from(letter.tenant.as_str()),
        principal: Arc::from(letter.run.principal.as_str()),
        trace: letter.run.trace.clone(),
        ..Caller::local()
    };
    let replay = Replay {
        letter: letter.id.clone(),
        deadline: None,
        from: Begin::ResumePoint,
        repeat: Vec::new(),
        component: None,
        dry_run: false,
    };
    match Box::pin(replay::replay(Arc::clone(engine), caller, replay, true)).await {
        Ok(_) => tracing::info!(letter = %letter.id, "replayed by itself, and succeeded"),
        Err(failure) => tracing::info!(letter = %letter.id, %failure, "replayed by itself, and did not succeed"),
    }
}
