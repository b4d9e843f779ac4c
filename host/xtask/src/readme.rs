//! `cargo xtask readme`: does to the letter what the README's quick start says, from nothing to a tool that answers an agent, and times it.

mod agent;
mod blocks;
mod program;

use crate::{folders, process, steps, wasm_target};
use agent::Agent;
use anyhow::{Context, Result, bail, ensure};
use blocks::Blocks;
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;
use std::time::Instant;

/// Follows the README's quick start to the letter and times it, for a tool in each language
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Only a tool in this language
    #[arg(long)]
    lang: Option<Language>,
    /// Use the binary that was built before
    #[arg(long)]
    built: bool,
}

/// The languages that `fusebox init` has a template of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Language {
    /// As the README has it.
    Python,
    /// Said in a comment of the README.
    Js,
    /// The same.
    Rust,
}

impl Language {
    /// All of them.
    pub(crate) const ALL: [Self; 3] = [Self::Python, Self::Js, Self::Rust];

    fn name(self) -> &'static str {
        match self {
            Self::Python => "python",
            Self::Js => "js",
            Self::Rust => "rust",
        }
    }
}

/// An unoptimised host needs minutes to compile Python on a busy machine.
const COMPILE_TIME: &str = "15m";

/// Runs the subcommand, after building the binary.
///
/// # Errors
/// What the README promises and is not so.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    if !arguments.built {
        steps::build("debug")?;
    }
    match arguments.lang {
        Some(language) => check(&[language]),
        None => check(&Language::ALL),
    }
}

/// Follows the quick start with the built binary.
///
/// # Errors
/// As [`run`].
pub(crate) fn check(languages: &[Language]) -> Result<()> {
    let path = folders::root().join("README.md");
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let blocks = Blocks::of(&text)?;
    languages.iter().try_for_each(|language| {
        follow(&blocks, *language).with_context(|| format!("as a tool in {}", language.name()))
    })
}

/// From an empty folder to a tool that answers an agent.
fn follow(blocks: &Blocks, language: Language) -> Result<()> {
    let home = tempfile::tempdir().context("cannot make a folder")?;
    let script = blocks
        .get("quick-start")?
        .replace("--lang python", &format!("--lang {}", language.name()));
    let here = Surroundings::new(home.path(), language)?;
    println!("\n--- README, quick start, {}", language.name());
    let start = Instant::now();
    let said = process::output(here.command("sh").args(["-euxc", &script]))?;
    let made = start.elapsed();
    let expected = blocks.get("quick-start-answer")?.trim();
    let answer = said.trim_end().lines().last().unwrap_or_default();
    ensure!(
        answer == expected,
        "the call answers `{answer}`, and the README says `{expected}`"
    );

    answered(blocks.get("desktop-agent")?, &here, expected)?;
    if language == Language::Python {
        program::check(blocks, &here)?;
    }
    println!(
        "--- README, quick start, {}: the tool answers after {:.0} s, and agents after {:.0} s",
        language.name(),
        made.as_secs_f32(),
        start.elapsed().as_secs_f32()
    );
    Ok(())
}

/// What a desktop agent does with its settings: it starts the server that they name, looks at the tools, and calls the new one.
fn answered(settings: &str, here: &Surroundings<'_>, expected: &str) -> Result<()> {
    let settings: Value = serde_json::from_str(settings).context("the settings of the desktop agent are no JSON")?;
    let server = &settings["mcpServers"]["fusebox"];
    let program = server["command"].as_str().context("the settings name no command")?;
    let arguments = server["args"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str);
    let mut agent = Agent::start(here.command(program).args(arguments))?;
    agent.greet()?;
    let tools = agent.ask("tools/list", json!({}))?;
    let names: Vec<_> = tools["tools"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|tool| &tool["name"])
        .collect();
    ensure!(names.contains(&&json!("words_count")), "the agent is offered {names:?}");
    let text = std::fs::read_to_string(here.home.join("words/call.json"))?;
    let arguments: Value = serde_json::from_str(&text).context("call.json is no JSON")?;
    let answer = agent.ask("tools/call", json!({ "name": "words_count", "arguments": arguments }))?;
    let expected: Value = serde_json::from_str(expected).context("the README's answer is no JSON")?;
    if answer["structuredContent"] != expected {
        bail!("the agent is answered {answer}, and the README says {expected}");
    }
    agent.stop()
}

/// Where the README is followed: a home of its own for data, and the built binary in the path.
struct Surroundings<'a> {
    home: &'a Path,
    path: std::ffi::OsString,
    /// The compiler of Rust guests, where it is not the ordinary one.
    rustc: Option<std::path::PathBuf>,
}

impl<'a> Surroundings<'a> {
    fn new(home: &'a Path, language: Language) -> Result<Self> {
        let binary = steps::binary("debug", "fusebox");
        ensure!(binary.is_file(), "{} is missing", binary.display());
        let folder = binary.parent().context("the binary lies in a folder")?.to_owned();
        let others = std::env::var_os("PATH").unwrap_or_default();
        let rustc = match language {
            Language::Rust => wasm_target::prepare()?.rustc,
            Language::Python | Language::Js => None,
        };
        Ok(Self {
            home,
            path: std::env::join_paths(std::iter::once(folder).chain(std::env::split_paths(&others)))?,
            rustc,
        })
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy();
            if name.starts_with("FUSEBOX_") || name.starts_with("CARGO_") || name.starts_with("RUST") {
                command.env_remove(&*name);
            }
        }
        command
            .current_dir(self.home)
            .env("PATH", &self.path)
            .env("XDG_DATA_HOME", self.home.join("data"))
            .env("FUSEBOX_CACHE", self.home.join("compiled"))
            .env("FUSEBOX_COMPILE_TIME", COMPILE_TIME);
        for variable in ["CARGO_HOME", "RUSTUP_HOME", "RUSTUP_TOOLCHAIN"] {
            if let Some(value) = std::env::var_os(variable) {
                command.env(variable, value);
            }
        }
        if let Some(rustc) = &self.rustc {
            command.env("RUSTC", rustc);
        }
        command
    }
}
