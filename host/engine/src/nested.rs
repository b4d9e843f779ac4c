//! Calls of other tools: runs of their own, through the whole call boundary, in the tree of their root (durability.md, "Agents").

mod ended;

use crate::approvals::{self, Gate, Question};
use crate::authorize;
use crate::call;
use crate::catalog::{Function, Tool};
use crate::commit::Matter;
use crate::effects::{Called, Stop, Way};
use crate::ended::Ended;
use crate::journal::Journal;
use crate::keys;
use crate::ports::sandbox::{self, Target};
use crate::ports::store::{Append, Claim, NewRun};
use crate::records::{Nested, RunRecord, Seed};
use crate::recovery;
use crate::refusals;
use crate::requests::Caller;
use crate::runs::{Facts, Parent, Run};
use crate::spans;
use crate::starting;
use ended::{finish, outcome, refused};
use fusebox_core::effect::Effect;
use fusebox_core::failure::Failure;
use fusebox_core::idempotency;
use fusebox_core::ids::RunId;
use fusebox_core::journal::{self, Resume};
use fusebox_core::policy::Durability;
use fusebox_core::run::State;
use fusebox_core::trace::TraceContext;
use std::borrow::Cow;
use std::sync::Arc;
use tracing::Instrument as _;

/// No call is nested deeper.
const DEEPEST: u32 = 16;

/// A callee that was found and is granted.
struct Callee {
    tool: Arc<Tool>,
    function: Arc<Function>,
    input: Arc<dyn sandbox::Input>,
    nested: Nested,
    /// Why a person is asked first.
    because: Option<Cow<'static, str>>,
    /// Through which functions it is called.
    chain: Arc<[String]>,
}

/// Makes the call; `None` when the whole attempt was stopped instead.
pub(crate) async fn call(way: &Arc<Way>, effect: &Effect, target: &Target, input: &str) -> Option<Called> {
    let callee = match callee(way, effect, target, input).await {
        Ok(callee) => callee,
        Err(failure) => return Some(refused(&failure)),
    };
    let started = way.engine.ports.clock.tick();
    let (tool, function) = (&callee.tool.policy.name, &callee.function.name);
    let (span, trace) = spans::nested(&way.engine, tool, function, way.facts.trace.as_ref());
    let called = run(way, effect, &callee, input, trace).instrument(span).await?;
    let took = way.engine.ports.clock.tick().since(started);
    callee.function.meters.called_by_tool(&called.got, took);
    Some(called)
}

async fn run(
    way: &Arc<Way>,
    effect: &Effect,
    callee: &Callee,
    input: &str,
    trace: Option<TraceContext>,
) -> Option<Called> {
    if let Err(failure) = call::peek(&way.engine, &callee.tool, &callee.function) {
        return Some(refused(&failure));
    }
    let mut run = match start(way, effect, callee, input, trace).await {
        Ok(Started::Run(run)) => *run,
        Ok(Started::Outcome(called)) => return Some(called),
        Ok(Started::Over(run, ended)) => return finish(way, effect.seq, *run, ended).await,
        Ok(Started::Stopped) => return None,
        Err(failure) => return Some(refused(&failure)),
    };
    let ended = Box::pin(call::execute(&way.engine, &mut run)).await;
    finish(way, effect.seq, run, ended).await
}

/// Finds the function, and asks everybody who has a say.
async fn callee(way: &Arc<Way>, effect: &Effect, target: &Target, input: &str) -> Result<Callee, Box<Failure>> {
    let (engine, facts) = (&way.engine, &way.facts);
    let depth = facts.nested.as_ref().map_or(0, |nested| nested.depth) + 1;
    if depth > DEEPEST {
        return Err(refusals::too_deep(DEEPEST));
    }
    let (tool, name) = match target {
        Target::Named { tool, function } => (engine.catalog.get(engine, &facts.tenant, tool).await?, function.clone()),
        Target::Linked { interface, function } => linked(way, interface, function).await?,
    };
    let function = Arc::clone(tool.function(&name)?);
    let callee = &tool.policy.name;
    if !facts.tool.policy.may_call(callee, &function.name) {
        return Err(refusals::not_granted(&facts.tool.policy.name, callee, &function.name));
    }
    let decoded = tool.component.decode(&function.name, input, tool.limits.host_memory);
    let decoded = decoded.map_err(|what| refusals::bad_input(callee, &function.name, &what))?;
    let caller = facts.caller();
    let chain = chain(facts);
    let matter = Matter {
        tool: callee,
        function: &function.name,
        input,
    };
    let decision = authorize::call(engine, &caller, &tool, &function, decoded.as_ref(), &chain).await;
    let decision = authorize::logged(engine, &caller, &matter, decision).await?;
    let because = if facts.tool.policy.interrupts_before(callee, &function.name) {
        Some(Cow::Borrowed("`interrupt-before` in its caller's manifest"))
    } else {
        starting::because(&function.policy, &decision)
    };
    let nested = Nested {
        root: facts.root().clone(),
        parent: facts.id.clone(),
        seq: effect.seq,
        depth,
    };
    Ok(Callee {
        tool,
        function,
        input: decoded,
        nested,
        because,
        chain,
    })
}

/// The functions that a call of that run comes from.
fn chain(facts: &Facts) -> Arc<[String]> {
    let own = format!("{}.{}", facts.tool.policy.name, facts.function.name);
    facts.chain.iter().cloned().chain([own]).collect()
}

/// The tool that an imported interface is pinned to, and the function's name there.
async fn linked(way: &Way, interface: &str, function: &str) -> Result<(Arc<Tool>, String), Box<Failure>> {
    let (engine, facts) = (&way.engine, &way.facts);
    let link = facts.tool.record.links.iter().find(|link| link.interface == interface);
    let link = link.ok_or_else(|| refusals::not_linked(&facts.tool.policy.name, interface))?;
    let name_in = |tool: &Tool| {
        let shapes = &tool.component.shape().functions;
        let of_interface = |name: &str| name == function || name.ends_with(&format!(".{function}"));
        let found = shapes
            .iter()
            .find(|shape| shape.interface.as_deref() == Some(link.exported.as_str()) && of_interface(&shape.name));
        found.map(|shape| shape.name.clone())
    };
    // What a letter's replay calls is the tool as it is today, if it still offers the same.
    if way.replay {
        let today = engine.catalog.get(engine, &facts.tenant, &link.tool).await?;
        if let Some(name) = name_in(&today) {
            return Ok((today, name));
        }
    }
    let tool = engine
        .catalog
        .pinned(engine, &facts.tenant, &link.tool, link.version, link.component)
        .await?;
    let name = name_in(&tool);
    let name = name.ok_or_else(|| refusals::not_linked(&facts.tool.policy.name, interface))?;
    Ok((tool, name))
}

enum Started {
    Run(Box<Run>),
    Outcome(Called),
    /// It cannot go on.
    Over(Box<Run>, Ended),
    Stopped,
}

/// Asks a person where that is due, and claims the call where it has to be durable.
async fn start(
    way: &Arc<Way>,
    effect: &Effect,
    callee: &Callee,
    input: &str,
    trace: Option<TraceContext>,
) -> Result<Started, Box<Failure>> {
    let parent = &way.facts;
    let always = callee.function.policy.durability == Durability::Always;
    // One that was made durable late, before its caller was interrupted, has to be found again.
    let again = way.number > 1 || way.replay || parent.recoveries > 0;
    let known = callee.function.policy.durability == Durability::OnFailure && again && way.hold.get().is_some();
    let durable = (always || known) && parent.durability != Durability::None;
    if (always || callee.because.is_some()) && parent.durability == Durability::None {
        return Err(refusals::not_durable(&parent.tool.policy.name, &parent.function.name));
    }
    let mut run = fresh(way, effect, callee, input, trace);
    spans::is_run(run.id.as_str());
    if let Some(because) = &callee.because {
        match approved(way, effect, &run.facts, because).await? {
            Gate::Open(None) => {}
            Gate::Open(Some(used)) => {
                let uses = Append {
                    run: Some(parent.id.clone()),
                    uses: Some(used),
                    ..Append::default()
                };
                written(way, effect.seq, uses).await?;
            }
            Gate::Closed(asked) => {
                way.intend(effect.seq)
                    .await
                    .map_err(|error| refusals::store("the question could not be made durable", &error))?;
                way.ledger.stop(Stop::Suspend(asked));
                return Ok(Started::Stopped);
            }
            Gate::Declined(why) => {
                return Err(refusals::declined(
                    &callee.tool.policy.name,
                    &callee.function.name,
                    &why,
                ));
            }
        }
    }
    if durable {
        return claim(way, effect, callee, run).await;
    }
    run.hold = way.hold.clone();
    Ok(Started::Run(Box::new(run)))
}

async fn approved(way: &Way, effect: &Effect, facts: &Facts, because: &str) -> Result<Gate, Box<Failure>> {
    let question = Question {
        facts,
        run: &way.facts.id,
        step: effect.seq,
        question: "",
        details: &facts.raw,
        fingerprint: facts.input.fingerprint(),
        because,
        expires: facts.function.policy.approval_expires,
    };
    let gate = approvals::gate(&way.engine, &question).await;
    gate.map_err(|error| refusals::store("the approval cannot be looked up", &error))
}

/// Writes to the tree's rows, once the run that calls is durable itself.
async fn written(way: &Way, seq: u32, append: Append) -> Result<(), Box<Failure>> {
    let failed = |error| refusals::store("the call could not be made durable, so it was not made", &error);
    way.intend(seq).await.map_err(failed)?;
    let Some(ownership) = way.hold.get() else {
        return Err(refusals::internal("a run that has intents is not durable"));
    };
    let (store, facts) = (&way.engine.ports.store, &way.facts);
    let appended = store
        .append(&facts.tenant, facts.root(), ownership.fence(), append)
        .await;
    appended.map_err(failed)
}

/// A run of that call, not claimed.
fn fresh(way: &Arc<Way>, effect: &Effect, callee: &Callee, input: &str, trace: Option<TraceContext>) -> Run {
    let (engine, parent) = (&way.engine, &way.facts);
    let created = engine.ports.clock.wall();
    let patience = callee.function.policy.deadline;
    let facts = Facts {
        // Whatever this host's clock says: a store that keeps runs by their days does not look for them before the day of their root.
        id: RunId::new(created.max(callee.nested.root.made()), engine.ports.entropy.id()),
        tenant: Arc::clone(&parent.tenant),
        principal: Arc::clone(&parent.principal),
        roles: parent.roles,
        chain: Arc::clone(&callee.chain),
        spelling: sandbox::Spelling::Kebab,
        trace,
        tool: Arc::clone(&callee.tool),
        function: Arc::clone(&callee.function),
        input: Arc::clone(&callee.input),
        raw: input.to_owned(),
        key: None,
        call_key: Some(keys::nested_key(&parent.id, effect.seq, effect.request)),
        created,
        seed: Seed::draw(engine.ports.entropy.as_ref()),
        nested: Some(callee.nested.clone()),
        detached: false,
        recoveries: 0,
        durability: if parent.durability == Durability::None {
            Durability::None
        } else {
            callee.function.policy.durability
        },
    };
    Run {
        facts: Arc::new(facts),
        deadline: (engine.ports.clock.tick() + patience).min(way.latest),
        clock: created,
        attempts: Vec::new(),
        journal: Journal::default(),
        began: false,
        letter: None,
        hold: way.hold.clone(),
        dry: false,
        waited_for: true,
        replay: way.replay,
        by_itself: false,
        allowed: Some(way.attempts.inner(callee.function.policy.retry.attempts)),
        spent: None,
        places: way.places.iter().chain([&parent.tool.policy.name]).cloned().collect(),
        parent: Some(Parent {
            way: Arc::clone(way),
            seq: effect.seq,
            claimed: Arc::default(),
        }),
        cancel: way.stop.child_token(),
        following: None,
    }
}

/// Claims the call by its place in the tree: fresh, or the run that was made for it before.
async fn claim(way: &Arc<Way>, effect: &Effect, callee: &Callee, mut run: Run) -> Result<Started, Box<Failure>> {
    let failed = |error| refusals::store("the call could not be made durable, so it was not made", &error);
    way.intend(effect.seq).await.map_err(failed)?;
    let Some(fence) = way.hold.get().map(|ownership| ownership.fence().clone()) else {
        return Err(refusals::internal("a run that has intents is not durable"));
    };
    let engine = &way.engine;
    let claimed = engine.ports.store.claim_nested(
        NewRun {
            run: run.record(State::Running),
            call_key: run.call_key,
            owner: engine.owner.clone(),
            lease: Facts::lease(engine, &callee.tool),
            key_lifetime: engine.settings.key_lifetime,
        },
        &fence,
    );
    match claimed.await.map_err(failed)? {
        Claim::Fresh(_) => {
            run.hold = way.hold.clone();
            has_row(&run);
            Ok(Started::Run(Box::new(run)))
        }
        Claim::Stored(stored) => Ok(Started::Outcome(outcome(*stored))),
        Claim::Joined { run: record, .. } => {
            has_row(&run);
            go_on(way, callee, *record, run).await
        }
        Claim::Conflict(other) => Err(refusals::internal(format!(
            "{other} has the place of this call in its tree"
        ))),
    }
}

fn has_row(run: &Run) {
    if let Some(parent) = &run.parent {
        // Set already means the same.
        let _ = parent.claimed.set(());
    }
}

/// A run that was made for this call before its caller was interrupted, or that failed then.
async fn go_on(way: &Arc<Way>, callee: &Callee, record: RunRecord, fresh: Run) -> Result<Started, Box<Failure>> {
    let engine = &way.engine;
    let failed_before = State::from_name(&record.state).is_some_and(State::has_letter);
    // One that failed is called as it is today: perhaps it was mended meanwhile.
    let tool = if failed_before {
        Arc::clone(&callee.tool)
    } else {
        let pinned = engine.catalog.pinned(
            engine,
            &way.facts.tenant,
            &record.tool,
            record.version,
            record.component,
        );
        pinned.await?
    };
    let function = Arc::clone(tool.function(&record.function)?);
    let input = tool
        .component
        .decode(&function.name, &record.input, tool.limits.host_memory)
        .map_err(|what| refusals::bad_input(&record.tool, &record.function, &what))?;
    let journal = recovery::read_journal(engine, &record, &tool).await?;
    let caller = Caller {
        spelling: fresh.spelling,
        ..way.facts.caller()
    };
    let (call_key, chain) = (fresh.call_key, Arc::clone(&fresh.chain));
    let mut facts = Facts::of(&record, &caller, tool, function, input);
    facts.call_key = call_key;
    facts.chain = chain;
    let mut run = Run {
        facts: Arc::new(facts),
        attempts: record.attempts.clone(),
        clock: record.guest_started(),
        journal,
        ..fresh
    };
    let evidence = run.journal.evidence();
    let at = if failed_before {
        let level = run.function.policy.idempotency;
        match journal::resume_point(&evidence, level.may_start_over()) {
            // It would only fail again.
            Resume::End if idempotency::may_start_over(level, evidence.iter().map(|entry| &entry.effect)) => {
                let cut = run.journal.cut(&journal::cut_from(&evidence, 1));
                crate::commit::go_on(engine, &run, &cut).await?;
                return Ok(Started::Run(Box::new(run)));
            }
            at => at,
        }
    } else {
        journal::go_on(&evidence)
    };
    if let Resume::InDoubt(effects) = at {
        let ended = Ended::left_in_doubt(&mut run, effects);
        return Ok(Started::Over(Box::new(run), ended));
    }
    let cut = run.journal.cut(&journal::cut(&evidence, &at));
    crate::commit::go_on(engine, &run, &cut).await?;
    Ok(Started::Run(Box::new(run)))
}
