//! The command line: one file for each command, one place for what they share.

mod approvals;
mod audit;
mod breakers;
mod build;
mod call;
mod check;
mod completions;
mod config;
mod debug;
mod deploy;
mod dlq;
mod doctor;
mod errors;
mod explain;
mod failed;
mod identity;
mod init;
mod input;
mod keys;
mod man;
mod manifests;
mod migrate;
mod misspelt;
mod moments;
mod output;
mod place;
mod policy;
mod progress;
mod runs;
mod schema;
mod secrets;
mod serve;
mod timeline;
mod tools;
mod trial;
mod wiring;

pub use failed::Failed;
pub use output::{Look, Output};
pub use wiring::{Checkup, Moved, SecretEntry, SecretKeeper, State, Wiring};

use crate::outcome;
use clap::{Arg, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use fusebox_core::time::Wall;
use fusebox_engine::ports::clock::{Clock, SystemClock};
use fusebox_engine::requests::Caller;
use fusebox_manifest::render::Style;
use fusebox_manifest::settings;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{BufRead, Write};
use std::path::PathBuf;
use tokio_util::sync::CancellationToken;

/// Runs AI agents' tools as sandboxed WebAssembly components: nothing gets out that was not granted, and every upstream has a fuse.
#[derive(Debug, Parser)]
#[command(name = "fusebox", version, max_term_width = 110, after_help = outcome::exit_codes(), after_long_help = long_help())]
pub struct Cli {
    #[command(flatten)]
    /// What every command takes.
    pub global: Global,
    #[command(subcommand)]
    command: Command,
}

/// What every command takes.
#[derive(Debug, clap::Args)]
pub struct Global {
    /// Print JSON: one object, or one a line
    #[arg(long, global = true)]
    pub json: bool,
    /// The operator's file; otherwise the nearest fusebox.toml, here or in a folder above
    #[arg(long, global = true, value_name = "FILE", help_heading = "Settings")]
    pub config: Option<PathBuf>,
    /// The host that is asked over HTTP instead of one in this process, such as `https://fusebox.example` [env: FUSEBOX_HOST]
    #[arg(long, global = true, value_name = "URL", help_heading = "Remote host")]
    pub host: Option<String>,
    /// File with the API key, on one line; otherwise FUSEBOX_KEY holds it
    #[arg(long, global = true, value_name = "FILE", help_heading = "Remote host")]
    pub key_file: Option<PathBuf>,
    /// PEM file with the authority that signed the host's certificate [env: FUSEBOX_CA]
    #[arg(long, global = true, value_name = "FILE", help_heading = "Remote host")]
    pub ca: Option<PathBuf>,
    /// When to use colours
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        default_value = "auto",
        help_heading = "Settings"
    )]
    pub color: When,
}

/// When colours are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum When {
    /// On a terminal, unless NO_COLOR is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// One sandboxed call of a component: no manifest, no database, nothing granted
    Try(trial::Arguments),
    /// Make a tool that builds: sources, interface, manifest
    Init(init::Arguments),
    /// Build a tool by the commands of its manifest, and check what came of it
    Build(build::Arguments),
    /// Check manifests, with their components, and report every problem at once
    Check(check::Arguments),
    /// Explain a code such as FB0106
    Explain(explain::Arguments),
    /// Print the JSON Schema of a file, for editors
    Schema(schema::Arguments),
    /// Deploy tools: validate, compile ahead of time, register by digest
    Deploy(deploy::Arguments),
    /// List, show, switch and remove deployed tools
    #[command(args_conflicts_with_subcommands = true)]
    Tools {
        #[command(subcommand)]
        command: Option<tools::Command>,
    },
    /// Call a deployed function
    Call(call::Arguments),
    /// What was called, how it went, and going on with what is not over
    #[command(args_conflicts_with_subcommands = true)]
    Runs {
        #[command(subcommand)]
        command: Option<runs::Command>,
        #[command(flatten)]
        list: runs::List,
    },
    /// Dead letters: runs that gave up, kept to be understood and retried
    #[command(args_conflicts_with_subcommands = true)]
    Dlq {
        #[command(subcommand)]
        command: Option<Box<dlq::Command>>,
        #[command(flatten)]
        list: dlq::List,
    },
    /// Run a letter's last attempt again, offline: frames, locals, memory, the effect that failed
    Debug(debug::Arguments),
    /// What waits for a person, and what the person says
    #[command(args_conflicts_with_subcommands = true)]
    Approvals {
        #[command(subcommand)]
        command: Option<approvals::Command>,
        #[command(flatten)]
        list: approvals::List,
    },
    /// What failed and became no letter: bad input, denials, errors that tools answered with
    #[command(args_conflicts_with_subcommands = true)]
    Errors {
        #[command(subcommand)]
        command: Option<errors::Command>,
        #[command(flatten)]
        list: errors::List,
    },
    /// Circuit breakers: their state, and an operator's word over it
    Breakers {
        #[command(subcommand)]
        command: Option<breakers::Command>,
    },
    /// Effective settings, and where each came from
    Config(config::Arguments),
    /// The effective policy of a function, and the rules that say who may do what
    Policy(policy::Arguments),
    /// Secrets that the host adds to requests; guests never see them
    Secrets {
        #[command(subcommand)]
        command: secrets::Command,
    },
    /// API keys: who may ask a host, and as what
    Keys {
        #[command(subcommand)]
        command: keys::Command,
    },
    /// Who did what to the host, and whether that record is as it was written
    Audit {
        #[command(subcommand)]
        command: audit::Command,
    },
    /// Serve HTTP and MCP, and go on with runs that nobody holds, until a signal
    Serve(serve::Arguments),
    /// Copy everything in the database into an empty one: from a SQLite file to PostgreSQL, or back
    Migrate(migrate::Arguments),
    /// Look at everything that Fusebox needs, and say what is not well
    Doctor,
    /// Print a completion script for a shell
    Completions(completions::Arguments),
    /// Write a manual page for each command into a folder
    Man(man::Arguments),
}

/// What a command works with.
pub struct Context<'a> {
    /// The process around it.
    pub wiring: &'a dyn Wiring,
    /// Where data goes.
    pub out: Output<'a>,
    /// Who types.
    pub caller: Caller,
    /// Where everything else goes.
    pub stderr: &'a mut (dyn Write + Send),
    /// How findings are shown.
    pub style: Style,
    /// Where answers to questions come from; `None` when nobody is there to answer.
    pub answers: Option<&'a mut (dyn BufRead + Send)>,
    /// Whether stderr is a terminal.
    pub watched: bool,
    /// The machine's clock.
    pub clock: SystemClock,
    /// Cancelled by the first signal that asks for an end.
    pub stop: CancellationToken,
}

impl Context<'_> {
    /// Refuses, under `--host`, what is only done on the host's own machine.
    ///
    /// # Errors
    /// What to type instead.
    pub fn only_here(&self, what: &str) -> Result<(), Failed> {
        self.wiring.remote().map_or(Ok(()), |host| Err(only_there(what, host)))
    }

    /// The time of day.
    #[must_use]
    pub fn now(&self) -> Wall {
        self.clock.wall()
    }

    /// Says on a terminal what takes time; an empty text wipes it away.
    pub fn progress(&mut self, text: &str) {
        if self.watched
            && write!(self.stderr, "\r\x1b[K{}", output::printable(text))
                .and_then(|()| self.stderr.flush())
                .is_err()
        {
            tracing::debug!("nobody reads stderr");
        }
    }

    /// Says something that is not data.
    pub fn note(&mut self, text: &str) {
        if writeln!(self.stderr, "{}", output::printable(text)).is_err() {
            tracing::debug!("nobody reads stderr");
        }
    }

    /// Asks a question; without a terminal the answer is no.
    ///
    /// # Errors
    /// Those of the terminal.
    pub fn confirm(&mut self, question: &str) -> std::io::Result<bool> {
        let Some(answers) = self.answers.as_mut() else {
            return Ok(false);
        };
        write!(self.stderr, "{question} [y/N] ")?;
        self.stderr.flush()?;
        let mut answer = String::new();
        answers.read_line(&mut answer)?;
        Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
    }
}

impl Cli {
    /// Whether the command drains by itself when a signal asks for an end, so that what is in flight is not cancelled for it.
    #[must_use]
    pub fn drains(&self) -> bool {
        matches!(self.command, Command::Serve(_))
    }

    /// The host that `--host` names; that of `secrets set` is another one: where a secret may be sent.
    #[must_use]
    pub fn host(&self) -> Option<&str> {
        match &self.command {
            Command::Secrets { command } if command.names_hosts() => None,
            _ => self.global.host.as_deref(),
        }
    }

    /// Runs the command.
    ///
    /// # Errors
    /// Why it did not do what it was asked.
    pub async fn run(self, cx: &mut Context<'_>) -> Result<(), Failed> {
        match self.command {
            Command::Try(arguments) => trial::run(arguments, cx).await,
            Command::Init(arguments) => init::run(&arguments, cx),
            Command::Build(arguments) => build::run(&arguments, cx).await,
            Command::Check(arguments) => check::run(arguments, cx).await,
            Command::Explain(arguments) => explain::run(&arguments, cx),
            Command::Schema(arguments) => schema::run(&arguments, cx),
            Command::Deploy(arguments) => deploy::run(arguments, cx).await,
            Command::Tools { command } => tools::run(command.unwrap_or(tools::Command::List), cx).await,
            Command::Call(arguments) => call::run(arguments, cx).await,
            Command::Runs { command, list } => runs::run(command.unwrap_or(runs::Command::List(list)), cx).await,
            Command::Debug(arguments) => debug::run(arguments, cx).await,
            Command::Dlq { command, list } => {
                let command = command.unwrap_or_else(|| Box::new(dlq::Command::List(list)));
                dlq::run(*command, cx).await
            }
            Command::Approvals { command, list } => {
                approvals::run(command.unwrap_or(approvals::Command::List(list)), cx).await
            }
            Command::Errors { command, list } => errors::run(command.unwrap_or(errors::Command::List(list)), cx).await,
            Command::Breakers { command } => breakers::run(command.unwrap_or(breakers::Command::List), cx).await,
            Command::Config(arguments) => config::run(&arguments, cx),
            Command::Policy(arguments) => policy::run(arguments, cx).await,
            Command::Secrets { command } => secrets::run(command, cx),
            Command::Keys { command } => keys::run(command, cx).await,
            Command::Audit { command } => audit::run(command, cx).await,
            Command::Serve(arguments) => Box::pin(serve::run(&arguments, cx)).await,
            Command::Migrate(arguments) => migrate::run(&arguments, cx).await,
            Command::Doctor => doctor::run(cx).await,
            Command::Completions(arguments) => completions::run(&arguments, cx),
            Command::Man(arguments) => man::run(&arguments, cx),
        }
    }
}

/// What is said of a command that a remote host does not do for anybody.
#[must_use]
pub fn only_there(what: &str, host: &str) -> Failed {
    Failed::usage(
        format!("{what} is a matter of the host's own machine, and {host} is asked over HTTP"),
        "type it there; here, leave --host away and unset FUSEBOX_HOST",
    )
}

fn long_help() -> String {
    format!(
        "\
Examples:
  fusebox try calculator.wasm evaluate '{{\"expression\":\"2+2\"}}'
  fusebox check search.toml
  fusebox deploy search.toml
  fusebox call search.query '{{\"text\":\"wasm\"}}'
  fusebox dlq list
  fusebox dlq show LETTER
  fusebox dlq replay LETTER

What is not over goes on in one of three ways: `runs resume` goes on with a run, `dlq replay` retries the letter of a run that gave up, \
`dlq resolve` records what became of an effect that nobody knows about. None of them repeats what is settled.

With --host or FUSEBOX_HOST, commands ask a host that serves elsewhere, by the API key in FUSEBOX_KEY; what they print is the same.

Every setting is a variable, and a flag of every command: `fusebox config show --docs` lists them.

{}",
        outcome::exit_codes()
    )
}

/// Reads the command line: the command, and the settings that stand on it as flags, by the flag's name.
///
/// # Errors
/// What clap says: help, version, or what is wrong.
pub fn parse(line: impl IntoIterator<Item = OsString>) -> Result<(Cli, BTreeMap<String, String>), clap::Error> {
    let matches = command().try_get_matches_from(line)?;
    let flags = settings()
        .into_iter()
        .filter_map(|setting| Some((setting.flag, matches.get_one::<String>(&setting.key)?.clone())))
        .collect();
    Ok((Cli::from_arg_matches(&matches)?, flags))
}

/// The command line as clap sees it: every setting is a flag of every command, shown by `--help` alone.
#[must_use]
pub fn command() -> clap::Command {
    let flags = settings().into_iter().map(|setting| {
        Arg::new(setting.key)
            .long(setting.flag.trim_start_matches('-').to_owned())
            .value_name("VALUE")
            .help(setting.doc)
            .global(true)
            .hide(true)
    });
    Cli::command().args(flags)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        command().debug_assert();
    }

    #[test]
    fn lists_need_no_word_and_take_filters() {
        for line in [
            "fusebox tools",
            "fusebox runs --tool search",
            "fusebox dlq --service openai --json",
            "fusebox errors",
            "fusebox breakers",
            "fusebox dlq list --all",
            "fusebox dlq --groups",
            "fusebox approvals --all",
            "fusebox dlq redrives",
        ] {
            assert!(parse(line.split(' ').map(OsString::from)).is_ok(), "{line}");
        }
    }

    #[test]
    fn the_host_of_a_secret_is_not_the_host_that_is_asked() {
        let parsed = |line: &str| parse(line.split(' ').map(OsString::from)).unwrap().0;
        for line in [
            "fusebox --host http://a runs",
            "fusebox runs list --host http://a",
            "fusebox secrets list --host http://a",
        ] {
            assert_eq!(parsed(line).host(), Some("http://a"), "{line}");
        }
        assert_eq!(parsed("fusebox secrets set KEY --host api.example").host(), None);
    }

    #[test]
    fn every_setting_is_a_flag_of_every_command() {
        let (_, flags) = parse(["fusebox", "tools", "list", "--lease", "10s"].map(OsString::from)).unwrap();
        assert_eq!(
            flags.into_iter().collect::<Vec<_>>(),
            [("--lease".to_owned(), "10s".to_owned())]
        );
    }
}
