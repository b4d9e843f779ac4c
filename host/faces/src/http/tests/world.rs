//! A host in memory with tools that are scripts, a face before it, and clients of two tenants.

use crate::deploying::Rules;
use crate::http::{Authentication, HttpDeps, Limits, router};
use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use fusebox_core::policy::{Durability, FunctionPolicy, Idempotency, ToolPolicy};
use fusebox_core::role::{Role, Roles};
use fusebox_engine::guests::GuestRuntime;
use fusebox_engine::host::{Host, NewKey, Ports, Settings};
use fusebox_engine::memory_store::MemoryStore;
use fusebox_engine::ports::authorizer::AllowAll;
use fusebox_engine::ports::clock::SystemClock;
use fusebox_engine::ports::entropy::OsEntropy;
use fusebox_engine::ports::fleet::Alone;
use fusebox_engine::ports::sandbox::AttemptEnd;
use fusebox_engine::ports::tracer::NoTracer;
use fusebox_engine::requests::{Caller, Deploy};
use fusebox_engine::testing::fixed_ports::{FixedPolicies, FixedSecrets};
use fusebox_engine::testing::scripted_sandbox::ScriptedSandbox;
use fusebox_engine::testing::scripted_transport::{ScriptedTransport, status};
use fusebox_manifest::{HostFile, Presets};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::Value;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

/// A host with a face.
pub(super) struct World {
    pub(super) host: Arc<Host>,
    pub(super) face: Router,
    pub(super) stop: CancellationToken,
    sandbox: Arc<ScriptedSandbox>,
    policies: Arc<FixedPolicies>,
}

/// What was answered.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) text: String,
}

impl Answer {
    #[track_caller]
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {} {}", self.status, self.text))
    }

    #[track_caller]
    pub(super) fn is(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        self
    }

    /// Fails unless it is a problem of that code.
    #[track_caller]
    pub(super) fn problem(self, status: u16, code: &str) -> Self {
        let answer = self.is(status);
        assert_eq!(
            answer.headers["content-type"], "application/problem+json",
            "{}",
            answer.text
        );
        let problem = answer.json();
        assert_eq!(
            (&problem["code"], &problem["status"]),
            (&code.into(), &status.into()),
            "{problem}"
        );
        assert_eq!(problem["type"], format!("urn:fusebox:problem:{code}"));
        answer
    }

    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

impl World {
    /// A host whose face takes API keys alone.
    pub(super) async fn new() -> Self {
        Self::with(Authentication::default(), |_| {}).await
    }

    /// A host whose face lets in whom `authentication` says, within other limits.
    pub(super) async fn with(authentication: Authentication, limit: impl FnOnce(&mut Limits)) -> Self {
        let (sandbox, policies) = (Arc::new(ScriptedSandbox::default()), Arc::new(FixedPolicies::default()));
        let clock = Arc::new(SystemClock::new());
        let ports = Ports {
            store: Arc::new(MemoryStore::new()),
            sandbox: Arc::clone(&sandbox) as _,
            fleet: Arc::new(Alone::default()),
            authorizer: Arc::new(AllowAll),
            clock: Arc::clone(&clock) as _,
            entropy: Arc::new(OsEntropy),
            secrets: Arc::new(FixedSecrets::default()),
            transport: Arc::new(ScriptedTransport::answering(|_, _| status(200))),
            policies: Arc::clone(&policies) as _,
            tracer: Arc::new(NoTracer),
            guests: GuestRuntime::current(),
        };
        let host = Host::start(ports, Settings::default()).await.unwrap();
        let settings = HostFile::default();
        let mut limits = Limits::from(&settings.listen);
        limit(&mut limits);
        let stop = CancellationToken::new();
        let deps = HttpDeps {
            rules: Arc::new(Rules {
                settings,
                presets: Presets::embedded(),
            }),
            authentication,
            limits,
            tls: false,
            clock,
            stop: stop.clone(),
            render_metrics: Some(Arc::new(|| "fusebox_up 1\n".to_owned())),
            mcp: None,
        };
        Self {
            face: router(Arc::clone(&host), deps),
            host,
            stop,
            sandbox,
            policies,
        }
    }

    /// Deploys a tool whose function `run` ends so.
    pub(super) async fn deploy(&self, tenant: &str, policy: ToolPolicy, end: AttemptEnd) {
        let script = move || {
            let end = end.clone();
            async { end }
        };
        self.deploy_script(tenant, policy, script).await;
    }

    /// Deploys a tool whose function `run` does so.
    pub(super) async fn deploy_script<E>(
        &self,
        tenant: &str,
        policy: ToolPolicy,
        script: impl Fn() -> E + Send + Sync + 'static,
    ) where
        E: Future<Output = AttemptEnd> + Send + 'static,
    {
        let name = policy.name.clone();
        self.sandbox.script(&name, move |_, _| Box::pin(script()));
        self.policies.set(&name, policy.clone());
        let deploy = Deploy {
            wasm: name.clone().into(),
            manifest: name,
            source: "test".to_owned(),
            policy,
            links: Vec::new(),
        };
        self.host.deploy(&owner(tenant), deploy).await.unwrap();
    }

    /// A tool that answers 42.
    pub(super) async fn deploy_answer(&self) {
        let end = AttemptEnd::Ok { json: "42".to_owned() };
        self.deploy("default", tool("answer"), end).await;
    }

    /// A new key of a tenant.
    pub(super) async fn key(&self, tenant: &str, roles: Roles) -> String {
        let new = NewKey {
            name: format!("of-{tenant}"),
            roles,
            expires: None,
            tenant: None,
        };
        self.host.create_key(&owner(tenant), new).await.unwrap().1
    }

    /// A key of the tenant `default` with one role.
    pub(super) async fn key_of(&self, role: Role) -> String {
        self.key("default", [role].into_iter().collect()).await
    }

    /// Sends a request from this machine.
    pub(super) async fn send(&self, request: Request<Body>) -> Answer {
        self.send_from([127, 0, 0, 1], request).await
    }

    /// Sends a request from that address.
    pub(super) async fn send_from(&self, peer: [u8; 4], mut request: Request<Body>) -> Answer {
        let peer = SocketAddr::from((peer, 40_000));
        request.extensions_mut().insert(ConnectInfo(peer));
        let response: Response<Body> = self.face.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let text = body.collect().await.unwrap().to_bytes();
        Answer {
            status: parts.status,
            headers: parts.headers,
            text: String::from_utf8_lossy(&text).into_owned(),
        }
    }

    /// GET under a key.
    pub(super) async fn get(&self, key: &str, path: &str) -> Answer {
        self.send(request("GET", path, key, "")).await
    }

    /// POST of JSON under a key.
    pub(super) async fn post(&self, key: &str, path: &str, body: &str) -> Answer {
        self.send(request("POST", path, key, body)).await
    }
}

/// A request of JSON under a key.
pub(super) fn request(method: &str, path: &str, key: &str, body: &str) -> Request<Body> {
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", "127.0.0.1:7717");
    if !key.is_empty() {
        request = request.header("authorization", format!("Bearer {key}"));
    }
    if !body.is_empty() {
        request = request.header("content-type", "application/json");
    }
    request.body(Body::from(body.to_owned())).unwrap()
}

/// Whoever has the files of a host, for that tenant.
pub(super) fn owner(tenant: &str) -> Caller {
    Caller {
        tenant: Arc::from(tenant),
        ..Caller::local()
    }
}

/// A tool whose function may start over and whose runs are kept; one attempt.
pub(super) fn tool(name: &str) -> ToolPolicy {
    let mut function = FunctionPolicy {
        idempotency: Idempotency::Readonly,
        durability: Durability::Always,
        ..FunctionPolicy::default()
    };
    function.retry.attempts = 1;
    ToolPolicy {
        name: name.to_owned(),
        version: "1".to_owned(),
        default_function: function,
        ..ToolPolicy::default()
    }
}
