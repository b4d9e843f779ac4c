//! The component called through the boundary: a whole host, with everything between a call and its answer.

use crate::component::{self, ARGUMENTS, ECHO};
use crate::timing;
use anyhow::{Result, anyhow};
use fusebox_core::failure::Failure;
use fusebox_core::policy::{Durability, FunctionPolicy, Idempotency, Limits, Origin, ToolPolicy};
use fusebox_engine::guests::GuestRuntime;
use fusebox_engine::host::{Host, Ports, Settings};
use fusebox_engine::ports::authorizer::AllowAll;
use fusebox_engine::ports::clock::SystemClock;
use fusebox_engine::ports::entropy::OsEntropy;
use fusebox_engine::ports::fleet::Alone;
use fusebox_engine::ports::policies::PolicySource;
use fusebox_engine::ports::secrets::{SecretError, Secrets};
use fusebox_engine::ports::store::Store;
use fusebox_engine::ports::tracer::NoTracer;
use fusebox_engine::ports::transport::{ExchangeError, Incoming, Outgoing, Transport};
use fusebox_engine::requests::{Call, Caller, Deploy, Reply};
use fusebox_sandbox::{CompileCommand, SandboxSettings, WasmSandbox};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime;

/// Calls at once that pool and policy have room for.
pub const ROOM: u32 = 256;
/// The name that the component is deployed under.
const TOOL: &str = "tool";

/// A host with one tool.
pub struct Boundary {
    /// The host.
    pub host: Arc<Host>,
    /// Who calls it.
    pub caller: Caller,
}

impl Boundary {
    /// Starts a host on the runtime of the caller and deploys the component that echoes; `folder` is for compiled code.
    ///
    /// # Errors
    /// The failure of the part that could not be started.
    pub async fn start(
        folder: &Path,
        store: Arc<dyn Store>,
        guests: GuestRuntime,
        durability: Durability,
    ) -> Result<Self> {
        Self::start_with(folder, store, guests, durability, component::wasm()?).await
    }

    /// The same, with another component.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn start_with(
        folder: &Path,
        store: Arc<dyn Store>,
        guests: GuestRuntime,
        durability: Durability,
        wasm: Vec<u8>,
    ) -> Result<Self> {
        let policy = policy(durability);
        let sandbox = sandbox(folder)?;
        let ports = Ports {
            store,
            sandbox,
            fleet: Arc::new(Alone::default()),
            authorizer: Arc::new(AllowAll),
            clock: Arc::new(SystemClock::new()),
            entropy: Arc::new(OsEntropy),
            secrets: Arc::new(Nothing),
            transport: Arc::new(Nothing),
            tracer: Arc::new(NoTracer),
            policies: Arc::new(Always(policy.clone())),
            guests,
        };
        let host = Host::start(ports, Settings::default()).await.map_err(failed)?;
        let caller = Caller::local();
        let deploy = Deploy {
            wasm: wasm.into(),
            manifest: String::new(),
            source: "a benchmark".to_owned(),
            policy,
            links: Vec::new(),
        };
        host.deploy(&caller, deploy).await.map_err(failed)?;
        Ok(Self { host, caller })
    }

    /// Calls the function that returns its record.
    ///
    /// # Errors
    /// The failure of the call.
    pub async fn call(&self) -> Result<Reply> {
        self.call_function(ECHO, ARGUMENTS).await.map_err(failed)
    }

    /// Calls a function of the component.
    ///
    /// # Errors
    /// The failure of the call.
    pub async fn call_function(&self, function: &str, input: &str) -> Result<Reply, Box<Failure>> {
        let call = Call {
            tool: TOOL.to_owned(),
            function: function.to_owned(),
            input: input.to_owned(),
            key: None,
            wait: None,
            deadline: None,
            detach: false,
        };
        self.host.call(&self.caller, call).await
    }

    /// How long it takes so many callers at once to call so many times each.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub fn call_at_once(self: &Arc<Self>, runtime: &Runtime, callers: usize, times: u64) -> Result<Duration> {
        let boundary = Arc::clone(self);
        let call = move || {
            let boundary = Arc::clone(&boundary);
            async move { boundary.call().await.map(drop) }
        };
        timing::at_once(runtime, callers, times, call)
    }
}

pub(crate) fn failed(failure: Box<Failure>) -> anyhow::Error {
    anyhow!("{failure}")
}

/// The sandbox that compiles in this process.
pub(crate) fn sandbox(folder: &Path) -> Result<Arc<WasmSandbox>> {
    Ok(WasmSandbox::open_trusting(SandboxSettings {
        cache: folder.join("cache"),
        compiler: CompileCommand {
            program: folder.to_owned(),
            args: Vec::new(),
        },
        compile_memory: 2 << 30,
        compile_time: Duration::from_secs(60),
        pool: ROOM,
    })?)
}

/// One attempt, and nothing to reach.
fn policy(durability: Durability) -> ToolPolicy {
    ToolPolicy {
        name: TOOL.to_owned(),
        version: "1".to_owned(),
        description: None,
        functions: BTreeMap::new(),
        default_function: FunctionPolicy {
            idempotency: Idempotency::Readonly,
            durability,
            ..FunctionPolicy::default()
        },
        services: Vec::new(),
        limits: Limits {
            concurrency: ROOM,
            ..Limits::default()
        },
        env: Vec::new(),
        ..ToolPolicy::default()
    }
}

/// One policy for every manifest.
struct Always(ToolPolicy);

impl PolicySource for Always {
    fn lower(&self, _tool: &str, _manifest: &str) -> Result<ToolPolicy, String> {
        Ok(self.0.clone())
    }
}

/// The outside of a component that never looks there.
struct Nothing;

impl Secrets for Nothing {
    fn reveal(&self, name: &str, origin: &Origin) -> Result<String, SecretError> {
        Err(SecretError::Missing {
            name: name.to_owned(),
            host: origin.host.clone(),
        })
    }
}

#[async_trait::async_trait]
impl Transport for Nothing {
    async fn exchange(&self, request: Outgoing) -> Result<Incoming, ExchangeError> {
        Err(ExchangeError::Denied {
            reason: format!("{} is not reached by benchmarks", request.origin.host),
        })
    }
}
