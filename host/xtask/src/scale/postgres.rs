//! The server, and pgbench writing into it what a call leaves there.

use super::cpu::Cpu;
use crate::process;
use anyhow::{Context, Result};
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// The rows of one call, kept apart. A run's id begins with its time: these characters of it change every 17 minutes.
const SAMPLE: &str = "\
    CREATE TABLE sample AS SELECT *, substring(id, 1, 10) AS prefix FROM runs WHERE state = 'succeeded' ORDER BY id DESC LIMIT 1;\n\
    CREATE TABLE sample_attempts AS SELECT a.* FROM attempts a JOIN sample s ON a.tenant = s.tenant AND a.run = s.id;\n\
    VACUUM ANALYZE";

/// Writes them again under another id, in the order of time as those of runs are: what is known when the call comes is committed, and then what has
/// become of it.
const SCRIPT: &str = "\
    BEGIN;\n\
    INSERT INTO runs (tenant, id, tool, state, created, key_lifetime, owner, epoch, lease_until, seed, likeness, body)\n\
    SELECT tenant, prefix || lpad(to_hex((EXTRACT(EPOCH FROM clock_timestamp()) * 1000000)::BIGINT), 14, '0') || lpad(:client_id::TEXT, 6, '0'),\n\
    tool, 'running', created, key_lifetime, 'own_01m8qfp42wjnc1b1vgkytavfy2', 1, lease_until, seed, likeness, body FROM sample RETURNING id AS run \\gset\n\
    END;\n\
    BEGIN;\n\
    UPDATE runs SET state = s.state, finished = s.finished, body = s.body, owner = NULL FROM sample s WHERE runs.tenant = 'default' AND runs.id = :run;\n\
    INSERT INTO attempts (tenant, run, number, body) SELECT tenant, :run, number, body FROM sample_attempts;\n\
    END;\n";

/// A server of this measurement, as durable as in production; it ends with this value.
pub(super) struct Postgres {
    process: Child,
    url: String,
    /// Its first process.
    postmaster: u32,
}

/// What pgbench says of itself.
pub(super) struct Bench {
    pub(super) calls: f64,
    pub(super) per_second: f64,
    pub(super) mean_ms: f64,
}

impl Postgres {
    /// Starts it by the binary of the tests.
    pub(super) fn start(binary: &Path) -> Result<Self> {
        let (process, url) = process::ready(Command::new(binary).stdin(Stdio::piped()))?;
        let mut postgres = Self {
            process,
            url: url.trim().to_owned(),
            postmaster: 0,
        };
        let file = postgres.sql("SELECT pg_read_file('postmaster.pid')")?;
        let number = file.lines().next().and_then(|line| line.trim().parse().ok());
        postgres.postmaster = number.context("the server does not tell its process")?;
        Ok(postgres)
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Processor time of all its processes, in seconds.
    pub(super) fn cpu(&self) -> Result<f64> {
        Cpu::with_children(self.postmaster)
    }

    fn sql(&self, statements: &str) -> Result<String> {
        let mut command = Command::new("psql");
        command.args([
            "--no-psqlrc",
            "--quiet",
            "--tuples-only",
            "--no-align",
            "--set=ON_ERROR_STOP=1",
        ]);
        for statement in statements.split(";\n") {
            command.args(["--command", statement]);
        }
        process::output(command.arg(&self.url))
    }

    /// Keeps the rows of one call for [`Self::bench`], and writes its script into that folder.
    pub(super) fn keep_sample(&self, folder: &Path) -> Result<()> {
        self.sql(SAMPLE)?;
        Ok(fs::write(folder.join("call.sql"), SCRIPT)?)
    }

    /// Writes those rows again and again.
    pub(super) fn bench(&self, folder: &Path, connections: u32, time: Duration) -> Result<Bench> {
        let said = process::output(
            Command::new("pgbench")
                .args(["--no-vacuum", "--protocol=prepared", "--jobs=2", "--file=call.sql"])
                .arg(format!("--client={connections}"))
                .arg(format!("--time={}", time.as_secs().max(1)))
                .arg(&self.url)
                .current_dir(folder),
        )?;
        let number = |before: &str| {
            let after = said.split_once(before)?.1.trim_start();
            let end = after
                .find(|c: char| c != '.' && !c.is_ascii_digit())
                .unwrap_or(after.len());
            after.get(..end)?.parse::<f64>().ok()
        };
        let bench = || {
            Some(Bench {
                calls: number("transactions actually processed:")?,
                per_second: number("tps =")?,
                mean_ms: number("latency average =")?,
            })
        };
        bench().with_context(|| format!("pgbench said: {said}"))
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // It ends when its input does.
        drop(self.process.stdin.take());
        if let Err(error) = self.process.wait() {
            eprintln!("the server could not be waited for: {error}");
        }
    }
}
