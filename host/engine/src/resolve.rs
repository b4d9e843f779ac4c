//! Letters in doubt: a person says what became of an effect, or how the run ended (semantics.md §6).

use crate::effects::answers;
use crate::engine::Engine;
use crate::journal::{Entry, Journal, Settlement};
use crate::ports::sandbox::{Got, Moment};
use crate::ports::store::{Resolution, StoreError};
use crate::ports::transport::Incoming;
use crate::records::{FailureRecord, LetterRecord, RunRecord};
use crate::recovery;
use crate::refusals;
use crate::requests::{Caller, Resolve, Response};
use fusebox_core::classify;
use fusebox_core::effect::{Answer, Kind};
use fusebox_core::failure::{Class, Code, Failure};
use fusebox_core::ids::{LetterId, RunId};
use fusebox_core::journal;
use fusebox_core::run::State;
use std::sync::Arc;

/// Settles a letter in doubt.
pub(crate) async fn resolve(
    engine: &Arc<Engine>,
    caller: &Caller,
    letter: &LetterId,
    resolve: Resolve,
) -> Result<LetterRecord, Box<Failure>> {
    let found = engine.ports.store.letter(&caller.tenant, letter).await;
    let found = found
        .map_err(|error| refusals::store("the letter cannot be read", &error))?
        .ok_or_else(|| refusals::no_letter(letter.as_str()))?;
    let resolution = match resolve {
        Resolve::Happened { run, effect, response } => {
            let (run, journal) = journal_of(engine, caller, &found, run).await?;
            let entry = in_doubt(&found, &run, &journal, effect)?;
            over(engine, &found, entry)?;
            // Such an answer proves nothing, and a replay would make the effect again.
            if classify::class_of_status(response.status).is_some_and(classify::is_upstreams) {
                return Err(refusals::proves_nothing(&found, effect, response.status));
            }
            let drop = forgotten(&found, &journal, effect)?;
            let record = Box::new(happened(engine, &journal, entry.clone(), response).record());
            Resolution::Happened {
                run: run.id,
                record,
                drop,
            }
        }
        Resolve::NotHappened { run, effect } => {
            let (run, journal) = journal_of(engine, caller, &found, run).await?;
            over(engine, &found, in_doubt(&found, &run, &journal, effect)?)?;
            let drop = forgotten(&found, &journal, effect)?;
            Resolution::NotHappened {
                run: run.id,
                seq: effect,
                drop,
            }
        }
        Resolve::CloseFailed { reason } => Resolution::Close {
            run: Box::new(failed(engine, &found, caller, reason)),
        },
        Resolve::CloseSucceeded { output } => Resolution::Close {
            run: Box::new(succeeded(engine, &found, output)?),
        },
    };
    let resolved = engine.ports.store.resolve(&caller.tenant, letter, resolution).await;
    resolved.map_err(|error| match error {
        StoreError::Refused { .. } => refusals::letter_taken(letter.as_str(), &error),
        error => refusals::store("the letter could not be resolved", &error),
    })
}

/// The run of the letter's tree, and its journal.
async fn journal_of(
    engine: &Arc<Engine>,
    caller: &Caller,
    letter: &LetterRecord,
    run: Option<RunId>,
) -> Result<(RunRecord, Journal), Box<Failure>> {
    let id = run.unwrap_or_else(|| letter.run.id.clone());
    let run = engine.ports.store.run(&caller.tenant, &id).await;
    let run = run
        .map_err(|error| refusals::store("the run cannot be read", &error))?
        .filter(|run| run.id == letter.run.id || run.nested.as_ref().is_some_and(|nested| nested.root == letter.run.id))
        .ok_or_else(|| refusals::no_run(id.as_str()))?;
    let tool = engine
        .catalog
        .pinned(engine, &caller.tenant, &run.tool, run.version, run.component)
        .await?;
    let journal = recovery::read_journal(engine, &run, &tool).await?;
    Ok((run, journal))
}

/// The effect of that number, which has to be in doubt.
fn in_doubt<'a>(
    letter: &LetterRecord,
    run: &RunRecord,
    journal: &'a Journal,
    effect: u32,
) -> Result<&'a Entry, Box<Failure>> {
    let entry = journal.iter().find(|entry| entry.effect.seq == effect);
    match entry {
        Some(entry) if run.in_doubt.contains(&effect) && entry.effect.kind == Kind::Http => Ok(entry),
        _ => Err(refusals::not_in_doubt(letter, run, effect)),
    }
}

/// Whether the effect can still be under way: a host that was stopped may be about to send it.
fn over(engine: &Engine, letter: &LetterRecord, entry: &Entry) -> Result<(), Box<Failure>> {
    let longest = letter.run.left_ms.unwrap_or_default();
    let since = engine.ports.clock.wall().since(entry.asked);
    let timeout = engine.settings.lease.max(std::time::Duration::from_millis(longest));
    if entry.settled.is_some() || since >= timeout {
        return Ok(());
    }
    Err(refusals::still_under_way(letter, entry.effect.seq, timeout - since))
}

/// What the guest asked for since it saw the effect fail; refuses when some of that may not be forgotten.
fn forgotten(letter: &LetterRecord, journal: &Journal, effect: u32) -> Result<Vec<u32>, Box<Failure>> {
    journal::settle(&journal.evidence(), effect).map_err(|stands| refusals::stands(letter, effect, &stands))
}

/// The effect, settled by what the person knows.
fn happened(engine: &Engine, journal: &Journal, mut entry: Entry, response: Response) -> Entry {
    let last = journal.iter().filter_map(|entry| entry.settled.as_ref());
    let (order, passed) = last.fold((0, std::time::Duration::ZERO), |(order, passed), settled| {
        (order.max(settled.order), passed.max(settled.at.passed))
    });
    let before = entry.settled.take();
    let at = Moment {
        passed,
        wall: engine.ports.clock.wall(),
    };
    entry.effect.answer = Some(Answer::Status {
        status: response.status,
        hint: None,
    });
    entry.settled = Some(Settlement {
        order: before.as_ref().map_or(order + 1, |settled| settled.order),
        at: before.map_or(at, |settled| settled.at),
        got: Got::Http(Ok(Incoming {
            status: response.status,
            headers: response.headers,
            body: response.body,
        })),
        reason: Some(format!(
            "settled by a person: {}",
            answers::shown(entry.effect.answer.as_ref())
        )),
    });
    // A person's word is the upstream's: it is an answer, whatever its status.
    entry.effect.repeatable = true;
    entry
}

fn failed(engine: &Engine, letter: &LetterRecord, caller: &Caller, reason: Option<String>) -> RunRecord {
    let mut failure = FailureRecord {
        code: Code::ToolFailed.name().to_owned(),
        class: Class::Caller.name().to_owned(),
        message: reason.unwrap_or_else(|| format!("{} settled it as failed", caller.principal)),
        ..letter.failure.clone()
    };
    failure.chain.insert(0, letter.failure.message.clone());
    ended(engine, letter, State::Failed, None, Some(failure))
}

fn succeeded(engine: &Engine, letter: &LetterRecord, output: String) -> Result<RunRecord, Box<Failure>> {
    if let Err(error) = serde_json::from_str::<serde_json::Value>(&output) {
        return Err(refusals::bad_input(
            &letter.run.tool,
            &letter.run.function,
            &format!("the output is no JSON: {error}"),
        ));
    }
    Ok(ended(engine, letter, State::Succeeded, Some(output), None))
}

fn ended(
    engine: &Engine,
    letter: &LetterRecord,
    state: State,
    output: Option<String>,
    failure: Option<FailureRecord>,
) -> RunRecord {
    RunRecord {
        state: state.name().to_owned(),
        finished: Some(engine.ports.clock.wall().0),
        output,
        failure,
        in_doubt: Vec::new(),
        ..letter.run.clone()
    }
}
