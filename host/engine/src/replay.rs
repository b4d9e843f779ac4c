//! Replay of a dead letter: the same run under the same key, authorized again, through the breakers, from where it is told to begin.

use crate::attempt::attempt;
use crate::authorize;
use crate::breakers::Cell;
use crate::call;
use crate::catalog::{Function, Tool, tool_breaker, tool_key};
use crate::effects::Stop;
use crate::ended::Ended;
use crate::engine::Engine;
use crate::finish;
use crate::journal::Journal;
use crate::letters;
use crate::ownership::{Hold, Ownership};
use crate::ports::store::StoreError;
use crate::records::{EffectRecord, LetterRecord};
use crate::recovery;
use crate::refusals;
use crate::requests::{Begin, Call, Caller, DryRun, Replay, Replayed, Reply};
use crate::runs::{self, Facts, Run};
use crate::spans;
use crate::starting;
use fusebox_core::dead_letter::{self, Form, Kind, NotReplayable, State};
use fusebox_core::failure::{Code, Failure};
use fusebox_core::journal::{self, Cut, Resume};
use fusebox_core::retry::Attempts;
use std::sync::Arc;
use std::time::Duration;
use tracing::Instrument as _;

/// Who asked for a replay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// Somebody who needs the permission.
    ByPerson,
    /// Nobody: its service is well again, or has to be tried.
    ByItself {
        /// Whether it counts among the letter's replays by itself.
        counts: bool,
    },
}

/// Replays one letter.
pub(crate) async fn replay(
    engine: Arc<Engine>,
    caller: Caller,
    replay: Replay,
    asked: Asked,
) -> Result<Replayed, Box<Failure>> {
    let engine = &engine;
    let letter = engine.ports.store.letter(&caller.tenant, &replay.letter).await;
    let letter = letter
        .map_err(|error| refusals::store("the letter cannot be read", &error))?
        .ok_or_else(|| refusals::no_letter(replay.letter.as_str()))?;
    let span = spans::replay(engine, &letter, caller.trace.clone());
    replay_letter(engine, caller, letter, replay, asked)
        .instrument(span)
        .await
}

async fn replay_letter(
    engine: &Arc<Engine>,
    caller: Caller,
    letter: LetterRecord,
    replay: Replay,
    asked: Asked,
) -> Result<Replayed, Box<Failure>> {
    if State::from_name(&letter.state) == Some(State::Replayed) {
        return succeeded_before(engine, &caller, &letter).await.map(Replayed::Done);
    }
    let tool = tool_of(engine, &caller, &letter, &replay).await?;
    let function = Arc::clone(tool.function(&letter.run.function)?);
    let patience = function.policy.patience(replay.deadline);
    let journal = recovery::read_journal(engine, &letter.run, &tool).await?;
    let cut = match plan(&letter, &journal, &function, &replay) {
        // It is settled below, under the lease.
        Err(refused) if is_news(&letter, &refused) && replay.from == Begin::ResumePoint && !replay.dry_run => {
            Cut::default()
        }
        planned => planned?,
    };
    if let Begin::Input(input) = &replay.from {
        return edited(engine, &caller, &letter, input, &replay)
            .await
            .map(Replayed::Done);
    }
    let input = tool
        .component
        .decode(&function.name, &letter.run.input, tool.limits.host_memory)
        .map_err(|what| refusals::bad_input(&letter.run.tool, &letter.run.function, &what))?;
    let facts = |letter: &LetterRecord| {
        Facts::of(
            &letter.run,
            &caller,
            Arc::clone(&tool),
            Arc::clone(&function),
            Arc::clone(&input),
        )
    };
    if replay.dry_run {
        return dry(engine, facts(&letter), &letter, journal, &cut, patience)
            .await
            .map(Replayed::Dry);
    }
    let by = (asked == Asked::ByPerson).then_some(&caller);
    let approval = authorize::letter(engine, by, &letter.run, &tool, &function, input.as_ref()).await?;
    call::peek(engine, &tool, &function)?;
    let because = starting::because(&function.policy, &approval);
    let length = Facts::lease(engine, &tool);
    let taken = engine.ports.clock.tick();
    let leased = engine
        .ports
        .store
        .lease_letter(&caller.tenant, &replay.letter, &engine.owner, length)
        .await;
    let (letter, fence) = leased.map_err(|error| not_leased(&replay, &error))?;
    // Another replay may have come between the look and the lease, and have sent what may not be sent again.
    let planned = async {
        let journal = recovery::read_journal(engine, &letter.run, &tool).await?;
        match plan(&letter, &journal, &function, &replay) {
            Err(refused) if is_news(&letter, &refused) => Ok((journal, Cut::default(), Some(refused))),
            planned => planned.map(|cut| (journal, cut, None)),
        }
    };
    let (mut journal, cut, doubt) = match planned.await {
        Ok(planned) => planned,
        Err(refused) => {
            letters::give_back(engine, &letter, &fence).await;
            return Err(refused);
        }
    };
    let cancel = engine.tasks.stopping().child_token();
    let ownership = Ownership::keep(engine, &caller.tenant, &letter.run.id, fence, taken, length, &cancel);
    let stored = journal.cut(&cut);
    let mut run = Run {
        facts: Arc::new(facts(&letter)),
        deadline: engine.ports.clock.tick() + patience,
        clock: letter.run.guest_started(),
        attempts: letter.run.attempts.clone(),
        journal,
        began: false,
        hold: Hold::with(ownership),
        letter: Some(Box::new(letter)),
        dry: false,
        waited_for: true,
        replay: true,
        by_itself: asked == Asked::ByItself { counts: true },
        allowed: None,
        spent: None,
        places: Vec::new(),
        parent: None,
        cancel,
        following: None,
    };
    if doubt.is_some() {
        let effects = in_doubt(&run);
        let ended = Ended::left_in_doubt(&mut run, effects);
        return finish::finish(engine, run, ended).await.map(Replayed::Done);
    }
    let _known = engine.tasks.enter(&run.facts, &run.cancel, None);
    let ended = match crate::commit::go_on(engine, &run, &stored).await {
        Ok(()) => match starting::approved(engine, &mut run, because).await {
            Ok(()) => call::execute(engine, &mut run).await,
            Err(ended) => ended,
        },
        Err(failure) => Ended::refused(*failure),
    };
    finish::finish(engine, run, ended).await.map(Replayed::Done)
}

/// The version that the run is pinned to, or its manifest with another component.
async fn tool_of(
    engine: &Arc<Engine>,
    caller: &Caller,
    letter: &LetterRecord,
    replay: &Replay,
) -> Result<Arc<Tool>, Box<Failure>> {
    let run = &letter.run;
    let pinned = engine
        .catalog
        .pinned(engine, &caller.tenant, &run.tool, run.version, run.component)
        .await;
    match replay.component {
        Some(other) if other != run.component => {
            engine
                .catalog
                .with_component(engine, &caller.tenant, &run.tool, other, pinned.ok())
                .await
        }
        _ => pinned,
    }
}

/// What of the journal goes before the replay; refuses what a replay could do harm by.
fn plan(letter: &LetterRecord, journal: &Journal, function: &Function, replay: &Replay) -> Result<Cut, Box<Failure>> {
    let (Some(state), Some(kind)) = (State::from_name(&letter.state), Kind::from_name(&letter.kind)) else {
        return Err(refusals::internal(format!(
            "{} is `{}` and `{}`, which this version does not know",
            letter.id, letter.state, letter.kind
        )));
    };
    // Who holds the lease, and whether it has ended, is the store's to say.
    let state = if state == State::Replaying { State::Open } else { state };
    let form = match replay.from {
        Begin::ResumePoint => Form::ResumePoint,
        Begin::Start => Form::Start,
        Begin::Effect(from) => Form::Effect(from),
        Begin::Input(_) => Form::Input,
    };
    let evidence = journal.evidence();
    let starts_over = function.policy.idempotency.may_start_over();
    dead_letter::replay(state, kind, &evidence, starts_over, form, &replay.repeat).map_err(|why| match why {
        NotReplayable::WouldRepeat(again) => refusals::would_repeat(letter, &evidence, &again),
        NotReplayable::NoEffect { asked, last } => refusals::no_effect(letter, asked, last),
        why => refusals::not_replayable(letter, &why),
    })
}

/// Whether the letter does not say yet that it is in doubt: nobody lived to tell of the replay before.
fn is_news(letter: &LetterRecord, refused: &Failure) -> bool {
    refused.code == Code::InDoubt && Kind::from_name(&letter.kind) != Some(Kind::InDoubt)
}

/// Effects that may not be repeated and of which nobody knows the end.
fn in_doubt(run: &Run) -> Vec<u32> {
    let evidence = run.journal.evidence();
    let starts_over = run.function.policy.idempotency.may_start_over();
    let points = [journal::go_on(&evidence), journal::resume_point(&evidence, starts_over)];
    let found = points.into_iter().find_map(|point| match point {
        Resume::InDoubt(effects) => Some(effects),
        Resume::At(_) | Resume::End => None,
    });
    found.unwrap_or_default()
}

/// A new run with other arguments; when it succeeds, nobody needs the letter any more.
async fn edited(
    engine: &Arc<Engine>,
    caller: &Caller,
    letter: &LetterRecord,
    input: &str,
    replay: &Replay,
) -> Result<Reply, Box<Failure>> {
    let key = letter
        .run
        .key
        .as_ref()
        .map(|key| format!("{key} edited {}", engine.ports.entropy.id()));
    let call = Call {
        tool: letter.run.tool.clone(),
        function: letter.run.function.clone(),
        input: input.to_owned(),
        key,
        wait: None,
        deadline: replay.deadline,
        detach: false,
    };
    let reply = Box::pin(call::call(Arc::clone(engine), caller.clone(), call, None)).await?;
    let closed = engine
        .ports
        .store
        .purge(&caller.tenant, std::slice::from_ref(&letter.id))
        .await;
    if let Err(error) = closed {
        tracing::warn!(letter = %letter.id, %error, "the edited run succeeded, and its letter could not be closed");
    }
    Ok(reply)
}

/// Serves the journal, performs nothing, and says what would be next.
async fn dry(
    engine: &Arc<Engine>,
    facts: Facts,
    letter: &LetterRecord,
    mut journal: Journal,
    cut: &Cut,
    patience: Duration,
) -> Result<DryRun, Box<Failure>> {
    journal.cut(cut);
    let cell = Cell::alone(
        &engine.ports.clock,
        &engine.ports.entropy,
        &tool_key(&facts.tool.policy.name),
        &tool_breaker(&facts.tool.policy),
    );
    let permit = cell.admit(engine.ports.clock.tick());
    let permit = permit.map_err(|refusal| refusals::breaker_open(cell.key(), cell.key(), refusal))?;
    let mut run = Run {
        facts: Arc::new(facts),
        deadline: engine.ports.clock.tick() + patience,
        clock: letter.run.guest_started(),
        attempts: Vec::new(),
        journal,
        began: false,
        letter: None,
        hold: Hold::default(),
        dry: true,
        waited_for: true,
        replay: true,
        by_itself: false,
        allowed: None,
        spent: None,
        places: Vec::new(),
        parent: None,
        cancel: engine.tasks.stopping().child_token(),
        following: None,
    };
    let mut attempted = attempt(engine, &mut run, permit, Attempts::of(1)).await;
    let served = attempted.settled.served;
    match attempted.settled.stop.take() {
        Some(Stop::Dry(effect)) => {
            let effect = EffectRecord::of(&effect, Duration::ZERO);
            Ok(DryRun {
                served,
                next: format!("effect {} would be performed: {}", effect.seq, effect.request),
                effect: Some(effect),
            })
        }
        Some(stop) => Err(crate::stops::failure_of(&run, &stop)),
        None => Ok(DryRun {
            served,
            next: format!(
                "no effect would be performed: the function {}",
                crate::failures::in_short(&run, &attempted)
            ),
            effect: None,
        }),
    }
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

fn not_leased(replay: &Replay, error: &StoreError) -> Box<Failure> {
    match error {
        StoreError::Refused { .. } => refusals::letter_taken(replay.letter.as_str(), error),
        _ => refusals::store("the letter cannot be taken for its replay", error),
    }
}
