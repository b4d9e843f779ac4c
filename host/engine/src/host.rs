//! The one facade that faces see.

mod audit;
mod debug;
mod going_on;
mod inspect;
mod keys;
mod outlook;
mod rules;
mod stats;

use crate::audit::{Deed, Entry, around};
use crate::authorize;
use crate::breakers::Breakers;
use crate::call;
use crate::catalog::Catalog;
use crate::engine::Engine;
use crate::following::Following;
use crate::ports::fleet::Topic;

use crate::hanging_up::{self, Waiting};
use crate::history::History;
use crate::meters::HostMeters;
use crate::permission::Action;
use crate::records::LinkRecord;
use crate::refusals;
use crate::replay::{self, Asked};
use crate::requests::{Begin, Call, Caller, Deploy, Deployed, Replay, Replayed, Reply, Trial, Tried};
use crate::room::Pool;
use crate::services::Services;
use crate::spans;
use crate::tasks::Tasks;
use crate::trial;
use bytes::Bytes;
use fusebox_core::component::Link;
use fusebox_core::failure::{Class, Code, Failure};
use fusebox_core::ids::{Digest, OwnerId, RunId};
use serde_json::json;
use std::future::Future;
use std::sync::Arc;
use tokio::runtime::Handle;
use tracing::Instrument as _;

pub use crate::engine::{Alerts, Ports, Settings, Webhook};
pub use crate::offer::Offer;
use crate::ports::sandbox::{Component, LoadError};
use crate::ports::store::StoreError;
pub use inspect::ToolView;
pub use keys::NewKey;
pub use outlook::{Back, Outlook};

/// A host: everything that a face can ask of Fusebox.
pub struct Host {
    engine: Arc<Engine>,
}

impl Host {
    /// Starts a host on the runtime of the caller.
    ///
    /// # Errors
    /// That the store cannot be reached.
    pub async fn start(ports: Ports, settings: Settings) -> Result<Arc<Self>, Box<Failure>> {
        let owner = OwnerId::new(ports.clock.wall(), ports.entropy.id());
        let (store, clock) = (Arc::clone(&ports.store), Arc::clone(&ports.clock));
        let breakers = Breakers::start(
            Arc::clone(&store),
            Arc::clone(&ports.fleet),
            Arc::clone(&clock),
            Arc::clone(&ports.entropy),
        );
        let services = Services::new(&*ports.fleet, &clock, &owner);
        let engine = Arc::new(Engine {
            owner,
            io: Handle::current(),
            history: History::start(Arc::clone(&store), clock),
            catalog: Catalog::default(),
            services,
            breakers,
            tasks: Tasks::new(settings.max_calls),
            pool: Pool::new(settings.instances),
            meters: HostMeters::new(),
            ports,
            settings,
        });
        Ok(Arc::new(Self { engine }))
    }

    /// Calls a function. The call is a task of its own: a caller that hangs up cancels nothing.
    ///
    /// # Errors
    /// The failure of the call; its code says what to do.
    pub async fn call(&self, caller: &Caller, call: Call) -> Result<Reply, Box<Failure>> {
        self.carry_out_call(caller, call, None).await
    }

    /// Calls a function under the eyes of its caller, who sees the end of it in `following` too.
    ///
    /// # Errors
    /// The failure of the call; its code says what to do.
    pub async fn follow(&self, caller: &Caller, call: Call, following: &Following) -> Result<Reply, Box<Failure>> {
        let outcome = self.carry_out_call(caller, call, Some(following.clone())).await;
        following.ended(&outcome);
        outcome
    }

    /// The caller does not wait for that call any longer. It goes on, and one that equals it may join it.
    pub fn leave(&self, caller: &Caller, following: &Following) {
        following.leave();
        let run = following.seen().borrow().run.clone();
        if let Some(run) = run {
            hanging_up::note(&self.engine, Arc::clone(&caller.tenant), run);
        }
    }

    /// Somebody has fetched the outcome of a run whose caller had left.
    ///
    /// # Errors
    /// That the caller has no such run, or those of the store.
    pub async fn fetched(&self, caller: &Caller, run: &RunId) -> Result<(), Box<Failure>> {
        if caller.sees_runs_of()?.is_some() {
            self.run(caller, run).await?;
        }
        let noted = self.engine.ports.store.lose_caller(&caller.tenant, run, false).await;
        noted.map_err(|error| refusals::store("it could not be noted that the outcome was fetched", &error))
    }

    async fn carry_out_call(
        &self,
        caller: &Caller,
        call: Call,
        following: Option<Following>,
    ) -> Result<Reply, Box<Failure>> {
        caller.may(Action::Call)?;
        let (span, trace) = spans::call(&self.engine, &call.tool, &call.function, caller.trace.clone());
        let caller = Caller {
            trace,
            ..caller.clone()
        };
        let engine = Arc::clone(&self.engine);
        self.carry_out(Box::pin(call::call(engine, caller, call, following).instrument(span)))
            .await
    }

    /// Replays a letter: goes on at its resume point, or begins where it is told to.
    ///
    /// # Errors
    /// Why the letter is not replayed, or the failure of the replay.
    pub async fn replay(&self, caller: &Caller, replay: Replay) -> Result<Replayed, Box<Failure>> {
        caller.may(Action::ManageLetters)?;
        if matches!(replay.from, Begin::Input(_)) {
            // That is a call of one's own.
            caller.may(Action::Call)?;
        }
        let (engine, caller) = (Arc::clone(&self.engine), caller.clone());
        let replayed = async move {
            if replay.dry_run {
                return replay::replay(engine, caller, replay, Asked::ByPerson).await;
            }
            let entry = Entry::begun(Deed::Replay, &replay.letter, json!({ "from": replay.from.name() }));
            around(&engine, &caller, entry, |engine, caller| {
                Box::pin(replay::replay(engine, caller, replay, Asked::ByPerson))
            })
            .await
        };
        self.carry_out(Box::pin(replayed)).await
    }

    /// Tries a component: one attempt, no store, no retry.
    ///
    /// # Errors
    /// That the component cannot be loaded, has no such function, or takes no such input.
    pub async fn try_component(&self, caller: &Caller, trial: Trial) -> Result<Tried, Box<Failure>> {
        caller.may(Action::Deploy)?;
        let (engine, caller) = (Arc::clone(&self.engine), caller.clone());
        self.carry_out(Box::pin(trial::run(engine, caller, trial))).await
    }

    /// A place among the calls in flight, and a task that holds it to the end. A panic in there releases everything and becomes `internal`.
    async fn carry_out<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, Box<Failure>>> + Send + 'static,
    ) -> Result<T, Box<Failure>> {
        let place = self.engine.tasks.admit().map_err(|full| {
            let failure = refusals::full(full);
            self.engine.meters.refused(failure.code);
            failure
        })?;
        let carried_out = async move {
            let _place = place;
            work.await
        };
        // Not on the runtime of the face, which its clients keep busy.
        let task = self.engine.tasks.tracker().spawn_on(carried_out, &self.engine.io);
        let waiting = Waiting::for_call(&self.engine, task.id());
        let ended = task.await;
        waiting.over();
        ended.unwrap_or_else(|error| {
            tracing::error!(%error, "a call's task ended before the call did");
            Err(refusals::internal(
                "the call was lost by a defect of Fusebox; the log has its place",
            ))
        })
    }

    /// Compiles a component, and registers nothing. It asks for no role: a face that lets others compile asks for
    /// [`Action::Deploy`] first.
    ///
    /// # Errors
    /// Why it cannot be loaded.
    pub async fn inspect(&self, wasm: Bytes) -> Result<(Digest, Arc<dyn Component>), LoadError> {
        self.engine.inspect(wasm).await
    }

    /// The bytes of a deployed component.
    ///
    /// # Errors
    /// That there is none of that digest, or those of the store.
    pub async fn component(&self, caller: &Caller, digest: Digest) -> Result<Bytes, Box<Failure>> {
        caller.may(Action::SeeTools)?;
        let found = self.engine.ports.store.component(&caller.tenant, digest).await;
        let found = found.map_err(|error| refusals::store("the component cannot be read", &error))?;
        found.ok_or_else(|| {
            let message = format!("no component {digest} is deployed");
            Box::new(Failure::new(Code::NotFound, Class::Caller, message))
        })
    }

    /// Registers a version of a tool. An equal newest version is left as it is.
    ///
    /// # Errors
    /// That the component cannot be loaded, or the store failed; nothing is registered then.
    pub async fn deploy(&self, caller: &Caller, deploy: Deploy) -> Result<Deployed, Box<Failure>> {
        caller.may(Action::Deploy)?;
        authorize::deploy(&self.engine, caller, &deploy.policy.name).await?;
        let (digest, component) = self
            .inspect(deploy.wasm.clone())
            .await
            .map_err(|error| Box::new(Failure::new(Code::BadInput, Class::Caller, error.to_string())))?;
        let links = self.pinned(caller, &deploy.links).await?;
        let tool = crate::records::ToolRecord {
            links,
            tenant: caller.tenant.to_string(),
            name: deploy.policy.name.clone(),
            number: 0,
            version: deploy.policy.version.clone(),
            component: digest,
            manifest: deploy.manifest,
            source: deploy.source,
            deployed: self.engine.ports.clock.wall().0,
            enabled: true,
        };
        let detail = json!({ "version": tool.version, "component": digest.to_string() });
        let entry = Entry::begun(Deed::Deploy, &tool.name, detail);
        let stored = async move |engine: Arc<Engine>, _| {
            let stored = engine.ports.store.deploy(tool, deploy.wasm).await;
            let stored = stored.map_err(|error| refusals::store("the tool could not be deployed", &error))?;
            engine.ports.fleet.tell(Topic::Tools);
            Ok(stored)
        };
        let (tool, new) = around(&self.engine, caller, entry, stored).await?;
        self.engine.catalog.forget(&caller.tenant, &tool.name);
        Ok(Deployed {
            tool,
            new,
            shape: component.shape().clone(),
            facts: component.facts().clone(),
        })
    }

    /// The versions of other tools that a new version is pinned to.
    async fn pinned(&self, caller: &Caller, links: &[Link]) -> Result<Vec<LinkRecord>, Box<Failure>> {
        let mut pinned = Vec::with_capacity(links.len());
        for link in links {
            let tool = self.engine.ports.store.tool(&caller.tenant, &link.tool).await;
            let tool = tool
                .map_err(|error| refusals::store("the tools that it calls cannot be looked up", &error))?
                .ok_or_else(|| refusals::no_tool(&link.tool))?;
            pinned.push(LinkRecord {
                interface: link.interface.clone(),
                tool: link.tool.clone(),
                exported: link.exported.clone(),
                version: tool.number,
                component: tool.component,
            });
        }
        Ok(pinned)
    }

    /// Cancels a run, wherever it is. Effects in flight are waited for; a host that holds it hears of it with its next heartbeat.
    ///
    /// # Errors
    /// That there is none, that it is over, or those of the store.
    pub async fn cancel(&self, caller: &Caller, run: &RunId) -> Result<(), Box<Failure>> {
        let own = if caller.can(Action::ManageRuns) {
            None
        } else {
            caller.may(Action::SeeOwnRuns)?;
            Some(&*caller.principal)
        };
        if self.engine.tasks.cancel(&caller.tenant, own, run) {
            return Ok(());
        }
        if own.is_some() {
            // Others' are as if they were not there.
            self.run(caller, run).await?;
        }
        match self.engine.ports.store.cancel(&caller.tenant, run).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(refusals::over(run.as_str())),
            Err(StoreError::Refused { what }) => Err(Box::new(Failure::new(Code::BadInput, Class::Caller, what))),
            Err(error) => Err(refusals::store("the run could not be cancelled", &error)),
        }
    }

    /// Brings the gauges of what is in memory up to date, for whoever reads them next.
    pub fn show_gauges(&self) {
        self.engine.meters.gauges.show(&self.engine);
    }

    /// Takes no more calls and cancels those in flight. Effects in flight are waited for by [`Self::drain`].
    pub fn stop(&self) {
        self.engine.tasks.close();
        self.engine.tasks.drain();
        self.engine.tasks.stopping().cancel();
    }

    /// Takes no more calls, waits for those in flight, cancels what is left after `Settings::drain`, and writes what is not written yet.
    pub async fn drain(&self) {
        let tasks = &self.engine.tasks;
        tasks.close();
        tasks.drain();
        tokio::select! {
            () = tasks.tracker().wait() => {}
            () = self.engine.ports.clock.sleep(self.engine.settings.drain) => {
                tracing::warn!(calls = tasks.tracker().len(), "calls are still in flight after the drain time; they are cancelled");
                tasks.stopping().cancel();
                tasks.tracker().wait().await;
            }
        }
        self.engine.history.flush().await;
        self.engine.breakers.flush().await;
        self.engine.services.leave().await;
        self.engine.ports.fleet.flush().await;
    }
}
