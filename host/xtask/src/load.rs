//! `cargo xtask load`: calls over HTTP and MCP from up to 1,024 connections; none is lost, memory stays flat, and slow clients stop nobody.

mod books;
mod memory;
mod slow;

use crate::stage::{Serving, Stage};
use crate::wrk::{self, Call, Counted};
use crate::{guests, steps};
use anyhow::{Context, Result, bail, ensure};
use books::Books;
use memory::Watch;
use serde_json::json;
use slow::Slow;
use std::time::{Duration, Instant};

/// Makes calls over HTTP and MCP from 1, 64 and 1,024 connections and counts what became of each
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// How long calls are made, all in all
    #[arg(long, default_value_t = 2)]
    minutes: u64,
    /// Measure an optimised build
    #[arg(long)]
    release: bool,
    /// Use the guests and binaries that were built before
    #[arg(long)]
    built: bool,
}

/// Connections of the phases.
const CONNECTIONS: [u32; 3] = [1, 64, MOST_CONNECTIONS];
const MOST_CONNECTIONS: u32 = 1024;
/// Slow clients of each kind.
const SLOW: usize = 50;
/// A connection that sends no whole head is closed after so long, and one that sends no whole body a little later.
const HEAD_TIME: Duration = Duration::from_secs(3);
/// Requests at once beyond which the host refuses.
const REQUESTS: u32 = 256;
/// After a phase the host takes calls again within this time.
const PATIENCE: Duration = Duration::from_secs(120);
/// How much more memory than after warming up is still flat, in MiB: the allocator keeps pieces, and SQLite its caches.
const ROOM_MIB: u64 = 64;

/// Runs the subcommand.
///
/// # Errors
/// A lost call, an answer that is a fault of the host, a crash, or memory that only grows.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let profile = if arguments.release { "release" } else { "debug" };
    if !arguments.built {
        guests::build(guests::Missing::Skip)?;
        steps::build(profile)?;
    }
    check(profile, Duration::from_secs(60 * arguments.minutes))
}

/// Makes calls for about so long.
///
/// # Errors
/// As [`run`].
pub(crate) fn check(profile: &str, time: Duration) -> Result<()> {
    wrk::install()?;
    let mut load = Load::open(profile)?;
    load.all(time)?;
    load.report()
}

/// What one phase came to.
struct Phase {
    what: String,
    connections: u32,
    counted: Counted,
    peak_mib: u64,
}

/// What is called, and how.
#[derive(Clone, Copy)]
enum Face {
    Http,
    Mcp,
}

/// A tool and what it is asked; `NUMBER` is another one in each call.
struct Question {
    tool: &'static str,
    function: &'static str,
    arguments: &'static str,
}

const COMPUTE: Question = Question {
    tool: "calculator",
    function: "evaluate",
    arguments: r#"{"expression":"2 * NUMBER"}"#,
};
const SEARCH: Question = Question {
    tool: "search",
    function: "query",
    arguments: r#"{"text":"sandbox NUMBER","limit":1}"#,
};

struct Load {
    stage: Stage,
    serving: Serving,
    url: String,
    books: Books,
    phases: Vec<Phase>,
    /// How many phases have begun, those that warm up too.
    begun: usize,
    /// Resident memory in MiB: at the start, after warming up, at the end.
    memory: [u64; 3],
    faults: Vec<String>,
}

impl Load {
    fn open(profile: &str) -> Result<Self> {
        let settings = format!(
            "lease = \"10s\"\nmax-calls = 64\nlisten = {{ rate = \"none\", requests = {REQUESTS}, head-time = \"{head}s\", body-time = \"{head}s\" }}\n",
            head = HEAD_TIME.as_secs()
        );
        let stage = Stage::open("load", profile, &settings)?;
        // Each search is kept, so that the table of runs can be compared with what the upstream has counted.
        stage.change("search.toml", &[("retry = ", "durability = \"always\"\nretry = ")])?;
        // Slow is no fault here, so that no attempt is given up for it.
        stage.change(
            "search.toml",
            &[("timeout = \"5s\"", "timeout = \"5m\"\ndeadline = \"10m\"")],
        )?;
        let deployed = stage.quietly(&["deploy", "calculator.toml", "search.toml"])?;
        ensure!(deployed.code == 0, "the tools cannot be deployed: {}", deployed.stderr);
        let mut serving = stage.serve(
            &["--http", "127.0.0.1:0", "--open-loopback=caller,operator"],
            "serve.log",
        )?;
        let url = serving.url()?;
        let memory = [memory::resident(serving.id())?, 0, 0];
        Ok(Self {
            books: Books::new(&url),
            stage,
            serving,
            url,
            phases: Vec::new(),
            begun: 0,
            memory,
            faults: Vec::new(),
        })
    }

    fn all(&mut self, time: Duration) -> Result<()> {
        // Two more phases are those of the slow clients and of the overload; a tenth of all warms up.
        let phases = 2 * 2 * CONNECTIONS.len() + 2;
        let each = time * 9 / 10 / u32::try_from(phases)?;
        let warming = (time / 10 / 4).max(Duration::from_secs(1));
        for face in [Face::Http, Face::Mcp] {
            for question in [&COMPUTE, &SEARCH] {
                self.phase("warming up", face, question, MOST_CONNECTIONS, warming)?;
            }
        }
        self.phases.clear();
        self.memory[1] = memory::resident(self.serving.id())?;
        for face in [Face::Http, Face::Mcp] {
            for question in [&COMPUTE, &SEARCH] {
                for connections in CONNECTIONS {
                    self.phase("", face, question, connections, each)?;
                }
            }
        }
        self.among_slow_clients(each)?;
        self.overloaded(each)?;
        // Before the lists of runs are asked for, which are larger than any call.
        self.memory[2] = memory::resident(self.serving.id())?;
        self.books.close(&mut self.faults)?;
        if self.phases.iter().all(|phase| phase.counted.good == 0) {
            self.faults.push("no call has succeeded".to_owned());
        }
        let [_, warm, end] = self.memory;
        if end > warm + ROOM_MIB {
            self.faults.push(format!("memory has grown from {warm} to {end} MiB"));
        }
        let ended = self.serving.drain()?;
        if !ended.success() {
            self.faults.push(format!("the host ended with {ended}"));
        }
        Ok(())
    }

    fn phase(&mut self, how: &str, face: Face, question: &Question, connections: u32, time: Duration) -> Result<()> {
        let name = match face {
            Face::Http => "HTTP",
            Face::Mcp => "MCP",
        };
        let what = format!("{name} {} {how}", question.tool);
        let what = what.trim_end().to_owned();
        steps::announce(&format!(
            "{what}, {connections} connection(s), {} s",
            time.as_secs().max(1)
        ));
        self.begun += 1;
        let watch = Watch::start(self.serving.id());
        let counted = match face {
            Face::Http => self.over_http(question, connections, time)?,
            Face::Mcp => self.over_mcp(question, connections, time)?,
        };
        let peak_mib = watch.peak();
        self.until_idle()?;
        let mut fault = |text: String| self.faults.push(format!("{what}, {connections} connection(s): {text}"));
        if question.tool == SEARCH.tool {
            self.books.enter(&self.stage, &counted, &mut fault)?;
        }
        if counted.failed > 0 {
            fault(format!("{} call(s) failed: {}", counted.failed, counted.first_failure));
        }
        if counted.without_wait > 0 {
            fault(format!("{} refusal(s) without Retry-After", counted.without_wait));
        }
        if counted.broken() > 0 {
            fault(format!("{} connection(s) or answer(s) broke off", counted.broken()));
        }
        self.phases.push(Phase {
            what,
            connections,
            counted,
            peak_mib,
        });
        Ok(())
    }

    /// Waits until the host takes calls again: when wrk hangs up, those that it has begun go on.
    fn until_idle(&self) -> Result<()> {
        let agent = agent();
        let url = format!("{}/v1/tools/calculator/functions/evaluate/calls", self.url);
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            let asked = agent.post(&url).content_type("application/json");
            if asked.send(r#"{"expression":"1"}"#)?.status().is_success() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        bail!(
            "the host takes no calls {PATIENCE:?} after the last client is gone; its log is in {}",
            self.stage.folder().display()
        )
    }

    fn over_http(&self, question: &Question, connections: u32, time: Duration) -> Result<Counted> {
        let Question {
            tool,
            function,
            arguments,
        } = question;
        let call = Call {
            url: format!("{}/v1/tools/{tool}/functions/{function}/calls", self.url),
            headers: &[("Content-Type", "application/json")],
            body: (*arguments).to_owned(),
            phase: self.begun,
        };
        wrk::run(&call, connections, time)
    }

    fn over_mcp(&self, question: &Question, connections: u32, time: Duration) -> Result<Counted> {
        const REVISION: &str = "2026-07-28";
        let name = format!("{}_{}", question.tool, question.function);
        let arguments: serde_json::Value = serde_json::from_str(question.arguments)?;
        let body = json!({
            "jsonrpc": "2.0", "id": 1, "method": "tools/call",
            "params": { "name": name, "arguments": arguments, "_meta": {
                "io.modelcontextprotocol/protocolVersion": REVISION,
                "io.modelcontextprotocol/clientInfo": { "name": "load", "version": "1.0.0" },
                "io.modelcontextprotocol/clientCapabilities": {},
            } },
        });
        let call = Call {
            url: format!("{}/mcp", self.url),
            headers: &[
                ("Content-Type", "application/json"),
                ("Accept", "application/json, text/event-stream"),
                ("MCP-Protocol-Version", REVISION),
                ("Mcp-Method", "tools/call"),
                ("Mcp-Name", &name),
            ],
            body: body.to_string(),
            phase: self.begun,
        };
        wrk::run(&call, connections, time)
    }

    /// Others are served while clients hold connections and do nothing with them; in the end the host closes those.
    fn among_slow_clients(&mut self, time: Duration) -> Result<()> {
        let address = self
            .url
            .trim_start_matches("http://")
            .parse()
            .context("the host listens on an address")?;
        let mut slow = Slow::open(address, SLOW)?;
        let half = (time / 2).max(Duration::from_secs(1));
        self.phase("among slow clients", Face::Http, &COMPUTE, 64, half)?;
        slow.drip();
        self.phase("among slow clients", Face::Http, &COMPUTE, 64, half)?;
        let closed = slow.closed_within(HEAD_TIME * 20);
        println!("of {} slow clients {closed} were closed by the host", slow.count());
        if closed < slow.count() {
            let kept = slow.count() - closed;
            self.faults.push(format!(
                "{kept} slow client(s) still hold a connection after {:?}",
                HEAD_TIME * 20
            ));
        }
        Ok(())
    }

    /// An upstream that takes its time, and more calls than the host takes at once: the rest is refused, soon and with a time.
    fn overloaded(&mut self, time: Duration) -> Result<()> {
        self.stage
            .simulator()
            .fault("search", json!({ "delay-ms": 1000 }), None)?;
        let url = format!("{}/v1/tools/calculator/functions/evaluate/calls", self.url);
        let refusals = std::thread::spawn(move || refused_after(&url, time));
        self.phase(
            "overloaded",
            Face::Http,
            &SEARCH,
            MOST_CONNECTIONS,
            time.max(Duration::from_secs(3)),
        )?;
        self.stage.simulator().clear("search")?;
        let refusals = refusals
            .join()
            .ok()
            .context("the client of the overloaded host panicked")??;
        if let Some(slowest) = refusals.iter().max() {
            println!(
                "{} call(s) of another client were refused, the slowest after {slowest:?}",
                refusals.len()
            );
        }
        if self.phases.last().is_some_and(|phase| phase.counted.refused == 0) {
            self.faults.push(format!(
                "{MOST_CONNECTIONS} calls at once, and none is refused with a limit of {REQUESTS}"
            ));
        }
        Ok(())
    }

    fn report(&self) -> Result<()> {
        println!(
            "\n{:<36} {:>6} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9} {:>7} {:>6}",
            "", "conns", "calls/s", "p50 ms", "p99 ms", "max ms", "good", "refused", "failed", "MiB"
        );
        for phase in &self.phases {
            let counted = &phase.counted;
            println!(
                "{:<36} {:>6} {:>9.0} {:>9.1} {:>9.1} {:>9.1} {:>9} {:>9} {:>7} {:>6}",
                phase.what,
                phase.connections,
                counted.per_second(),
                counted.p50_us / 1e3,
                counted.p99_us / 1e3,
                counted.max_us / 1e3,
                counted.good,
                counted.refused,
                counted.failed + counted.broken(),
                phase.peak_mib,
            );
        }
        let [start, warm, end] = self.memory;
        println!("\nmemory: {start} MiB at the start, {warm} MiB after warming up, {end} MiB at the end");
        println!("{}", self.books);
        if !self.faults.is_empty() {
            bail!(
                "{}\nthe host's log is in {}",
                self.faults.join("\n"),
                self.stage.folder().display()
            );
        }
        Ok(())
    }
}

/// One call after another for so long; how long each took that was refused.
fn refused_after(url: &str, time: Duration) -> Result<Vec<Duration>> {
    let agent = agent();
    let start = Instant::now();
    let mut refused = Vec::new();
    while start.elapsed() < time {
        let sent = Instant::now();
        let asked = agent.post(url).content_type("application/json");
        let answer = asked.send(r#"{"expression":"1"}"#)?;
        if matches!(answer.status().as_u16(), 429 | 503) {
            refused.push(sent.elapsed());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    Ok(refused)
}

fn agent() -> ureq::Agent {
    let settings = ureq::Agent::config_builder().http_status_as_error(false).proxy(None);
    settings.build().new_agent()
}
