//! Puts a host together: the only place that names wasmtime, Cedar and hyper.

use crate::config::{Config, Environment};
use crate::database::{Database, Opened};
use crate::policies::Policies;
use crate::secrets::{KeptSecrets, Source};
use crate::traces::OtelTracer;
use crate::{blobs, doctor, encryption, log, metrics, open_files, traces};
use async_trait::async_trait;
use fusebox_authz::CedarAuthorizer;
use fusebox_core::failure::{Class, Code, Failure};
use fusebox_egress::{HttpTransport, NetworkSettings};
use fusebox_engine::guests::GuestRuntime;
use fusebox_engine::host::{Alerts, Host, Ports, Settings, Webhook};
use fusebox_engine::memory_store::MemoryStore;
use fusebox_engine::meters::MeteredStore;
use fusebox_engine::ports::clock::{Clock, SystemClock};
use fusebox_engine::ports::entropy::OsEntropy;
use fusebox_engine::ports::fleet::Alone;
use fusebox_engine::ports::store::{Store, StoreError};
use fusebox_engine::ports::tracer::{NoTracer, Tracer};
use fusebox_engine::requests::Caller;
use fusebox_faces::api::Api;
use fusebox_faces::cli::{Checkup, Failed, Moved, SecretKeeper, Wiring, only_there};
use fusebox_faces::deploying::Rules;
use fusebox_faces::http::RenderMetrics;
use fusebox_faces::local::Local;
use fusebox_faces::remote::{self, Remote, Way};
use fusebox_manifest::{HostFile, Presets, SecretSource};
use fusebox_sandbox::{CompileCommand, SandboxSettings, WasmSandbox};
use fusebox_store::{Blobs, StoreOptions};
use metrics_exporter_prometheus::PrometheusHandle;
use opentelemetry_sdk::trace::SdkTracerProvider;
use std::ffi::OsString;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use tokio::runtime::Handle;
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;

/// This process, which opens what a command asks for and nothing else.
pub(crate) struct Process {
    environment: Environment,
    config: OnceLock<Result<Config, Arc<Failed>>>,
    clock: Arc<dyn Clock>,
    sandbox: OnceCell<Arc<WasmSandbox>>,
    stopping: CancellationToken,
    host: OnceCell<Arc<Host>>,
    scratch: OnceCell<Arc<Host>>,
    metrics: OnceLock<PrometheusHandle>,
    traces: OnceLock<SdkTracerProvider>,
}

impl Process {
    /// A process that has opened nothing yet.
    pub(crate) fn new(environment: Environment) -> Self {
        Self {
            environment,
            config: OnceLock::new(),
            clock: Arc::new(SystemClock::new()),
            sandbox: OnceCell::new(),
            stopping: CancellationToken::new(),
            host: OnceCell::new(),
            scratch: OnceCell::new(),
            metrics: OnceLock::new(),
            traces: OnceLock::new(),
        }
    }

    /// Lets the host speak on stderr, as loud as the settings say.
    pub(crate) fn start_log(&self, colour: bool, runtime: &Handle) {
        let config = self.config().ok();
        let level = config.as_ref().map_or("warn", |config| config.host.log.as_str());
        let filter = self.environment.log_filter.as_deref().unwrap_or(level);
        let json = config.as_ref().is_some_and(|config| config.host.log_format == "json");
        let form = if json {
            log::Form::Json
        } else {
            log::Form::Text { colour }
        };
        let collector = config.and_then(|config| traces::collector(config, self.environment.collector.as_deref()));
        let provider = collector
            .map(|collector| traces::start(&collector, runtime))
            .transpose();
        let started = provider.as_ref().ok().and_then(Option::as_ref);
        log::start(form, filter, started);
        match provider {
            Ok(Some(provider)) => {
                // It is started once.
                let _ = self.traces.set(provider);
            }
            Ok(None) => {}
            // What is only to be watched goes on unwatched.
            Err(failed) => tracing::warn!("{}", failed.brief().0),
        }
    }

    /// The effective settings, read once.
    pub(crate) fn config(&self) -> Result<&Config, Failed> {
        let loaded = self.config.get_or_init(|| load(&self.environment).map_err(Arc::new));
        loaded.as_ref().map_err(|failed| Failed::clone(failed))
    }

    /// Cancels what is in flight; a run that is cancelled ends as such, after the effects that it has in flight.
    pub(crate) fn stop(&self) {
        self.stopping.cancel();
        for host in [self.host.get(), self.scratch.get()].into_iter().flatten() {
            host.stop();
        }
    }

    /// Ends what was opened: waits for what is in flight and writes what is still to be written.
    pub(crate) async fn close(&self) {
        for host in [self.host.get(), self.scratch.get()].into_iter().flatten() {
            host.drain().await;
        }
        if let Some(provider) = self.traces.get() {
            traces::flush(provider.clone()).await;
        }
    }

    /// The keeper of secrets that the settings ask for.
    pub(crate) fn keeper(&self) -> Result<KeptSecrets, Failed> {
        Ok(keeper(self.config()?))
    }

    /// The configured database.
    pub(crate) async fn open(&self) -> Result<Opened, Failed> {
        let config = self.config()?;
        let kept = config.host.retention.failed_journals;
        let opened = config.database.open(self.store_options()?, kept).await;
        opened.map_err(|error| {
            let failure = Failure::new(Code::StoreUnavailable, Class::Fault, error.to_string());
            Failed::Host(Box::new(failure))
        })
    }

    /// Where components and pages are that are not in the database.
    pub(crate) fn blobs(&self) -> Result<Option<Blobs>, Failed> {
        blobs::open(self.config()?, &self.environment)
    }

    fn store_options(&self) -> Result<StoreOptions, Failed> {
        let config = self.config()?;
        let source = config.encryption_key.as_ref();
        let key = source.map(|source| encryption::key(source, &keeper(config)));
        Ok(StoreOptions {
            key: key.transpose()?,
            blobs: self.blobs()?,
        })
    }

    /// How the host is reached that is asked over HTTP.
    fn way(&self) -> Result<Option<Way>, Failed> {
        let Some(host) = self.environment.host.clone() else {
            return Ok(None);
        };
        Ok(Some(Way {
            host,
            key: self.environment.key()?,
            ca: self.environment.ca.clone(),
        }))
    }

    async fn sandbox(&self) -> Result<Arc<WasmSandbox>, Failed> {
        self.sandbox
            .get_or_try_init(|| async { open_sandbox(self.config()?) })
            .await
            .cloned()
    }

    async fn start(&self, opened: Opened) -> Result<Arc<Host>, Failed> {
        let Opened { store, fleet } = opened;
        #[cfg(feature = "failpoints")]
        let store = crate::failpoints::store(store);
        let store = self.metered(store);
        let config = self.config()?;
        let settings = &config.host;
        let threads = settings.guest_threads.unwrap_or_else(processors);
        let guests = GuestRuntime::start(threads)
            .map_err(|error| Failed::file(format!("the system refuses threads: {error}"), "lower `pool.threads`"))?;
        let transport = HttpTransport::new(self.network(config))
            .map_err(|error| Failed::file(error.to_string(), "mend `network.extra-roots` in the operator's file"))?;
        #[cfg(feature = "failpoints")]
        let transport = crate::failpoints::Transport::around(transport);
        let authorizer = CedarAuthorizer::open(config.rules.clone());
        authorizer.watch(Arc::clone(&self.clock));
        let ports = Ports {
            store,
            fleet,
            sandbox: self.sandbox().await?,
            authorizer,
            clock: Arc::clone(&self.clock),
            entropy: Arc::new(OsEntropy),
            secrets: Arc::new(self.keeper()?),
            transport: Arc::new(transport),
            tracer: self.tracer(),
            policies: Arc::new(Policies {
                host: settings.clone(),
                presets: config.presets.clone(),
            }),
            guests,
        };
        Ok(Host::start(ports, limits(settings)).await?)
    }

    /// The store, timed where this process is watched.
    fn metered(&self, store: Arc<dyn Store>) -> Arc<dyn Store> {
        if self.metrics.get().is_none() {
            return store;
        }
        Arc::new(MeteredStore::new(store, Arc::clone(&self.clock)))
    }

    fn tracer(&self) -> Arc<dyn Tracer> {
        if self.traces.get().is_some() {
            Arc::new(OtelTracer)
        } else {
            Arc::new(NoTracer)
        }
    }

    fn network(&self, config: &Config) -> NetworkSettings {
        let rules = config.host.network.clone();
        NetworkSettings {
            allow: Arc::new(move |host, address, port| rules.iter().any(|rule| rule.permits(host, address, port))),
            extra_roots: config.extra_roots.clone(),
            ..NetworkSettings::new(Arc::clone(&self.clock))
        }
    }
}

/// The settings, with the hosts that secrets were set for.
fn load(environment: &Environment) -> Result<Config, Failed> {
    let mut config = Config::load(environment)?;
    match keeper(&config).granted() {
        Ok(grants) => {
            for (name, origin) in grants {
                config.host.secrets.grant(&name, origin);
            }
        }
        // What needs a secret says so when it asks for one; everything else goes on.
        Err(failed) => tracing::warn!("{}", failed.brief().0),
    }
    Ok(config)
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

fn limits(host: &HostFile) -> Settings {
    Settings {
        lease: host.lease,
        key_lifetime: host.retention.keys,
        keep_letters: host.retention.letters,
        keep_known_bad: host.retention.known_bad,
        keep_runs: host.retention.runs,
        max_calls: host.max_calls,
        instances: host.pool_instances,
        drain: host.drain,
        recovery_cap: host.recovery_cap,
        recovery_poll: host.recovery_poll,
        auto_replay_rate: host.auto_replay_rate,
        auto_replay_max: host.auto_replay_max,
        alerts: Alerts {
            letters_per_minute: host.alerts.letters_per_minute,
            oldest_age: host.alerts.oldest_age,
            letters: host.letters_quota,
            webhook: host.alerts.webhook.as_ref().map(|url| Webhook {
                origin: url.origin.clone(),
                path: url.path.clone(),
            }),
        },
    }
}

fn open_sandbox(config: &Config) -> Result<Arc<WasmSandbox>, Failed> {
    let program = std::env::current_exe().map_err(|error| {
        Failed::file(
            format!("this program cannot find itself: {error}"),
            "call it by its path",
        )
    })?;
    let settings = SandboxSettings {
        cache: config.cache.clone(),
        compiler: CompileCommand {
            program,
            args: vec![OsString::from(crate::COMPILE)],
        },
        compile_memory: config.host.compile_memory,
        compile_time: config.host.compile_time,
        pool: config.host.pool_instances,
    };
    WasmSandbox::open(settings).map_err(|error| {
        Failed::file(
            error.to_string(),
            "`fusebox doctor` looks at the cache; --cache names another folder",
        )
    })
}

fn keeper(config: &Config) -> KeptSecrets {
    let secrets = &config.host.secrets;
    let source = match secrets.source {
        SecretSource::File => Source::File,
        SecretSource::Environment => Source::Environment(config.secret_variables.clone()),
        SecretSource::Command => Source::Command(secrets.command.clone()),
    };
    KeptSecrets::new(config.secrets.clone(), source, secrets.hosts.clone())
}

#[async_trait]
impl Wiring for Process {
    async fn host(&self) -> Result<Arc<dyn Api>, Failed> {
        if let Some(way) = self.way()? {
            return Ok(Arc::new(Remote::new(&way, self.stopping.clone())?));
        }
        let host = self.local("this").await?;
        Ok(Arc::new(Local::new(host, self.rules()?)))
    }

    fn remote(&self) -> Option<&str> {
        self.environment.host.as_deref()
    }

    fn key(&self) -> Result<Option<String>, Failed> {
        self.environment.key()
    }

    async fn local(&self, what: &str) -> Result<Arc<Host>, Failed> {
        if let Some(host) = self.remote() {
            return Err(only_there(what, host));
        }
        let open = || async { self.start(self.open().await?).await };
        self.host.get_or_try_init(open).await.cloned()
    }

    async fn scratch(&self) -> Result<Arc<Host>, Failed> {
        let opened = || Opened {
            store: Arc::new(MemoryStore::new()),
            fleet: Arc::new(Alone::default()),
        };
        let open = || async { self.start(opened()).await };
        self.scratch.get_or_try_init(open).await.cloned()
    }

    fn metrics(&self) -> Result<RenderMetrics, Failed> {
        let handle = match self.metrics.get() {
            Some(handle) => handle.clone(),
            None => {
                let handle = metrics::install(Arc::clone(&self.clock))?;
                self.metrics.get_or_init(|| handle).clone()
            }
        };
        Ok(Arc::new(move || handle.render()))
    }

    fn rules(&self) -> Result<Arc<Rules>, Failed> {
        let config = self.config()?;
        Ok(Arc::new(Rules {
            settings: config.host.clone(),
            presets: config.presets.clone(),
        }))
    }

    fn settings(&self) -> Result<&HostFile, Failed> {
        Ok(&self.config()?.host)
    }

    fn presets(&self) -> Result<&Presets, Failed> {
        Ok(&self.config()?.presets)
    }

    fn places(&self) -> Result<Vec<(&'static str, String)>, Failed> {
        let config = self.config()?;
        Ok(vec![
            ("database", config.database.to_string()),
            ("cache", config.cache.display().to_string()),
            ("rules", config.rules.display().to_string()),
            ("secrets.file", config.secrets.display().to_string()),
        ])
    }

    fn open_files(&self) -> Option<u64> {
        open_files::raise()
    }

    async fn migrate(&self, to: &str) -> Result<Moved, Failed> {
        let from = &self.config()?.database;
        let to = Database::typed(to, Path::new(""));
        if from.is_to_come() {
            return Err(Failed::usage(
                format!("there is no database {from}"),
                "`database` in the operator's file, FUSEBOX_DATABASE or --database names the one that is copied",
            ));
        }
        let host = self.local("copying a database").await?;
        let (places, options) = ((from.place(), to.place()), self.store_options()?);
        // What the operator can mend is told as such, whatever the trail has of it.
        let refused = Arc::new(OnceLock::new());
        let why = Arc::clone(&refused);
        let copying = async move {
            let copied = fusebox_store::migrate(&places.0, &places.1, options).await;
            copied.map_err(|error| {
                let failure = Failure::new(Code::StoreUnavailable, Class::Fault, error.to_string());
                if let StoreError::Refused { what } = error {
                    let _ = why.set(what);
                }
                Box::new(failure)
            })
        };
        let copied = host.copy_database(&Caller::local(), &to.to_string(), copying).await;
        let copied = copied.map_err(|failure| match refused.get() {
            Some(what) => Failed::usage(what.clone(), "`fusebox migrate --help` says what it needs"),
            None => Failed::Host(failure),
        })?;
        Ok(Moved {
            from: from.to_string(),
            to: to.to_string(),
            rows: copied.rows,
            objects: copied.objects,
            digest: copied.digest.to_string(),
        })
    }

    fn private_variables(&self) -> Result<Vec<String>, Failed> {
        let secrets = self.config()?.secret_variables.keys();
        let names = secrets.map(|name| format!("{}{name}", crate::config::SECRET_PREFIX));
        let others = [crate::config::KEY_VARIABLE, crate::config::DATABASE_VARIABLE];
        let others = others
            .map(str::to_owned)
            .into_iter()
            .chain(blobs::private_variables(self.config()?));
        Ok(names.chain(others).collect())
    }

    fn secrets(&self) -> Result<Arc<dyn SecretKeeper>, Failed> {
        Ok(Arc::new(self.keeper()?))
    }

    async fn checkup(&self) -> Vec<Checkup> {
        if self.remote().is_some() {
            return remote::checkup(self.way(), self.stopping.clone()).await;
        }
        doctor::checkup(self).await
    }
}
