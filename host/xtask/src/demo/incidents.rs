//! Five incidents of production, each with runs of many steps and hosts that serve: what a run has settled is not done again.

use super::{Demo, exit, lines};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

/// What everything that takes long is divided by: four hours of outage are eight seconds, thirty seconds of cooldown are a sixtieth of one.
const SCALE: u32 = 1800;
/// The outage of the first incident.
const OUTAGE: Duration = Duration::from_secs(4 * 3600);
/// Nothing of an incident takes longer.
const PATIENCE: Duration = Duration::from_secs(90);
/// Completions that one pipeline asks for, and searches.
const COMPLETIONS: usize = 15;

/// What one incident came to.
pub(super) struct Incident {
    name: &'static str,
    runs: usize,
    letters: usize,
    requests: usize,
    twice: usize,
}

impl Demo {
    /// All five, and their table.
    pub(super) fn incidents(&mut self) -> Result<()> {
        let table = [
            self.outage()?,
            self.rate_limit()?,
            self.flaky_steps()?,
            self.killed_worker()?,
            self.bad_decision()?,
        ];
        println!(
            "\n{:<44}  {:>5}  {:>8}  {:>8}  {:>28}",
            "incident", "runs", "letters", "requests", "settled steps executed twice"
        );
        for incident in &table {
            println!(
                "{:<44}  {:>5}  {:>8}  {:>8}  {:>28}",
                incident.name, incident.runs, incident.letters, incident.requests, incident.twice
            );
        }
        let twice = table.iter().map(|incident| incident.twice).sum();
        self.promises
            .equal("no settled step was executed twice, in all five", 0, twice);
        Ok(())
    }

    fn outage(&mut self) -> Result<Incident> {
        self.stage.title(
            "Incident 1: the provider of the model is down for four hours",
            "the breaker opens, runs are kept as letters, and replay by themselves where they failed once it is well (time is scaled: 4 h are 8 s)",
        );
        self.stage.simulator().reset()?;
        self.stage.change(
            "pipeline.toml",
            &[
                ("[services.openai]\n", "[services.openai]\nbreaker = { failure-threshold = 3, cooldown = \"500ms\", max-cooldown = \"1s\" }\n"),
                ("retry = \"llm\"", "retry = { preset = \"llm\", base = \"50ms\" }"),
                ("[functions.run]\n", "[functions.run]\nauto-replay = \"when-closed\"\n"),
            ],
        )?;
        self.deploy_all(&["pipeline", "assistant"])?;
        // The first runs get some steps done before it goes down.
        self.stage
            .simulator()
            .fault("llm", json!({ "delay-ms": 5 }), Some(30))?;
        self.stage.simulator().fault("llm", json!({ "status": 503 }), None)?;
        let host = self.stage.serve(&["--http", "none"], "serve.log")?;
        let runs = self.detached(
            "pipeline.run",
            (1..=6).map(|n| json!({ "label": format!("outage {n}") })),
        )?;
        self.until("all runs are kept as letters", |demo| {
            Ok(demo.letters()?.len() == runs.len())
        })?;
        let letters = self.letters()?.len();
        self.promises
            .equal("every run is kept as a letter", runs.len(), letters);
        let during = self.stage.simulator().count("llm")?;
        self.stage.wait(OUTAGE / SCALE);
        let probes = self.stage.simulator().count("llm")? - during;
        self.promises.holds(
            "an open breaker lets probes through and nothing else",
            probes <= 20,
            &format!("{probes} in {:?}", OUTAGE / SCALE),
        );
        self.stage.simulator().clear("llm")?;
        self.until("the letters replayed by themselves", |demo| {
            Ok(demo.succeeded(&runs)? == runs.len())
        })?;
        self.promises
            .equal("they replay by themselves", 0, self.letters()?.len());
        drop(host);
        let (steps, twice) = self.steps("llm", &[])?;
        self.promises
            .equal("every step was done", runs.len() * COMPLETIONS, steps);
        Ok(Incident {
            name: "1 the provider is down for four hours",
            runs: runs.len(),
            letters,
            requests: self.stage.simulator().count("llm")?,
            twice,
        })
    }

    fn rate_limit(&mut self) -> Result<Incident> {
        self.stage.title(
            "Incident 2: 200 runs at once before a search service that takes 80 requests a second",
            "the host sends no more than the service takes; other services are not held up",
        );
        self.stage.simulator().reset()?;
        self.stage.simulator().rate_limit("search", 100, 1000)?;
        self.stage.change(
            "search.toml",
            &[("[services.search]\n", "[services.search]\nrate-limit = \"80/s\"\n")],
        )?;
        self.deploy_all(&["search"])?;
        let runs = self.detached(
            "search.query",
            (0..200).map(|n| json!({ "text": format!("limit {n}") })),
        )?;
        let host = self.stage.serve(&["--http", "none"], "serve.log")?;
        let start = Instant::now();
        let other = self
            .stage
            .fusebox(&["call", "llm.complete", r#"{"prompt":"Are you held up?"}"#])?;
        self.promises
            .equal("another service answers meanwhile", exit::OK, other.code);
        self.promises.holds(
            "at once",
            other.took < Duration::from_secs(5),
            &format!("{:.1} s", other.took.as_secs_f32()),
        );
        self.until("all runs succeeded", |demo| Ok(demo.succeeded(&runs)? == runs.len()))?;
        println!("  (200 runs took {:.1} s)", start.elapsed().as_secs_f32());
        drop(host);
        let (steps, twice) = self.steps("search", &[])?;
        self.promises.equal("every search was done", runs.len(), steps);
        Ok(Incident {
            name: "2 a rate limit under 200 concurrent runs",
            runs: runs.len(),
            letters: self.letters()?.len(),
            requests: self.stage.simulator().count("search")?,
            twice,
        })
    }

    fn flaky_steps(&mut self) -> Result<Incident> {
        self.stage.title(
            "Incident 3: one request in ten fails",
            "each failed step is made again, and nothing before it",
        );
        self.stage.simulator().reset()?;
        for _ in 0..8 {
            self.stage.simulator().fault("llm", json!({ "delay-ms": 1 }), Some(9))?;
            self.stage.simulator().fault("llm", json!({ "status": 503 }), Some(1))?;
        }
        let host = self.stage.serve(&["--http", "none"], "serve.log")?;
        let runs = self.detached(
            "pipeline.run",
            (1..=4).map(|n| json!({ "label": format!("flaky {n}") })),
        )?;
        self.until("all runs succeeded", |demo| Ok(demo.succeeded(&runs)? == runs.len()))?;
        drop(host);
        let (steps, twice) = self.steps("llm", &[])?;
        self.promises
            .equal("every step was done, flaky or not", runs.len() * COMPLETIONS, steps);
        let requests = self.stage.simulator().count("llm")?;
        self.promises.holds(
            "and some were made again",
            requests > steps,
            &format!("{} more", requests - steps),
        );
        Ok(Incident {
            name: "3 one request in ten fails",
            runs: runs.len(),
            letters: self.letters()?.len(),
            requests,
            twice,
        })
    }

    fn killed_worker(&mut self) -> Result<Incident> {
        self.stage.title(
            "Incident 4: the worker is killed in the middle of step 28 of 30",
            "another one takes the run over once its lease is over, and goes on at step 28",
        );
        self.stage.simulator().reset()?;
        self.stage.change(
            "pipeline.toml",
            &[("[services.openai]\n", "[services.openai]\ntimeout = \"4s\"\n")],
        )?;
        self.deploy_all(&["pipeline"])?;
        self.stage
            .simulator()
            .fault("llm", json!({ "delay-ms": 1 }), Some(13))?;
        self.stage
            .simulator()
            .fault("llm", json!({ "delay-ms": 3000 }), Some(1))?;
        let worker = self.stage.serve(&["--http", "none"], "serve.log")?;
        let runs = self.detached("pipeline.run", [json!({ "label": "killed" })].into_iter())?;
        self.until("step 28 is under way", |demo| {
            Ok(demo.stage.simulator().count("llm")? == 14)
        })?;
        println!("  (kill -9)");
        worker.kill()?;
        let another = self.stage.serve(&["--http", "none"], "serve.log")?;
        self.until("another worker has finished it", |demo| Ok(demo.succeeded(&runs)? == 1))?;
        drop(another);
        let (steps, twice) = self.steps("llm", &["killed: what comes in step 28?"])?;
        self.promises.equal("every step was done", COMPLETIONS, steps);
        let requests = self.stage.simulator().count("llm")?;
        self.promises
            .equal("and step 28 alone was sent again", COMPLETIONS + 1, requests);
        Ok(Incident {
            name: "4 the worker is killed in step 28 of 30",
            runs: 1,
            letters: self.letters()?.len(),
            requests,
            twice,
        })
    }

    fn bad_decision(&mut self) -> Result<Incident> {
        self.stage.title(
            "Incident 5: the model decides badly",
            "it wants to write to everybody; `interrupt-before` makes the run wait for a person, who says no",
        );
        self.stage.simulator().reset()?;
        self.stage.simulator().script(json!([
            { "tool_calls": [{ "name": "email_send", "arguments": { "to": "all@example.com", "subject": "You are fired", "body": "Sorry." } }] },
            { "content": "The mail was not approved, so nothing was sent." },
        ]))?;
        let asked = self
            .stage
            .fusebox(&["call", "assistant.ask", r#"{"question":"Tidy up the team"}"#])?;
        self.promises
            .equal("the run waits for a person", exit::NEEDS_APPROVAL, asked.code);
        self.stage.fusebox(&["approvals", "list"])?;
        let approvals = lines(&self.stage.quietly(&["approvals", "list", "--json"])?)?;
        let id = approvals
            .first()
            .and_then(|approval| approval["id"].as_str())
            .context("nothing waits")?;
        let denied = self
            .stage
            .fusebox(&["approvals", "deny", id, "--reason", "nobody is fired by mail"])?;
        self.promises
            .equal("the person's word is recorded", exit::OK, denied.code);
        self.until("the run has ended", |demo| {
            Ok(demo.state_of("assistant")? == "succeeded")
        })?;
        self.promises.equal(
            "the agent is told, and ends well",
            "succeeded",
            &self.state_of("assistant")?,
        );
        self.promises
            .equal("no mail was sent", 0, self.stage.simulator().mails()?);
        let (_, twice) = self.steps("llm", &[])?;
        Ok(Incident {
            name: "5 the model decides badly, a person says no",
            runs: 1,
            letters: self.letters()?.len(),
            requests: self.stage.simulator().count("llm")?,
            twice,
        })
    }

    fn deploy_all(&mut self, tools: &[&str]) -> Result<()> {
        let manifests: Vec<_> = tools.iter().map(|tool| format!("{tool}.toml")).collect();
        let mut arguments = vec!["deploy"];
        arguments.extend(manifests.iter().map(String::as_str));
        let ran = self.stage.fusebox(&arguments)?;
        ensure!(ran.code == exit::OK, "it could not be deployed");
        Ok(())
    }

    /// Accepts calls that nobody waits for, several at a time; returns their runs.
    fn detached(&self, function: &str, inputs: impl Iterator<Item = Value>) -> Result<Vec<String>> {
        let inputs: Vec<_> = inputs.map(|input| input.to_string()).collect();
        println!(
            "$ fusebox call {function} '{}' --detach    # and {} more",
            inputs[0],
            inputs.len() - 1
        );
        let share = inputs.len().div_ceil(8);
        thread::scope(|threads| {
            let typing = inputs.chunks(share).map(|inputs| {
                threads.spawn(move || {
                    let accept = |input: &String| {
                        let ran = self.stage.quietly(&["call", function, input, "--detach", "--json"])?;
                        let run = serde_json::from_str::<Value>(&ran.stdout).with_context(|| ran.stderr.clone())?;
                        Ok(run["run"].as_str().context("a run has an id")?.to_owned())
                    };
                    inputs.iter().map(accept).collect::<Result<Vec<_>>>()
                })
            });
            let typing: Vec<_> = typing.collect();
            let mut runs = Vec::new();
            for typist in typing {
                runs.extend(typist.join().map_err(|_| anyhow::anyhow!("a thread panicked"))??);
            }
            Ok(runs)
        })
    }

    fn until(&self, what: &str, so: impl Fn(&Self) -> Result<bool>) -> Result<()> {
        let start = Instant::now();
        while !so(self)? {
            ensure!(
                start.elapsed() < PATIENCE,
                "it did not come true in {PATIENCE:?}: {what}"
            );
            thread::sleep(Duration::from_millis(150));
        }
        println!("  ({what}: {:.1} s)", start.elapsed().as_secs_f32());
        Ok(())
    }

    /// How many of those runs succeeded.
    fn succeeded(&self, runs: &[String]) -> Result<usize> {
        let all =
            lines(
                &self
                    .stage
                    .quietly(&["runs", "list", "--state", "succeeded", "--limit", "5000", "--json"])?,
            )?;
        let is_one = |run: &&Value| run["id"].as_str().is_some_and(|id| runs.iter().any(|run| run == id));
        Ok(all.iter().filter(is_one).count())
    }

    /// The state of the newest run of a tool.
    fn state_of(&self, tool: &str) -> Result<String> {
        let runs = lines(
            &self
                .stage
                .quietly(&["runs", "list", "--tool", tool, "--limit", "1", "--json"])?,
        )?;
        let state = runs.first().and_then(|run| run["state"].as_str());
        Ok(state.unwrap_or_default().to_owned())
    }

    /// How many different requests were answered well, and how many of them more than once; what was cut off before its answer was seen was
    /// not settled.
    fn steps(&self, service: &str, cut_off: &[&str]) -> Result<(usize, usize)> {
        let requests = self.stage.simulator().get(&format!("/requests?service={service}"))?;
        let mut answered: BTreeMap<String, usize> = BTreeMap::new();
        for request in requests.as_array().context("requests are a list")? {
            let asked = format!("{} {}", request["path"], request["body"]);
            if request["answer"]["status"] == 200 && !asked.contains("Are you held up?") {
                *answered.entry(asked).or_default() += 1;
            }
        }
        let settled =
            |(asked, count): &(&String, &usize)| **count > 1 && !cut_off.iter().any(|cut| asked.contains(cut));
        Ok((answered.len(), answered.iter().filter(settled).count()))
    }
}
