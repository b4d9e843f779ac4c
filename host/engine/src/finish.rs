//! The end of a run: outcome, key and letter in one transaction, before its caller is told.

use crate::attempt::Attempted;
use crate::engine::Engine;
use crate::letters;
use crate::ports::sandbox::{AttemptEnd, Remains};
use crate::ports::store::{Finish, LetterChange, StoreError};
use crate::records::{ErrorRecord, FailureRecord, Log, millis};
use crate::refusals;
use crate::requests::{Call, Caller, Reply};
use crate::runs::{self, Run};
use fusebox_core::classify;
use fusebox_core::dead_letter::{self, Ending, Kind};
use fusebox_core::effect::{Answer, Effect};
use fusebox_core::failure::{Class, Code, Failure};
use fusebox_core::idempotency;
use fusebox_core::policy::{Durability, Idempotency};
use fusebox_core::run::{self, Event, State};
use std::time::Duration;

/// Pauses between the tries of a write that the store could not take.
const PAUSES: [Duration; 3] = [
    Duration::from_millis(50),
    Duration::from_millis(200),
    Duration::from_millis(800),
];
/// Bytes of an input that the error log keeps.
const INPUT: usize = 4096;

/// How the attempts of a run ended.
pub(crate) enum Ended {
    /// The function returned well.
    Ok {
        output: String,
        in_doubt: Vec<u32>,
        attempts: u32,
    },
    /// It did not.
    Failed(Box<Failed>),
}

/// A run that failed, and what is left of its last attempt.
pub(crate) struct Failed {
    pub(crate) failure: Failure,
    pub(crate) in_doubt: Vec<u32>,
    pub(crate) backtrace: Vec<String>,
    pub(crate) log: Log,
    pub(crate) remains: Option<Box<dyn Remains>>,
}

impl Failed {
    fn of(failure: Failure) -> Self {
        Self {
            failure,
            in_doubt: Vec::new(),
            backtrace: Vec::new(),
            log: Log::default(),
            remains: None,
        }
    }

    /// An attempt that is made again after a while: its instance is let go, its account is kept.
    pub(crate) fn between(run: &mut Run, attempted: Attempted, failure: Failure, after: Duration) -> Self {
        let failed = Self {
            remains: None,
            ..Self::after(run, attempted, failure)
        };
        if let Some(attempt) = run.attempts.last_mut() {
            attempt.then_waited_ms = Some(millis(after));
        }
        failed
    }

    fn after(run: &mut Run, attempted: Attempted, failure: Failure) -> Self {
        run.began |= attempted.settled.effects.iter().any(left_the_host);
        run.attempts.push(attempted.record(failure.message.clone()));
        Self {
            failure,
            in_doubt: classify::in_doubt(&attempted.settled.effects),
            backtrace: attempted.report.backtrace,
            log: attempted.report.log,
            remains: attempted.report.remains,
        }
    }
}

impl Ended {
    pub(crate) fn succeeded(run: &mut Run, attempted: Attempted) -> Self {
        let before = run.letter.as_ref().map_or(0, |letter| letter.run.attempts.len());
        if run.is_recorded() {
            run.attempts.push(attempted.record(String::new()));
        }
        match attempted.report.end {
            AttemptEnd::Ok { json } => Self::Ok {
                output: json,
                in_doubt: classify::in_doubt(&attempted.settled.effects),
                attempts: attempted.number.saturating_sub(u32::try_from(before).unwrap_or(0)),
            },
            _ => Self::refused(*refusals::internal("an attempt was judged well that did not end well")),
        }
    }

    pub(crate) fn failed(run: &mut Run, attempted: Attempted, failure: Failure) -> Self {
        run.function.last_failed.store(
            failure
                .service
                .as_ref()
                .and_then(|name| run.tool.service(name))
                .cloned(),
        );
        Self::Failed(Box::new(Failed::after(run, attempted, failure)))
    }

    /// Nothing was run.
    pub(crate) fn refused(failure: Failure) -> Self {
        Self::Failed(Box::new(Failed::of(failure)))
    }

    /// The host ends the run before its next attempt; what failed before stays the failure, unless the end itself is the news.
    pub(crate) fn stopped(last: Option<Failed>, refused: Failure) -> Self {
        let Some(mut failed) = last else {
            return Self::refused(refused);
        };
        if matches!(refused.code, Code::Cancelled | Code::StoreUnavailable) {
            let earlier = std::mem::replace(&mut failed.failure, refused);
            failed.failure.chain.insert(0, earlier.message);
        } else {
            failed.failure.retry_after = refused.retry_after.max(failed.failure.retry_after);
            failed.failure.chain.push(refused.message);
        }
        Self::Failed(Box::new(failed))
    }

    /// The engine itself failed, and the evidence of what was in flight with it.
    pub(crate) fn panicked(run: &mut Run) -> Self {
        run.began = true;
        let mut failure = *refusals::internal("the run was lost by a defect of Fusebox; the log has its place");
        if !matches!(
            run.function.policy.idempotency,
            Idempotency::Readonly | Idempotency::Idempotent
        ) {
            failure.class = Class::InDoubt;
        }
        Self::refused(failure)
    }
}

fn left_the_host(effect: &Effect) -> bool {
    !matches!(
        effect.answer,
        Some(Answer::NotSent(_) | Answer::Denied | Answer::Cancelled)
    )
}

/// Ends a run and says what its caller is told.
pub(crate) async fn finish(engine: &Engine, run: Run, ended: Ended) -> Result<Reply, Box<Failure>> {
    match ended {
        Ended::Ok {
            output,
            in_doubt,
            attempts,
        } => succeed(engine, run, output, in_doubt, attempts).await,
        Ended::Failed(failed) => fail(engine, run, *failed).await,
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
        output,
        stored: false,
        attempts,
        in_doubt,
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
    };
    if run.ownership.is_none() {
        engine.history.finished(finish).await;
        return Ok(reply);
    }
    match commit(engine, &run, finish).await {
        Ok(()) => Ok(reply),
        Err(error) => unstored(&run, reply, &error),
    }
}

/// The function returned and that could not be stored. Where a second run would do harm nobody may take it for undone.
fn unstored(run: &Run, reply: Reply, error: &StoreError) -> Result<Reply, Box<Failure>> {
    tracing::error!(run = %run.id, tool = run.tool.policy.name, function = run.function.name, %error, "a success could not be stored");
    if matches!(
        run.function.policy.idempotency,
        Idempotency::Readonly | Idempotency::Idempotent
    ) {
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

async fn fail(engine: &Engine, run: Run, mut failed: Failed) -> Result<Reply, Box<Failure>> {
    if run.ownership.as_ref().is_some_and(crate::ownership::Ownership::is_lost) {
        return Err(lost(&run, failed.failure));
    }
    if let Some(letter) = &run.letter
        && !run.began
        && matches!(
            failed.failure.code,
            Code::BreakerOpen | Code::Overloaded | Code::Cancelled
        )
    {
        failed.failure.letter = Some(letter.id.clone());
        return Err(letters::release(engine, &run, failed.failure).await);
    }
    let ending = Ending {
        class: failed.failure.class,
        code: failed.failure.code,
        began: run.began,
        detached: run.letter.is_some(),
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
    failed.failure.not_before = failed.failure.retry_after.map(|after| now + after);
    let mut record = run.record(state);
    record.finished = state.is_over().then_some(now.0);
    record.in_doubt.clone_from(&failed.in_doubt);
    let keep_key = idempotency::keeps_key(Some(failed.failure.code), run.began);
    let mut failure = failed.failure.clone();
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
    let finish = Finish {
        run: record,
        keep_key,
        letter,
    };
    if run.ownership.is_some() || kind.is_some() {
        return match commit(engine, &run, finish).await {
            Ok(()) => Err(Box::new(failure)),
            Err(error) => Err(unwritten(&run, failure, &error)),
        };
    }
    if run.function.policy.durability != Durability::None {
        engine.history.finished(finish).await;
    }
    Err(Box::new(failure))
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

/// Writes the end, again after a pause when the store could not take it. An end that was written although the store's answer was lost is written.
async fn commit(engine: &Engine, run: &Run, finish: Finish) -> Result<(), StoreError> {
    let mut pauses = PAUSES.into_iter();
    loop {
        let written = match &run.ownership {
            Some(ownership) => engine.ports.store.finish(ownership.fence(), finish.clone()).await,
            None => engine.ports.store.record_finished(vec![finish.clone()]).await,
        };
        let Err(error) = written else { return Ok(()) };
        if is_written(engine, &finish).await {
            return Ok(());
        }
        match (error, pauses.next()) {
            (StoreError::Unavailable { .. }, Some(pause)) => engine.ports.clock.sleep(pause).await,
            (error, _) => return Err(error),
        }
    }
}

async fn is_written(engine: &Engine, finish: &Finish) -> bool {
    match engine.ports.store.run(&finish.run.tenant, &finish.run.id).await {
        Ok(Some(stored)) => {
            stored.state == finish.run.state
                && stored.attempts == finish.run.attempts
                && stored.failure == finish.run.failure
        }
        _ => false,
    }
}

/// Keeps an attempt that is about to be followed by another.
///
/// # Errors
/// The run belongs to another host now.
pub(crate) async fn record_attempt(engine: &Engine, run: &Run) -> Result<(), Box<Failure>> {
    let (Some(ownership), Some(attempt)) = (&run.ownership, run.attempts.last()) else {
        return Ok(());
    };
    match engine
        .ports
        .store
        .record_attempt(&run.tenant, &run.id, ownership.fence(), attempt)
        .await
    {
        Ok(()) => Ok(()),
        Err(error @ StoreError::Fenced { .. }) => Err(refusals::store("the run cannot go on here", &error)),
        Err(error) => {
            tracing::warn!(run = %run.id, %error, "an attempt could not be recorded; the end of the run will tell of it");
            Ok(())
        }
    }
}

/// Keeps a failure that became no letter in the error log.
pub(crate) async fn log(engine: &Engine, caller: &Caller, call: &Call, failure: &Failure) {
    if failure.letter.is_some() || !runs::is_logged(failure.code) {
        return;
    }
    let mut end = call.input.len().min(INPUT);
    while !call.input.is_char_boundary(end) {
        end -= 1;
    }
    let error = ErrorRecord {
        id: 0,
        tenant: caller.tenant.to_string(),
        at: engine.ports.clock.wall().0,
        tool: call.tool.clone(),
        function: call.function.clone(),
        principal: caller.principal.to_string(),
        failure: FailureRecord::from(failure),
        input: call.input[..end].to_owned(),
    };
    engine.history.error(error).await;
}
