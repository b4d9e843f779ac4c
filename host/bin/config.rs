//! Where settings come from: the only place that reads environment variables and looks for files.

use crate::database::Database;
use fusebox_faces::cli::{Cli, Failed};
use fusebox_manifest::diagnostic::Diagnostic;
use fusebox_manifest::{HostFile, KeyPlace, PathSetting, Presets, Source};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Name of the operator's file.
const FILE: &str = "fusebox.toml";

/// A variable with this before the name of a secret holds its value.
pub(crate) const SECRET_PREFIX: &str = "FUSEBOX_SECRET_";
/// The variable with the key that the command line shows to a host.
pub(crate) const KEY_VARIABLE: &str = "FUSEBOX_KEY";
/// The variable with the database, whose URL may hold a password.
pub(crate) const DATABASE_VARIABLE: &str = "FUSEBOX_DATABASE";
/// Variables of S3's protocol whose values are secrets.
pub(crate) const BLOB_SECRETS: [&str; 2] = ["AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"];
/// Variables that say where to look, and are no settings themselves.
const NO_SETTINGS: [&str; 5] = [
    "FUSEBOX_CONFIG",
    "FUSEBOX_WASM",
    "FUSEBOX_HOST",
    KEY_VARIABLE,
    "FUSEBOX_CA",
];

/// What the process was started with.
pub(crate) struct Environment {
    /// The operator's file as named on the command line or in `FUSEBOX_CONFIG`.
    file: Option<PathBuf>,
    /// The host that is asked over HTTP, on the command line or in `FUSEBOX_HOST`.
    pub(crate) host: Option<String>,
    /// Who signed that host's certificate, on the command line or in `FUSEBOX_CA`.
    pub(crate) ca: Option<PathBuf>,
    key: Option<KeyText>,
    flags: BTreeMap<String, String>,
    variables: BTreeMap<String, String>,
    /// Variables that begin with `AWS_`: credentials, and how to get them.
    pub(crate) aws: BTreeMap<String, String>,
    data_home: Option<PathBuf>,
    cache_home: Option<PathBuf>,
    /// `NO_COLOR` is set (<https://no-color.org>).
    pub(crate) no_color: bool,
    /// `RUST_LOG`, for those who look for a defect.
    pub(crate) log_filter: Option<String>,
    /// `OTEL_EXPORTER_OTLP_ENDPOINT`, where `otlp.endpoint` is not set.
    pub(crate) collector: Option<String>,
}

/// Where an API key was given.
enum KeyText {
    File(PathBuf),
    Variable(String),
}

impl Environment {
    /// Reads the process's environment; what stands on the command line comes before it.
    #[expect(clippy::disallowed_methods, reason = "this module is where settings are read")]
    pub(crate) fn read(cli: &Cli, flags: BTreeMap<String, String>) -> Self {
        let global = &cli.global;
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let home = |name: &str, below_home: &str| {
            let path = set(name).map(PathBuf::from).filter(|path| path.is_absolute());
            path.or_else(|| Some(PathBuf::from(set("HOME")?).join(below_home)))
        };
        let text = |name: &str| set(name).and_then(|value| value.into_string().ok());
        let key_file = global.key_file.clone().map(KeyText::File);
        Self {
            file: global
                .config
                .clone()
                .or_else(|| set("FUSEBOX_CONFIG").map(PathBuf::from)),
            host: cli.host().map(str::to_owned).or_else(|| text("FUSEBOX_HOST")),
            ca: global.ca.clone().or_else(|| set("FUSEBOX_CA").map(PathBuf::from)),
            key: key_file.or_else(|| text(KEY_VARIABLE).map(KeyText::Variable)),
            flags,
            variables: variables("FUSEBOX_"),
            aws: variables("AWS_"),
            data_home: home("XDG_DATA_HOME", ".local/share"),
            cache_home: home("XDG_CACHE_HOME", ".cache"),
            no_color: set("NO_COLOR").is_some(),
            log_filter: set("RUST_LOG").and_then(|value| value.into_string().ok()),
            collector: set("OTEL_EXPORTER_OTLP_ENDPOINT").and_then(|value| value.into_string().ok()),
        }
    }

    /// The API key that was given.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub(crate) fn key(&self) -> Result<Option<String>, Failed> {
        match &self.key {
            None => Ok(None),
            Some(KeyText::Variable(key)) => Ok(Some(key.trim().to_owned())),
            Some(KeyText::File(path)) => {
                let text = fs::read_to_string(path).map_err(|error| {
                    Failed::file(
                        format!("the key file {} cannot be read: {error}", path.display()),
                        "--key-file names a file with the key on one line",
                    )
                })?;
                Ok(Some(text.trim().to_owned()))
            }
        }
    }
}

/// Variables whose names begin so. Of ours, `FUSEBOX_CONFIG` and the values of secrets are no settings.
fn variables(prefix: &str) -> BTreeMap<String, String> {
    let named = |(name, value): (OsString, OsString)| {
        let name = name.into_string().ok()?;
        name.starts_with(prefix).then_some(())?;
        Some((name, value.into_string().ok()?))
    };
    std::env::vars_os().filter_map(named).collect()
}

/// The effective settings, and the paths that follow from them.
pub(crate) struct Config {
    /// The operator's file, when there is one.
    pub(crate) file: Option<PathBuf>,
    /// What is worth saying about it, and about variables and flags.
    pub(crate) warnings: Vec<Diagnostic>,
    /// What it came down to.
    pub(crate) host: HostFile,
    /// Presets: those that come with Fusebox, and the operator's.
    pub(crate) presets: Presets,
    /// Where everything is kept that lasts.
    pub(crate) database: Database,
    /// Folder of compiled components.
    pub(crate) cache: PathBuf,
    /// Folder of Cedar rules.
    pub(crate) rules: PathBuf,
    /// The file of secrets.
    pub(crate) secrets: PathBuf,
    /// Values of secrets in variables, by the secret's name.
    pub(crate) secret_variables: BTreeMap<String, String>,
    /// PEM file with further authorities.
    pub(crate) extra_roots: Option<PathBuf>,
    /// Where the key of encryption at rest is.
    pub(crate) encryption_key: Option<KeySource>,
}

/// Where the key of encryption at rest is.
pub(crate) enum KeySource {
    /// A file that holds it.
    File(PathBuf),
    /// The secret of that name.
    Secret(String),
}

impl Config {
    /// Finds and reads everything.
    ///
    /// # Errors
    /// All findings, or a file that cannot be read.
    pub(crate) fn load(environment: &Environment) -> Result<Self, Failed> {
        let working = std::env::current_dir().map_err(|error| {
            Failed::file(
                format!("the working folder cannot be read: {error}"),
                "change to a folder that exists",
            )
        })?;
        let file = find(environment.file.as_deref(), &working)?;
        let text = file.as_deref().map(read).transpose()?;
        let shown = file.as_ref().map(|path| relative(path, &working));
        let (secret_variables, variables) = partition(&environment.variables);
        let source = Source {
            file: shown.as_deref().zip(text.as_deref()),
            variables,
            flags: environment.flags.clone(),
        };
        let beside = file.as_deref().and_then(Path::parent).unwrap_or(&working).to_owned();
        let place = |setting: &PathSetting| setting.resolve(&beside, &working);
        let mut presets = Presets::embedded();
        if let Some(folder) = HostFile::policies(&source).map(|setting| place(&setting)) {
            add_presets(&mut presets, &folder)?;
        }
        let (host, warnings) = HostFile::merge(&source, &presets);
        let Some(host) = host else {
            return Err(Failed::Findings(warnings));
        };
        let default = |name: &str| match (&file, &environment.data_home) {
            (Some(_), _) => Ok(beside.join(name)),
            (None, Some(home)) => Ok(home.join("fusebox").join(name)),
            (None, None) => Err(no_home("database")),
        };
        let database = host.database.as_ref().map_or_else(
            || default("fusebox.db").map(Database::File),
            |setting| Ok(Database::named(setting, &beside, &working)),
        )?;
        let cache = match (&host.cache, &environment.cache_home) {
            (Some(path), _) => place(path),
            (None, Some(home)) => home.join("fusebox/compiled"),
            (None, None) => return Err(no_home("cache")),
        };
        let rules = match &host.rules {
            Some(path) => rules_folder(place(path))?,
            None => default("rules")?,
        };
        Ok(Self {
            rules,
            secrets: host
                .secrets
                .file
                .as_ref()
                .map_or_else(|| default("secrets.toml"), |path| Ok(place(path)))?,
            extra_roots: host.extra_roots.as_ref().map(place),
            encryption_key: host.encryption_key.as_ref().map(|key| match key {
                KeyPlace::File(path) => KeySource::File(place(path)),
                KeyPlace::Secret(name) => KeySource::Secret(name.clone()),
            }),
            file,
            warnings,
            host,
            presets,
            database,
            cache,
            secret_variables,
        })
    }
}

/// A folder that was named and is not there is a mistake, and would let roles alone decide.
fn rules_folder(folder: PathBuf) -> Result<PathBuf, Failed> {
    if folder.is_dir() {
        return Ok(folder);
    }
    Err(Failed::file(
        format!("there is no folder of rules {}", folder.display()),
        "change `rules` in the operator's file, or create the folder",
    ))
}

fn no_home(setting: &str) -> Failed {
    Failed::usage(
        "neither HOME nor the XDG folders are set, so there is no place for data",
        format!("create a {FILE} here, or give --{setting} PATH"),
    )
}

/// The operator's file: the one that was named, else the nearest, here or in a folder above.
fn find(named: Option<&Path>, working: &Path) -> Result<Option<PathBuf>, Failed> {
    if let Some(path) = named {
        let path = working.join(path);
        if path.is_file() {
            return Ok(Some(path));
        }
        return Err(Failed::file(
            format!("there is no file {}", path.display()),
            format!("--config and FUSEBOX_CONFIG name the operator's file, such as {FILE}"),
        ));
    }
    Ok(working
        .ancestors()
        .map(|folder| folder.join(FILE))
        .find(|path| path.is_file()))
}

fn read(path: &Path) -> Result<String, Failed> {
    fs::read_to_string(path).map_err(|error| {
        Failed::file(
            format!("{} cannot be read: {error}", path.display()),
            "it is a text file in UTF-8 that you may read",
        )
    })
}

/// A path as short as it can be written from here.
fn relative(path: &Path, working: &Path) -> String {
    path.strip_prefix(working).unwrap_or(path).display().to_string()
}

/// Variables that hold secrets, by the secret's name, and those that are settings.
fn partition(variables: &BTreeMap<String, String>) -> (BTreeMap<String, String>, BTreeMap<String, String>) {
    let mut secrets = BTreeMap::new();
    let mut settings = BTreeMap::new();
    for (name, value) in variables {
        match name.strip_prefix(SECRET_PREFIX) {
            Some(secret) => secrets.insert(secret.to_owned(), value.clone()),
            None if NO_SETTINGS.contains(&name.as_str()) => None,
            None => settings.insert(name.clone(), value.clone()),
        };
    }
    (secrets, settings)
}

fn add_presets(presets: &mut Presets, folder: &Path) -> Result<(), Failed> {
    let unreadable = |error: io::Error| {
        Failed::file(
            format!("the folder of presets {} cannot be read: {error}", folder.display()),
            "change `policies` in the operator's file, or create the folder",
        )
    };
    let mut findings = Vec::new();
    let mut paths = fs::read_dir(folder)
        .map_err(unreadable)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<io::Result<Vec<_>>>()
        .map_err(unreadable)?;
    paths.sort();
    for path in paths
        .iter()
        .filter(|path| path.extension().is_some_and(|end| end == "toml"))
    {
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        findings.extend(presets.add(&name, &path.display().to_string(), &read(path)?));
    }
    if findings.iter().any(Diagnostic::is_error) {
        return Err(Failed::Findings(findings));
    }
    Ok(())
}
