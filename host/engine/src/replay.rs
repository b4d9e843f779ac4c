//! Replay of a dead letter from its start: the same run under the same key, authorized again, through the breakers.

use crate::call;
use crate::catalog::Tool;
use crate::effects;
use crate::engine::Engine;
use crate::finish;
use crate::letters;
use crate::journal::Journal;
use crate::ownership::{Hold, Ownership};
use crate::ports::store::StoreError;
use crate::records::{AttemptRecord, LetterRecord};
use crate::refusals;
use crate::requests::{Caller, Replay, Replayed, Reply};
use crate::runs::{self, Facts, Run};
use fusebox_core::dead_letter::{self, Kind, State};
use fusebox_core::failure::Failure;
use fusebox_core::policy::Idempotency;
use fusebox_core::time::Wall;
use std::sync::Arc;
use std::time::Duration;

/// Replays one letter.
pub(crate) async fn replay(engine: Arc<Engine>, caller: Caller, replay: Replay) -> Result<Replayed, Box<Failure>> {
    let engine = &engine;
    let letter = engine.ports.store.letter(&caller.tenant, &replay.letter).await;
    let letter = letter
        .map_err(|error| refusals::store("the letter cannot be read", &error))?
        .ok_or_else(|| refusals::no_letter(replay.letter.as_str()))?;
    if State::from_name(&letter.state) == Some(State::Replayed) {
        return succeeded_before(engine, &caller, &letter).await.map(Replayed::Done);
    }
    let pinned = &letter.run;
    let tool = engine
        .catalog
        .pinned(engine, &caller.tenant, &pinned.tool, pinned.version, pinned.component)
        .await?;
    let function = Arc::clone(tool.function(&pinned.function)?);
    let patience = function.policy.patience(replay.deadline);
    may_replay(engine, &letter, &tool, function.policy.idempotency, patience)?;
    let input = tool
        .component
        .decode(&function.name, &pinned.input, tool.limits.host_memory)
        .map_err(|what| refusals::bad_input(&pinned.tool, &pinned.function, &what))?;
    let approval = call::authorize(engine, &caller, &tool, &function, &pinned.input).await?;
    call::peek(engine, &tool, &function)?;
    call::approve(&tool, &function, approval)?;
    let length = Facts::lease(engine, &tool);
    let taken = engine.ports.clock.tick();
    let leased = engine
        .ports
        .store
        .lease_letter(&caller.tenant, &replay.letter, &engine.owner, length)
        .await;
    let (letter, fence) = leased.map_err(|error| not_leased(&replay, &error))?;
    // Another replay may have come between the look and the lease, and have sent what may not be sent again.
    if let Err(refused) = may_replay(engine, &letter, &tool, function.policy.idempotency, patience) {
        letters::give_back(engine, &letter, &fence).await;
        return Err(refused);
    }
    let cancel = engine.tasks.stopping().child_token();
    let ownership = Ownership::keep(engine, &caller.tenant, &letter.run.id, fence, taken, length, &cancel);
    let mut run = Run {
        facts: Arc::new(Facts::of(&letter.run, &caller, tool, function, input)),
        deadline: engine.ports.clock.tick() + patience,
        clock: Wall(letter.run.clock),
        attempts: letter.run.attempts.clone(),
        journal: Journal::default(),
        began: false,
        hold: Hold::with(ownership),
        letter: Some(Box::new(letter)),
        dry: false,
        cancel,
    };
    let _known = engine.tasks.enter(&run.tenant, &run.id, &run.cancel);
    let ended = call::execute(engine, &mut run).await;
    finish::finish(engine, run, ended).await.map(Replayed::Done)
}

/// The run has succeeded since: its outcome stands, and nothing is run again.
async fn succeeded_before(engine: &Engine, caller: &Caller, letter: &LetterRecord) -> Result<Reply, Box<Failure>> {
    match engine.ports.store.run(&caller.tenant, &letter.run.id).await {
        Ok(Some(run)) => runs::outcome_of(run).map(|reply| Reply {
            replayed: Some(letter.id.clone()),
            ..reply
        }),
        Ok(None) => Err(refusals::no_run(letter.run.id.as_str())),
        Err(error) => Err(refusals::store("the outcome of the run cannot be read", &error)),
    }
}

/// Refuses what a replay could do harm by, judged by the keys as they are when its time is over.
fn may_replay(
    engine: &Engine,
    letter: &LetterRecord,
    tool: &Tool,
    level: Idempotency,
    patience: Duration,
) -> Result<(), Box<Failure>> {
    let key_age = engine.ports.clock.wall().since(Wall(letter.run.created)) + patience;
    let attempts = &letter.run.attempts;
    let may_start_over = effects::may_start_over(
        level,
        tool,
        attempts.iter().flat_map(|attempt| &attempt.effects),
        attempts.iter().any(AttemptRecord::is_unfinished),
        key_age,
    );
    let (Some(state), Some(kind)) = (State::from_name(&letter.state), Kind::from_name(&letter.kind)) else {
        return Err(refusals::internal(format!(
            "{} is `{}` and `{}`, which this version does not know",
            letter.id, letter.state, letter.kind
        )));
    };
    // Who holds the lease, and whether it has ended, is the store's to say.
    let state = if state == State::Replaying { State::Open } else { state };
    match dead_letter::may_replay(state, kind, may_start_over) {
        Ok(()) => Ok(()),
        Err(why) => Err(refusals::not_replayable(letter, why)),
    }
}

fn not_leased(replay: &Replay, error: &StoreError) -> Box<Failure> {
    match error {
        StoreError::Refused { .. } => refusals::letter_taken(replay.letter.as_str(), error),
        _ => refusals::store("the letter cannot be taken for its replay", error),
    }
}
