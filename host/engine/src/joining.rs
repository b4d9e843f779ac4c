//! A call without a key that equals a run whose caller is gone, or that waits for somebody: it joins that run (faces.md, MCP).
//!
//! A model repeats a call whose answer it did not get. Nothing may happen twice for that.

use crate::engine::Engine;
use crate::following::Following;
use crate::ports::store::Likeness;
use crate::records::RunRecord;
use crate::refusals;
use crate::requests::Reply;
use crate::runs::{self, Run};
use fusebox_core::failure::Failure;
use fusebox_core::ids::RunId;
use fusebox_core::policy::Durability;
use fusebox_core::run::State;
use std::time::Duration;

/// How long a run can be joined after it has lost its caller.
const JOINABLE: Duration = Duration::from_secs(600);

/// How often a caller who joined a run looks after it.
const LOOK: Duration = Duration::from_millis(100);

/// What the run comes to that a call joins; `None` when it joins none. `asks` says that a person is asked before such a call.
pub(crate) async fn join(
    engine: &Engine,
    run: &Run,
    following: &Following,
    asks: bool,
) -> Option<Result<Reply, Box<Failure>>> {
    if !following.terms().join || run.key.is_some() {
        return None;
    }
    if let Some((id, other)) = engine.tasks.alike(run) {
        following.joins(&id);
        other.is_waited_for();
        found_again(engine, &run.tenant, &id).await;
        return Some(end_of(&other).await);
    }
    // What leaves no record cannot be found in any.
    if run.durability == Durability::None && !asks {
        return None;
    }
    let since = engine.ports.clock.wall().0 - i64::try_from(JOINABLE.as_millis()).unwrap_or(i64::MAX);
    let facts = &run.facts;
    let likeness = Likeness {
        principal: &facts.principal,
        tool: &facts.tool.policy.name,
        function: &facts.function.name,
        fingerprint: facts.input.fingerprint(),
    };
    let alike = engine.ports.store.alike(&facts.tenant, &likeness, since);
    match alike.await {
        Ok(None) => None,
        Ok(Some(held)) => {
            following.joins(&held.id);
            found_again(engine, &run.tenant, &held.id).await;
            Some(outcome(engine, run, held).await)
        }
        Err(error) if facts.function.policy.idempotency.may_start_over() => {
            tracing::warn!(%error, "it cannot be told whether the call runs already; it may run twice, so it runs");
            None
        }
        Err(error) => Some(Err(refusals::store(
            "it cannot be told whether the call runs already, so nothing was run",
            &error,
        ))),
    }
}

/// Somebody waits for a run again: once they have its outcome, the same call is a new one.
async fn found_again(engine: &Engine, tenant: &str, run: &RunId) {
    if let Err(error) = engine.ports.store.lose_caller(tenant, run, false).await {
        tracing::warn!(%run, %error, "it could not be noted that somebody waits for the run again; later calls may join it too");
    }
}

/// The end of a call that runs in this process.
async fn end_of(other: &Following) -> Result<Reply, Box<Failure>> {
    let mut seen = other.seen();
    let ended = seen.wait_for(|seen| seen.outcome.is_some()).await;
    match ended.ok().and_then(|seen| seen.outcome.clone()) {
        Some(Ok(reply)) => Ok(Reply {
            stored: true,
            attempts: 0,
            ..reply
        }),
        Some(Err(failure)) => Err(failure),
        None => Err(refusals::internal("the call that was joined has no end")),
    }
}

/// What a stored run comes to, within the time of the call that joins it.
async fn outcome(engine: &Engine, call: &Run, mut held: RunRecord) -> Result<Reply, Box<Failure>> {
    loop {
        match State::from_name(&held.state) {
            Some(State::Suspended) => return Err(waits(engine, &held).await),
            Some(state) if state.has_letter() => return Err(gave_up(engine, &held).await),
            Some(state) if state.is_over() => return runs::outcome_of(held),
            _ => {}
        }
        let left = call.deadline.since(engine.ports.clock.tick());
        if left.is_zero() {
            return Err(refusals::goes_on(&held));
        }
        tokio::select! {
            () = engine.ports.clock.sleep(left.min(LOOK)) => {}
            () = engine.tasks.stopping().cancelled() => return Err(refusals::goes_on(&held)),
        }
        held = match engine.ports.store.run(&held.tenant, &held.id).await {
            Ok(Some(run)) => run,
            Ok(None) => return Err(refusals::no_run(held.id.as_str())),
            Err(error) => return Err(refusals::store("the run that was joined cannot be read", &error)),
        };
    }
}

/// A person has not answered yet.
async fn waits(engine: &Engine, held: &RunRecord) -> Box<Failure> {
    let Some(approval) = &held.approval else {
        return refusals::internal(format!("{} waits for a person and does not say for what", held.id));
    };
    match engine.ports.store.approval(&held.tenant, approval).await {
        Ok(Some(asked)) => refusals::needs_approval(&held.id, &asked),
        Ok(None) => refusals::no_approval(approval.as_str()),
        Err(error) => refusals::store("what the joined run waits for cannot be read", &error),
    }
}

/// A letter keeps it.
async fn gave_up(engine: &Engine, held: &RunRecord) -> Box<Failure> {
    match engine.ports.store.letter_of(&held.tenant, &held.id).await {
        Ok(Some(letter)) => {
            let mut failure = Failure::from(&letter.failure);
            failure.message = format!(
                "{} (of {}, which this call joined; nothing was run)",
                failure.message, held.id
            );
            failure.run = Some(held.id.clone());
            failure.letter = Some(letter.id);
            Box::new(failure)
        }
        Ok(None) => refusals::no_letter_of(held.id.as_str()),
        Err(error) => refusals::store("the letter of the joined run cannot be read", &error),
    }
}
