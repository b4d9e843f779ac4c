//! A folder in which somebody types `fusebox` commands: an operator's file, manifests, secrets, and upstreams of its own.

mod bucket;
mod guests;
mod process;

pub(crate) use bucket::{Bucket, SECRET};
pub(crate) use guests::{compile as compiled, file as guest};
pub(crate) use process::{PATIENCE, Ran, Running};

use fusebox_simulator::{Fault, Recorded, Service, Simulator};
use fusebox_test_postgres::Database;
use serde_json::Value;
use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// Ports that the example manifests name, and the services behind them.
const PORTS: [(&str, Service); 4] = [
    ("8801", Service::Search),
    ("8802", Service::Llm),
    ("8803", Service::Mail),
    ("8804", Service::Ledger),
];

/// Keys that the services demand.
const SECRETS: [(&str, &str, Service); 3] = [
    ("SEARCH_KEY", "search-secret", Service::Search),
    ("LLM_KEY", "llm-secret", Service::Llm),
    ("MAIL_KEY", "mail-secret", Service::Mail),
];

/// Delays between attempts are there in tests, and short.
const SHORT: [(&str, &str); 2] = [
    (
        "retry = \"idempotent\"",
        "retry = { preset = \"idempotent\", base = \"10ms\" }",
    ),
    ("retry = \"llm\"", "retry = { preset = \"llm\", base = \"10ms\" }"),
];

/// An execution environment for simulators, which live as long as the test that started them.
pub(crate) fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| Runtime::new().unwrap())
}

/// Waits until something is so, and fails when it takes too long.
#[track_caller]
pub(crate) fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(20);
    while !is_so() {
        assert!(Instant::now() < until, "in 20 s it did not come true: {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// Where everything of one test lies.
pub(crate) struct Site {
    folder: TempDir,
    simulator: Simulator,
    /// Its database, where that is not a file in the folder.
    postgres: Option<Arc<Database>>,
    /// What every command finds in its environment.
    variables: Vec<(&'static str, String)>,
}

impl Site {
    /// A site with the least that an operator's file needs for upstreams on this machine.
    pub(crate) fn new() -> Self {
        Self::with("")
    }

    /// A site whose operator's file begins with those lines.
    pub(crate) fn with(settings: &str) -> Self {
        Self::made(settings, None)
    }

    /// A site that keeps everything in that database; its operator's file begins with those lines.
    pub(crate) fn on(database: &Arc<Database>, settings: &str) -> Self {
        let settings = format!("database = \"{}\"\n{settings}", database.url());
        Self::made(&settings, Some(Arc::clone(database)))
    }

    fn made(settings: &str, postgres: Option<Arc<Database>>) -> Self {
        let site = Self {
            folder: tempfile::tempdir().unwrap(),
            simulator: runtime().block_on(Simulator::start(0)).unwrap(),
            postgres,
            variables: Vec::new(),
        };
        fs::create_dir(site.path("home")).unwrap();
        site.write(
            "fusebox.toml",
            &format!("{settings}\n[network]\nallow = [\"127.0.0.1\"]\n"),
        );
        for (name, value, service) in SECRETS {
            let host = site.url(service);
            site.pipe(&["secrets", "set", name, "--host", &host], value.as_bytes())
                .exits(0);
        }
        site
    }

    /// A site with tools deployed as they stand in the examples.
    pub(crate) fn deployed(tools: &[&str]) -> Self {
        let site = Self::new();
        for tool in tools {
            site.deploy(tool);
        }
        site
    }

    /// The database of a server that it is kept in.
    pub(crate) fn database(&self) -> &Database {
        self.postgres.as_ref().expect("a site on PostgreSQL")
    }

    /// Sets a variable for every command from now on.
    pub(crate) fn set(&mut self, name: &'static str, value: &str) {
        self.variables.retain(|(known, _)| *known != name);
        self.variables.push((name, value.to_owned()));
    }

    /// A path in its folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Its folder.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Where a service listens.
    pub(crate) fn url(&self, service: Service) -> String {
        format!("http://127.0.0.1:{}", self.simulator.ports().of(service))
    }

    /// Writes a file.
    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    /// Reads a file.
    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// Puts an example tool into the folder, its manifest with the ports of this site, short delays, and those replacements.
    #[track_caller]
    pub(crate) fn place(&self, tool: &str, replacements: &[(&str, &str)]) {
        let mut text = fs::read_to_string(guest(&format!("{tool}.toml"))).unwrap();
        for (from, to) in replacements {
            assert!(text.contains(from), "the manifest of {tool} has no `{from}`");
            text = text.replace(from, to);
        }
        for (from, to) in SHORT {
            text = text.replace(from, to);
        }
        self.write(&format!("{tool}.toml"), &self.here(&text));
        guests::compile(tool);
        let component = self.path(&format!("{tool}.wasm"));
        if !component.exists() {
            symlink(guest(&format!("{tool}.wasm")), component).unwrap();
        }
    }

    /// A text with the ports of this site in place of those of the examples.
    pub(crate) fn here(&self, text: &str) -> String {
        PORTS.iter().fold(text.to_owned(), |text, (port, service)| {
            text.replace(port, &self.simulator.ports().of(*service).to_string())
        })
    }

    /// Deploys an example tool.
    #[track_caller]
    pub(crate) fn deploy(&self, tool: &str) {
        self.deploy_with(tool, &[]);
    }

    /// Deploys an example tool whose manifest was changed.
    #[track_caller]
    pub(crate) fn deploy_with(&self, tool: &str, replacements: &[(&str, &str)]) {
        self.place(tool, replacements);
        self.fusebox(&["deploy", &format!("{tool}.toml")]).exits(0);
    }

    /// The binary, in this folder, with nothing of the environment of the test.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fusebox"));
        command
            .args(arguments)
            .env_clear()
            .env("HOME", self.path("home"))
            .env("PATH", "/usr/bin:/bin")
            .env("FUSEBOX_CACHE", guests::cache())
            .env("FUSEBOX_LISTEN_HTTP", "127.0.0.1:0")
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .current_dir(self.folder())
            .stdin(Stdio::null());
        command
    }

    /// Types a command and waits for its end.
    #[track_caller]
    pub(crate) fn fusebox(&self, arguments: &[&str]) -> Ran {
        self.start(arguments).wait()
    }

    /// Types a command with environment variables.
    #[track_caller]
    pub(crate) fn fusebox_with(&self, variables: &[(&str, &str)], arguments: &[&str]) -> Ran {
        let mut command = self.command(arguments);
        command.envs(variables.iter().copied());
        Running::start(&mut command, PATIENCE).wait()
    }

    /// Types a command and goes on.
    pub(crate) fn start(&self, arguments: &[&str]) -> Running {
        Running::start(&mut self.command(arguments), PATIENCE)
    }

    /// Types a command and pipes something into it.
    #[track_caller]
    pub(crate) fn pipe(&self, arguments: &[&str], input: &[u8]) -> Ran {
        let path = self.folder.path().join("stdin");
        fs::File::create(&path).unwrap().write_all(input).unwrap();
        let mut command = self.command(arguments);
        command.stdin(fs::File::open(&path).unwrap());
        fs::remove_file(path).unwrap();
        Running::start(&mut command, PATIENCE).wait()
    }

    /// Calls a function under `--json`.
    #[track_caller]
    pub(crate) fn call(&self, function: &str, input: &Value) -> Ran {
        self.call_with(function, input, &[])
    }

    /// Calls a function under `--json` with further arguments.
    #[track_caller]
    pub(crate) fn call_with(&self, function: &str, input: &Value, more: &[&str]) -> Ran {
        self.start_call(function, input, more).wait()
    }

    /// Begins a call under `--json` and goes on.
    pub(crate) fn start_call(&self, function: &str, input: &Value, more: &[&str]) -> Running {
        let input = input.to_string();
        self.start(&[&["call", function, &input, "--json"], more].concat())
    }

    /// Orders a fault of a service for so many requests; `None`: until it is cleared.
    pub(crate) fn fault(&self, service: Service, fault: Fault, times: Option<u64>) {
        runtime().block_on(self.simulator.fault(service, fault, times)).unwrap();
    }

    /// Orders a status of a service for so many requests; `None`: until it is cleared.
    pub(crate) fn status(&self, service: Service, status: u16, times: Option<u64>) {
        self.answer(service, status, None, times);
    }

    /// As [`Self::status`], which asks to wait for so many seconds.
    pub(crate) fn status_with_wait(&self, service: Service, status: u16, seconds: u32, times: Option<u64>) {
        self.answer(service, status, Some(seconds.to_string()), times);
    }

    fn answer(&self, service: Service, status: u16, retry_after: Option<String>, times: Option<u64>) {
        let fault = Fault::Status {
            status,
            retry_after,
            body: None,
        };
        self.fault(service, fault, times);
    }

    /// Ends all faults of a service.
    pub(crate) fn heal(&self, service: Service) {
        runtime().block_on(self.simulator.clear_faults(Some(service))).unwrap();
    }

    /// The upstreams, to be asked what they counted.
    pub(crate) fn upstreams(&self) -> &Simulator {
        &self.simulator
    }

    /// Every request that a service has seen.
    pub(crate) fn requests(&self, service: Service) -> Vec<Recorded> {
        self.simulator.requests(Some(service))
    }

    /// Open letters, oldest first.
    #[track_caller]
    pub(crate) fn letters(&self) -> Vec<Value> {
        self.fusebox(&["dlq", "list", "--json"]).exits(0).json_lines()
    }

    /// One letter.
    #[track_caller]
    pub(crate) fn letter(&self, id: &str) -> Value {
        self.fusebox(&["dlq", "show", id, "--json"]).exits(0).json()
    }

    /// The error log, newest first.
    #[track_caller]
    pub(crate) fn errors(&self) -> Vec<Value> {
        self.fusebox(&["errors", "--json"]).exits(0).json_lines()
    }

    /// Runs, newest first.
    #[track_caller]
    pub(crate) fn runs(&self) -> Vec<Value> {
        self.fusebox(&["runs", "--json"]).exits(0).json_lines()
    }

    /// One run.
    #[track_caller]
    pub(crate) fn run(&self, id: &str) -> Value {
        self.fusebox(&["runs", "show", id, "--json"]).exits(0).json()
    }

    /// The state of a breaker; one without a history is closed.
    #[track_caller]
    pub(crate) fn breaker(&self, key: &str) -> Value {
        let all = self.fusebox(&["breakers", "--json"]).exits(0).json_lines();
        all.into_iter()
            .find(|breaker| breaker["key"] == key)
            .unwrap_or_else(|| serde_json::json!({ "key": key, "state": "closed", "failures": 0, "reopenings": 0 }))
    }

    /// The present in milliseconds since 1970, by the clock of the database.
    pub(crate) fn now(&self) -> i64 {
        // `unixepoch('subsec')` is younger than the SQLite of some systems.
        let now = self.sql("SELECT CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)");
        now.parse().unwrap()
    }

    /// A value of the database as text, which is asked as any other process would; by `sqlite3` where it is a file.
    #[track_caller]
    pub(crate) fn sql(&self, query: &str) -> String {
        if let Some(database) = &self.postgres {
            return runtime().block_on(database.ask(&format!("SELECT ({query})::text")));
        }
        let output = Command::new("sqlite3")
            .arg(self.path("fusebox.db"))
            .arg(query)
            .output()
            .expect("`sqlite3` is needed: apt-get install sqlite3");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }
}
