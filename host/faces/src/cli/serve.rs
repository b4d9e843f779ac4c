//! `fusebox serve`: the workers that go on with runs, until a signal asks for an end.

use super::failed::Failed;
use super::{Context, wiring::Wiring};
use crate::mcp::{Mcp, Stdio};
use clap::{Args, ValueEnum};
use fusebox_core::role::Roles;
use fusebox_engine::host::Host;
use fusebox_engine::requests::Caller;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A serving host.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  fusebox serve
  fusebox serve --max-calls 64 --drain 1m --log info

It takes runs that can go on: detached calls, sleepers whose time has come, runs that a person has decided, runs whose host is gone. \
It lets letters replay by themselves where the manifest says so, carries out bulk replays, and keeps to retention. \
Any number may serve one database.

SIGTERM or Ctrl-C drains: nothing new is taken, effects in flight are waited for, and what is left is handed over. A second signal \
ends it at once.")]
pub(super) struct Arguments {
    /// Speak MCP to one client on stdin and stdout, and open no port
    #[arg(long, value_name = "BY", value_enum)]
    mcp: Option<McpBy>,
}

/// How agents reach this host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum McpBy {
    /// As a child process: a message on each line of stdin and stdout.
    Stdio,
}

/// Runs the command.
///
/// # Errors
/// What the host refused.
pub(super) async fn run(arguments: &Arguments, cx: &mut Context<'_>) -> Result<(), Failed> {
    let host = cx.wiring.local("serving").await?;
    let database = place(cx.wiring, "database")?;
    let workers = cx.wiring.settings()?.max_calls;
    if arguments.mcp == Some(McpBy::Stdio) {
        return stdio(&host, &database, cx).await;
    }
    say("serving", &database, workers, cx)?;
    let stop = cx.stop.clone();
    tokio::select! {
        () = host.serve() => {}
        () = stop.cancelled() => {}
    }
    if !cx.out.json() {
        cx.note("draining: nothing new is taken, effects in flight are waited for");
    }
    host.drain().await;
    say("drained", &database, workers, cx)
}

/// Serves the client that started this process. Stdout is the client's: everything else is told on stderr.
async fn stdio(host: &Arc<Host>, database: &Path, cx: &mut Context<'_>) -> Result<(), Failed> {
    let pipe = Stdio::start(std::io::stdin(), std::io::stdout())
        .map_err(|error| Failed::file(format!("the system refuses threads: {error}"), "end other processes"))?;
    cx.note(&format!("serving MCP on stdin and stdout, with {}", database.display()));
    let mcp = Mcp::new(Arc::clone(host), Arc::new(cx.clock));
    let caller = Caller {
        principal: Arc::from("stdio"),
        roles: Roles::CALLER,
        ..cx.caller.clone()
    };
    let stop = cx.stop.clone();
    tokio::select! {
        () = host.serve() => {}
        () = mcp.serve(pipe, caller) => {}
        () = stop.cancelled() => {}
    }
    mcp.close();
    host.drain().await;
    Ok(())
}

fn say(state: &str, database: &PathBuf, workers: usize, cx: &mut Context<'_>) -> Result<(), Failed> {
    if cx.out.json() {
        return Ok(cx
            .out
            .value(&json!({ "state": state, "database": database, "workers": workers }))?);
    }
    cx.note(&format!(
        "{state} {}, up to {workers} run(s) at a time",
        database.display()
    ));
    Ok(())
}

fn place(wiring: &dyn Wiring, key: &str) -> Result<PathBuf, Failed> {
    let places = wiring.places()?;
    let found = places.into_iter().find(|(name, _)| *name == key);
    Ok(found.map(|(_, path)| path).unwrap_or_default())
}
