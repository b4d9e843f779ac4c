//! The operator's file with variables and flags over it: every setting typed, with who set it.

mod blobs;
mod checks;
mod listening;
mod settings;
mod template;

pub use blobs::BlobSettings;
pub use listening::{ListenSettings, OidcSettings};
pub use settings::{Setting, Source, settings};
pub use template::host_template;

use crate::diagnostic::{Diagnostic, sort};
use crate::document;
use crate::explained::Row;
use crate::form::secret_of;
use crate::lower::{Ceiling, Lowering, service};
use crate::node::{Node, Table, Value};
use crate::presets::Presets;
use crate::provenance::{Provenance, SetBy};
use crate::schema::HOST;
use crate::units::{NetworkRule, Url};
use fusebox_core::policy::{Origin, RateLimit, ServicePolicy};
use settings::Settings;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What the operator decided; everything else is the documented default.
#[derive(Clone, Debug)]
pub struct HostFile {
    /// The SQLite file; where to put one is the caller's to decide when it is not set.
    pub database: Option<PathSetting>,
    /// Where components and pages are that are not in the database.
    pub blobs: Option<BlobSettings>,
    /// Folder of compiled components; likewise.
    pub cache: Option<PathSetting>,
    /// Folder of Cedar rules; likewise.
    pub rules: Option<PathSetting>,
    /// Level of what the host says on stderr: `error`, `warn`, `info`, `debug` or `trace`.
    pub log: String,
    /// How it says that: `text` or `json`.
    pub log_format: String,
    /// The collector of traces; `None` traces nothing.
    pub otlp_endpoint: Option<Url>,
    /// How long a host owns a run without renewing.
    pub lease: Duration,
    /// How long a stopping host waits for calls and effects in flight.
    pub drain: Duration,
    /// Calls in flight at once.
    pub max_calls: usize,
    /// Private addresses that services may name.
    pub network: Vec<NetworkRule>,
    /// PEM file with further authorities.
    pub extra_roots: Option<PathSetting>,
    /// Where a serving host listens, and what it takes from clients.
    pub listen: ListenSettings,
    /// Whose tokens are taken besides API keys; `None` nobody's.
    pub oidc: Option<OidcSettings>,
    /// How long things are kept.
    pub retention: Retention,
    /// Recoveries of a run before it is given up.
    pub recovery_cap: u32,
    /// How often a serving host looks for work.
    pub recovery_poll: Duration,
    /// Where the key of encryption at rest is; `None` without encryption.
    pub encryption_key: Option<KeyPlace>,
    /// How long a question to a person stands where its function does not say.
    pub approval_expires: Duration,
    /// Open letters that are worth an alert when there are more.
    pub letters_quota: Option<u64>,
    /// How many letters are replayed by themselves.
    pub auto_replay_rate: RateLimit,
    /// How often one letter is replayed by itself.
    pub auto_replay_max: u32,
    /// What is worth an alert.
    pub alerts: AlertSettings,
    /// Components that run at once.
    pub pool_instances: u32,
    /// Threads that guests compute on; `None` takes one for each processor.
    pub guest_threads: Option<usize>,
    /// Memory of the compiler's process, in bytes.
    pub compile_memory: u64,
    /// Time of the compiler's process.
    pub compile_time: Duration,
    /// Where secrets come from.
    pub secrets: SecretSettings,
    /// Shared services, by their order in the file.
    pub services: Vec<ServicePolicy>,
    /// Who set the values of shared services.
    pub provenance: Provenance,
    pub(crate) ceilings: Ceilings,
    settings: Settings,
}

/// A path that was set, and what it is relative to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathSetting {
    /// As written.
    pub path: String,
    /// Whether the operator's file says so: then it is relative to that file, else to the working directory.
    pub from_file: bool,
}

impl PathSetting {
    /// Whether it is the URL of a PostgreSQL database, and no path.
    #[must_use]
    pub fn is_postgres(&self) -> bool {
        matches!(self.scheme().as_deref(), Some("postgres" | "postgresql"))
    }

    /// What stands before `://`, in small letters.
    pub(crate) fn scheme(&self) -> Option<String> {
        let (scheme, _) = self.path.split_once("://")?;
        Some(scheme.to_ascii_lowercase())
    }

    /// The path, given the folder of the operator's file and the working directory.
    #[must_use]
    pub fn resolve(&self, beside: &Path, working: &Path) -> PathBuf {
        if self.from_file {
            beside.join(&self.path)
        } else {
            working.join(&self.path)
        }
    }
}

/// How long things are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Dead letters.
    pub letters: Duration,
    /// Letters of faults and exhausted limits.
    pub known_bad: Duration,
    /// Runs that ended.
    pub runs: Duration,
    /// Outcomes under an idempotency key.
    pub keys: Duration,
    /// Journals of failed runs that became no letter.
    pub failed_journals: Duration,
}

/// Where the key of encryption at rest is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyPlace {
    /// A file that holds it in base64.
    File(PathSetting),
    /// The secret of that name.
    Secret(String),
}

/// What is worth an alert, and where alerts go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlertSettings {
    /// New letters of one service within a minute.
    pub letters_per_minute: u32,
    /// Age of an open letter; `None` at no age.
    pub oldest_age: Option<Duration>,
    /// Where alerts are posted.
    pub webhook: Option<Url>,
}

/// Where the values of secrets come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SecretSource {
    /// The file that `fusebox secrets set` writes.
    #[default]
    File,
    /// Variables `FUSEBOX_SECRET_NAME`.
    Environment,
    /// A command that prints the value.
    Command,
}

/// Where secrets come from, and where each may go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SecretSettings {
    /// Where values come from.
    pub source: SecretSource,
    /// The file of values.
    pub file: Option<PathSetting>,
    /// Program and arguments; `{name}` stands for the secret's name.
    pub command: Vec<String>,
    /// The origins that each secret may go to.
    pub hosts: BTreeMap<String, Vec<Origin>>,
}

impl SecretSettings {
    /// Lets a secret go to an origin: for grants that stand elsewhere than in the operator's file.
    pub fn grant(&mut self, name: &str, origin: Origin) {
        let origins = self.hosts.entry(name.to_owned()).or_default();
        if !origins.contains(&origin) {
            origins.push(origin);
        }
    }

    /// Whether a secret may go to an origin.
    #[must_use]
    pub fn permits(&self, name: &str, origin: &Origin) -> bool {
        self.hosts.get(name).is_some_and(|origins| origins.contains(origin))
    }
}

/// The most that any manifest gets.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Ceilings {
    pub(crate) memory: Option<Ceiling<u64>>,
    pub(crate) table_elements: Option<Ceiling<u64>>,
    pub(crate) instances: Option<Ceiling<u32>>,
    pub(crate) fuel: Option<Ceiling<u64>>,
    pub(crate) output: Option<Ceiling<u64>>,
    pub(crate) log: Option<Ceiling<u64>>,
    pub(crate) host_memory: Option<Ceiling<u64>>,
    pub(crate) concurrency: Option<Ceiling<u32>>,
    pub(crate) timeout: Option<Ceiling<Duration>>,
    pub(crate) deadline: Option<Ceiling<Duration>>,
    pub(crate) attempts: Option<Ceiling<u32>>,
    pub(crate) max_total_attempts: Option<Ceiling<u32>>,
    pub(crate) exchange_timeout: Option<Ceiling<Duration>>,
    pub(crate) max_response: Option<Ceiling<u64>>,
    pub(crate) exchanges: Option<Ceiling<u32>>,
}

impl Default for HostFile {
    /// No file, no variable, no flag.
    fn default() -> Self {
        build(Settings::default())
    }
}

impl HostFile {
    /// Reads a file alone.
    #[must_use]
    pub fn read(file: &str, text: &str, presets: &Presets) -> (Option<Self>, Vec<Diagnostic>) {
        Self::merge(
            &Source {
                file: Some((file, text)),
                ..Source::default()
            },
            presets,
        )
    }

    /// Reads a file with variables over it and flags over both. `None` when anything is wrong.
    #[must_use]
    pub fn merge(source: &Source<'_>, presets: &Presets) -> (Option<Self>, Vec<Diagnostic>) {
        let mut findings = Vec::new();
        let mut table = Table::default();
        if let Some((file, text)) = source.file {
            let (read, found) = document::read(file, text, &HOST);
            table = read.unwrap_or_default();
            findings = found;
        }
        let settings = Settings::merge(&table, source, &mut findings);
        let mut host = build(settings);
        let mut cx = Lowering::new(presets);
        host.services = table
            .table("services")
            .entries()
            .map(|entry| service::read(&mut cx, entry, true))
            .collect();
        for entry in table.table("secrets").table("hosts").entries() {
            let origins = match &entry.node.value {
                Value::List(items) => items.iter().filter_map(Node::origin).cloned().collect(),
                _ => Vec::new(),
            };
            host.secrets.hosts.insert(entry.key.clone(), origins);
        }
        checks::check(&host, &table, &mut cx);
        host.provenance = cx.provenance;
        findings.extend(cx.findings);
        sort(&mut findings);
        (
            Some(host).filter(|_| !findings.iter().any(Diagnostic::is_error)),
            findings,
        )
    }

    /// The folder of the operator's own presets, which must be read before the rest can be. Mistakes are [`Self::merge`]'s to
    /// report.
    #[must_use]
    pub fn policies(source: &Source<'_>) -> Option<PathSetting> {
        let table = source.file.and_then(|(file, text)| document::read(file, text, &HOST).0);
        Settings::merge(&table.unwrap_or_default(), source, &mut Vec::new()).path("policies")
    }

    /// Who set a setting.
    pub(crate) fn set_by(&self, key: &str) -> &SetBy {
        self.settings.set_by(key)
    }

    /// Every setting: its key, its effective value, and who set it.
    #[must_use]
    pub fn rows(&self) -> Vec<Row> {
        self.settings.rows()
    }
}

fn build(settings: Settings) -> HostFile {
    let s = &settings;
    HostFile {
        database: s.path("database"),
        blobs: blobs::blobs(s),
        cache: s.path("cache"),
        rules: s.path("rules"),
        log: s.text("log").unwrap_or_default(),
        log_format: s.text("log-format").unwrap_or_default(),
        otlp_endpoint: s.url("otlp.endpoint"),
        lease: s.duration("lease"),
        drain: s.duration("drain"),
        max_calls: usize::try_from(s.number("max-calls")).unwrap_or(usize::MAX),
        network: s.rules("network.allow"),
        extra_roots: s.path("network.extra-roots"),
        listen: listening::listen(s),
        oidc: listening::oidc(s),
        retention: Retention {
            letters: s.duration("retention.letters"),
            known_bad: s.duration("retention.known-bad"),
            runs: s.duration("retention.runs"),
            keys: s.duration("retention.keys"),
            failed_journals: s.duration("retention.failed-journals"),
        },
        recovery_cap: s.count("recovery.cap"),
        recovery_poll: s.duration("recovery.poll"),
        encryption_key: s.path("encryption.key").map(key_place),
        approval_expires: s.duration("approvals.expires"),
        letters_quota: s.number_or_none("letters.quota"),
        auto_replay_rate: s.rate("auto-replay.rate"),
        auto_replay_max: s.count("auto-replay.max"),
        alerts: AlertSettings {
            letters_per_minute: s.count("alerts.letters-per-minute"),
            oldest_age: s.duration_or_none("alerts.oldest-age"),
            webhook: s.url("alerts.webhook"),
        },
        pool_instances: s.count("pool.instances"),
        guest_threads: usize::try_from(s.number("pool.threads"))
            .ok()
            .filter(|&threads| threads > 0),
        compile_memory: s.number("compile.memory"),
        compile_time: s.duration("compile.time"),
        secrets: SecretSettings {
            source: match s.text("secrets.source").as_deref() {
                Some("environment") => SecretSource::Environment,
                Some("command") => SecretSource::Command,
                _ => SecretSource::File,
            },
            file: s.path("secrets.file"),
            command: s.texts("secrets.command"),
            hosts: BTreeMap::new(),
        },
        services: Vec::new(),
        provenance: Provenance::default(),
        ceilings: ceilings(s),
        settings,
    }
}

fn key_place(setting: PathSetting) -> KeyPlace {
    match secret_of(&setting.path) {
        Some(name) => KeyPlace::Secret(name.to_owned()),
        None => KeyPlace::File(setting),
    }
}

fn ceilings(s: &Settings) -> Ceilings {
    Ceilings {
        memory: s.ceiling("memory", Settings::number),
        table_elements: s.ceiling("table-elements", Settings::number),
        instances: s.ceiling("instances", Settings::count),
        fuel: s.ceiling("fuel", Settings::number),
        output: s.ceiling("output", Settings::number),
        log: s.ceiling("log", Settings::number),
        host_memory: s.ceiling("host-memory", Settings::number),
        concurrency: s.ceiling("concurrency", Settings::count),
        timeout: s.ceiling("timeout", Settings::duration),
        deadline: s.ceiling("deadline", Settings::duration),
        attempts: s.ceiling("attempts", Settings::count),
        max_total_attempts: s.ceiling("max-total-attempts", Settings::count),
        exchange_timeout: s.ceiling("exchange-timeout", Settings::duration),
        max_response: s.ceiling("max-response", Settings::number),
        exchanges: s.ceiling("exchanges", Settings::count),
    }
}
