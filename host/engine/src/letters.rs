//! Dead letters: everything that is known of a failed run, with the state of its component.

use crate::ended::Failed;
use crate::engine::Engine;
use crate::ports::sandbox::Remains;
use crate::ports::store::Fence;
use crate::records::{FailureRecord, LetterRecord, RunRecord, Snapshot};
use crate::requests::digest_of;
use crate::runs::Run;
use fusebox_core::dead_letter::{self, Keep, Kind, State};
use fusebox_core::failure::Failure;
use fusebox_core::ids::LetterId;
use fusebox_core::time::Wall;

/// Puts the letter of a run together: a new one, or the one that is replayed, brought up to date. Pages are stored here, ahead of the
/// letter's own transaction; `record` gets the letter's id and the failure.
pub(crate) async fn write(
    engine: &Engine,
    run: &Run,
    failed: Failed,
    kind: Kind,
    record: &mut RunRecord,
    now: Wall,
) -> LetterRecord {
    let before = run.letter.as_deref();
    let id = before.map_or_else(
        || LetterId::new(now, engine.ports.entropy.id()),
        |letter| letter.id.clone(),
    );
    let (snapshot, no_snapshot) = match snapshot(engine, run, failed.remains).await {
        Ok(snapshot) => (Some(snapshot), None),
        Err(why) => (None, Some(why)),
    };
    let mut failure = failed.failure;
    failure.letter = Some(id.clone());
    let failure = FailureRecord::from(&failure);
    record.letter = Some(id.clone());
    record.failure = Some(failure.clone());
    let fingerprint = (kind == Kind::KnownBad)
        .then(|| {
            dead_letter::fingerprint_material(
                record.component,
                &record.function,
                class_of(&failure),
                &failed.backtrace,
            )
        })
        .map(|material| digest_of(&material).to_string());
    let keep = Keep {
        letters: engine.settings.keep_letters,
        known_bad: engine.settings.keep_known_bad,
    };
    let settled_unrepeatable = record
        .attempts
        .iter()
        .flat_map(|attempt| &attempt.effects)
        .any(|effect| !effect.repeatable);
    LetterRecord {
        id,
        tenant: record.tenant.clone(),
        state: State::Open.name().to_owned(),
        kind: kind.name().to_owned(),
        class: failure.class.clone(),
        service: failure.service.clone(),
        fingerprint,
        run: record.clone(),
        not_before: failure.not_before,
        failure,
        backtrace: failed.backtrace,
        log: failed.log,
        breakers: breakers(run),
        snapshot,
        no_snapshot,
        first_failed: before.map_or(now.0, |letter| letter.first_failed),
        last_failed: now.0,
        expires: dead_letter::expires(kind, settled_unrepeatable, now, keep).map(|at| at.0),
        replays: before.map_or(0, |letter| letter.replays),
        auto_replays: before.map_or(0, |letter| letter.auto_replays) + u32::from(run.by_itself),
        auto_replay: dead_letter::replays_by_itself(
            run.function.policy.auto_replay,
            kind,
            run.key.is_some(),
            run.detached,
        ),
        pinned: before.is_some_and(|letter| letter.pinned),
    }
}

fn class_of(failure: &FailureRecord) -> fusebox_core::failure::Class {
    Failure::from(failure).class
}

/// The breakers that the tool depends on, as they are now.
fn breakers(run: &Run) -> Vec<crate::records::BreakerRecord> {
    let services = run.tool.services.iter().map(|service| &service.breaker);
    services
        .chain([&run.tool.breaker])
        .map(|breaker| breaker.record())
        .collect()
}

/// Reads the state of a failed instance, where guests compute, and stores its pages.
async fn snapshot(engine: &Engine, run: &Run, remains: Option<Box<dyn Remains>>) -> Result<Snapshot, String> {
    let remains = remains.ok_or("no instance was left when the run was given up")?;
    let read = engine.ports.guests.spawn(async move { remains.snapshot().await });
    let mut snapshot = read
        .await
        .map_err(|error| format!("the state could not be read: {error}"))??;
    let pages = std::mem::take(&mut snapshot.pages);
    let stored = engine.ports.store.put_pages(&run.tenant, &pages).await;
    stored.map_err(|error| format!("the state was read, and its pages could not be stored: {error}"))?;
    Ok(snapshot)
}

/// Gives the letter of a replay back as it was: nothing was sent.
pub(crate) async fn give_back(engine: &Engine, letter: &LetterRecord, fence: &Fence) {
    let store = &engine.ports.store;
    if let Err(error) = store.release_letter(&letter.tenant, &letter.id, fence).await {
        tracing::warn!(letter = %letter.id, %error, "the letter could not be given back; it is free once its lease has ended");
    }
}
