//! A run that this host takes up: accepted by another process, woken, approved, or left by a host that is gone (durability.md, "Recovery").

use crate::authorize;
use crate::call;
use crate::catalog::Tool;
use crate::commit::Matter;
use crate::ended::Ended;
use crate::engine::Engine;
use crate::failures;
use crate::finish;
use crate::journal::Journal;
use crate::ownership::{Hold, Ownership};
use crate::ports::sandbox::Spelling;
use crate::ports::store::{Finish, LetterChange, StoreError, Taken, Wakes};
use crate::records::{FailureRecord, RunRecord};
use crate::refusals;
use crate::requests::{Caller, Reply};
use crate::runs::{Facts, Run};
use crate::spans;
use crate::starting;
use fusebox_core::classify;
use fusebox_core::failure::{Class, Code, Failure};
use fusebox_core::journal::{self, Resume};
use fusebox_core::run::{State, is_given_up};
use fusebox_core::time::Tick;
use std::sync::Arc;
use std::time::Duration;
use tracing::Instrument as _;

/// A run that was taken, and since when and for how long this host holds it.
pub(crate) struct Lease {
    pub(crate) taken: Taken,
    pub(crate) at: Tick,
    pub(crate) length: Duration,
}

/// Goes on with a run to its end, or to its next rest; `waited_for` says that somebody waits for the end here.
pub(crate) async fn go_on(engine: &Arc<Engine>, lease: Lease, waited_for: bool) -> Result<Reply, Box<Failure>> {
    let span = spans::resume(engine, &lease.taken);
    resume(engine, lease, waited_for).instrument(span).await
}

async fn resume(engine: &Arc<Engine>, lease: Lease, waited_for: bool) -> Result<Reply, Box<Failure>> {
    let why = lease.taken.why;
    let record = lease.taken.run.clone();
    let mut run = match take_up(engine, lease, waited_for).await {
        Ok(run) => run,
        Err(NotTaken { failure, lease }) => return Err(give_up(engine, *lease, failure).await),
    };
    let _known = engine.tasks.enter(&run.facts, &run.cancel, None);
    let ended = match begins(engine, &mut run, &record, why).await {
        Ok(()) => call::execute(engine, &mut run).await,
        Err(ended) => ended,
    };
    let function = Arc::clone(&run.function);
    let result = finish::finish(engine, run, ended).await;
    function.meters.ended(&result);
    result
}

struct NotTaken {
    failure: Box<Failure>,
    lease: Box<Lease>,
}

/// Puts a run together from its rows.
async fn take_up(engine: &Arc<Engine>, lease: Lease, waited_for: bool) -> Result<Run, NotTaken> {
    let record = &lease.taken.run;
    let parts = async {
        let caller = caller_of(record);
        let tool = engine
            .catalog
            .pinned(engine, &caller.tenant, &record.tool, record.version, record.component)
            .await?;
        let function = Arc::clone(tool.function(&record.function)?);
        let input = tool
            .component
            .decode(&function.name, &record.input, tool.limits.host_memory)
            .map_err(|what| refusals::bad_input(&record.tool, &record.function, &what))?;
        let journal = read_journal(engine, record, &tool).await?;
        let letter = engine.ports.store.letter_of(&record.tenant, &record.id).await;
        let letter = letter.map_err(|error| refusals::store("the run's letter cannot be read", &error))?;
        let letter = letter.filter(|letter| letter.state == "open" || letter.state == "replaying");
        Ok::<_, Box<Failure>>((caller, tool, function, input, journal, letter))
    };
    let (caller, tool, function, input, journal, letter) = match parts.await {
        Ok(parts) => parts,
        Err(failure) => {
            return Err(NotTaken {
                failure,
                lease: Box::new(lease),
            });
        }
    };
    let cancel = engine.tasks.stopping().child_token();
    let length = Facts::lease(engine, &tool).max(lease.length);
    // What was taken for a shorter time is known to last no longer until it is renewed.
    let taken = Tick(
        lease
            .at
            .0
            .saturating_sub(u64::try_from((length - lease.length).as_nanos()).unwrap_or(0)),
    );
    let fence = lease.taken.fence;
    let record = lease.taken.run;
    let ownership = Ownership::keep(engine, &caller.tenant, &record.id, fence, taken, length, &cancel);
    let patience = function.policy.patience(None);
    let left = record
        .left_ms
        .map_or(patience, |left| Duration::from_millis(left).min(patience));
    let began = journal.iter().any(|entry| classify::left_the_host(&entry.effect));
    let clock = record.guest_started();
    Ok(Run {
        attempts: record.attempts.clone(),
        facts: Arc::new(Facts::of(&record, &caller, tool, function, input)),
        deadline: engine.ports.clock.tick() + left,
        clock,
        journal,
        began,
        waited_for,
        replay: letter.is_some(),
        by_itself: false,
        allowed: None,
        spent: None,
        places: Vec::new(),
        parent: None,
        letter: letter.map(Box::new),
        hold: Hold::with(ownership),
        dry: false,
        cancel,
        following: None,
    })
}

/// The journal of a run that is in the store.
pub(crate) async fn read_journal(engine: &Engine, run: &RunRecord, tool: &Tool) -> Result<Journal, Box<Failure>> {
    let records = engine.ports.store.journal(&run.tenant, &run.id).await;
    let records = records.map_err(|error| refusals::store("the run's journal cannot be read", &error))?;
    Journal::read(records, tool, engine.ports.clock.wall())
        .map_err(|what| refusals::internal(format!("{}: {what}", run.id)))
}

/// What is to be seen to before a run goes on.
async fn begins(engine: &Engine, run: &mut Run, record: &RunRecord, why: Wakes) -> Result<(), Ended> {
    let cap = engine.settings.recovery_cap;
    let given_up = why == Wakes::Abandoned && is_given_up(record.recoveries, cap);
    let cancelled = engine.ports.store.is_cancelled(&run.tenant, &run.id).await;
    let cancelled = cancelled.unwrap_or(false);
    let evidence = run.journal.evidence();
    // Doubt comes before every other end. Where no guest goes on, what it was not told of yet may be in doubt too.
    let at = if given_up || cancelled {
        journal::resume_point(&evidence, run.function.policy.idempotency.may_start_over())
    } else {
        journal::go_on(&evidence)
    };
    if let Resume::InDoubt(effects) = at {
        return Err(Ended::left_in_doubt(run, effects));
    }
    if given_up {
        return Err(Ended::refused(failures::given_up_recovering(run, cap)));
    }
    if cancelled {
        return Err(Ended::refused(failures::cancelled(run)));
    }
    let refused = refused_last(record, &evidence).filter(|_| why == Wakes::Slept);
    let at = refused.map_or(at, Resume::At);
    let cut = run.journal.cut(&journal::cut(&evidence, &at));
    let written = crate::commit::go_on(engine, run, &cut).await;
    written.map_err(|failure| Ended::refused(*failure))?;
    if run.journal.is_empty() && run.attempts.is_empty() {
        let caller = caller_of(record);
        let asked = authorize::call(engine, &caller, &run.tool, &run.function, run.input.as_ref(), &[]).await;
        let asked = authorize::logged(engine, &caller, &Matter::of(record), asked).await;
        let decision = asked.map_err(|failure| Ended::refused(*failure))?;
        let because = starting::because(&run.function.policy, &decision);
        starting::approved(engine, run, because).await?;
    }
    Ok(())
}

/// The refusal that a run failed by, such as a 401: the last thing that its guest was told. A person who resumes the run has mended that, so it
/// is asked for again, unless it may not be repeated. Everything else is served.
fn refused_last(record: &RunRecord, evidence: &[journal::Entry]) -> Option<u32> {
    record
        .failure
        .as_ref()
        .filter(|failure| failure.class == Class::Caller.name())?;
    let last = evidence.iter().max_by_key(|entry| entry.order)?;
    let refused = classify::class_of(&last.effect) == Some(Class::Caller) && classify::may_be_repeated(&last.effect);
    refused.then(|| last.seq())
}

/// Who called it, when nobody is there who does now.
pub(crate) fn caller_of(record: &RunRecord) -> Caller {
    Caller {
        tenant: Arc::from(record.tenant.as_str()),
        principal: Arc::from(record.principal.as_str()),
        roles: record.roles,
        spelling: Spelling::Kebab,
        trace: record.trace.clone(),
    }
}

/// A run that cannot be put together any more: ended, if what is missing will never be there; else left to a later look.
async fn give_up(engine: &Engine, lease: Lease, failure: Box<Failure>) -> Box<Failure> {
    let Lease { taken, .. } = lease;
    let for_good = matches!(failure.code, Code::NotFound | Code::BadInput | Code::Internal);
    let now = engine.ports.clock.wall();
    let mut run = taken.run;
    let written = if for_good {
        State::Failed.name().clone_into(&mut run.state);
        run.finished = Some(now.0);
        run.failure = Some(FailureRecord::from(&*failure));
        let finish = Finish {
            run,
            keep_key: true,
            letter: LetterChange::None,
            journal: Vec::new(),
        };
        engine.ports.store.finish(&taken.fence, finish).await
    } else {
        run.until = Some((now + LATER).0);
        engine.ports.store.sleep(&taken.fence, run, Vec::new()).await
    };
    if let Err(error) = written {
        tracing::error!(%failure, %error, "a run cannot go on, and that could not be written; its lease will end");
    }
    failure
}

/// When a run is looked at again that could not be put together.
const LATER: Duration = Duration::from_secs(30);

/// Takes one run, for whoever asks for it by name.
pub(crate) async fn take(
    engine: &Engine,
    caller: &Caller,
    id: &fusebox_core::ids::RunId,
) -> Result<Lease, Box<Failure>> {
    let length = engine.settings.lease;
    let at = engine.ports.clock.tick();
    let taken = engine
        .ports
        .store
        .take_run(&caller.tenant, id, &engine.owner, length)
        .await;
    let taken = taken.map_err(|error| match error {
        StoreError::Refused { what } => Box::new(Failure::new(Code::KeyInUse, Class::Caller, what)),
        error => refusals::store("the run cannot be taken up", &error),
    })?;
    Ok(Lease { taken, at, length })
}
