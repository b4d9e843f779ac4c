//! wrk, the load generator, and what it counts.

use crate::folders;
use crate::process::Tool;
use crate::tools;
use anyhow::{Context, Result};
use serde::Deserialize;
use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

/// wrk ends with 1 when it is asked for its version.
const WRK: Tool = Tool {
    what: "wrk",
    probe: &["sh", "-c", "command -v wrk"],
    debian: "apt-get install wrk",
    macos: "brew install wrk",
    elsewhere: "see https://github.com/wg/wrk",
};

/// No answer takes longer, or it counts as lost.
const PATIENCE: &str = "60s";

/// One kind of call.
pub(crate) struct Call<'a> {
    pub(crate) url: String,
    pub(crate) headers: &'a [(&'a str, &'a str)],
    pub(crate) body: String,
    /// What the numbers of its calls begin with.
    pub(crate) phase: usize,
}

/// What wrk has counted (tests/load/call.lua).
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Counted {
    pub(crate) seconds: f64,
    /// Calls that have succeeded.
    pub(crate) good: u64,
    /// Calls that were refused with 429 or 503.
    pub(crate) refused: u64,
    /// Those of them that did not say when to come again.
    pub(crate) without_wait: u64,
    /// Calls that were answered anything else.
    pub(crate) failed: u64,
    /// The first of those answers.
    pub(crate) first_failure: String,
    /// Runs that the calls were told have succeeded.
    #[serde(skip)]
    pub(crate) runs: Vec<String>,
    connect: u64,
    read: u64,
    write: u64,
    timeout: u64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) max_us: f64,
}

impl Counted {
    /// Calls in a second that have succeeded.
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    pub(crate) fn per_second(&self) -> f64 {
        self.good as f64 / self.seconds
    }

    /// Connections that were refused or broken, and answers that did not come.
    pub(crate) fn broken(&self) -> u64 {
        self.connect + self.read + self.write + self.timeout
    }
}

/// Makes sure that wrk is there: on Debian by apt, where that is allowed.
///
/// # Errors
/// The command that installs it.
pub(crate) fn install() -> Result<()> {
    tools::from_debian(&WRK, "wrk", "some seconds")
}

/// Makes calls for so long over so many connections.
pub(crate) fn run(call: &Call<'_>, connections: u32, time: Duration) -> Result<Counted> {
    let headers: Vec<_> = call
        .headers
        .iter()
        .map(|(name, value)| format!("{name}: {value}"))
        .collect();
    let threads = if connections == 1 { 1 } else { 2 };
    let told = tempfile::tempdir().context("there is no room for what wrk is told")?;
    let output = Command::new("wrk")
        .args(["--threads", &threads.to_string()])
        .args(["--connections", &connections.to_string()])
        .args(["--duration", &format!("{}s", time.as_secs().max(1))])
        .args(["--timeout", PATIENCE, "--script"])
        .arg(folders::root().join("tests/load/call.lua"))
        .arg(&call.url)
        .env("LOAD_BODY", &call.body)
        .env("LOAD_HEADERS", headers.join("\n"))
        .env("LOAD_PHASE", call.phase.to_string())
        .env("LOAD_RUNS", told.path())
        .stdin(Stdio::null())
        .output()
        .context("cannot start wrk")?;
    let said = String::from_utf8_lossy(&output.stdout);
    let counted = said.lines().rfind(|line| line.starts_with('{')).with_context(|| {
        format!(
            "wrk ended with {}: {said}{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        )
    })?;
    let mut counted: Counted = serde_json::from_str(counted).with_context(|| format!("wrk said: {counted}"))?;
    for thread in 1..=threads {
        let runs =
            fs::read_to_string(told.path().join(thread.to_string())).context("a thread of wrk has ended early")?;
        counted.runs.extend(runs.lines().map(ToOwned::to_owned));
    }
    Ok(counted)
}
