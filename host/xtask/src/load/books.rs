//! What clients were told, what the upstream has done, and what the table of runs says: all three have to agree.

use super::wrk::Counted;
use crate::stage::Stage;
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::fmt;
use std::thread;
use std::time::{Duration, Instant};
use ureq::Agent;

/// After the clients are gone, what they have left behind ends within this time.
const ENDING: Duration = Duration::from_secs(120);

/// Sums over all phases that search.
pub(super) struct Books {
    url: String,
    agent: Agent,
    /// Calls that clients were told have succeeded.
    told: u64,
    /// Requests that the upstream has done.
    done: u64,
    /// Runs that have succeeded.
    kept: u64,
}

impl Books {
    /// Empty books of a host.
    pub(super) fn new(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            agent: Agent::config_builder().proxy(None).build().new_agent(),
            told: 0,
            done: 0,
            kept: 0,
        }
    }

    /// Enters a phase, when everything that it began is over.
    pub(super) fn enter(
        &mut self,
        stage: &Stage,
        counted: &Counted,
        connections: u32,
        fault: &mut dyn FnMut(String),
    ) -> Result<()> {
        let done = settled(stage)?;
        stage.simulator().reset()?;
        self.told += counted.good;
        self.done += done;
        if done < counted.good {
            fault(format!("{} call(s) were answered and not done", counted.good - done));
        }
        // wrk hangs up in the middle of one call for each connection when its time is over.
        let most = counted.good + counted.failed + counted.broken() + u64::from(connections);
        if done > most {
            fault(format!("{} request(s) more than calls", done - most));
        }
        Ok(())
    }
}

impl Books {
    /// Compares the sums with the table of runs, once no run is under way; one that never ends is left behind.
    pub(super) fn close(&mut self, faults: &mut Vec<String>) -> Result<()> {
        let start = Instant::now();
        let mut left = self.count()?;
        while !left.is_empty() && start.elapsed() < ENDING {
            thread::sleep(Duration::from_secs(1));
            left = self.count()?;
        }
        let Self { told, done, kept, .. } = self;
        if told > kept || kept > done {
            faults.push(format!(
                "{told} calls were told that they have succeeded, {kept} runs have, and {done} requests were done for them"
            ));
        }
        if let Some(first) = left.first() {
            faults.push(format!("{} run(s) were left behind, the first: {first}", left.len()));
        }
        Ok(())
    }

    /// Counts the runs that have succeeded; those that are not over.
    fn count(&mut self) -> Result<Vec<String>> {
        self.kept = 0;
        let mut left = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let page = self.page(after.as_deref())?;
            let runs = page["items"].as_array().context("a page of runs has items")?;
            for run in runs {
                match run["state"].as_str() {
                    Some("succeeded") => self.kept += 1,
                    Some("failed" | "cancelled" | "dead-lettered") => {}
                    state => left.push(format!("{} is {}", run["id"], state.unwrap_or("in no state"))),
                }
            }
            after = page["next"].as_str().map(ToOwned::to_owned);
            if after.is_none() {
                return Ok(left);
            }
        }
    }

    /// The runs after that place of the list.
    fn page(&self, after: Option<&str>) -> Result<Value> {
        let mut url = format!("{}/v1/runs?tool=search&limit=1000", self.url);
        if let Some(after) = after {
            url.push_str("&after=");
            url.push_str(after);
        }
        let mut answer = self.agent.get(&url).call().with_context(|| url.clone())?;
        let text = answer.body_mut().with_config().limit(u64::MAX).read_to_string()?;
        serde_json::from_str(&text).with_context(|| format!("{url} answered {text}"))
    }
}

impl fmt::Display for Books {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { told, done, kept, .. } = self;
        write!(
            f,
            "searches: {told} calls were answered with success, {done} requests were done by the upstream, {kept} runs have succeeded"
        )
    }
}

/// How many requests the upstream has done, once their number no longer grows.
fn settled(stage: &Stage) -> Result<u64> {
    let start = Instant::now();
    let mut before = None;
    while start.elapsed() < ENDING {
        let requests = stage.simulator().get("/requests?service=search")?;
        let requests = requests.as_array().context("requests are a list")?;
        let open = requests.iter().filter(|request| request["answer"].is_null()).count();
        let done = requests
            .iter()
            .filter(|request| request["answer"]["executed"] == true)
            .count();
        if open == 0 && before == Some(done) {
            return Ok(u64::try_from(done)?);
        }
        before = Some(done);
        thread::sleep(Duration::from_secs(1));
    }
    bail!("the upstream is still asked {ENDING:?} after the last client is gone")
}
