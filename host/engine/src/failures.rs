//! What a caller is told of an attempt that failed: what happened, where, and what it came down to.

use crate::attempt::{Attempted, Bound};
use crate::ports::sandbox::{AttemptEnd, Limit};
use crate::refusals::shown;
use crate::runs::Run;
use fusebox_core::classify::Judgement;
use fusebox_core::dead_letter::UNSETTLED;
use fusebox_core::failure::{Class, Code, Failure};
use fusebox_core::retry::Reason;

/// Characters of an error value that a message shows; the whole of it is in the failure's `error`.
const SHOWN: usize = 300;

/// The failure of an attempt.
pub(crate) fn of_attempt(run: &Run, attempted: &Attempted, judgement: &Judgement) -> Failure {
    let mut failure = Failure::new(judgement.code, judgement.class, message(run, attempted, judgement));
    failure.service = judgement
        .service
        .as_ref()
        .filter(|name| !name.is_empty())
        .map(|name| name.to_string());
    if let Some(hint) = judgement.hint {
        failure.retry_after = Some(hint.0);
        // An upstream's word alone: how long a breaker stays open says nothing about when a replay is worth it.
        failure.not_before = Some(attempted.started + attempted.took + hint.0);
    }
    failure.chain.clone_from(&attempted.settled.reasons);
    if let AttemptEnd::Err { case, json } = &attempted.report.end {
        failure.case.clone_from(case);
        failure.error = Some(json.clone());
    }
    failure
}

/// Adds why no further attempt was made, where that is news.
pub(crate) fn gave_up(failure: &mut Failure, attempts: u32, reason: &Reason) {
    match reason {
        Reason::NotRetryable(_) | Reason::InDoubt | Reason::Cancelled => {}
        Reason::AttemptsUsedUp(1) => failure
            .chain
            .push("one attempt is all that its policy allows".to_owned()),
        reason => failure
            .chain
            .push(format!("gave up after attempt {attempts}: {reason}")),
    }
}

fn message(run: &Run, attempted: &Attempted, judgement: &Judgement) -> String {
    let answer = match &attempted.report.end {
        AttemptEnd::Err { json, .. } => format!(": {}", cut(json)),
        _ => String::new(),
    };
    let (tool, function) = (&run.tool.policy.name, &run.function.name);
    let (end, why) = (end(run, attempted), after(attempted, judgement));
    let advice = match judgement.class {
        Class::InDoubt => format!("; {UNSETTLED}"),
        _ => String::new(),
    };
    format!("{tool}.{function} {end}{answer}{why}{advice}")
}

/// How an attempt ended, as its record says it: what the function answered is in the failure alone.
pub(crate) fn in_short(run: &Run, attempted: &Attempted) -> String {
    let why = attempted
        .judgement
        .as_ref()
        .map(|judgement| after(attempted, judgement));
    format!("{}{}", end(run, attempted), why.unwrap_or_default())
}

/// The effect that an attempt came down to.
fn after(attempted: &Attempted, judgement: &Judgement) -> String {
    let effect = judgement
        .effect
        .and_then(|seq| attempted.settled.records.iter().find(|record| record.seq == seq));
    let Some(effect) = effect else { return String::new() };
    let (method, path) = effect.request.split_once(' ').unwrap_or((&effect.request, ""));
    let path = path.split_once('?').map_or(path, |(path, _)| path);
    let to = if effect.service.is_empty() {
        "outside every service"
    } else {
        &effect.service
    };
    let cut = match attempted.bound {
        _ if !attempted.settled.in_flight.contains(&effect.seq) || !effect.answer.ends_with("timeout") => "",
        Bound::Timeout => " when the attempt's `timeout` was over",
        Bound::Deadline => " when the deadline was over",
    };
    let of = format!(
        "effect {} ({method} {path} to {to}: {}{cut})",
        effect.seq, effect.answer
    );
    match judgement.class {
        Class::InDoubt => format!(", and nobody knows whether {of} happened; it may not be repeated"),
        // The guest may have told its caller anything about a refusal; this is what it was.
        Class::Control => {
            let why = attempted.settled.why(effect.seq).unwrap_or("its policy refuses it");
            format!(", after {of}: {why}")
        }
        _ => format!(", after {of}"),
    }
}

/// What the function did, without its name.
fn end(run: &Run, attempted: &Attempted) -> String {
    match &attempted.report.end {
        AttemptEnd::Ok { .. } => "returned".to_owned(),
        AttemptEnd::Err { case: Some(case), .. } => format!("answered `{case}`"),
        AttemptEnd::Err { case: None, .. } => "answered an error".to_owned(),
        AttemptEnd::Trap { trap } => format!("trapped: {trap}"),
        AttemptEnd::CallFailed => "called a function that failed".to_owned(),
        AttemptEnd::Exit { code } => format!("exited with code {code} instead of returning"),
        AttemptEnd::Abi { message } => format!("broke the component ABI: {message}"),
        AttemptEnd::Limit { limit, message } => {
            format!("reached its limit `limits.{}`: {message}", limit_key(*limit))
        }
        AttemptEnd::Timeout => match attempted.bound {
            Bound::Timeout => format!(
                "did not end within its `timeout`, {}",
                shown(run.function.policy.timeout)
            ),
            Bound::Deadline => "did not end before its deadline".to_owned(),
        },
        AttemptEnd::Cancelled => "was cancelled".to_owned(),
        AttemptEnd::Stopped => "was stopped by its host".to_owned(),
        AttemptEnd::Host { message } => format!("could not be run: {message}"),
    }
}

fn limit_key(limit: Limit) -> &'static str {
    match limit {
        Limit::Memory => "memory",
        Limit::Tables => "table-elements",
        Limit::Instances => "instances",
        Limit::Fuel => "fuel",
        Limit::Output => "output",
        Limit::HostMemory => "host-memory",
    }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// The run was cancelled between two attempts.
pub(crate) fn cancelled(run: &Run) -> Failure {
    let message = format!("{}.{} was cancelled", run.tool.policy.name, run.function.name);
    Failure::new(Code::Cancelled, Class::Control, message)
}

/// A run whose hosts went while they had it, too often.
pub(crate) fn given_up_recovering(run: &Run, cap: u32) -> Failure {
    let message = format!(
        "{}.{} was taken over {cap} times from hosts that were gone, and is not taken over again: it may be what they went by",
        run.tool.policy.name, run.function.name
    );
    Failure::new(Code::Exhausted, Class::Exhausted, message)
}

/// Effects that were sent before the run's host went, and of which nobody knows the end.
pub(crate) fn left_in_doubt(run: &Run, effects: &[u32]) -> Failure {
    let named: Vec<_> = run
        .journal
        .iter()
        .filter(|entry| effects.contains(&entry.effect.seq))
        .map(|entry| {
            let effect = &entry.effect;
            format!(
                "effect {} ({} {} to {})",
                effect.seq, effect.method, effect.path, effect.service
            )
        })
        .collect();
    let message = format!(
        "{}.{} lost its host, and nobody knows whether {} happened; it may not be repeated; {UNSETTLED}",
        run.tool.policy.name,
        run.function.name,
        named.join(" and ")
    );
    let mut failure = Failure::new(Code::InDoubt, Class::InDoubt, message);
    let first = run.journal.iter().find(|entry| effects.contains(&entry.effect.seq));
    failure.service = first
        .map(|entry| entry.effect.service.to_string())
        .filter(|name| !name.is_empty());
    failure
}

/// A person declined the call, or did not answer in time.
pub(crate) fn declined(run: &Run, why: &str) -> Failure {
    *crate::refusals::declined(&run.tool.policy.name, &run.function.name, why)
}
