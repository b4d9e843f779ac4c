//! Letters that replay by themselves once their service is well (`auto-replay = "when-closed"`, semantics.md §6).

use crate::engine::Engine;
use crate::records::LetterRecord;
use crate::recovery;
use crate::replay::{self, Asked};
use crate::requests::{Begin, Replay};
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
    let mut known: BTreeMap<(String, String), Service> = BTreeMap::new();
    let mut ready = Vec::new();
    for letter in letters {
        let service = (letter.run.tool.clone(), letter.service.clone().unwrap_or_default());
        let service = match known.get(&service) {
            Some(state) => *state,
            None => {
                let state = state_of(engine, &letter).await;
                known.insert(service, state);
                state
            }
        };
        if service != Service::Down {
            ready.push((letter, service));
        }
    }
    let now = engine.ports.clock.wall();
    let (probes, replays): (Vec<_>, Vec<_>) = ready.into_iter().partition(|(_, service)| *service == Service::Probed);
    let waiting: Vec<_> = replays.iter().map(|(letter, _)| waiting(letter)).collect();
    let turn = next_by_itself(&waiting, engine.settings.auto_replay_max, now);
    if let Some((letter, _)) = turn.and_then(|turn| replays.get(turn)) {
        replay_one(engine, letter, true).await;
        return true;
    }
    // What is tried while its service may still be down says nothing against the letter, so it is not counted; each has its turn, so that
    // one whose own request makes its service fail keeps the others waiting for one cooldown and not for ever.
    let waiting: Vec<_> = probes.iter().map(|(letter, _)| probing(letter)).collect();
    let turn = next_by_itself(&waiting, u32::MAX, now);
    let Some((letter, _)) = turn.and_then(|turn| probes.get(turn)) else {
        return false;
    };
    replay_one(engine, letter, false).await;
    true
}

fn waiting(letter: &LetterRecord) -> Waiting {
    Waiting {
        replays: letter.auto_replays,
        since: Wall(letter.first_failed),
        not_before: letter.not_before.map(Wall),
    }
}

fn probing(letter: &LetterRecord) -> Waiting {
    Waiting {
        replays: 0,
        since: Wall(letter.last_failed),
        ..waiting(letter)
    }
}

/// What a letter's service would do with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Service {
    /// Its breaker is closed.
    Well,
    /// Its breaker's cooldown is over: one request is let through, to see.
    Probed,
    /// Nothing is let through.
    Down,
}

async fn state_of(engine: &Arc<Engine>, letter: &LetterRecord) -> Service {
    let tenant = Arc::from(letter.tenant.as_str());
    let Ok(tool) = engine.catalog.get(engine, &tenant, &letter.run.tool).await else {
        return Service::Down;
    };
    let now = engine.ports.clock.tick();
    let service = letter.service.as_deref().and_then(|name| tool.service(name));
    let cells = || service.iter().map(|service| &service.breaker).chain([&tool.breaker]);
    if cells().any(|cell| cell.peek(now).is_err()) {
        Service::Down
    } else if cells().all(|cell| cell.record().state == "closed") {
        Service::Well
    } else {
        Service::Probed
    }
}

async fn replay_one(engine: &Arc<Engine>, letter: &LetterRecord, counts: bool) {
    let Ok(_place) = engine.tasks.admit() else { return };
    let caller = recovery::caller_of(&letter.run);
    let replay = Replay {
        letter: letter.id.clone(),
        deadline: None,
        from: Begin::ResumePoint,
        repeat: Vec::new(),
        component: None,
        dry_run: false,
    };
    match Box::pin(replay::replay(
        Arc::clone(engine),
        caller,
        replay,
        Asked::ByItself { counts },
    ))
    .await
    {
        Ok(_) => tracing::info!(letter = %letter.id, "replayed by itself, and succeeded"),
        Err(failure) => tracing::info!(letter = %letter.id, %failure, "replayed by itself, and did not succeed"),
    }
}
