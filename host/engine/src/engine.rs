//! What every part of the engine shares: ports, settings, and the registries of one host.

use crate::breakers::Breakers;
use crate::catalog::Catalog;
use crate::guests::GuestRuntime;
use crate::history::History;
use crate::meters::HostMeters;
use crate::ports::authorizer::Authorizer;
use crate::ports::clock::Clock;
use crate::ports::entropy::Entropy;
use crate::ports::fleet::Fleet;
use crate::ports::policies::PolicySource;
use crate::ports::sandbox::{Component, LoadError, Sandbox};
use crate::ports::secrets::Secrets;
use crate::ports::store::Store;
use crate::ports::tracer::Tracer;
use crate::ports::transport::Transport;
use crate::requests::digest_of;
use crate::room::Pool;
use crate::services::Services;
use crate::tasks::Tasks;
use bytes::Bytes;
use fusebox_core::dead_letter::AUTO_REPLAYS;
use fusebox_core::ids::{Digest, OwnerId};
use fusebox_core::policy::{Origin, RateLimit};
use fusebox_core::run::RECOVERY_CAP;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;

/// The outside, as the host is given it.
pub struct Ports {
    /// What lasts.
    pub store: Arc<dyn Store>,
    /// The other hosts of the database.
    pub fleet: Arc<dyn Fleet>,
    /// Compiles and runs components.
    pub sandbox: Arc<dyn Sandbox>,
    /// Who may call what.
    pub authorizer: Arc<dyn Authorizer>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// Secrets, for the headers of services.
    pub secrets: Arc<dyn Secrets>,
    /// Sends requests.
    pub transport: Arc<dyn Transport>,
    /// Ties spans to traces that go beyond this process.
    pub tracer: Arc<dyn Tracer>,
    /// From manifests to policies.
    pub policies: Arc<dyn PolicySource>,
    /// Where guests compute.
    pub guests: GuestRuntime,
}

/// The operator's settings of a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How long the lease of a run lasts without renewal; longer where a service's timeout needs it.
    pub lease: Duration,
    /// How long an idempotency key and its outcome are kept after the end of their run; at least 24 h.
    pub key_lifetime: Duration,
    /// How long letters are kept.
    pub keep_letters: Duration,
    /// How long letters are kept that a replay cannot help.
    pub keep_known_bad: Duration,
    /// How long runs are kept.
    pub keep_runs: Duration,
    /// Calls in flight at once; more are refused.
    pub max_calls: usize,
    /// Instances that the sandbox's pool holds. Half of them are for roots, the rest for what they call.
    pub instances: u32,
    /// How long a host that shuts down waits for its calls.
    pub drain: Duration,
    /// Recoveries of a run before it is given up: one that kills its host is not let kill them all.
    pub recovery_cap: u32,
    /// How often a serving host looks for runs that nobody holds, for letters that may be replayed, and for what is worth an alert.
    pub recovery_poll: Duration,
    /// How many letters are replayed without anybody asking, all services together.
    pub auto_replay_rate: RateLimit,
    /// How often one letter is replayed without anybody asking.
    pub auto_replay_max: u32,
    /// What is worth an alert, and where alerts go.
    pub alerts: Alerts,
}

/// What is worth an alert, and where alerts go (semantics.md §6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alerts {
    /// New letters of one service within a minute.
    pub letters_per_minute: u32,
    /// Age of the oldest open letter; `None` at no age.
    pub oldest_age: Option<Duration>,
    /// Open letters of a tenant. None is ever dropped for it.
    pub letters: Option<u64>,
    /// Where alerts are posted besides the log.
    pub webhook: Option<Webhook>,
}

impl Default for Alerts {
    fn default() -> Self {
        Self {
            letters_per_minute: 10,
            oldest_age: Some(Duration::from_secs(24 * 3600)),
            letters: Some(10_000),
            webhook: None,
        }
    }
}

/// An address that alerts are posted to. It is reached under the same network rules as services are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webhook {
    /// Where it is.
    pub origin: Origin,
    /// Path and query.
    pub path: String,
}

impl Default for Settings {
    fn default() -> Self {
        const DAY: Duration = Duration::from_secs(24 * 3600);
        Self {
            lease: Duration::from_secs(30),
            key_lifetime: DAY,
            keep_letters: DAY * 30,
            keep_known_bad: DAY * 7,
            keep_runs: DAY * 30,
            max_calls: 1024,
            instances: 1024,
            drain: Duration::from_secs(30),
            recovery_cap: RECOVERY_CAP,
            recovery_poll: Duration::from_secs(1),
            auto_replay_rate: RateLimit {
                requests: 60,
                per: Duration::from_secs(60),
            },
            auto_replay_max: AUTO_REPLAYS,
            alerts: Alerts::default(),
        }
    }
}

/// One host.
pub(crate) struct Engine {
    pub(crate) ports: Ports,
    pub(crate) settings: Settings,
    /// This process, as the owner of runs.
    pub(crate) owner: OwnerId,
    /// The runtime of everything but guests.
    pub(crate) io: Handle,
    pub(crate) history: History,
    pub(crate) catalog: Catalog,
    pub(crate) services: Services,
    pub(crate) breakers: Arc<Breakers>,
    pub(crate) tasks: Tasks,
    pub(crate) pool: Pool,
    pub(crate) meters: HostMeters,
}

impl Engine {
    /// The compiled component, from the cache where it is known already; nothing is registered.
    pub(crate) async fn inspect(&self, wasm: Bytes) -> Result<(Digest, Arc<dyn Component>), LoadError> {
        let digest = digest_of(&wasm);
        let component = match self.ports.sandbox.cached(digest).await {
            Some(component) => component,
            None => self.ports.sandbox.compile(digest, wasm).await?,
        };
        Ok((digest, component))
    }
}
