//! What a caller is told when the host itself ends a call: each says what happened, where, and what to do next.

use crate::permission::Action;
use crate::ports::store::StoreError;
use crate::records::ApprovalRecord;
use crate::records::{LetterRecord, RunRecord};
use crate::requests::Caller;
use crate::tasks::Full;
use fusebox_core::breaker::Refusal;
use fusebox_core::dead_letter::{NotReplayable, UNSETTLED};
use fusebox_core::failure::{Class, Code, Failure};
use fusebox_core::ids::RunId;
use fusebox_core::role::Role;
use fusebox_core::run::State;
use std::time::Duration;

fn caller(code: Code, message: String) -> Box<Failure> {
    Box::new(Failure::new(code, Class::Caller, message))
}

pub(crate) fn no_tool(name: &str) -> Box<Failure> {
    caller(
        Code::NotFound,
        format!("no tool `{name}` is deployed: `fusebox tools list` shows those that are"),
    )
}

pub(crate) fn no_function<'a>(tool: &str, function: &str, offered: impl Iterator<Item = &'a str>) -> Box<Failure> {
    let offered: Vec<_> = offered.map(|name| format!("`{name}`")).collect();
    let offered = if offered.is_empty() {
        "none".to_owned()
    } else {
        offered.join(", ")
    };
    caller(
        Code::NotFound,
        format!("tool `{tool}` has no function `{function}`; it has {offered}"),
    )
}

pub(crate) fn disabled(name: &str) -> Box<Failure> {
    let message = format!("tool `{name}` is switched off: `fusebox tools enable {name}` switches it on");
    Box::new(Failure::new(Code::ToolDisabled, Class::Control, message))
}

pub(crate) fn not_admitted(name: &str, findings: &str) -> Box<Failure> {
    let message =
        format!("the operator's settings no longer admit the manifest of `{name}`; deploy it anew:\n{findings}");
    Box::new(Failure::new(Code::ToolDisabled, Class::Control, message))
}

pub(crate) fn bad_input(tool: &str, function: &str, what: &str) -> Box<Failure> {
    caller(Code::BadInput, format!("{what} (input of {tool}.{function})"))
}

pub(crate) fn denied(reason: String) -> Box<Failure> {
    Box::new(Failure::new(Code::Denied, Class::Control, reason))
}

pub(crate) fn role_missing(caller: &Caller, action: Action) -> Box<Failure> {
    let listed = |roles: &mut dyn Iterator<Item = Role>, and: &str| {
        let names: Vec<_> = roles.map(Role::name).collect();
        names.join(and)
    };
    let needed = listed(&mut action.roles().iter().copied(), " or ");
    let has = match caller.roles.is_empty() {
        true => "none".to_owned(),
        false => listed(&mut caller.roles.iter(), ", "),
    };
    denied(format!(
        "`{}` may not {}: that needs the role {needed}, and it has {has}",
        caller.principal,
        action.phrase()
    ))
}

pub(crate) fn needs_approval(run: &RunId, asked: &ApprovalRecord) -> Box<Failure> {
    let message = format!(
        "{}.{} waits for a person ({}): `fusebox approvals approve {}` lets {run} go on, `fusebox approvals deny {}` ends it",
        asked.tool, asked.function, asked.because, asked.id, asked.id
    );
    let mut failure = Failure::new(Code::NeedsApproval, Class::Control, message);
    failure.run = Some(run.clone());
    failure.approval = Some(asked.id.clone());
    Box::new(failure)
}

pub(crate) fn declined(tool: &str, function: &str, why: &str) -> Box<Failure> {
    let message = format!("{tool}.{function} was not approved: {why}");
    Box::new(Failure::new(Code::Declined, Class::Control, message))
}

pub(crate) fn too_deep(deepest: u32) -> Box<Failure> {
    let message = format!("calls are nested {deepest} deep, and no deeper: does a tool call itself?");
    Box::new(Failure::new(Code::Denied, Class::Control, message))
}

pub(crate) fn not_granted(caller: &str, tool: &str, function: &str) -> Box<Failure> {
    let message = format!("`{caller}` may not call {tool}.{function}: add it to `tools` in its manifest");
    Box::new(Failure::new(Code::Denied, Class::Control, message))
}

pub(crate) fn not_linked(caller: &str, interface: &str) -> Box<Failure> {
    let message =
        format!("`{caller}` imports {interface}, and no deployed tool is linked to it: deploy `{caller}` anew");
    Box::new(Failure::new(Code::Internal, Class::Fault, message))
}

pub(crate) fn not_durable(tool: &str, function: &str) -> Box<Failure> {
    let message = format!(
        "{tool}.{function} leaves no record (`durability = \"none\"`), so it may not call what has to: give it another durability"
    );
    Box::new(Failure::new(Code::Denied, Class::Control, message))
}

pub(crate) fn key_required(tool: &str, function: &str) -> Box<Failure> {
    caller(
        Code::KeyRequired,
        format!(
            "{tool}.{function} is keyed: send an idempotency key (`--key KEY`), and the same one when you repeat the call"
        ),
    )
}

pub(crate) fn bad_key(length: usize, longest: usize) -> Box<Failure> {
    let message = format!("an idempotency key has 1 to {longest} bytes; this one has {length}");
    caller(Code::BadInput, message)
}

/// There is no such API key.
pub(crate) fn no_key(id: &str) -> Box<Failure> {
    let message = format!("no API key has the id `{id}`: `fusebox keys list` shows those that there are");
    caller(Code::NotFound, message)
}

pub(crate) fn key_reused(key: &str, run: RunId) -> Box<Failure> {
    let message =
        format!("the idempotency key `{key}` was used with other arguments by {run}; use a new key for another call");
    let mut failure = caller(Code::KeyReused, message);
    failure.run = Some(run);
    failure
}

pub(crate) fn breaker_open(service: &str, key: &str, refusal: Refusal) -> Box<Failure> {
    let message = match refusal.retry_after {
        Some(after) => format!(
            "the breaker of `{key}` is open, so nothing was tried; try again in {}",
            shown(after)
        ),
        None => format!("an operator holds the breaker of `{key}` open: `fusebox breakers close {key}` closes it"),
    };
    let mut failure = Failure::new(Code::BreakerOpen, Class::NotSent, message);
    failure.service = Some(service.to_owned());
    failure.retry_after = refusal.retry_after;
    Box::new(failure)
}

pub(crate) fn full(why: Full) -> Box<Failure> {
    let (message, retry_after) = match why {
        Full::Calls => (
            "the host has as many calls in flight as it takes; nothing was run",
            Some(Duration::from_secs(1)),
        ),
        Full::Draining => (
            "the host is shutting down and takes no more calls; nothing was run",
            None,
        ),
    };
    let mut failure = Failure::new(Code::Overloaded, Class::Control, message);
    failure.retry_after = retry_after;
    Box::new(failure)
}

pub(crate) fn no_place(tool: &str, concurrency: u32) -> Box<Failure> {
    let message = format!(
        "`{tool}` has {concurrency} attempts in flight (`limits.concurrency`) and none ended within the deadline; nothing was run"
    );
    let mut failure = Failure::new(Code::Overloaded, Class::Control, message);
    failure.retry_after = Some(Duration::from_secs(1));
    Box::new(failure)
}

pub(crate) fn no_instance(tool: &str, instances: u32) -> Box<Failure> {
    let message = format!(
        "none of the pool's {instances} instances for calls as deep as this one of `{tool}` came free within the deadline; nothing was run \
         (`pool.instances` in the operator's file)"
    );
    let mut failure = Failure::new(Code::Overloaded, Class::Control, message);
    failure.retry_after = Some(Duration::from_secs(1));
    Box::new(failure)
}

pub(crate) fn too_late(tool: &str, function: &str) -> Box<Failure> {
    let message = format!("the deadline of {tool}.{function} was over before an attempt could start; nothing was run");
    Box::new(Failure::new(Code::Overloaded, Class::Control, message))
}

pub(crate) fn store(what: &str, error: &StoreError) -> Box<Failure> {
    let mut failure = Failure::new(Code::StoreUnavailable, Class::NotSent, format!("{what}: {error}"));
    if matches!(error, StoreError::Refused { .. }) {
        failure.code = Code::ToolFailed;
        failure.class = Class::Control;
    }
    Box::new(failure)
}

pub(crate) fn internal(what: impl Into<String>) -> Box<Failure> {
    Box::new(Failure::new(Code::Internal, Class::Fault, what))
}

/// A duration as a person reads it: whole seconds above ten, else with a decimal, rounded up.
pub(crate) fn shown(duration: Duration) -> String {
    let tenths = duration.as_millis().div_ceil(100);
    if tenths >= 100 {
        format!("{} s", tenths.div_ceil(10))
    } else {
        format!("{}.{} s", tenths / 10, tenths % 10)
    }
}

pub(crate) fn no_version(tool: &str, number: i64) -> Box<Failure> {
    caller(
        Code::NotFound,
        format!("version {number} of `{tool}`, which the run is pinned to, is not deployed any more"),
    )
}

pub(crate) fn order_not_stored(key: &str) -> Box<Failure> {
    let message = format!(
        "the order for the breaker of `{key}` could not be stored, so no other process knows it; the log says why"
    );
    Box::new(Failure::new(Code::StoreUnavailable, Class::NotSent, message))
}

pub(crate) fn key_in_use(run: &RunRecord, alive: bool) -> Box<Failure> {
    let id = &run.id;
    let where_it_is = match State::from_name(&run.state) {
        _ if alive => "is not finished; wait for it, or ask again later with the same key".to_owned(),
        Some(State::Suspended) => match &run.approval {
            Some(approval) => format!("waits for a person: `fusebox approvals show {approval}`"),
            None => "waits for a person: `fusebox approvals list`".to_owned(),
        },
        Some(State::Sleeping | State::Accepted) => format!(
            "waits for a host that serves: `fusebox serve` goes on with it, `fusebox runs resume {id}` does so here"
        ),
        _ => format!(
            "lost its host: a host that serves takes it over once its lease is over, `fusebox runs resume {id}` does so here"
        ),
    };
    let mut failure = caller(
        Code::KeyInUse,
        format!("{id} has this idempotency key and {where_it_is}"),
    );
    failure.run = Some(id.clone());
    failure
}

pub(crate) fn key_in_letter(run: RunRecord) -> Box<Failure> {
    let next = match &run.letter {
        Some(letter) if State::from_name(&run.state) == Some(State::InDoubt) => {
            format!("`fusebox dlq show {letter}` shows its effects; {UNSETTLED}")
        }
        Some(letter) => {
            format!("`fusebox dlq show {letter}` shows why, `fusebox dlq replay {letter} --from-start` tries it again")
        }
        None => format!("`fusebox runs show {}` shows why", run.id),
    };
    let mut failure = caller(
        Code::KeyInUse,
        format!("{} has this idempotency key and is {}: {next}", run.id, run.state),
    );
    failure.run = Some(run.id);
    failure.letter = run.letter;
    failure
}

pub(crate) fn no_letter(letter: &str) -> Box<Failure> {
    caller(
        Code::NotFound,
        format!("there is no letter `{letter}`: `fusebox dlq list` shows those that are open"),
    )
}

pub(crate) fn no_approval(id: &str) -> Box<Failure> {
    Box::new(Failure::new(
        Code::NotFound,
        Class::Caller,
        format!("no approval `{id}`: `fusebox approvals list --all` lists them"),
    ))
}

pub(crate) fn no_redrive(id: &str) -> Box<Failure> {
    Box::new(Failure::new(
        Code::NotFound,
        Class::Caller,
        format!("no bulk replay `{id}`: `fusebox dlq redrives` lists them"),
    ))
}

pub(crate) fn handed_over(run: &RunId) -> Box<Failure> {
    let message = format!("this host shuts down; {run} goes on at another one: `fusebox runs follow {run}` shows how");
    let mut failure = Failure::new(Code::Overloaded, Class::NotSent, message);
    failure.run = Some(run.clone());
    Box::new(failure)
}

/// A run that a call joined is not over within the time of the call.
pub(crate) fn goes_on(held: &RunRecord) -> Box<Failure> {
    let id = &held.id;
    let message = format!("{id}, which this call joined, is not over: `fusebox runs show {id}` tells how it goes on");
    let mut failure = caller(Code::KeyInUse, message);
    failure.run = Some(id.clone());
    failure
}

pub(crate) fn no_run(run: &str) -> Box<Failure> {
    caller(
        Code::NotFound,
        format!("there is no run `{run}`: `fusebox runs list` shows those that are kept"),
    )
}

pub(crate) fn not_replayable(letter: &LetterRecord, why: &NotReplayable) -> Box<Failure> {
    let id = &letter.id;
    let (code, class) = match why {
        NotReplayable::InDoubt => (Code::InDoubt, Class::InDoubt),
        _ => (Code::Denied, Class::Control),
    };
    let mut failure = Failure::new(
        code,
        class,
        format!("{id}: {why}; `fusebox dlq show {id}` shows its effects"),
    );
    failure.run = Some(letter.run.id.clone());
    failure.letter = Some(id.clone());
    Box::new(failure)
}

pub(crate) fn no_effect(letter: &LetterRecord, asked: u32, last: u32) -> Box<Failure> {
    let id = &letter.id;
    let message = format!("{id} has effects 1 to {last}, and no effect {asked}; `fusebox dlq show {id}` lists them");
    caller(Code::BadInput, message)
}

pub(crate) fn not_in_doubt(letter: &LetterRecord, run: &RunRecord, effect: u32) -> Box<Failure> {
    let id = &letter.id;
    let doubtful: Vec<_> = run.in_doubt.iter().map(ToString::to_string).collect();
    let message = if doubtful.is_empty() {
        format!(
            "no effect of {} is in doubt; `fusebox dlq show {id}` shows which are, and of which run",
            run.id
        )
    } else {
        format!(
            "effect {effect} of {} is not in doubt: {} is",
            run.id,
            doubtful.join(", ")
        )
    };
    caller(Code::BadInput, message)
}

pub(crate) fn still_under_way(letter: &LetterRecord, effect: u32, left: Duration) -> Box<Failure> {
    let message = format!(
        "{}: effect {effect} may still be under way; it can be settled in {}",
        letter.id,
        shown(left)
    );
    let mut failure = caller(Code::KeyInUse, message);
    failure.retry_after = Some(left);
    failure
}

pub(crate) fn proves_nothing(letter: &LetterRecord, effect: u32, status: u16) -> Box<Failure> {
    let message = format!(
        "{}: an answer {status} does not say that effect {effect} happened; give the answer of what did happen, settle it as not happened, \
         or close the letter",
        letter.id
    );
    caller(Code::BadInput, message)
}

pub(crate) fn stands(letter: &LetterRecord, effect: u32, stands: &[u32]) -> Box<Failure> {
    let numbers: Vec<_> = stands.iter().map(ToString::to_string).collect();
    let message = format!(
        "{}: the run went on after effect {effect} failed, and effect {} happened since: what it was told stands; close the letter instead",
        letter.id,
        numbers.join(", ")
    );
    caller(Code::Denied, message)
}

/// Settled effects that may not be repeated would happen again.
pub(crate) fn would_repeat(
    letter: &LetterRecord,
    evidence: &[fusebox_core::journal::Entry],
    again: &[u32],
) -> Box<Failure> {
    let named: Vec<_> = evidence
        .iter()
        .map(|entry| &entry.effect)
        .filter(|effect| again.contains(&effect.seq))
        .map(|effect| {
            format!(
                "effect {} ({} {} to {})",
                effect.seq, effect.method, effect.path, effect.service
            )
        })
        .collect();
    let numbers: Vec<_> = again.iter().map(ToString::to_string).collect();
    let id = &letter.id;
    let message = format!(
        "{id}: {} happened already and may not be repeated; `--repeat {}` makes it happen again, a replay without a word of where to begin does not",
        named.join(", "),
        numbers.join(" ")
    );
    let mut failure = Failure::new(Code::Denied, Class::Control, message);
    failure.run = Some(letter.run.id.clone());
    failure.letter = Some(id.clone());
    Box::new(failure)
}

pub(crate) fn no_component(tool: &str, component: fusebox_core::ids::Digest) -> Box<Failure> {
    let message = format!("no component {component} is in the database; deploy the fixed `{tool}` first");
    caller(Code::NotFound, message)
}

pub(crate) fn letter_taken(letter: &str, error: &StoreError) -> Box<Failure> {
    caller(Code::KeyInUse, format!("{letter} is not replayed: {error}"))
}

/// A letter whose attempt cannot be run again.
pub(crate) fn not_debugged(letter: &LetterRecord, why: &str) -> Box<Failure> {
    let message = format!(
        "{} cannot be replayed: {why}; `fusebox debug {}` shows what it keeps",
        letter.id, letter.id
    );
    caller(Code::NotFound, message)
}

/// An effect that a replay does not get to.
pub(crate) fn never_asked(letter: &LetterRecord, seq: u32, asked: usize, ended: &str) -> Box<Failure> {
    let message = format!(
        "the replay of {} does not get to effect {seq}: it asked for {asked}, and then {ended}",
        letter.id
    );
    caller(Code::NotFound, message)
}

pub(crate) fn no_letter_of(run: &str) -> Box<Failure> {
    caller(
        Code::NotFound,
        format!("{run} has no letter: `fusebox runs show {run}` shows what became of it"),
    )
}

pub(crate) fn no_memory(letter: &str, instance: usize, memory: usize) -> Box<Failure> {
    caller(
        Code::NotFound,
        format!(
            "{letter} keeps no memory {memory} of an instance {instance}: `fusebox dlq show {letter}` names those that it keeps"
        ),
    )
}

pub(crate) fn no_snapshot(letter: &str, why: &str) -> Box<Failure> {
    caller(
        Code::NotFound,
        format!("{letter} keeps no state of its component: {why}"),
    )
}

pub(crate) fn no_breaker<'a>(key: &str, known: impl Iterator<Item = &'a str>) -> Box<Failure> {
    let mut known: Vec<_> = known.map(|key| format!("`{key}`")).collect();
    known.sort();
    known.dedup();
    let known = if known.is_empty() {
        "none".to_owned()
    } else {
        known.join(", ")
    };
    caller(
        Code::NotFound,
        format!("no deployed tool has a breaker `{key}`; there are {known}"),
    )
}

pub(crate) fn over(run: &str) -> Box<Failure> {
    caller(
        Code::NotFound,
        format!("{run} is over, so there is nothing to cancel: `fusebox runs show {run}` tells how it ended"),
    )
}
