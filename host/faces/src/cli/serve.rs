//! `fusebox serve`: answers clients, and goes on with runs, until a signal asks for an end.

use super::failed::Failed;
use super::{Context, wiring::Wiring};
use crate::http::{Authentication, HttpDeps, Limits, Oidc, RenderMetrics, Server, Tls, Trouble, router};
use crate::mcp::{Mcp, Stdio};
use clap::{Args, ValueEnum};
use fusebox_core::role::{Role, Roles};
use fusebox_engine::host::Host;
use fusebox_engine::ports::clock::Clock;
use fusebox_engine::requests::Caller;
use fusebox_manifest::ListenSettings;
use serde_json::json;
use std::path::PathBuf;
use std::sync::Arc;

/// A serving host.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  fusebox serve
  fusebox serve --http 127.0.0.1:0 --open-loopback
  fusebox serve --http 0.0.0.0:7717 --tls-cert cert.pem --tls-key key.pem
  fusebox serve --http none --max-calls 64 --drain 1m --log info

It answers clients over HTTP: whoever sends an API key (`fusebox keys create`) or a token of the issuer in `[oidc]`. \
It takes runs that can go on: detached calls, sleepers whose time has come, runs that a person has decided, runs whose host is gone. \
It lets letters replay by themselves where the manifest says so, carries out bulk replays, and keeps to retention. \
Any number may serve one database.

SIGTERM or Ctrl-C drains: nothing new is taken, effects in flight are waited for, and what is left is handed over. A second signal \
ends it at once.")]
pub(super) struct Arguments {
    /// Address and port to listen on, instead of the setting `listen.http`; port 0 takes any that is free, `none` serves runs alone
    #[arg(long, value_name = "ADDRESS")]
    http: Option<String>,
    /// How agents reach this host; without it by HTTP, at `/mcp`, unless no port is opened
    #[arg(long, value_name = "BY", value_enum)]
    mcp: Option<McpBy>,
    /// Let programs on this machine in without a key, with these roles; caller alone without any
    #[arg(
        long,
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "caller",
        value_delimiter = ',',
        value_parser = role,
        value_name = "ROLES"
    )]
    open_loopback: Option<Vec<Role>>,
    /// PEM file with the certificate, and those between it and a root
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// PEM file with the certificate's key
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
}

/// How agents reach this host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum McpBy {
    /// As a child process: a message on each line of stdin and stdout, and no port is opened.
    Stdio,
    /// Over HTTP, at `/mcp`.
    Http,
}

fn role(text: &str) -> Result<Role, String> {
    Role::from_name(text).ok_or_else(|| format!("a role is one of {}", Role::ALL.map(Role::name).join(", ")))
}

/// Runs the command.
///
/// # Errors
/// What the host refused, or why it cannot listen.
pub(super) async fn run(arguments: &Arguments, cx: &mut Context<'_>) -> Result<(), Failed> {
    // Before the host is opened, so that everything counts.
    let render = cx.wiring.metrics()?;
    let host = cx.wiring.local("serving").await?;
    if arguments.mcp == Some(McpBy::Stdio) {
        let database = place(cx.wiring, "database")?;
        return Box::pin(stdio(&host, &database, cx)).await;
    }
    let clock: Arc<dyn Clock> = Arc::new(cx.clock);
    let mcp = Mcp::new(Arc::clone(&host), Arc::clone(&clock));
    let server = listen(arguments, &clock, cx).await?;
    let state = State {
        url: server.as_ref().map(Server::url),
        database: place(cx.wiring, "database")?,
        blobs: cx.wiring.settings()?.blobs.as_ref().map(ToString::to_string),
        workers: cx.wiring.settings()?.max_calls,
    };
    let drain = cx.wiring.settings()?.drain;
    let answering = server.map(|server| {
        let router = face(arguments, &host, &mcp, (clock, render), cx)?;
        let answering = server.serve_apart(router, cx.stop.clone(), drain);
        answering.map_err(|error| Failed::file(format!("the system refuses threads: {error}"), "end other processes"))
    });
    let answering = answering.transpose()?;
    state.say("serving", cx)?;
    let stop = cx.stop.clone();
    tokio::select! {
        () = host.serve() => {}
        () = stop.cancelled() => {}
    }
    if !cx.out.json() {
        cx.note("draining: nothing new is taken, effects in flight are waited for");
    }
    mcp.close();
    host.drain().await;
    if let Some(answering) = answering
        && let Err(error) = answering.await
    {
        tracing::error!(%error, "clients were answered no longer");
    }
    state.say("drained", cx)
}

/// Serves the client that started this process. Stdout is the client's: everything else is told on stderr.
async fn stdio(host: &Arc<Host>, database: &str, cx: &mut Context<'_>) -> Result<(), Failed> {
    let pipe = Stdio::start(std::io::stdin(), std::io::stdout())
        .map_err(|error| Failed::file(format!("the system refuses threads: {error}"), "end other processes"))?;
    cx.note(&format!("serving MCP on stdin and stdout, with {database}"));
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

/// The socket, unless runs alone are served.
async fn listen(arguments: &Arguments, clock: &Arc<dyn Clock>, cx: &mut Context<'_>) -> Result<Option<Server>, Failed> {
    let settings = cx.wiring.settings()?.listen.clone();
    let tls = arguments.tls_cert.as_ref().zip(arguments.tls_key.as_ref());
    let tls = tls.map(|(certificate, key)| Tls {
        certificate: certificate.clone(),
        key: key.clone(),
    });
    let given = arguments.http.clone().or_else(|| settings.http.clone());
    let Some(address) = given.filter(|address| *address != "none") else {
        return Ok(None);
    };
    let settings = within_files(settings, cx);
    let server = Server::bind(&address, tls.as_ref(), &settings, Arc::clone(clock)).await;
    server.map(Some).map_err(|trouble| {
        let help = match trouble {
            Trouble::Address { .. } => {
                "--http takes an address and a port, such as 127.0.0.1:7717; port 0 takes any that is free"
            }
            Trouble::Tls { .. } => "--tls-cert and --tls-key name PEM files",
        };
        Failed::usage(trouble.to_string(), help)
    })
}

/// Takes no more connections than the system lets this process have, and says so: what it opens for runs, their database and their upstreams
/// must not be what is refused.
fn within_files(settings: ListenSettings, cx: &mut Context<'_>) -> ListenSettings {
    let Some(files) = cx.wiring.open_files() else {
        return settings;
    };
    let room = usize::try_from(files / 4 * 3).unwrap_or(usize::MAX).max(1);
    if settings.connections > room {
        cx.note(&format!(
            "the system lets this process have {files} files and sockets open, so that it takes {room} connections and not {}, as \
             `listen.connections` says; raise the limit (`ulimit -n`, or LimitNOFILE= of systemd)",
            settings.connections
        ));
    }
    ListenSettings {
        connections: settings.connections.min(room),
        ..settings
    }
}

/// What answers on the socket.
fn face(
    arguments: &Arguments,
    host: &Arc<Host>,
    mcp: &Mcp,
    (clock, render): (Arc<dyn Clock>, RenderMetrics),
    cx: &Context<'_>,
) -> Result<axum::Router, Failed> {
    let settings = cx.wiring.settings()?;
    let roles = arguments.open_loopback.as_ref();
    let issuer = settings
        .oidc
        .clone()
        .map(|issuer| Oidc::new(issuer, Arc::clone(&clock)));
    let issuer = issuer.transpose().map_err(|trouble| {
        Failed::file(
            trouble.to_string(),
            "write the issuer's address, such as https://issuer.example, under `[oidc]`",
        )
    })?;
    let deps = HttpDeps {
        rules: cx.wiring.rules()?,
        authentication: Authentication {
            open_loopback: roles.map(|roles| roles.iter().copied().collect()),
            oidc: issuer.map(Arc::new),
        },
        limits: Limits::from(&settings.listen),
        tls: arguments.tls_cert.is_some(),
        clock,
        stop: cx.stop.clone(),
        render_metrics: Some(shown(host, render)),
        mcp: Some(mcp.router()),
    };
    Ok(router(Arc::clone(host), deps))
}

/// Metrics with the gauges as they are when somebody asks.
fn shown(host: &Arc<Host>, render: RenderMetrics) -> RenderMetrics {
    let host = Arc::clone(host);
    Arc::new(move || {
        host.show_gauges();
        render()
    })
}

/// What is said when it begins and when it ends.
struct State {
    url: Option<String>,
    database: String,
    /// Where components and pages are, if not there.
    blobs: Option<String>,
    workers: usize,
}

impl State {
    fn say(&self, state: &str, cx: &mut Context<'_>) -> Result<(), Failed> {
        let Self {
            url,
            database,
            blobs,
            workers,
        } = self;
        if cx.out.json() {
            let line = json!({ "state": state, "http": url, "database": database, "blobs": blobs, "workers": workers });
            return Ok(cx.out.value(&line)?);
        }
        if let (Some(blobs), "serving") = (blobs, state) {
            cx.note(&format!("components and pages are put into {blobs}"));
        }
        if let (Some(url), "serving") = (url, state) {
            cx.note(&format!("listening on {url}"));
            cx.note("the API is at /v1, MCP at /mcp, metrics at /metrics");
        }
        cx.note(&format!("{state} {database}, up to {workers} run(s) at a time"));
        Ok(())
    }
}

fn place(wiring: &dyn Wiring, key: &str) -> Result<String, Failed> {
    let places = wiring.places()?;
    let found = places.into_iter().find(|(name, _)| *name == key);
    Ok(found.map(|(_, place)| place).unwrap_or_default())
}
