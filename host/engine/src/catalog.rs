//! Deployed tools in memory: each component loaded and each manifest lowered once, so that a hot call asks no store.

use crate::breakers::Cell;
use crate::engine::Engine;
use crate::meters::FunctionMeters;
use crate::ports::fleet::Topic;
use crate::ports::sandbox::Component;
use crate::ports::store::{Lane, StoreError};
use crate::records::ToolRecord;
use crate::refusals;
use crate::services::Service;
use arc_swap::ArcSwapOption;
use fusebox_core::failure::{Code, Failure};
use fusebox_core::ids::Digest;
use fusebox_core::policy::{BreakerPolicy, FunctionPolicy, Limits, Origin, ServiceKind, ToolPolicy};
use fusebox_core::time::Tick;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::Semaphore;

/// A tool's newest version is looked for at most so often.
const FRESH: Duration = Duration::from_millis(500);
/// A tool in use is looked up beside its calls; one that was idle for longer is looked up before it is called.
const STALE: Duration = Duration::from_secs(1);

/// One version of a tool, ready to be called.
pub(crate) struct Tool {
    pub(crate) record: ToolRecord,
    pub(crate) policy: Arc<ToolPolicy>,
    pub(crate) component: Arc<dyn Component>,
    pub(crate) functions: HashMap<String, Arc<Function>>,
    pub(crate) services: Arc<[Arc<Service>]>,
    /// Counts the faults of the tool itself, so that a broken tool opens nobody else's breaker.
    pub(crate) breaker: Arc<Cell>,
    pub(crate) bulkhead: Arc<Semaphore>,
    pub(crate) limits: Arc<Limits>,
    pub(crate) env: Arc<[(String, String)]>,
}

/// One exported function.
pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) policy: FunctionPolicy,
    pub(crate) meters: FunctionMeters,
    /// The service that its last run failed at: the one whose breaker is worth a look before the next.
    pub(crate) last_failed: ArcSwapOption<Service>,
}

impl Tool {
    /// A function of that name.
    pub(crate) fn function(&self, name: &str) -> Result<&Arc<Function>, Box<Failure>> {
        self.functions.get(name).ok_or_else(|| {
            let offered = self
                .component
                .shape()
                .functions
                .iter()
                .map(|function| function.name.as_str());
            refusals::no_function(&self.policy.name, name, offered)
        })
    }

    /// The service of that name.
    pub(crate) fn service(&self, name: &str) -> Option<&Arc<Service>> {
        self.services.iter().find(|service| &*service.name == name)
    }

    /// The service that is reached there; nothing else is.
    pub(crate) fn service_at(&self, origin: &Origin) -> Option<&Arc<Service>> {
        self.services
            .iter()
            .find(|service| service.policy.hosts.contains(origin))
    }

    /// Puts a version together; `services` come from the registry that fits its purpose.
    pub(crate) fn assemble(
        record: ToolRecord,
        policy: ToolPolicy,
        component: Arc<dyn Component>,
        services: Vec<Arc<Service>>,
        breaker: Arc<Cell>,
        bulkhead: Option<Arc<Semaphore>>,
    ) -> Self {
        let functions = component.shape().functions.iter().map(|shape| {
            let function = Function {
                name: shape.name.clone(),
                meters: FunctionMeters::new(&policy.name, &shape.name),
                policy: policy.function(&shape.name).clone(),
                last_failed: ArcSwapOption::empty(),
            };
            (shape.name.clone(), Arc::new(function))
        });
        Self {
            functions: functions.collect(),
            services: services.into(),
            breaker,
            bulkhead: bulkhead.unwrap_or_else(|| Arc::new(Semaphore::new(policy.limits.concurrency.max(1) as usize))),
            limits: Arc::new(policy.limits.clone()),
            env: policy.env.clone().into(),
            policy: Arc::new(policy),
            component,
            record,
        }
    }
}

/// The breaker of a tool itself: the default of a service, but its probes are attempts, which may last.
pub(crate) fn tool_breaker(policy: &ToolPolicy) -> BreakerPolicy {
    let functions = policy.functions.values().chain([&policy.default_function]);
    let attempt = functions.map(|function| function.timeout).max().unwrap_or_default();
    let effect = policy
        .services
        .iter()
        .map(|service| service.timeout)
        .max()
        .unwrap_or_default();
    let default = BreakerPolicy::of_kind(ServiceKind::Http);
    BreakerPolicy {
        probe_window: default.probe_window.max((attempt + effect) * 2),
        ..default
    }
}

/// The key of a tool's own breaker.
pub(crate) fn tool_key(tool: &str) -> String {
    format!("tool:{tool}")
}

/// What is known of one name.
#[derive(Default)]
struct Slot {
    tool: ArcSwapOption<Tool>,
    /// When the store was asked last.
    checked: AtomicU64,
    /// Held while the store is asked and the component is loaded, so that a herd loads it once.
    loading: tokio::sync::Mutex<()>,
}

impl Slot {
    fn age(&self, now: Tick) -> Duration {
        now.since(Tick(self.checked.load(Ordering::Acquire)))
    }

    /// Whether the caller is the one who looks it up now.
    fn take_turn(&self, now: Tick) -> bool {
        let seen = self.checked.load(Ordering::Acquire);
        now.since(Tick(seen)) >= FRESH
            && self
                .checked
                .compare_exchange(seen, now.0, Ordering::AcqRel, Ordering::Acquire)
                .is_ok()
    }
}

/// Watches for what other hosts deploy until the host takes no more calls, so that calls need not wait for a look at the store.
pub(crate) async fn work(engine: Arc<Engine>) {
    let mut told = engine.ports.fleet.told(Topic::Tools);
    loop {
        tokio::select! {
            Ok(()) = told.changed() => engine.catalog.distrust(),
            () = engine.tasks.draining().cancelled() => return,
        }
    }
}

/// What is known of the tools of one tenant, by name.
type Slots = HashMap<String, Arc<Slot>>;

/// Loaded tools by tenant and name.
#[derive(Default)]
pub(crate) struct Catalog {
    slots: RwLock<HashMap<Arc<str>, Slots>>,
}

impl Catalog {
    /// The version of a tool that calls get now: the newest one of a second ago at least, unless the store is slow or the newest one is
    /// still being compiled here.
    pub(crate) async fn get(
        &self,
        engine: &Arc<Engine>,
        tenant: &Arc<str>,
        name: &str,
    ) -> Result<Arc<Tool>, Box<Failure>> {
        let slot = self.slot(tenant, name);
        let now = engine.ports.clock.tick();
        if let Some(tool) = slot.as_ref().and_then(|slot| slot.tool.load_full())
            && let Some(slot) = &slot
        {
            let age = slot.age(now);
            if age < FRESH {
                return enabled(tool);
            }
            if age < STALE {
                if slot.take_turn(now) {
                    let (engine, tenant, name) = (Arc::clone(engine), Arc::clone(tenant), name.to_owned());
                    tokio::spawn(async move {
                        if let Err(failure) = engine.catalog.refresh(&engine, &tenant, &name).await {
                            tracing::debug!(tool = name, %failure, "the tool was looked up again");
                        }
                    });
                }
                return enabled(tool);
            }
        }
        enabled(Box::pin(self.refresh(engine, tenant, name)).await?)
    }

    /// Asks the store for the newest version and loads it if it is another one.
    pub(crate) async fn refresh(
        &self,
        engine: &Engine,
        tenant: &Arc<str>,
        name: &str,
    ) -> Result<Arc<Tool>, Box<Failure>> {
        let slot = self.slot_or_new(tenant, name);
        let asked = engine.ports.clock.tick();
        let _turn = slot.loading.lock().await;
        let known = slot.tool.load_full();
        if let Some(known) = &known
            && Tick(slot.checked.load(Ordering::Acquire)) > asked
        {
            return Ok(Arc::clone(known));
        }
        let record = match engine.ports.store.tool(tenant, name).await {
            Ok(Some(record)) => record,
            Ok(None) => {
                self.forget(tenant, name);
                return Err(refusals::no_tool(name));
            }
            Err(error) => {
                return match known {
                    Some(known) => {
                        tracing::warn!(tool = name, %error, "the newest version cannot be looked up; the one in memory serves on");
                        slot.checked.store(engine.ports.clock.tick().0, Ordering::Release);
                        Ok(known)
                    }
                    None => {
                        self.forget(tenant, name);
                        Err(refusals::store("the tool cannot be looked up", &error))
                    }
                };
            }
        };
        let tool = match known {
            Some(known) if known.record == record => known,
            known => {
                let enabled = record.enabled;
                match load_current(engine, tenant, record, known.as_deref()).await {
                    Ok(tool) => Arc::new(tool),
                    Err(failure) => match known.filter(|_| enabled && failure.code == Code::StoreUnavailable) {
                        Some(known) => {
                            tracing::warn!(tool = name, %failure, "the newest version cannot be loaded; the one in memory serves on");
                            known
                        }
                        None => {
                            self.forget(tenant, name);
                            return Err(failure);
                        }
                    },
                }
            }
        };
        slot.tool.store(Some(Arc::clone(&tool)));
        slot.checked.store(engine.ports.clock.tick().0, Ordering::Release);
        Ok(tool)
    }

    /// The version that a run is pinned to.
    pub(crate) async fn pinned(
        &self,
        engine: &Arc<Engine>,
        tenant: &Arc<str>,
        name: &str,
        number: i64,
        component: Digest,
    ) -> Result<Arc<Tool>, Box<Failure>> {
        let today = self.get(engine, tenant, name).await?;
        if today.record.number == number && today.record.component == component {
            return Ok(today);
        }
        let version = engine.ports.store.tool_version(tenant, name, number).await;
        let record = version
            .map_err(|error| refusals::store("the run's version of its tool cannot be read", &error))?
            .filter(|record| record.component == component)
            .ok_or_else(|| refusals::no_version(name, number))?;
        let policy = lower(engine, &record)?;
        let component = load(engine, &record).await?;
        let stored = engine.breakers.stored(tenant).await;
        let pinned = |service| engine.services.pinned(&engine.breakers, &stored, tenant, name, service);
        let services = policy.services.iter().map(pinned).collect();
        let (breaker, bulkhead) = (Arc::clone(&today.breaker), Some(Arc::clone(&today.bulkhead)));
        Ok(Arc::new(Tool::assemble(
            record, policy, component, services, breaker, bulkhead,
        )))
    }

    /// A version of a tool with another component: the newest one if it has it, else the pinned one's manifest over it.
    pub(crate) async fn with_component(
        &self,
        engine: &Arc<Engine>,
        tenant: &Arc<str>,
        name: &str,
        component: Digest,
        pinned: Option<Arc<Tool>>,
    ) -> Result<Arc<Tool>, Box<Failure>> {
        let today = self.get(engine, tenant, name).await?;
        if today.record.component == component {
            return Ok(today);
        }
        let base = pinned.unwrap_or(today);
        let stored = engine.ports.store.component(tenant, component).await;
        if stored
            .map_err(|error| refusals::store("the component cannot be read", &error))?
            .is_none()
        {
            return Err(refusals::no_component(name, component));
        }
        let record = ToolRecord {
            component,
            ..base.record.clone()
        };
        let (policy, loaded) = (lower(engine, &record)?, load(engine, &record).await?);
        Ok(Arc::new(Tool::assemble(
            record,
            policy,
            loaded,
            base.services.to_vec(),
            Arc::clone(&base.breaker),
            Some(Arc::clone(&base.bulkhead)),
        )))
    }

    /// Looks the tool up anew at its next call.
    pub(crate) fn forget(&self, tenant: &Arc<str>, name: &str) {
        let mut slots = self.slots.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(tools) = slots.get_mut(tenant) {
            tools.remove(name);
            if tools.is_empty() {
                slots.remove(tenant);
            }
        }
    }

    /// Tools of which this host has as many attempts as it may.
    pub(crate) fn busy(&self) -> Vec<Lane> {
        let slots = self.slots.read().unwrap_or_else(PoisonError::into_inner);
        let tools = slots
            .iter()
            .flat_map(|(tenant, tools)| tools.iter().map(move |(name, slot)| (tenant, name, slot)));
        let full = |slot: &Slot| {
            let tool = slot.tool.load();
            tool.as_ref().is_some_and(|tool| tool.bulkhead.available_permits() == 0)
        };
        let busy = tools.filter(|(_, _, slot)| full(slot)).map(|(tenant, name, _)| Lane {
            tenant: tenant.to_string(),
            tool: name.clone(),
        });
        busy.collect()
    }

    /// Looks every tool up anew before its next call.
    fn distrust(&self) {
        let slots = self.slots.read().unwrap_or_else(PoisonError::into_inner);
        for slot in slots.values().flat_map(HashMap::values) {
            slot.checked.store(0, Ordering::Release);
        }
    }

    fn slot(&self, tenant: &Arc<str>, name: &str) -> Option<Arc<Slot>> {
        let slots = self.slots.read().unwrap_or_else(PoisonError::into_inner);
        slots.get(tenant)?.get(name).cloned()
    }

    fn slot_or_new(&self, tenant: &Arc<str>, name: &str) -> Arc<Slot> {
        let mut slots = self.slots.write().unwrap_or_else(PoisonError::into_inner);
        let tools = slots.entry(Arc::clone(tenant)).or_default();
        Arc::clone(tools.entry(name.to_owned()).or_default())
    }
}

fn enabled(tool: Arc<Tool>) -> Result<Arc<Tool>, Box<Failure>> {
    if tool.record.enabled {
        Ok(tool)
    } else {
        Err(refusals::disabled(&tool.policy.name))
    }
}

/// A newest version, with services that take its policy at once.
async fn load_current(
    engine: &Engine,
    tenant: &Arc<str>,
    record: ToolRecord,
    known: Option<&Tool>,
) -> Result<Tool, Box<Failure>> {
    let policy = lower(engine, &record)?;
    let component = match known.filter(|known| known.record.component == record.component) {
        Some(known) => Arc::clone(&known.component),
        None => load(engine, &record).await?,
    };
    let stored = engine.breakers.stored(tenant).await;
    let current = |service| {
        engine
            .services
            .current(&engine.breakers, &stored, tenant, &record.name, service)
    };
    let services = policy.services.iter().map(current).collect();
    let breaker = engine
        .breakers
        .configured(tenant, &tool_key(&record.name), &tool_breaker(&policy), &stored);
    engine
        .ports
        .authorizer
        .learn(tenant, &record.name, &component.shape().functions);
    let bulkhead = known
        .filter(|known| known.policy.limits.concurrency == policy.limits.concurrency)
        .map(|known| Arc::clone(&known.bulkhead));
    Ok(Tool::assemble(record, policy, component, services, breaker, bulkhead))
}

fn lower(engine: &Engine, record: &ToolRecord) -> Result<ToolPolicy, Box<Failure>> {
    let lowered = engine.ports.policies.lower(&record.name, &record.manifest);
    lowered.map_err(|findings| refusals::not_admitted(&record.name, &findings))
}

/// The compiled component: from the cache, else compiled again from the stored bytes.
async fn load(engine: &Engine, record: &ToolRecord) -> Result<Arc<dyn Component>, Box<Failure>> {
    if let Some(component) = engine.ports.sandbox.cached(record.component).await {
        return Ok(component);
    }
    let store = &engine.ports.store;
    let unreadable = |error: StoreError| refusals::store("the component cannot be read", &error);
    let stored = store.component(&record.tenant, record.component).await;
    let Some(wasm) = stored.map_err(unreadable)? else {
        // A tool that was removed since its record was read takes its components with it.
        let version = store.tool_version(&record.tenant, &record.name, record.number).await;
        return Err(match version.map_err(unreadable)? {
            None => refusals::no_tool(&record.name),
            Some(_) => refusals::internal(format!(
                "the store has lost {} of `{}`; deploy it anew",
                record.component, record.name
            )),
        });
    };
    let compiled = engine.ports.sandbox.compile(record.component, wasm).await;
    compiled.map_err(|error| refusals::internal(format!("`{}` cannot be loaded: {error}", record.name)))
}
