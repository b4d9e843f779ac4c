//! A run while this host executes it: claimed if it must be, pinned to its version, known by its id.

use crate::catalog::{Function, Tool};
use crate::effects::Way;
use crate::engine::Engine;
use crate::following::{Following, Stage};
use crate::journal::Journal;
use crate::keys::{self, KeyOwner};
use crate::ownership::{Hold, MARGIN, Ownership};
use crate::ports::sandbox::{Input, Spelling};
use crate::ports::store::{Claim, NewRun, StoreError};
use crate::records::{AttemptRecord, LetterRecord, Nested, RunRecord, Seed, millis};
use crate::refusals;
use crate::requests::{Call, Caller, Reply};
use fusebox_core::failure::Failure;
use fusebox_core::idempotency;
use fusebox_core::ids::{Digest, RunId};
use fusebox_core::policy::Durability;
use fusebox_core::retry::Attempts;
use fusebox_core::role::Roles;
use fusebox_core::run::State;
use fusebox_core::time::{Tick, Wall};
use fusebox_core::trace::TraceContext;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;

/// How often a caller who waits for another run looks after it.
const LOOK: Duration = Duration::from_millis(100);

/// Bytes of a caller's idempotency key at most.
const LONGEST_KEY: usize = 255;

/// A shorter lease would be renewed more often than a store should be asked.
const SHORTEST_LEASE: Duration = Duration::from_secs(3);

/// What does not change about a run while this host executes it; its effects know it too.
pub(crate) struct Facts {
    pub(crate) id: RunId,
    pub(crate) tenant: Arc<str>,
    pub(crate) principal: Arc<str>,
    /// What the principal was to the host when it called.
    pub(crate) roles: Roles,
    pub(crate) spelling: Spelling,
    pub(crate) trace: Option<TraceContext>,
    pub(crate) tool: Arc<Tool>,
    pub(crate) function: Arc<Function>,
    pub(crate) input: Arc<dyn Input>,
    /// The input as the caller wrote it.
    pub(crate) raw: String,
    pub(crate) key: Option<String>,
    pub(crate) call_key: Option<Digest>,
    pub(crate) created: Wall,
    /// The guest's randomness.
    pub(crate) seed: Seed,
    /// Where it stands in its tree; `None` for a root.
    pub(crate) nested: Option<Nested>,
    /// The functions that a nested call comes from, its root's first.
    pub(crate) chain: Arc<[String]>,
    /// Nobody waits for it.
    pub(crate) detached: bool,
    /// How often a host took it over from one that was gone.
    pub(crate) recoveries: u32,
    /// How much of it is made durable; `None` for a trial, whatever its function says.
    pub(crate) durability: Durability,
}

/// A run in the hands of this host.
pub(crate) struct Run {
    pub(crate) facts: Arc<Facts>,
    pub(crate) deadline: Tick,
    /// Where the guest's wall clock starts.
    pub(crate) clock: Wall,
    /// Every attempt so far, those before a replay too.
    pub(crate) attempts: Vec<AttemptRecord>,
    /// What it asked of the world so far, and what it got.
    pub(crate) journal: Journal,
    /// Whether an effect has left the host, since the call or the replay began.
    pub(crate) began: bool,
    /// The letter that is replayed.
    pub(crate) letter: Option<Box<LetterRecord>>,
    /// The lease, once the run is durable.
    pub(crate) hold: Hold,
    /// Serves the journal and performs nothing.
    pub(crate) dry: bool,
    /// Whether somebody waits for it here; else a long rest leaves it to whoever wakes it.
    pub(crate) waited_for: bool,
    /// A letter is replayed.
    pub(crate) replay: bool,
    /// And nobody asked for it.
    pub(crate) by_itself: bool,
    /// The attempts that the layer above leaves to it; `None` for a root.
    pub(crate) allowed: Option<Attempts>,
    /// What it has used up of them, once it has ended.
    pub(crate) spent: Option<Attempts>,
    /// The tools whose bulkheads its tree has a place in already.
    pub(crate) places: Vec<String>,
    /// Who called, for a nested run.
    pub(crate) parent: Option<Parent>,
    /// Ends the attempt, or the backoff.
    pub(crate) cancel: CancellationToken,
    /// Who watches it.
    pub(crate) following: Option<Following>,
}

/// The call that a nested run is.
#[derive(Clone)]
pub(crate) struct Parent {
    /// The attempt that called.
    pub(crate) way: Arc<Way>,
    /// The number of the call among its effects.
    pub(crate) seq: u32,
    /// Set once the nested run has a row of its own.
    pub(crate) claimed: Arc<OnceCell<()>>,
}

impl Run {
    /// Whether it has a row of its own, which its end has to be written to.
    pub(crate) fn has_row(&self) -> bool {
        let row = |parent: &Parent| parent.claimed.initialized();
        self.hold.get().is_some() && self.parent.as_ref().is_none_or(row)
    }
}

impl Deref for Run {
    type Target = Facts;

    fn deref(&self) -> &Facts {
        &self.facts
    }
}

/// What became of a call that wanted to become a run.
pub(crate) enum Claimed {
    /// It is a run now.
    Run(Box<Run>),
    /// Another run has its key: this is what that one came to.
    Outcome(Result<Reply, Box<Failure>>),
}

impl Run {
    /// A run of that call, accepted now and not claimed yet.
    pub(crate) fn new(
        engine: &Engine,
        caller: &Caller,
        call: &Call,
        tool: &Arc<Tool>,
        function: &Arc<Function>,
        input: Arc<dyn Input>,
    ) -> Self {
        let created = engine.ports.clock.wall();
        // A run that leaves no record cannot be named, and ends early only with its host.
        let nameless = function.policy.durability == Durability::None && call.key.is_none();
        let stopping = engine.tasks.stopping();
        let cancel = if nameless {
            stopping.clone()
        } else {
            stopping.child_token()
        };
        let facts = Facts {
            id: RunId::new(created, engine.ports.entropy.id()),
            tenant: Arc::clone(&caller.tenant),
            principal: Arc::clone(&caller.principal),
            roles: caller.roles,
            spelling: caller.spelling,
            trace: caller.trace.clone(),
            tool: Arc::clone(tool),
            function: Arc::clone(function),
            input,
            raw: call.input.clone(),
            call_key: call
                .key
                .as_ref()
                .map(|key| keys::call_key(&caller.tenant, &tool.policy.name, &function.name, key)),
            key: call.key.clone(),
            created,
            seed: Seed::draw(engine.ports.entropy.as_ref()),
            nested: None,
            chain: Arc::default(),
            detached: call.detach,
            recoveries: 0,
            durability: function.policy.durability,
        };
        Self {
            facts: Arc::new(facts),
            deadline: engine.ports.clock.tick() + function.policy.patience(call.deadline),
            clock: created,
            attempts: Vec::new(),
            journal: Journal::default(),
            began: false,
            letter: None,
            hold: Hold::default(),
            dry: false,
            waited_for: true,
            replay: false,
            by_itself: false,
            allowed: None,
            spent: None,
            places: Vec::new(),
            parent: None,
            cancel,
            following: None,
        }
    }

    /// Its caller watches it, and may call it off, whether or not it can be named.
    pub(crate) fn is_followed(&mut self, following: Following, stopping: &CancellationToken) {
        self.cancel = stopping.child_token();
        self.following = Some(following);
    }

    /// Tells whoever watches where it stands.
    pub(crate) fn is_at(&self, stage: impl FnOnce(&Self) -> Stage) {
        if let Some(following) = &self.following {
            following.is_at(stage(self));
        }
    }

    /// A run of which nothing is ever stored.
    pub(crate) fn in_memory(mut self) -> Self {
        if let Some(facts) = Arc::get_mut(&mut self.facts) {
            facts.durability = Durability::None;
        }
        self
    }

    /// Whether a success leaves a record.
    pub(crate) fn is_recorded(&self) -> bool {
        self.hold.get().is_some() || self.durability != Durability::None
    }

    /// The number of its next attempt.
    pub(crate) fn next_attempt(&self) -> u32 {
        u32::try_from(self.attempts.len()).unwrap_or(u32::MAX).saturating_add(1)
    }

    /// The run as a row.
    pub(crate) fn record(&self, state: State) -> RunRecord {
        RunRecord {
            attempts: self.attempts.clone(),
            letter: self.letter.as_ref().map(|letter| letter.id.clone()),
            clock: self.clock.0,
            ..self.facts.record(state)
        }
    }
}

impl Facts {
    /// The facts of a run that is in the store.
    pub(crate) fn of(
        record: &RunRecord,
        caller: &Caller,
        tool: Arc<Tool>,
        function: Arc<Function>,
        input: Arc<dyn Input>,
    ) -> Self {
        let call_key = |key: &String| keys::call_key(&record.tenant, &record.tool, &record.function, key);
        Self {
            id: record.id.clone(),
            tenant: Arc::clone(&caller.tenant),
            principal: Arc::from(record.principal.as_str()),
            roles: record.roles,
            spelling: caller.spelling,
            trace: record.trace.clone(),
            call_key: record.key.as_ref().map(call_key),
            durability: function.policy.durability,
            tool,
            function,
            input,
            raw: record.input.clone(),
            key: record.key.clone(),
            created: Wall(record.created),
            seed: record.seed,
            nested: record.nested.clone(),
            chain: Arc::default(),
            detached: record.detached,
            recoveries: record.recoveries,
        }
    }

    /// Whoever called it, for what it asks in their name.
    pub(crate) fn caller(&self) -> Caller {
        Caller {
            tenant: Arc::clone(&self.tenant),
            principal: Arc::clone(&self.principal),
            roles: self.roles,
            spelling: self.spelling,
            trace: self.trace.clone(),
        }
    }

    /// What the keys of its effects are made of.
    pub(crate) fn key_owner(&self) -> KeyOwner {
        self.call_key
            .map_or_else(|| KeyOwner::Run(self.id.clone()), KeyOwner::Call)
    }

    /// The run as a row, before its first attempt.
    pub(crate) fn record(&self, state: State) -> RunRecord {
        RunRecord {
            id: self.id.clone(),
            tenant: self.tenant.to_string(),
            tool: self.tool.policy.name.clone(),
            function: self.function.name.clone(),
            component: self.tool.record.component,
            version: self.tool.record.number,
            principal: self.principal.to_string(),
            roles: self.roles,
            state: state.name().to_owned(),
            key: self.key.clone(),
            fingerprint: self.input.fingerprint(),
            input: self.raw.clone(),
            created: self.created.0,
            finished: None,
            output: None,
            failure: None,
            attempts: Vec::new(),
            in_doubt: Vec::new(),
            letter: None,
            trace: self.trace.clone(),
            nested: self.nested.clone(),
            detached: self.detached,
            recoveries: self.recoveries,
            until: None,
            approval: None,
            left_ms: None,
            clock: self.created.0,
            seed: self.seed,
        }
    }

    /// The root of its tree: whose lease every write of the tree is fenced by.
    pub(crate) fn root(&self) -> &RunId {
        self.nested.as_ref().map_or(&self.id, |nested| &nested.root)
    }

    /// The lease of a run of that tool: as long as its first exchange may last, so that it need not be renewed for that.
    pub(crate) fn lease(engine: &Engine, tool: &Tool) -> Duration {
        let slowest = tool
            .services
            .iter()
            .map(|service| service.policy.timeout)
            .max()
            .unwrap_or_default();
        engine.settings.lease.max(slowest + MARGIN).max(SHORTEST_LEASE)
    }
}

/// Claims the run's key, or the run itself where it must be durable before it starts.
/// One that may have to wait for a person has to be durable in any case.
pub(crate) async fn claim(
    engine: &Engine,
    run: Run,
    wait: Option<Duration>,
    may_wait: bool,
) -> Result<Claimed, Box<Failure>> {
    if let Some(key) = &run.key {
        if key.is_empty() || key.len() > LONGEST_KEY {
            return Err(refusals::bad_key(key.len(), LONGEST_KEY));
        }
    } else {
        if idempotency::demands_key(run.function.policy.idempotency) {
            return Err(refusals::key_required(&run.tool.policy.name, &run.function.name));
        }
        let asked = run
            .following
            .as_ref()
            .is_some_and(|following| following.terms().durable);
        if run.durability != Durability::Always && !run.detached && !may_wait && !asked {
            return Ok(Claimed::Run(Box::new(run)));
        }
    }
    Box::pin(claim_durably(engine, run, wait)).await
}

/// Asks the store; the future is large and most pure functions never need it.
async fn claim_durably(engine: &Engine, mut run: Run, wait: Option<Duration>) -> Result<Claimed, Box<Failure>> {
    let lease = Facts::lease(engine, &run.tool);
    let taken = engine.ports.clock.tick();
    let record = run.record(if run.detached { State::Accepted } else { State::Running });
    let claimed = engine.ports.store.claim(NewRun {
        run: RunRecord {
            // Whoever takes it up, now or after a crash, has the deadline that its caller gave.
            left_ms: Some(millis(run.deadline.since(taken))),
            ..record
        },
        call_key: run.call_key,
        owner: engine.owner.clone(),
        lease,
        key_lifetime: engine.settings.key_lifetime,
    });
    match claimed.await {
        Ok(Claim::Fresh(_)) if run.detached => Ok(Claimed::Run(Box::new(run))),
        Ok(Claim::Fresh(fence)) => {
            let ownership = Ownership::keep(engine, &run.tenant, &run.id, fence, taken, lease, &run.cancel);
            run.hold = Hold::with(ownership);
            Ok(Claimed::Run(Box::new(run)))
        }
        Ok(Claim::Stored(stored)) => Ok(Claimed::Outcome(outcome_of(*stored))),
        Ok(Claim::Joined { run: held, alive }) => {
            let wait = if alive {
                wait.unwrap_or_default()
            } else {
                Duration::ZERO
            };
            Ok(Claimed::Outcome(join(engine, *held, alive, wait).await))
        }
        Ok(Claim::Conflict(other)) => Err(refusals::key_reused(run.key.as_deref().unwrap_or_default(), other)),
        Err(error) => Err(not_accepted(&error)),
    }
}

fn not_accepted(error: &StoreError) -> Box<Failure> {
    refusals::store("the call could not be made durable, so nothing was run", error)
}

/// What a run that is over came to.
pub(crate) fn outcome_of(record: RunRecord) -> Result<Reply, Box<Failure>> {
    match (record.failure, record.output) {
        (None, Some(output)) => Ok(Reply {
            run: Some(record.id),
            state: State::Succeeded,
            output,
            stored: true,
            attempts: 0,
            in_doubt: record.in_doubt,
            replayed: None,
        }),
        (Some(failure), _) => {
            let mut failure = Failure::from(&failure);
            failure.message = format!(
                "{} (the stored outcome of {}; nothing was run)",
                failure.message, record.id
            );
            failure.run = Some(record.id);
            // What is over has no letter that could be replayed.
            failure.letter = None;
            failure.not_before = None;
            Err(Box::new(failure))
        }
        (None, None) => Err(refusals::internal(format!("{} is over and has no outcome", record.id))),
    }
}

/// What a run comes to that another host goes on with, within its deadline.
pub(crate) async fn outcome_elsewhere(engine: &Engine, run: &Run) -> Result<Reply, Box<Failure>> {
    match engine.ports.store.run(&run.tenant, &run.id).await {
        Ok(Some(record)) => join(engine, record, true, run.deadline.since(engine.ports.clock.tick())).await,
        Ok(None) => Err(refusals::no_run(run.id.as_str())),
        Err(error) => Err(refusals::store(
            "the run is another host's now, and cannot be read",
            &error,
        )),
    }
}

/// Waits for the run that has the key.
async fn join(engine: &Engine, mut held: RunRecord, alive: bool, wait: Duration) -> Result<Reply, Box<Failure>> {
    let until = engine.ports.clock.tick() + wait;
    loop {
        match State::from_name(&held.state) {
            Some(state) if state.is_over() => return outcome_of(held),
            Some(state) if state.has_letter() => return Err(refusals::key_in_letter(held)),
            _ => {}
        }
        let left = until.since(engine.ports.clock.tick());
        if left.is_zero() {
            return Err(refusals::key_in_use(&held, alive));
        }
        tokio::select! {
            () = engine.ports.clock.sleep(left.min(LOOK)) => {}
            () = engine.tasks.stopping().cancelled() => return Err(refusals::key_in_use(&held, alive)),
        }
        held = match engine.ports.store.run(&held.tenant, &held.id).await {
            Ok(Some(run)) => run,
            Ok(None) => return Err(refusals::key_in_use(&held, alive)),
            Err(error) => return Err(refusals::store("the run that has the key cannot be read", &error)),
        };
    }
}
