//! What is written of a run while it is executed and when it ends, whatever the store does meanwhile.

use crate::engine::Engine;
use crate::ports::store::{Cut, Finish, StoreError};
use crate::records::{ErrorRecord, FailureRecord, RunRecord};
use crate::refusals;
use crate::requests::{Call, Caller};
use crate::runs::Run;
use fusebox_core::failure::{Code, Failure};
use std::time::Duration;

/// Pauses between the tries of a write that the store could not take.
pub(crate) const PAUSES: [Duration; 3] = [
    Duration::from_millis(50),
    Duration::from_millis(200),
    Duration::from_millis(800),
];
/// Bytes of an input, and of each text of a failure, that the error log keeps: its rows are many, and callers choose what is in them.
const TEXT: usize = 4096;

/// Writes the end, again after a pause when the store could not take it. An end that was written although the store's answer was lost is written.
pub(crate) async fn commit(engine: &Engine, run: &Run, finish: Finish) -> Result<(), StoreError> {
    let mut pauses = PAUSES.into_iter();
    loop {
        let written = match run.hold.get() {
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

/// Keeps the last attempt, and cuts the journal back to where the next one goes on.
///
/// # Errors
/// The run belongs to another host now, or the cut of what is in the store could not be written: the next attempt would be served what it
/// is to make anew.
pub(crate) async fn go_on(engine: &Engine, run: &Run, cut: &Cut) -> Result<(), Box<Failure>> {
    let Some(ownership) = run.hold.get().filter(|_| run.has_row()) else {
        return Ok(());
    };
    let (store, last) = (&engine.ports.store, run.attempts.last());
    let mut pauses = PAUSES.into_iter();
    let written = loop {
        let written = store
            .go_on(&run.tenant, &run.id, run.root(), ownership.fence(), last, cut)
            .await;
        match (written, pauses.next()) {
            (Err(StoreError::Unavailable { .. }), Some(pause)) => engine.ports.clock.sleep(pause).await,
            (written, _) => break written,
        }
    };
    match written {
        Ok(()) => Ok(()),
        Err(StoreError::Unavailable { reason }) if *cut == Cut::default() => {
            tracing::warn!(run = %run.id, reason, "an attempt could not be recorded; the end of the run will tell of it");
            Ok(())
        }
        Err(error) => Err(refusals::store("the run cannot go on here", &error)),
    }
}

/// Keeps the last attempt of a replay that is given back. What cannot be written is logged.
pub(crate) async fn record_last(engine: &Engine, run: &Run) {
    if let Err(failure) = go_on(engine, run, &Cut::default()).await {
        tracing::warn!(run = %run.id, %failure, "an attempt could not be recorded");
    }
}

/// Keeps a failure that became no letter in the error log.
pub(crate) async fn log(engine: &Engine, caller: &Caller, call: &Call, failure: &Failure) {
    if failure.letter.is_none() && is_logged(failure.code) {
        let matter = Matter {
            tool: &call.tool,
            function: &call.function,
            input: &call.input,
        };
        log_refusal(engine, caller, &matter, failure).await;
    }
}

/// What a refusal is about.
#[derive(Clone, Copy)]
pub(crate) struct Matter<'a> {
    pub(crate) tool: &'a str,
    /// Empty when the whole tool is meant.
    pub(crate) function: &'a str,
    /// As JSON text.
    pub(crate) input: &'a str,
}

impl<'a> Matter<'a> {
    /// The call that a run is.
    pub(crate) fn of(run: &'a RunRecord) -> Self {
        Self {
            tool: &run.tool,
            function: &run.function,
            input: &run.input,
        }
    }
}

/// Keeps what was refused in the error log.
pub(crate) async fn log_refusal(engine: &Engine, caller: &Caller, matter: &Matter<'_>, failure: &Failure) {
    let mut failure = FailureRecord::from(failure);
    let causes = failure.chain.iter_mut();
    for text in causes.chain(&mut failure.error).chain([&mut failure.message]) {
        text.truncate(text.floor_char_boundary(TEXT));
    }
    let cut = |text: &str| text[..text.floor_char_boundary(TEXT)].to_owned();
    let error = ErrorRecord {
        id: 0,
        tenant: caller.tenant.to_string(),
        at: engine.ports.clock.wall().0,
        tool: cut(matter.tool),
        function: cut(matter.function),
        principal: caller.principal.to_string(),
        failure,
        input: cut(matter.input),
    };
    engine.history.error(error).await;
}

/// Whether a refused call belongs into the error log: what says something about the tool or its callers, not about the moment.
fn is_logged(code: Code) -> bool {
    !matches!(code, Code::KeyInUse | Code::Overloaded | Code::NeedsApproval)
}
