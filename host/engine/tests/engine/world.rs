//! A host whose outside is scripted.

use crate::guest::{Ended, Guest, ask};
use fusebox_core::failure::Failure;
use fusebox_core::policy::{
    BackoffPolicy, BudgetPolicy, Durability, FunctionPolicy, Idempotency, IdempotencyHeader, Jitter, Origin,
    ServiceKind, ServicePolicy, ToolPolicy,
};
use fusebox_engine::guests::GuestRuntime;
use fusebox_engine::host::{Host, Ports, Settings};
use fusebox_engine::memory_store::MemoryStore;
use fusebox_engine::ports::authorizer::AllowAll;
use fusebox_engine::ports::clock::Clock as _;
use fusebox_engine::ports::fleet::Alone;
use fusebox_engine::ports::sandbox::{Ask, AttemptEnd, AttemptSpec, EffectError, Effects, Got, GuestRequest, Stopped};
use fusebox_engine::ports::store::{RunFilter, Store};
use fusebox_engine::ports::tracer::NoTracer;
use fusebox_engine::ports::transport::{ExchangeError, Incoming, Outgoing};
use fusebox_engine::records::{LetterRecord, RunRecord};
use fusebox_engine::requests::{Begin, Call, Caller, Deploy, DryRun, Replay, Replayed, Reply};
use fusebox_engine::testing::fake_clock::FakeClock;
use fusebox_engine::testing::fixed_ports::{FixedPolicies, FixedSecrets, SeededEntropy};
use fusebox_engine::testing::scripted_sandbox::ScriptedSandbox;
use fusebox_engine::testing::scripted_transport::ScriptedTransport;
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::task::JoinHandle;

pub(crate) type Called = Result<Reply, Box<Failure>>;

pub(crate) struct World {
    pub(crate) host: Arc<Host>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<FakeClock>,
    pub(crate) sandbox: Arc<ScriptedSandbox>,
    pub(crate) transport: Arc<ScriptedTransport>,
    pub(crate) policies: Arc<FixedPolicies>,
    pub(crate) settings: Settings,
}

impl World {
    /// A host on a fresh store, before an upstream that answers by the number of the request.
    pub(crate) async fn answering<F>(answer: F) -> Self
    where
        F: Fn(u32, &Outgoing) -> Result<Incoming, ExchangeError> + Send + Sync + 'static,
    {
        Self::with(ScriptedTransport::answering(answer)).await
    }

    /// A host before an upstream that answers by what is asked (`POST bank /x`) and how often that was asked by now.
    pub(crate) async fn upstream<F>(answer: F) -> Self
    where
        F: Fn(&str, u32) -> Result<Incoming, ExchangeError> + Send + Sync + 'static,
    {
        Self::with(by_line(answer)).await
    }

    /// The same, with leases that end soon: hosts die in numbers.
    pub(crate) async fn hasty<F>(answer: F) -> Self
    where
        F: Fn(&str, u32) -> Result<Incoming, ExchangeError> + Send + Sync + 'static,
    {
        let clock = Arc::new(FakeClock::new());
        let store = Arc::new(MemoryStore::with_clock(Arc::clone(&clock) as _));
        let settings = Settings {
            lease: Duration::from_secs(6),
            recovery_poll: Duration::from_secs(2),
            ..Settings::default()
        };
        Self::on(store, clock, by_line(answer), settings).await
    }

    pub(crate) async fn with(transport: ScriptedTransport) -> Self {
        let clock = Arc::new(FakeClock::new());
        let store = Arc::new(MemoryStore::with_clock(Arc::clone(&clock) as _));
        Self::on(store, clock, transport, Settings::default()).await
    }

    pub(crate) async fn on(
        store: Arc<dyn Store>,
        clock: Arc<FakeClock>,
        transport: ScriptedTransport,
        settings: Settings,
    ) -> Self {
        let (sandbox, policies) = (Arc::new(ScriptedSandbox::default()), Arc::new(FixedPolicies::default()));
        let transport = Arc::new(transport);
        let world = |host| Self {
            host,
            store: Arc::clone(&store),
            clock: Arc::clone(&clock),
            sandbox: Arc::clone(&sandbox),
            transport: Arc::clone(&transport),
            policies: Arc::clone(&policies),
            settings: settings.clone(),
        };
        let ports = ports(&store, &clock, &sandbox, &policies, &transport, 1);
        world(Host::start(ports, settings.clone()).await.unwrap())
    }

    /// Another host of the same database, before the same upstream, on `store`.
    pub(crate) async fn another(&self, store: Arc<dyn Store>, seed: u64) -> Self {
        let ports = ports(
            &store,
            &self.clock,
            &self.sandbox,
            &self.policies,
            &self.transport,
            seed,
        );
        Self {
            host: Host::start(ports, self.settings.clone()).await.unwrap(),
            store,
            clock: Arc::clone(&self.clock),
            sandbox: Arc::clone(&self.sandbox),
            transport: Arc::clone(&self.transport),
            policies: Arc::clone(&self.policies),
            settings: self.settings.clone(),
        }
    }

    /// Deploys a tool of that name whose function `run` is the script.
    pub(crate) async fn deploy<F, A>(&self, policy: ToolPolicy, script: F)
    where
        F: Fn(u32, AttemptSpec) -> A + Send + Sync + 'static,
        A: Future<Output = AttemptEnd> + Send + 'static,
    {
        let name = policy.name.clone();
        self.sandbox
            .script(&name, move |number, spec| Box::pin(script(number, spec)));
        self.policies.set(&name, policy.clone());
        let deploy = Deploy {
            wasm: name.clone().into(),
            manifest: name,
            source: "test".to_owned(),
            policy,
            links: Vec::new(),
        };
        self.host.deploy(&Caller::local(), deploy).await.unwrap();
    }

    /// Deploys a tool whose function `run` is a guest that asks for effects one by one or several at once.
    pub(crate) async fn guest<F, A>(&self, policy: ToolPolicy, script: F)
    where
        F: Fn(Guest) -> A + Send + Sync + 'static,
        A: Future<Output = Ended> + Send + 'static,
    {
        let script = move |number, spec| {
            let ended = script(Guest::new(number, spec));
            async move { ended.await.unwrap_or(AttemptEnd::Stopped) }
        };
        self.deploy(policy, script).await;
    }

    pub(crate) async fn call(&self, tool: &str) -> Called {
        self.host.call(&Caller::local(), call(tool)).await
    }

    pub(crate) async fn keyed(&self, tool: &str, key: &str, input: &str) -> Called {
        self.host.call(&Caller::local(), keyed(tool, key, input)).await
    }

    /// The one letter that is open.
    pub(crate) async fn letter(&self) -> LetterRecord {
        let letters = self.host.letters(&Caller::local(), &Default::default()).await.unwrap();
        assert_eq!(letters.len(), 1, "{letters:#?}");
        letters.into_iter().next().unwrap()
    }

    /// Replays a letter from its start.
    pub(crate) async fn replay(&self, letter: &LetterRecord) -> Called {
        let from_start = Replay {
            from: Begin::Start,
            ..replay_of(letter)
        };
        self.replayed(from_start).await
    }

    /// Replays a letter from its resume point.
    pub(crate) async fn go_on(&self, letter: &LetterRecord) -> Called {
        self.replayed(replay_of(letter)).await
    }

    pub(crate) async fn replayed(&self, replay: Replay) -> Called {
        match self.host.replay(&Caller::local(), replay).await? {
            Replayed::Done(reply) => Ok(reply),
            Replayed::Dry(dry) => panic!("nothing was performed: {dry:?}"),
        }
    }

    /// What of a letter's journal would be served, and what would be next.
    pub(crate) async fn dry(&self, replay: Replay) -> Result<DryRun, Box<Failure>> {
        let dry_run = Replay {
            dry_run: true,
            ..replay
        };
        match self.host.replay(&Caller::local(), dry_run).await? {
            Replayed::Dry(dry) => Ok(dry),
            Replayed::Done(reply) => panic!("something was performed: {reply:?}"),
        }
    }

    /// Calls, and does not wait: the host may die meanwhile.
    pub(crate) fn calling(&self, call: Call) -> JoinHandle<Called> {
        let host = Arc::clone(&self.host);
        tokio::spawn(async move { host.call(&Caller::local(), call).await })
    }

    /// What was sent: `POST bank /x`, in order.
    pub(crate) fn sent(&self) -> Vec<String> {
        self.transport.sent().iter().map(line_of).collect()
    }

    /// How often that was sent.
    pub(crate) fn times(&self, line: &str) -> usize {
        self.sent().iter().filter(|sent| *sent == line).count()
    }

    /// The run that was created last.
    pub(crate) async fn last_run(&self) -> Option<RunRecord> {
        let runs = self.store.runs("default", &RunFilter::default()).await.unwrap();
        runs.into_iter().find(|run| run.nested.is_none())
    }

    /// Lets the host take what nobody holds, for so long.
    pub(crate) async fn serve_for(&self, time: Duration) {
        let serving = Arc::clone(&self.host);
        let serving = tokio::spawn(async move { serving.serve().await });
        self.pass(time).await;
        serving.abort();
    }

    pub(crate) async fn breaker(&self, key: &str) -> String {
        let breakers = self.host.breakers(&Caller::local()).await.unwrap();
        breakers.into_iter().find(|breaker| breaker.key == key).unwrap().state
    }

    pub(crate) async fn pass(&self, time: Duration) {
        self.clock.sleep(time).await;
    }
}

pub(crate) fn ports(
    store: &Arc<dyn Store>,
    clock: &Arc<FakeClock>,
    sandbox: &Arc<ScriptedSandbox>,
    policies: &Arc<FixedPolicies>,
    transport: &Arc<ScriptedTransport>,
    seed: u64,
) -> Ports {
    Ports {
        store: Arc::clone(store),
        sandbox: Arc::clone(sandbox) as _,
        fleet: Arc::new(Alone::default()),
        authorizer: Arc::new(AllowAll),
        clock: Arc::clone(clock) as _,
        entropy: Arc::new(SeededEntropy::new(seed)),
        secrets: Arc::new(FixedSecrets(BTreeMap::from([("KEY".to_owned(), "s3cret".to_owned())]))),
        transport: Arc::clone(transport) as _,
        tracer: Arc::new(NoTracer),
        policies: Arc::clone(policies) as _,
        guests: GuestRuntime::current(),
    }
}

pub(crate) fn call(tool: &str) -> Call {
    Call {
        tool: tool.to_owned(),
        function: "run".to_owned(),
        input: "{}".to_owned(),
        key: None,
        wait: None,
        deadline: None,
        detach: false,
    }
}

/// The idempotency key that was sent.
pub(crate) fn key_of(sent: &Outgoing) -> String {
    let header = sent.headers.iter().find(|(name, _)| name == "idempotency-key").unwrap();
    String::from_utf8(header.1.clone()).unwrap()
}

fn by_line<F>(answer: F) -> ScriptedTransport
where
    F: Fn(&str, u32) -> Result<Incoming, ExchangeError> + Send + Sync + 'static,
{
    let asked = Mutex::new(BTreeMap::<String, u32>::new());
    ScriptedTransport::answering(move |_, request| {
        let line = line_of(request);
        let mut asked = asked.lock().unwrap();
        let times = asked.entry(line.clone()).or_default();
        *times += 1;
        answer(&line, *times)
    })
}

fn line_of(request: &Outgoing) -> String {
    let host = request.origin.host.trim_end_matches(".test");
    format!("{} {host} {}", request.method, request.path)
}

/// A replay of that letter from its resume point.
pub(crate) fn replay_of(letter: &LetterRecord) -> Replay {
    Replay {
        letter: letter.id.clone(),
        deadline: None,
        from: Begin::ResumePoint,
        repeat: Vec::new(),
        component: None,
        dry_run: false,
    }
}

pub(crate) fn keyed(tool: &str, key: &str, input: &str) -> Call {
    Call {
        key: Some(key.to_owned()),
        input: input.to_owned(),
        ..call(tool)
    }
}

/// A service at `http://NAME.test`.
pub(crate) fn service(name: &str) -> ServicePolicy {
    let origin = Origin {
        tls: false,
        host: format!("{name}.test"),
        port: 80,
    };
    ServicePolicy {
        budget: BudgetPolicy::default(),
        ..ServicePolicy::new(name, ServiceKind::Http, vec![origin])
    }
}

/// A service that honours idempotency keys.
pub(crate) fn honouring(name: &str) -> ServicePolicy {
    ServicePolicy {
        idempotency_header: Some(IdempotencyHeader {
            name: "idempotency-key".to_owned(),
            lifetime: Duration::from_secs(24 * 3600),
        }),
        ..service(name)
    }
}

/// A tool of that level with so many attempts a second apart, and a deadline of an hour.
pub(crate) fn tool(name: &str, level: Idempotency, attempts: u32, services: Vec<ServicePolicy>) -> ToolPolicy {
    let mut function = FunctionPolicy {
        idempotency: level,
        durability: FunctionPolicy::default_durability(level),
        deadline: Duration::from_secs(3600),
        ..FunctionPolicy::default()
    };
    function.retry.attempts = attempts;
    function.retry.backoff = BackoffPolicy {
        base: Duration::from_secs(1),
        factor: 1,
        cap: Duration::from_secs(1),
        jitter: Jitter::None,
    };
    ToolPolicy {
        name: name.to_owned(),
        version: "1".to_owned(),
        description: None,
        functions: BTreeMap::new(),
        default_function: function,
        services,
        limits: Default::default(),
        env: Vec::new(),
        ..ToolPolicy::default()
    }
}

pub(crate) fn pure(name: &str) -> ToolPolicy {
    let mut policy = tool(name, Idempotency::Readonly, 1, Vec::new());
    policy.default_function.durability = Durability::None;
    policy
}

pub(crate) fn ok() -> AttemptEnd {
    AttemptEnd::Ok { json: "1".to_owned() }
}

pub(crate) fn err() -> AttemptEnd {
    AttemptEnd::Err {
        case: None,
        json: "\"no\"".to_owned(),
    }
}

pub(crate) fn trap() -> AttemptEnd {
    AttemptEnd::Trap {
        trap: "unreachable".to_owned(),
    }
}

pub(crate) async fn request(effects: &dyn Effects, method: &str, service: &str) -> Result<Incoming, EffectError> {
    let request = GuestRequest {
        tls: false,
        authority: format!("{service}.test"),
        method: method.to_owned(),
        path: "/x?q=1".to_owned(),
        headers: Vec::new(),
        body: "{}".into(),
    };
    match ask(effects, Ask::Http(request)).await {
        Ok(Got::Http(answer)) => answer,
        Ok(other) => panic!("an exchange got {other:?}"),
        Err(Stopped) => Err(EffectError::Ended),
    }
}

/// A script that makes one request and returns well if it was answered so.
pub(crate) fn asks(
    method: &'static str,
    service: &'static str,
) -> impl Fn(u32, AttemptSpec) -> futures::future::BoxFuture<'static, AttemptEnd> + Send + Sync + 'static {
    move |_, spec| {
        Box::pin(async move {
            match request(spec.effects.as_ref(), method, service).await {
                Ok(answer) if answer.status < 400 => ok(),
                _ => err(),
            }
        })
    }
}

/// On the clock that jumps.
#[expect(
    clippy::disallowed_methods,
    reason = "scripts live on tokio's paused clock, as the fake clock does"
)]
pub(crate) async fn sleep(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}
