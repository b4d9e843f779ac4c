//! Bulk replay: letters that fit, one after the other, durable so that another process can go on with it (semantics.md §6).

use crate::engine::Engine;
use crate::ports::fleet::Topic;
use crate::ports::store::{LetterFilter, StoreError};
use crate::records::{LetterRecord, RedriveRecord};
use crate::refusals;
use crate::replay::{self, Asked};
use crate::requests::{Begin, Caller, Redrive, Replay};
use fusebox_core::dead_letter::{Bounds, Kind, Over, Tally};
use fusebox_core::failure::{Code, Failure};
use fusebox_core::ids::{LetterId, RedriveId};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

/// How often somebody who looks on looks.
const LOOK: Duration = Duration::from_millis(500);
const RUNNING: &str = "running";
const CANCELLED: &str = "cancelled";

/// Accepts a bulk replay, and counts what it will take.
pub(crate) async fn start(engine: &Engine, caller: &Caller, redrive: Redrive) -> Result<RedriveRecord, Box<Failure>> {
    let now = engine.ports.clock.wall();
    let mut record = RedriveRecord {
        id: RedriveId::new(now, engine.ports.entropy.id()),
        tenant: caller.tenant.to_string(),
        state: RUNNING.to_owned(),
        principal: caller.principal.to_string(),
        roles: caller.roles,
        service: redrive.service,
        tool: redrive.tool,
        class: redrive.class,
        since: redrive.since,
        max: redrive.max,
        per_minute: redrive.per_minute,
        stop_after_failures: redrive.stop_after_failures,
        total: 0,
        succeeded: 0,
        failed: 0,
        skipped: 0,
        last: None,
        started: now.0,
        ended: None,
    };
    let letters = candidates(engine, &record).await?;
    let most = if record.max == 0 { u32::MAX } else { record.max };
    record.total = u32::try_from(letters.len()).unwrap_or(u32::MAX).min(most);
    put(engine, &record).await?;
    engine.ports.fleet.tell(Topic::Redrives);
    Ok(record)
}

/// Carries it out to its end, and tells after each letter how far it is. While another host does so, it looks on.
pub(crate) async fn run(
    engine: &Arc<Engine>,
    caller: &Caller,
    id: &RedriveId,
    progress: &(dyn Fn(&RedriveRecord) + Send + Sync),
) -> Result<RedriveRecord, Box<Failure>> {
    loop {
        let ours = hold(engine, &caller.tenant, id).await;
        let mut record = find(engine, caller, id).await?;
        if record.ended.is_some() {
            return Ok(record);
        }
        if !ours {
            progress(&record);
            if engine.tasks.is_draining() {
                return Ok(record);
            }
            pause(engine, LOOK).await;
            continue;
        }
        let cancelled = record.state == CANCELLED || engine.tasks.is_draining();
        let letter = candidates(engine, &record).await?.into_iter().next();
        let bounds = Bounds {
            most: record.max,
            failures: record.stop_after_failures,
            per_minute: record.per_minute,
        };
        if let Some(over) = bounds.over(&tally(&record), cancelled, letter.is_some()) {
            if over == Over::Cancelled && record.state != CANCELLED {
                // This host drains; another one goes on with it at once.
                give_back(engine, &record).await;
                return Ok(record);
            }
            ended(&mut record, over, engine);
            put(engine, &record).await?;
            progress(&record);
            return Ok(record);
        }
        let Some(letter) = letter else { continue };
        let started = engine.ports.clock.tick();
        let outcome = holding(engine, &record, one(engine, caller, &letter)).await;
        // Somebody may have cancelled it meanwhile.
        let mut record = find(engine, caller, id).await?;
        match outcome {
            Outcome::Succeeded => record.succeeded += 1,
            Outcome::Failed => record.failed += 1,
            Outcome::Skipped => record.skipped += 1,
        }
        record.last = Some(letter.id);
        put(engine, &record).await?;
        progress(&record);
        let left = bounds.pace().saturating_sub(engine.ports.clock.tick().since(started));
        holding(engine, &record, pause(engine, left)).await;
    }
}

/// Takes it for a lease's time, or renews that; `false` when another host has it, when it is over, or when that cannot be told.
pub(crate) async fn hold(engine: &Engine, tenant: &str, id: &RedriveId) -> bool {
    let held = engine
        .ports
        .store
        .hold_redrive(tenant, id, &engine.owner, engine.settings.lease);
    held.await.unwrap_or_else(|error| {
        tracing::warn!(redrive = %id, %error, "a bulk replay could not be held");
        false
    })
}

/// Does something that takes its time, and keeps the bulk replay meanwhile.
async fn holding<T>(engine: &Engine, record: &RedriveRecord, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    loop {
        tokio::select! {
            done = &mut work => return done,
            () = engine.ports.clock.sleep(engine.settings.lease / 3) => {}
        }
        hold(engine, &record.tenant, &record.id).await;
    }
}

async fn give_back(engine: &Engine, record: &RedriveRecord) {
    let store = &engine.ports.store;
    let given = store.hold_redrive(&record.tenant, &record.id, &engine.owner, Duration::ZERO);
    if let Err(error) = given.await {
        tracing::warn!(redrive = %record.id, %error, "a bulk replay could not be given back; others wait for a lease's time");
    }
}

async fn pause(engine: &Engine, time: Duration) {
    tokio::select! {
        () = engine.ports.clock.sleep(time) => {}
        () = engine.tasks.draining().cancelled() => {}
    }
}

/// Ends it; the letter that is replayed at present is finished.
pub(crate) async fn cancel(engine: &Engine, caller: &Caller, id: &RedriveId) -> Result<RedriveRecord, Box<Failure>> {
    let mut record = find(engine, caller, id).await?;
    if record.ended.is_none() {
        CANCELLED.clone_into(&mut record.state);
        put(engine, &record).await?;
    }
    Ok(record)
}

enum Outcome {
    Succeeded,
    Failed,
    Skipped,
}

async fn one(engine: &Arc<Engine>, caller: &Caller, letter: &LetterRecord) -> Outcome {
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
        caller.clone(),
        replay,
        Asked::ByPerson,
    ))
    .await
    {
        Ok(_) => Outcome::Succeeded,
        Err(failure) if left_alone(failure.code) => Outcome::Skipped,
        Err(_) => Outcome::Failed,
    }
}

/// Whether a replay that ended so has left its letter as it was.
pub(crate) fn left_alone(code: Code) -> bool {
    matches!(
        code,
        Code::BreakerOpen
            | Code::Denied
            | Code::KeyInUse
            | Code::Overloaded
            | Code::StoreUnavailable
            | Code::NotFound
            | Code::ToolDisabled
            | Code::NeedsApproval
            | Code::Cancelled
    )
}

/// What it has not looked at yet, in the order of the ids. Letters in doubt wait for a person.
async fn candidates(engine: &Engine, redrive: &RedriveRecord) -> Result<Vec<LetterRecord>, Box<Failure>> {
    let filter = LetterFilter {
        service: redrive.service.clone(),
        tool: redrive.tool.clone(),
        class: redrive.class.clone(),
        since: redrive.since,
        closed: false,
        after: None,
        limit: u32::MAX,
    };
    let letters = engine.ports.store.letters(&redrive.tenant, &filter).await;
    let mut letters = letters.map_err(|error| refusals::store("the letters cannot be listed", &error))?;
    let after = |id: &LetterId| redrive.last.as_ref().is_none_or(|last| id > last);
    letters.retain(|letter| {
        letter.kind != Kind::InDoubt.name() && letter.first_failed <= redrive.started && after(&letter.id)
    });
    letters.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(letters)
}

fn tally(record: &RedriveRecord) -> Tally {
    Tally {
        succeeded: record.succeeded,
        failed: record.failed,
        skipped: record.skipped,
    }
}

fn ended(record: &mut RedriveRecord, over: Over, engine: &Engine) {
    let state = match over {
        Over::Done => "done",
        Over::Cancelled => CANCELLED,
        Over::Stopped => "stopped",
    };
    state.clone_into(&mut record.state);
    record.ended = Some(engine.ports.clock.wall().0);
}

pub(crate) async fn find(engine: &Engine, caller: &Caller, id: &RedriveId) -> Result<RedriveRecord, Box<Failure>> {
    let redrives = engine.ports.store.redrives(&caller.tenant).await;
    let redrives = redrives.map_err(|error| refusals::store("the bulk replays cannot be listed", &error))?;
    let found = redrives.into_iter().find(|redrive| redrive.id == *id);
    found.ok_or_else(|| refusals::no_redrive(id.as_str()))
}

async fn put(engine: &Engine, record: &RedriveRecord) -> Result<(), Box<Failure>> {
    let put: Result<(), StoreError> = engine.ports.store.put_redrive(record).await;
    put.map_err(|error| refusals::store("the bulk replay cannot be written", &error))
}
