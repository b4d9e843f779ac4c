//! What clients were told, what the upstream has done, and what the table of runs says: call by call, all three have to agree.

use crate::stage::Stage;
use crate::wrk::Counted;
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::thread;
use std::time::{Duration, Instant};
use ureq::Agent;

/// After the clients are gone, what they have left behind ends within this time.
const ENDING: Duration = Duration::from_secs(120);

/// A call that searches: the number that its client gave it, which no other call has.
type Number = u64;

/// All phases that search.
pub(super) struct Books {
    url: String,
    agent: Agent,
    /// Runs that clients were told have succeeded.
    told: HashSet<String>,
    /// How often the upstream has done what a call asked for.
    done: HashMap<Number, u32>,
    /// How many runs are in which state.
    states: BTreeMap<String, u64>,
}

/// A run as the host lists it.
struct Run {
    id: String,
    state: String,
    number: Number,
}

impl Books {
    /// Empty books of a host.
    pub(super) fn new(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            agent: Agent::config_builder().proxy(None).build().new_agent(),
            told: HashSet::new(),
            done: HashMap::new(),
            states: BTreeMap::new(),
        }
    }

    /// Enters a phase, when everything that it began is over.
    pub(super) fn enter(&mut self, stage: &Stage, counted: &Counted, fault: &mut dyn FnMut(String)) -> Result<()> {
        let before = self.told.len();
        self.told.extend(counted.runs.iter().cloned());
        let named = self.told.len() - before;
        if u64::try_from(named)? != counted.good {
            fault(format!("{} answers of success name {named} runs", counted.good));
        }
        for request in settled(stage)? {
            if request["answer"]["executed"] == true {
                let path = request["path"].as_str().context("a request has a path")?;
                *self.done.entry(number_in(path)?).or_default() += 1;
            }
        }
        stage.simulator().reset()
    }

    /// Compares everything with the table of runs, once no run is under way; one that never ends is left behind.
    pub(super) fn close(&mut self, faults: &mut Vec<String>) -> Result<()> {
        let start = Instant::now();
        let mut runs = self.runs()?;
        while runs.iter().any(|run| !run.is_over()) && start.elapsed() < ENDING {
            thread::sleep(Duration::from_secs(1));
            runs = self.runs()?;
        }
        for run in &runs {
            *self.states.entry(run.state.clone()).or_default() += 1;
        }
        faults.extend(self.faults(&runs));
        Ok(())
    }

    /// What does not agree.
    fn faults(&self, runs: &[Run]) -> Vec<String> {
        let those = |which: &dyn Fn(&Run) -> bool| -> Vec<String> {
            runs.iter().filter(|run| which(run)).map(Run::to_string).collect()
        };
        let kept: HashSet<&str> = runs
            .iter()
            .filter(|run| run.succeeded())
            .map(|run| run.id.as_str())
            .collect();
        let mut of_call: HashMap<Number, u32> = HashMap::new();
        for run in runs {
            *of_call.entry(run.number).or_default() += 1;
        }
        let told = self.told.iter().filter(|id| !kept.contains(id.as_str()));
        let strays = self.done.keys().filter(|number| !of_call.contains_key(number));
        let findings = [
            (
                "run(s) that a client was told have succeeded, and have not by the table",
                told.cloned().collect(),
            ),
            (
                "call(s) that the upstream has done and that have no run",
                strays.map(Number::to_string).collect(),
            ),
            (
                "run(s) that have succeeded and that the upstream has not done",
                those(&|run| run.succeeded() && !self.done.contains_key(&run.number)),
            ),
            (
                "run(s) of a call that has several",
                those(&|run| of_call.get(&run.number).is_some_and(|runs| *runs > 1)),
            ),
            ("run(s) left behind", those(&|run| !run.is_over())),
        ];
        let found = findings.into_iter().filter(|(_, which)| !which.is_empty());
        found
            .map(|(what, which)| format!("{} {what}: {}", which.len(), which[..which.len().min(3)].join(", ")))
            .collect()
    }

    /// All runs that search.
    fn runs(&self) -> Result<Vec<Run>> {
        let mut runs = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let page = self.page(after.as_deref())?;
            for run in page["items"].as_array().context("a page of runs has items")? {
                runs.push(Run::read(run)?);
            }
            after = page["next"].as_str().map(ToOwned::to_owned);
            if after.is_none() {
                return Ok(runs);
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
        let states: Vec<_> = self
            .states
            .iter()
            .map(|(state, runs)| format!("{runs} {state}"))
            .collect();
        write!(
            f,
            "searches: {} calls were answered with success; runs: {}; the upstream has done {} request(s) for {} call(s)",
            self.told.len(),
            states.join(", "),
            self.done.values().sum::<u32>(),
            self.done.len(),
        )
    }
}

impl Run {
    fn read(run: &Value) -> Result<Self> {
        let text = |key: &str| run[key].as_str().with_context(|| format!("a run without {key}: {run}"));
        Ok(Self {
            id: text("id")?.to_owned(),
            state: text("state")?.to_owned(),
            number: number_in(text("input")?)?,
        })
    }

    fn succeeded(&self) -> bool {
        self.state == "succeeded"
    }

    fn is_over(&self) -> bool {
        matches!(
            self.state.as_str(),
            "succeeded" | "failed" | "cancelled" | "dead-lettered"
        )
    }
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is {}", self.id, self.state)
    }
}

/// The number of a call in its input, or in the request that it made of it: that behind the word searched for.
fn number_in(text: &str) -> Result<Number> {
    let behind = text
        .split_once("sandbox")
        .map(|(_, behind)| behind.trim_start_matches("%20"));
    let digits = behind.map(|behind| {
        let digits = behind.trim_start_matches(|c: char| !c.is_ascii_digit());
        &digits[..digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len())]
    });
    digits
        .and_then(|digits| digits.parse().ok())
        .with_context(|| format!("no call has a number in {text}"))
}

/// The requests that the upstream has got, once their number no longer grows.
fn settled(stage: &Stage) -> Result<Vec<Value>> {
    let start = Instant::now();
    let mut before = None;
    while start.elapsed() < ENDING {
        let requests = stage.simulator().get("/requests?service=search")?;
        let Value::Array(requests) = requests else {
            bail!("the simulator's requests are no list");
        };
        let open = requests.iter().any(|request| request["answer"].is_null());
        if !open && before == Some(requests.len()) {
            return Ok(requests);
        }
        before = Some(requests.len());
        thread::sleep(Duration::from_secs(1));
    }
    bail!("the upstream is still asked {ENDING:?} after the last client is gone")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn run(id: &str, state: &str, number: Number) -> Run {
        Run {
            id: id.to_owned(),
            state: state.to_owned(),
            number,
        }
    }

    fn books(told: &[&str], done: &[Number]) -> Books {
        let mut books = Books::new("");
        books.told.extend(told.iter().map(|id| (*id).to_owned()));
        books.done.extend(done.iter().map(|number| (*number, 1)));
        books
    }

    #[test]
    fn a_call_is_known_by_its_number() {
        for text in [
            r#"{"text":"sandbox 11000000042","limit":1}"#,
            "/v1/query?q=sandbox%2011000000042&limit=1",
            "/v1/query?q=sandbox+11000000042&limit=1",
        ] {
            assert_eq!(number_in(text).unwrap(), 11_000_000_042, "{text}");
        }
        assert!(number_in("/v1/query?q=other%201").is_err());
    }

    #[test]
    fn books_agree_when_each_call_has_its_run() {
        // The client of the second hung up, and called it off by that.
        let runs = [run("a", "succeeded", 1), run("b", "cancelled", 2)];
        assert_eq!(books(&["a"], &[1, 2]).faults(&runs), Vec::<String>::new());
    }

    #[test]
    fn each_kind_of_loss_is_found() {
        let fine = [run("a", "succeeded", 1)];
        for (books, runs) in [
            (books(&["b"], &[1]), &fine[..]),
            (books(&["a"], &[1, 2]), &fine[..]),
            (books(&["a"], &[]), &fine[..]),
            (books(&["a"], &[1]), &[run("a", "cancelled", 1)][..]),
            (books(&[], &[1]), &[run("a", "running", 1)][..]),
            (
                books(&[], &[1]),
                &[run("a", "succeeded", 1), run("b", "succeeded", 1)][..],
            ),
        ] {
            assert_eq!(books.faults(runs).len(), 1, "{:?}", books.faults(runs));
        }
    }
}
