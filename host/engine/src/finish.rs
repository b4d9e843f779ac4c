//! The end of a run: outcome, key and letter in one transaction, before its caller is told.

use crate::commit::{commit, record_last};
use crate::ended::{Ended, Failed};
use crate::engine::Engine;
use crate::letters;
use crate::ownership::Hold;
use crate::ports::store::{Finish, LetterChange, StoreError};
use crate::records::{ApprovalRecord, FailureRecord, millis};
use crate::refusals;
use crate::requests::Reply;
use crate::runs::{self, Run};
use fusebox_core::dead_letter::{self, Ending, Kind};
use fusebox_core::failure::{Class, Code, Failure};
use fusebox_core::idempotency;
use fusebox_core::policy::Durability;
use fusebox_core::run::{self, Event, State};

/// Ends a run and says what its caller is told.
pub(crate) async fn finish(engine: &Engine, mut run: Run, ended: Ended) -> Result<Reply, Box<Failure>> {
    match ended {
        Ended::Ok {
            output,
            in_doubt,
            attempts,
        } => succeed(engine, run, output, in_doubt, attempts).await,
        Ended::Failed(failed) => Box::pin(fail(engine, run, *failed)).await,
        Ended::Suspended(asked) => Box::pin(suspend(engine, run, *asked)).await,
        Ended::HandedOver => Err(refusals::handed_over(&run.id)),
        Ended::Elsewhere => {
            run.hold = Hold::default();
            Box::pin(runs::outcome_elsewhere(engine, &run)).await
        }
        Ended::Dry => Err(refusals::internal("a replay that performs nothing has no end")),
    }
}

/// Lets a run go until a person has answered. Nothing of it is held meanwhile.
async fn suspend(engine: &Engine, mut run: Run, asked: ApprovalRecord) -> Result<Reply, Box<Failure>> {
    let Some(fence) = run.hold.get().map(|ownership| ownership.fence().clone()) else {
        return Err(refusals::internal("a run that waits for a person is not durable"));
    };
    let journal = run.journal.unstored();
    let mut record = run.record(State::Suspended);
    record.approval = Some(asked.id.clone());
    record.left_ms = Some(millis(run.deadline.since(engine.ports.clock.tick())));
    let waits = refusals::needs_approval(&run.id, &asked);
    match engine.ports.store.suspend(&fence, record, asked, journal).await {
        Ok(()) => Err(waits),
        Err(error) => Err(refusals::store(
            "the run could not be suspended; once its lease has ended it is taken up, and a person is asked again",
            &error,
        )),
    }
}

async fn succeed(
    engine: &Engine,
    run: Run,
    output: String,
    in_doubt: Vec<u32>,
    attempts: u32,
) -> Result<Reply, Box<Failure>> {
    if run.function.last_failed.load().is_some() {
        run.function.last_failed.store(None);
    }
    let reply = Reply {
        run: run.is_recorded().then(|| run.id.clone()),
        state: State::Succeeded,
        output,
        stored: false,
        attempts,
        in_doubt,
        replayed: None,
    };
    if !run.is_recorded() {
        return Ok(reply);
    }
    let mut record = run.record(state_after(Event::Succeed));
    record.finished = Some(engine.ports.clock.wall().0);
    record.output = Some(reply.output.clone());
    record.in_doubt.clone_from(&reply.in_doubt);
    let finish = Finish {
        keep_key: idempotency::keeps_key(None, true),
        letter: if run.letter.is_some() {
            LetterChange::Close
        } else {
            LetterChange::None
        },
        run: record,
        journal: Vec::new(),
    };
    if run.hold.get().is_none() {
        engine.history.finished(finish).await;
        return Ok(reply);
    }
    match Box::pin(commit(engine, &run, finish)).await {
        Ok(()) => {
            if run.letter.is_some() {
                engine.meters.replayed(true);
            }
            Ok(reply)
        }
        Err(error) => unstored(&run, reply, &error),
    }
}

/// The function returned and that could not be stored. Where a second run would do harm nobody may take it for undone.
fn unstored(run: &Run, reply: Reply, error: &StoreError) -> Result<Reply, Box<Failure>> {
    tracing::error!(run = %run.id, tool = run.tool.policy.name, function = run.function.name, %error, "a success could not be stored");
    if run.function.policy.idempotency.may_start_over() {
        return Ok(reply);
    }
    let message = format!(
        "{}.{} returned, but its outcome could not be stored ({error}); it will not be run again by itself: keep what it returned",
        run.tool.policy.name, run.function.name
    );
    let mut failure = Failure::new(Code::InDoubt, Class::InDoubt, message);
    failure.run = Some(run.id.clone());
    failure.chain.push(format!("it returned: {}", reply.output));
    Err(Box::new(failure))
}

async fn fail(engine: &Engine, mut run: Run, mut failed: Failed) -> Result<Reply, Box<Failure>> {
    if run.hold.get().is_some_and(crate::ownership::Ownership::is_lost) {
        return Err(lost(&run, failed.failure));
    }
    if let (Some(letter), Some(ownership)) = (&run.letter, run.hold.get())
        && !run.began
        && matches!(
            failed.failure.code,
            Code::BreakerOpen | Code::Overloaded | Code::Cancelled | Code::StoreUnavailable | Code::Diverged
        )
    {
        failed.failure.letter = Some(letter.id.clone());
        if run.attempts.len() > letter.run.attempts.len() {
            record_last(engine, &run).await;
        }
        letters::give_back(engine, letter, ownership.fence()).await;
        return Err(Box::new(failed.failure));
    }
    let ending = Ending {
        class: failed.failure.class,
        code: failed.failure.code,
        began: run.began,
        detached: run.detached || run.letter.is_some(),
    };
    let again = || {
        run.letter
            .as_ref()
            .map(|letter| Kind::from_name(&letter.kind).unwrap_or(Kind::Retryable))
    };
    let kind = dead_letter::kind_of(ending).or_else(again);
    let state = match (kind, failed.failure.code) {
        (Some(Kind::InDoubt), _) => state_after(Event::Doubt),
        (Some(Kind::Retryable | Kind::KnownBad), _) => state_after(Event::DeadLetter),
        (None, Code::Cancelled) => state_after(Event::Cancel),
        (None, _) => state_after(Event::Fail),
    };
    let now = engine.ports.clock.wall();
    let recorded = kind.is_some() || run.is_recorded();
    failed.failure.run = recorded.then(|| run.id.clone());
    let mut record = run.record(state);
    record.finished = state.is_over().then_some(now.0);
    record.in_doubt.clone_from(&failed.in_doubt);
    // What becomes a letter may have sent something before it was replayed; this replay alone does not tell.
    let keep_key = kind.is_some() || idempotency::keeps_key(Some(failed.failure.code), run.began);
    let mut failure = failed.failure.clone();
    let replayed = run.letter.is_some();
    let letter = match kind {
        Some(kind) => {
            let letter = letters::write(engine, &run, failed, kind, &mut record, now).await;
            failure.letter = Some(letter.id.clone());
            LetterChange::Enqueue(Box::new(letter))
        }
        None => {
            record.failure = Some(FailureRecord::from(&failure));
            LetterChange::None
        }
    };
    // What became no letter can be gone on with too, as long as its journal is kept.
    let journal = if run.durability == Durability::None {
        Vec::new()
    } else {
        run.journal.unstored()
    };
    let finish = Finish {
        run: record,
        keep_key,
        letter,
        journal,
    };
    if run.hold.get().is_some() || kind.is_some() {
        return match commit(engine, &run, finish).await {
            Ok(()) => {
                count(engine, &run, &failure, kind, replayed);
                Err(Box::new(failure))
            }
            Err(error) => Err(unwritten(&run, failure, &error)),
        };
    }
    if run.function.policy.durability != Durability::None {
        engine.history.finished(finish).await;
    }
    Err(Box::new(failure))
}

/// Counts the letter that a run became, or the replay that failed.
fn count(engine: &Engine, run: &Run, failure: &Failure, kind: Option<Kind>, replayed: bool) {
    if replayed {
        engine.meters.replayed(false);
    } else if let Some(kind) = kind {
        let service = failure.service.as_ref().and_then(|name| run.tool.service(name));
        let letters = service.map_or(&engine.meters.letters, |service| service.meters.letters());
        letters.enqueued(failure.class, kind);
    }
}

/// The state after an event of a run that is being executed; the table allows every one that this module names.
fn state_after(event: Event) -> State {
    run::next(State::Running, event).unwrap_or(State::Running)
}

/// The failure could not be written: the caller is the only one who will know.
fn unwritten(run: &Run, mut failure: Failure, error: &StoreError) -> Box<Failure> {
    tracing::error!(
        run = %run.id, tool = run.tool.policy.name, function = run.function.name, class = failure.class.name(),
        failure = failure.message, %error, "a failed run and its letter could not be stored"
    );
    let message = format!(
        "the failure of the run could not be stored ({error}), so this answer is all that tells of it: {}",
        failure.message
    );
    failure
        .chain
        .insert(0, std::mem::replace(&mut failure.message, message));
    failure.code = Code::StoreUnavailable;
    failure.letter = None;
    Box::new(failure)
}

fn lost(run: &Run, failure: Failure) -> Box<Failure> {
    let message = format!(
        "this host was too slow to keep {}, which belongs to another one now: `fusebox runs show {}` shows what became of it",
        run.id, run.id
    );
    let mut lost = Failure::new(Code::StoreUnavailable, Class::Unknown, message);
    lost.run = Some(run.id.clone());
    lost.chain.push(failure.message);
    Box::new(lost)
}
