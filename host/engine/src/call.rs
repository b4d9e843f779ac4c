//! The whole pipeline of a call, top to bottom (semantics.md §1).

use crate::attempt::attempt;
use crate::authorize;
use crate::budgets::Retries;
use crate::catalog::{Function, Tool};
use crate::commit;
use crate::ended::{Ended, Failed};
use crate::engine::Engine;
use crate::failures;
use crate::finish;
use crate::following::{Following, Stage};
use crate::joining;
use crate::ports::fleet::Topic;
use crate::refusals;
use crate::requests::{Call, Caller, Reply};
use crate::rest::{self, Rested};
use crate::resuming::{self, Resuming, Steps};
use crate::room;
use crate::runs::{self, Claimed, Run};
use crate::spans;
use crate::starting;
use crate::stops::{self, Stopped};
use fusebox_core::classify::Judgement;
use fusebox_core::failure::Failure;
use fusebox_core::policy::Durability;
use fusebox_core::retry::{self, Situation};
use futures::FutureExt as _;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

/// Carries out one call. What it refuses goes to the error log, what it gives up on becomes a letter.
pub(crate) async fn call(
    engine: Arc<Engine>,
    caller: Caller,
    call: Call,
    following: Option<Following>,
) -> Result<Reply, Box<Failure>> {
    let result = counted(&engine, &caller, &call, following).await;
    if let Err(failure) = &result {
        spans::failed(failure);
        Box::pin(commit::log(&engine, &caller, &call, failure)).await;
    }
    result
}

/// Finds the function that the call is counted by, and carries it out.
async fn counted(
    engine: &Arc<Engine>,
    caller: &Caller,
    call: &Call,
    following: Option<Following>,
) -> Result<Reply, Box<Failure>> {
    let started = engine.ports.clock.tick();
    let found = engine.catalog.get(engine, &caller.tenant, &call.tool).await;
    let found = found.and_then(|tool| {
        let function = Arc::clone(tool.function(&call.function)?);
        Ok((tool, function))
    });
    let (tool, function) = found.inspect_err(|failure| engine.meters.refused(failure.code))?;
    let result = pipeline(engine, caller, call, (tool, &function), following).await;
    function
        .meters
        .called(&result, engine.ports.clock.tick().since(started));
    result
}

async fn pipeline(
    engine: &Arc<Engine>,
    caller: &Caller,
    call: &Call,
    (tool, function): (Arc<Tool>, &Arc<Function>),
    following: Option<Following>,
) -> Result<Reply, Box<Failure>> {
    let input = tool
        .component
        .decode(&function.name, &call.input, tool.limits.host_memory)
        .map_err(|what| refusals::bad_input(&call.tool, &call.function, &what))?;
    let approval = authorize::call(engine, caller, &tool, function, input.as_ref(), &[]).await?;
    let because = starting::because(&function.policy, &approval);
    let mut run = Run::new(engine, caller, call, &tool, function, input);
    if let Some(following) = following {
        if let Some(outcome) = Box::pin(joining::join(engine, &run, &following, because.is_some())).await {
            return outcome;
        }
        run.is_followed(following, engine.tasks.stopping());
    }
    let mut run = match runs::claim(engine, run, call.wait, because.is_some()).await? {
        Claimed::Run(run) => run,
        Claimed::Outcome(outcome) => return outcome,
    };
    spans::is_run(run.id.as_str());
    if run.detached {
        engine.ports.fleet.tell(Topic::Runs);
        return Ok(Reply::accepted(run.id.clone()));
    }
    if let Some(following) = &run.following {
        following.is_run(&run.id, &run.cancel);
    }
    // Only what lasts, or is followed, can be looked for and cancelled by its id.
    let _known = (function.policy.durability != Durability::None || run.following.is_some())
        .then(|| engine.tasks.enter(&run.facts, &run.cancel, run.following.clone()));
    let ended = match peek(engine, &tool, function) {
        Ok(()) => match starting::approved(engine, &mut run, because).await {
            Ok(()) => execute(engine, &mut run).await,
            Err(ended) => ended,
        },
        Err(refused) => Ended::refused(*refused),
    };
    finish::finish(engine, *run, ended).await
}

/// Looks at the breakers that the call is sure to need, so that it need not start in order to be refused.
pub(crate) fn peek(engine: &Engine, tool: &Tool, function: &Function) -> Result<(), Box<Failure>> {
    let now = engine.ports.clock.tick();
    tool.breaker
        .peek(now)
        .map_err(|refusal| refusals::breaker_open(tool.breaker.key(), tool.breaker.key(), refusal))?;
    let service = match &*tool.services {
        [only] => Some(Arc::clone(only)),
        _ => function.last_failed.load_full(),
    };
    let Some(service) = service else { return Ok(()) };
    let open = service.breaker.peek(now);
    open.map_err(|refusal| refusals::breaker_open(&service.name, &service.key, refusal))
}

/// Runs the attempts. A panic of the engine itself ends the run too, and releases what it held.
pub(crate) async fn execute(engine: &Arc<Engine>, run: &mut Run) -> Ended {
    // Pinned where it is made, since it is large.
    let ended = AssertUnwindSafe(pin!(attempts(engine, run))).catch_unwind().await;
    ended.unwrap_or_else(|_| Ended::panicked(run))
}

/// The attempt loop, within the deadline.
async fn attempts(engine: &Arc<Engine>, run: &mut Run) -> Ended {
    let facts = Arc::clone(&run.facts);
    let mut steps = Steps::of(run);
    let mut retries = Retries::default();
    let mut last: Option<Failed> = None;
    loop {
        let room = match room::take(engine, &facts, run).await {
            Ok(room) => room,
            Err(refused) => return Ended::stopped(last, *refused),
        };
        let now = engine.ports.clock.tick();
        if now >= run.deadline {
            return Ended::stopped(last, *refusals::too_late(&facts.tool.policy.name, &facts.function.name));
        }
        let key = facts.tool.breaker.key();
        let permit = match facts.tool.breaker.admit(now) {
            Ok(permit) => permit,
            Err(refusal) => return Ended::stopped(last, *refusals::breaker_open(key, key, refusal)),
        };
        let before = steps.clone();
        steps.begin();
        run.is_at(|run| Stage::Attempt {
            number: run.next_attempt(),
        });
        let mut attempted = attempt(engine, run, permit, steps.at_this_point()).await;
        drop(room);
        if let Some(stop) = attempted.settled.stop.take() {
            match stops::stopped(engine, run, attempted, stop).await {
                Stopped::GoesOn => {
                    // What was interrupted is no attempt until it goes on.
                    steps = before;
                    continue;
                }
                Stopped::Over(ended) => return ended,
            }
        }
        let Some(judgement) = attempted.judgement.clone() else {
            retries.succeeded(&attempted.settled.services);
            return Ended::succeeded(run, attempted);
        };
        let mut failure = failures::of_attempt(run, &attempted, &judgement);
        let resumes = resuming::after(run);
        steps.failed_at(resumes.as_ref().map_or(0, |resumes| resumes.point), &mut retries);
        let inside = attempted.spent.iter().find(|(seq, _)| judgement.effect == Some(*seq));
        if let Some((_, inner)) = inside {
            steps.spent_inside(*inner);
        }
        run.spent = Some(steps.at_this_point());
        match decide(engine, run, &judgement, resumes.as_ref(), &steps, &mut retries) {
            retry::Decision::GiveUp(reason) => {
                failures::gave_up(&mut failure, attempted.number, &reason);
                failure.retry_after = failure.retry_after.max(cooldown(engine, run, &judgement));
                return Ended::failed(run, attempted, failure);
            }
            retry::Decision::Again { after, charge } => {
                retries.charged(service_of(run, &judgement), charge);
                retries.waited(after);
                run.function.meters.retried();
                let failed = Failed::between(run, attempted, failure, after);
                let cut = resumes.map(|resumes| run.journal.cut(&resumes.cut)).unwrap_or_default();
                if let Err(lost) = Box::pin(commit::go_on(engine, run, &cut)).await {
                    return Ended::stopped(Some(failed), *lost);
                }
                run.is_at(|run| Stage::Resting {
                    failed: run.next_attempt().saturating_sub(1),
                    class: failed.failure.class,
                    service: failed.failure.service.clone(),
                    after,
                });
                last = Some(failed);
                match rest::rest(engine, run, after).await {
                    Rested::Awake => {}
                    Rested::Cancelled => return Ended::stopped(last, failures::cancelled(run)),
                    Rested::Elsewhere => return Ended::Elsewhere,
                    Rested::HandedOver => return Ended::HandedOver,
                    Rested::Lost(error) => {
                        return Ended::stopped(last, *refusals::store("the run could not be taken up again", &error));
                    }
                }
            }
        }
    }
}

fn service_of<'a>(run: &'a Run, judgement: &Judgement) -> Option<&'a Arc<crate::services::Service>> {
    judgement.service.as_ref().and_then(|name| run.tool.service(name))
}

/// How long the failed service's breaker stays open: nothing helps before.
fn cooldown(engine: &Engine, run: &Run, judgement: &Judgement) -> Option<Duration> {
    let refusal = service_of(run, judgement)?
        .breaker
        .peek(engine.ports.clock.tick())
        .err()?;
    refusal.retry_after
}

/// Whether, and when, the attempt is made again. An open breaker costs neither an attempt nor budget.
fn decide(
    engine: &Engine,
    run: &Run,
    judgement: &Judgement,
    resumes: Option<&Resuming>,
    steps: &Steps,
    retries: &mut Retries,
) -> retry::Decision {
    let now = engine.ports.clock.tick();
    let service = service_of(run, judgement);
    let situation = Situation {
        policy: &run.function.policy.retry,
        judgement,
        attempts: steps.at_this_point(),
        total: steps.in_all(),
        may_go_on: resumes.is_some(),
        cancelled: run.cancel.is_cancelled(),
        now,
        deadline: run.deadline,
        previous: retries.previous(),
        fraction: engine.ports.entropy.fraction(),
    };
    let decision = retry::decide(&situation, None);
    if let (retry::Decision::Again { after, .. }, Some(resumes)) = (&decision, resumes)
        && !resumes.keys_last(engine, run, *after)
    {
        return retry::Decision::GiveUp(retry::Reason::MayNotStartOver);
    }
    match (decision, service) {
        (retry::Decision::Again { after, .. }, Some(service)) => {
            if service.breaker.peek(now + after).is_err() {
                return retry::Decision::GiveUp(retry::Reason::HeldBack);
            }
            retry::decide(&situation, Some(&mut service.budget()))
        }
        (decision, _) => decision,
    }
}
