//! `cargo xtask scale`: durable calls a second with more and more hosts on one PostgreSQL, against pgbench writing the same rows. It never fails
//! for being slow.

mod cpu;
mod postgres;

use crate::bench::median;
use crate::stage::{Serving, Stage};
use crate::wrk::{self, Call, Counted};
use crate::{guests, steps, tools};
use anyhow::{Context, Result, bail, ensure};
use cpu::Cpu;
use postgres::Postgres;
use std::thread;
use std::time::Duration;

/// Counts durable calls with 1, 2 and 4 hosts on one PostgreSQL, and what pgbench writes of the same rows
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// How many hosts, one measurement for each number
    #[arg(long, value_delimiter = ',', default_values_t = [1, 2, 4], value_parser = clap::value_parser!(u32).range(1..=i64::from(MOST_HOSTS)))]
    hosts: Vec<u32>,
    /// How often everything is measured; the table shows medians
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    passes: u32,
    /// Seconds of one measurement
    #[arg(long, default_value_t = 8)]
    seconds: u64,
    /// Use the guests and binaries that were built before
    #[arg(long)]
    built: bool,
}

/// Callers of all hosts together.
const CALLERS: u32 = 64;
/// More have more connections than the server allows.
const MOST_HOSTS: u32 = 16;
/// Connections of a host to its database: pgbench has as many for each host.
const CONNECTIONS: u32 = 16;
const SERVER: &str = "fusebox-test-postgres";

/// Runs the subcommand.
///
/// # Errors
/// What cannot be built or started, or a call that failed.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    if !arguments.built {
        guests::build(guests::Missing::Skip)?;
        steps::build("release")?;
        steps::cargo(&["build", "--quiet", "--release", "--package", SERVER])?;
    }
    tools::postgres()?;
    wrk::install()?;
    let postgres = Postgres::start(&steps::binary("release", SERVER))?;
    let stage = Stage::open(
        "scale",
        "release",
        &format!("database = \"{}\"\nlisten = {{ rate = \"none\" }}", postgres.url()),
    )?;
    stage.change(
        "calculator.toml",
        &[("durability = \"none\"", "durability = \"always\"")],
    )?;
    let deployed = stage.quietly(&["deploy", "calculator.toml"])?;
    ensure!(deployed.code == 0, "the tool cannot be deployed: {}", deployed.stderr);
    let time = Duration::from_secs(arguments.seconds);
    // Everything is compiled, the pages are there, and pgbench has a run to write again.
    called(&stage, &postgres, 1, Duration::from_secs(3))?;
    postgres.keep_sample(stage.folder())?;
    let mut lines: Vec<Line> = arguments.hosts.iter().map(|hosts| Line::of(*hosts)).collect();
    for pass in 1..=arguments.passes {
        for line in &mut lines {
            steps::announce(&format!("pass {pass} of {}, {} host(s)", arguments.passes, line.hosts));
            line.fusebox.push(called(&stage, &postgres, line.hosts, time)?);
            line.raw.push(written(&stage, &postgres, line.hosts, time)?);
        }
    }
    print(&lines);
    Ok(())
}

/// What was measured with that many hosts, by pass.
struct Line {
    hosts: u32,
    fusebox: Vec<Measured>,
    raw: Vec<Measured>,
}

impl Line {
    fn of(hosts: u32) -> Self {
        Self {
            hosts,
            fusebox: Vec::new(),
            raw: Vec::new(),
        }
    }
}

/// One measurement.
struct Measured {
    per_second: f64,
    /// How long a call took, in milliseconds: the median; with pgbench the mean.
    ms: f64,
    /// Processor time of one call in the hosts, in microseconds.
    host_us: f64,
    /// Processor time of one call in PostgreSQL, in microseconds.
    server_us: f64,
}

/// Calls by [`CALLERS`] who share so many hosts.
#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn called(stage: &Stage, postgres: &Postgres, hosts: u32, time: Duration) -> Result<Measured> {
    let mut serving = (0..hosts)
        .map(|number| {
            let log = format!("serve-{number}.log");
            stage.serve(&["--http", "127.0.0.1:0", "--open-loopback=caller"], &log)
        })
        .collect::<Result<Vec<_>>>()?;
    let urls = serving.iter_mut().map(Serving::url).collect::<Result<Vec<_>>>()?;
    let each = CALLERS / hosts;
    for url in &urls {
        load(url, 0, each, Duration::from_secs(1))?;
    }
    let before = (host_cpu(&serving)?, postgres.cpu()?);
    let counted = thread::scope(|threads| {
        let callers: Vec<_> = urls
            .iter()
            .enumerate()
            .map(|(number, url)| threads.spawn(move || load(url, number + 1, each, time)))
            .collect();
        callers
            .into_iter()
            .map(|caller| caller.join().ok().context("a caller panicked")?)
            .collect::<Result<Vec<_>>>()
    })?;
    let (hosts_took, server_took) = (host_cpu(&serving)? - before.0, postgres.cpu()? - before.1);
    let calls: u64 = counted.iter().map(|counted| counted.good).sum();
    for host in &mut serving {
        let ended = host.drain()?;
        ensure!(ended.success(), "a host ended with {ended}: {}", host.said()?);
    }
    Ok(Measured {
        per_second: counted.iter().map(Counted::per_second).sum(),
        ms: middle(counted.iter().map(|counted| counted.p50_us / 1e3)),
        host_us: hosts_took * 1e6 / calls as f64,
        server_us: server_took * 1e6 / calls as f64,
    })
}

/// Processor time of all hosts, in seconds.
fn host_cpu(serving: &[Serving]) -> Result<f64> {
    serving
        .iter()
        .map(|host| Ok(Cpu::of(host.id())?.seconds()))
        .sum::<Result<f64>>()
}

fn load(url: &str, phase: usize, connections: u32, time: Duration) -> Result<Counted> {
    let call = Call {
        url: format!("{url}/v1/tools/calculator/functions/evaluate/calls"),
        headers: &[("Content-Type", "application/json")],
        body: r#"{"expression":"2 * NUMBER"}"#.to_owned(),
        phase,
    };
    let counted = wrk::run(&call, connections, time)?;
    if counted.good == 0 || counted.failed + counted.refused + counted.broken() > 0 {
        bail!(
            "of the calls {} succeeded, {} failed, {} were refused: {}",
            counted.good,
            counted.failed + counted.broken(),
            counted.refused,
            counted.first_failure
        );
    }
    Ok(counted)
}

/// The rows of a call, written by pgbench over as many connections as so many hosts have.
fn written(stage: &Stage, postgres: &Postgres, hosts: u32, time: Duration) -> Result<Measured> {
    let before = postgres.cpu()?;
    let bench = postgres.bench(stage.folder(), CONNECTIONS * hosts, time)?;
    let server_took = postgres.cpu()? - before;
    Ok(Measured {
        per_second: bench.per_second,
        ms: bench.mean_ms,
        host_us: 0.0,
        server_us: server_took * 1e6 / bench.calls,
    })
}

fn print(lines: &[Line]) {
    println!(
        "\n{:>5} {:>9} {:>11} {:>7} {:>9} {:>9} {:>12} {:>14} {:>15}",
        "hosts",
        "calls/s",
        "pgbench/s",
        "ratio",
        "p50 ms",
        "mean ms*",
        "host us/call",
        "server us/call",
        "server us/call*"
    );
    for Line { hosts, fusebox, raw } in lines {
        let of = |measured: &[Measured], what: fn(&Measured) -> f64| middle(measured.iter().map(what));
        let ratios = fusebox.iter().zip(raw);
        let ratio = middle(ratios.map(|(fusebox, raw)| fusebox.per_second / raw.per_second));
        println!(
            "{hosts:>5} {:>9.0} {:>11.0} {:>7.2} {:>9.1} {:>9.1} {:>12.0} {:>14.0} {:>15.0}",
            of(fusebox, |measured| measured.per_second),
            of(raw, |measured| measured.per_second),
            ratio,
            of(fusebox, |measured| measured.ms),
            of(raw, |measured| measured.ms),
            of(fusebox, |measured| measured.host_us),
            of(fusebox, |measured| measured.server_us),
            of(raw, |measured| measured.server_us),
        );
    }
    println!(
        "\n{CALLERS} callers share the hosts; pgbench (*) writes the rows of a call in as many transactions, over {CONNECTIONS} connections a host. Host, \
         server: processor time. Medians of all passes; the ratio is that of each pass."
    );
}

/// The median of what was measured once at least.
fn middle(values: impl Iterator<Item = f64>) -> f64 {
    median(values).unwrap_or(f64::NAN)
}
