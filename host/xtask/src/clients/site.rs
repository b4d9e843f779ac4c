//! Where the clients meet the host: tools deployed, upstreams simulated, a key made, one server for all of them.

use super::packages::{self, Node, Python};
use crate::process;
use crate::stage::{Serving, Stage};
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::cell::OnceCell;
use std::fs;
use std::path::Path;
use std::process::Command;

/// The tools that the clients call.
const TOOLS: [&str; 5] = ["calculator", "search", "email", "ledger", "conformance"];

/// Long enough that no client has to wait, and short enough that the clients see attempts repeated.
const SETTINGS: &str = "lease = \"10s\"\n";

/// A stage with a host that serves it.
pub(super) struct Site {
    stage: Stage,
    url: String,
    key: String,
    node: OnceCell<Node>,
    python: OnceCell<Python>,
    /// Dropped last.
    _serving: Serving,
}

impl Site {
    /// Sets everything up below `target/clients`.
    pub(super) fn open() -> Result<Self> {
        let stage = Stage::open("clients", "debug", SETTINGS)?;
        place_conformance(stage.folder())?;
        let mut deploy = vec!["deploy".to_owned()];
        deploy.extend(TOOLS.iter().map(|tool| format!("{tool}.toml")));
        let deploy: Vec<_> = deploy.iter().map(String::as_str).collect();
        succeed(&stage, &deploy)?;
        let key = key(&stage, &["caller"])?;
        let mut serving = stage.serve(&["--http", "127.0.0.1:0", "--open-loopback"], "serve.log")?;
        Ok(Self {
            url: serving.url()?,
            key,
            node: OnceCell::new(),
            python: OnceCell::new(),
            stage,
            _serving: serving,
        })
    }

    /// The folder of the host.
    pub(super) fn folder(&self) -> &Path {
        self.stage.folder()
    }

    /// The address of the host.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// The clients of Node.js.
    pub(super) fn node(&self) -> Result<&Node> {
        if let Some(node) = self.node.get() {
            return Ok(node);
        }
        let node = Node::install(self.stage.folder())?;
        Ok(self.node.get_or_init(|| node))
    }

    /// The clients of Python.
    pub(super) fn python(&self) -> Result<&Python> {
        if let Some(python) = self.python.get() {
            return Ok(python);
        }
        let python = Python::install()?;
        Ok(self.python.get_or_init(|| python))
    }

    /// Purges all letters: a call like one that has left a letter would join its run, and tell of no attempts.
    pub(super) fn forget_letters(&self) -> Result<()> {
        for letter in succeed(&self.stage, &["dlq", "list", "--json"])?.lines() {
            let letter: Value = serde_json::from_str(letter)?;
            let id = letter["id"].as_str().context("a letter has an id")?;
            succeed(&self.stage, &["dlq", "purge", id, "--yes"])?;
        }
        Ok(())
    }

    /// Runs a client with everything that it has to know in its environment.
    pub(super) fn run(&self, client: &mut Command) -> Result<()> {
        let simulator = self.stage.simulator();
        let of = |service| Ok::<_, anyhow::Error>(format!("http://127.0.0.1:{}", simulator.port(service)?));
        client
            .env("FUSEBOX", self.stage.binary())
            .env("FUSEBOX_FOLDER", self.stage.folder())
            .env("FUSEBOX_URL", format!("{}/mcp", self.url))
            .env("FUSEBOX_KEY", &self.key)
            .env("SIMULATOR", of("admin")?)
            .env("LLM_URL", format!("{}/v1", of("llm")?))
            .env("LLM_KEY", "llm-secret");
        process::run(client)
    }
}

/// Puts the tool of the conformance suite where the others are.
fn place_conformance(folder: &Path) -> Result<()> {
    let sources = packages::sources().join("conformance");
    let component = wat::parse_file(sources.join("conformance.wat"))?;
    fs::write(folder.join("conformance.wasm"), component)?;
    fs::copy(sources.join("conformance.toml"), folder.join("conformance.toml"))?;
    Ok(())
}

/// The token of a new key with these roles.
pub(super) fn key(stage: &Stage, roles: &[&str]) -> Result<String> {
    let mut create = vec!["keys", "create", "clients", "--json"];
    create.extend(roles.iter().flat_map(|role| ["--role", role]));
    let made = succeed(stage, &create)?;
    let made: Value = serde_json::from_str(&made).with_context(|| format!("this is no JSON: {made}"))?;
    Ok(made["token"].as_str().context("a new key has a token")?.to_owned())
}

/// Runs a command of the host that has to end well; what it printed.
pub(super) fn succeed(stage: &Stage, command: &[&str]) -> Result<String> {
    let ran = stage.quietly(command)?;
    ensure!(
        ran.code == 0,
        "`fusebox {}` ended with {}:\n{}",
        command.join(" "),
        ran.code,
        ran.stderr
    );
    Ok(ran.stdout)
}
