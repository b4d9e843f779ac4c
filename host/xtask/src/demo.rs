//! `cargo xtask demo`: real tools against upstreams that fail in the usual ways, and a table of what was promised and what was counted.

mod incidents;
mod promises;

use crate::stage::{Ran, Stage};
use crate::{guests, steps};
use anyhow::{Context, Result, bail};
use promises::Promises;
use serde_json::{Value, json};
use std::time::Duration;

/// Exit codes of the binary that the demo expects (`fusebox --help` lists all).
mod exit {
    pub(super) const OK: i32 = 0;
    pub(super) const NEEDS_APPROVAL: i32 = 12;
    pub(super) const UPSTREAM_FAILED: i32 = 13;
    pub(super) const BREAKER_OPEN: i32 = 14;
    pub(super) const IN_DOUBT: i32 = 15;
    pub(super) const FAULT: i32 = 21;
    pub(super) const BAD_INPUT: i32 = 65;
}

/// How long the search service's breaker stays open in the demo.
const COOLDOWN: Duration = Duration::from_secs(2);

/// Short times, so that nobody waits long.
const SETTINGS: &str = "lease = \"3s\"\nrecovery = { poll = \"200ms\" }\nauto-replay = { rate = \"20/s\" }\n";

/// Runs the demo.
///
/// # Errors
/// A step that could not be made, or a promise that was broken.
pub(crate) fn run() -> Result<()> {
    steps::announce(
        "The first run compiles Fusebox and the example tools: about 10 minutes and 4 GB below target/ on two cores. Later runs take seconds.",
    );
    let built = guests::build(guests::Missing::Skip)?;
    steps::build("debug")?;
    let mut demo = Demo {
        stage: Stage::open("demo", "debug", SETTINGS)?,
        promises: Promises::default(),
    };
    demo.deploy()?;
    demo.good_calls(&built.missing)?;
    demo.flaky_upstream()?;
    demo.asked_to_wait()?;
    let letter = demo.upstream_down()?;
    demo.recovery()?;
    demo.replay(&letter)?;
    demo.bad_input()?;
    demo.trap()?;
    demo.keyed_transfer()?;
    demo.mail_in_doubt()?;
    demo.incidents()?;
    demo.promises.print();
    println!(
        "\nEverything lies in {}; `cd` there and type `fusebox` commands of your own.",
        demo.stage.folder().display()
    );
    if !demo.promises.all_kept() {
        bail!("a promise was broken");
    }
    Ok(())
}

struct Demo {
    stage: Stage,
    promises: Promises,
}

impl Demo {
    fn deploy(&mut self) -> Result<()> {
        self.stage.title(
            "Deploy the example tools",
            "compiled ahead of time, registered by digest; grants come from the manifests alone",
        );
        let breaker = format!(
            "breaker = {{ failure-threshold = 3, cooldown = \"{}s\" }}\nhosts = ",
            COOLDOWN.as_secs()
        );
        self.stage.change("search.toml", &[("hosts = ", &breaker)])?;
        let tools = ["calculator", "search", "llm", "email", "ledger", "faulty"];
        let mut arguments = vec!["deploy".to_owned()];
        arguments.extend(tools.iter().map(|tool| format!("{tool}.toml")));
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        let ran = self.stage.fusebox(&arguments)?;
        self.promises.equal("all tools deploy", exit::OK, ran.code);
        self.stage.fusebox(&["tools"])?;
        Ok(())
    }

    fn good_calls(&mut self, missing: &[guests::NotBuilt]) -> Result<()> {
        self.stage.title(
            "A good call",
            "JSON in, JSON out; the component knows nothing of Fusebox",
        );
        let ran = self
            .stage
            .fusebox(&["call", "calculator.evaluate", r#"{"expression":"2 * (3 + sqrt(16))"}"#])?;
        self.promises.equal(
            "2 * (3 + sqrt(16)) is 14",
            "14",
            ran.stdout.trim().trim_end_matches(".0"),
        );
        let ran = self
            .stage
            .fusebox(&["call", "search.query", r#"{"text":"sandbox","limit":1}"#])?;
        self.promises
            .equal("a search is one request", 1, self.stage.simulator().count("search")?);
        self.promises.equal("and succeeds", exit::OK, ran.code);
        for (tool, call, input) in [
            ("wordcount", "wordcount.count", r#"{"text":"to be or not to be"}"#),
            ("slugify", "slugify.slug", r#"{"text":"Crème brûlée, please!"}"#),
        ] {
            let promise = format!("`{tool}`, not written in Rust, answers");
            if let Some(not_built) = missing.iter().find(|not_built| not_built.name == tool) {
                self.promises.not_run(&promise, &not_built.install);
                continue;
            }
            self.stage.fusebox(&["deploy", &format!("{tool}.toml")])?;
            let ran = self.stage.fusebox(&["call", call, input])?;
            self.promises.equal(&promise, exit::OK, ran.code);
        }
        Ok(())
    }

    fn flaky_upstream(&mut self) -> Result<()> {
        self.stage.title(
            "A flaky upstream",
            "two requests get a 503; retries heal the call, each attempt in a fresh instance",
        );
        self.stage.simulator().reset()?;
        self.stage
            .simulator()
            .fault("search", json!({ "status": 503 }), Some(2))?;
        let ran = self.stage.fusebox(&["call", "search.query", r#"{"text":"retry"}"#])?;
        self.promises.equal("two 503s are healed", exit::OK, ran.code);
        self.promises
            .equal("by exactly two retries", 3, self.stage.simulator().count("search")?);
        Ok(())
    }

    fn asked_to_wait(&mut self) -> Result<()> {
        self.stage.title(
            "429 with Retry-After",
            "the upstream says 2 seconds, so nothing is sent for 2 seconds",
        );
        self.stage.simulator().reset()?;
        self.stage
            .simulator()
            .fault("search", json!({ "status": 429, "retry-after": "2" }), Some(1))?;
        let ran = self.stage.fusebox(&["call", "search.query", r#"{"text":"budget"}"#])?;
        self.promises.equal("a 429 is healed", exit::OK, ran.code);
        self.promises
            .equal("with one more request", 2, self.stage.simulator().count("search")?);
        self.promises.holds(
            "not before the time that was asked for",
            ran.took >= Duration::from_secs(2),
            &format!("{:.1} s", ran.took.as_secs_f32()),
        );
        Ok(())
    }

    /// Returns the letter of the call that gave up.
    fn upstream_down(&mut self) -> Result<String> {
        self.stage.title(
            "An upstream that is down",
            "three failures in a row open the breaker of `search`, and of nothing else",
        );
        self.stage.simulator().reset()?;
        self.stage.simulator().fault("search", json!({ "status": 503 }), None)?;
        let gave_up = self.stage.fusebox(&["call", "search.query", r#"{"text":"sandbox"}"#])?;
        self.promises.one_of(
            "the call gives up and is kept as a letter",
            &[exit::UPSTREAM_FAILED, exit::BREAKER_OPEN],
            gave_up.code,
        );
        self.promises.equal(
            "after three requests, when the breaker opened",
            3,
            self.stage.simulator().count("search")?,
        );
        let fast = self.stage.fusebox(&["call", "search.query", r#"{"text":"sandbox"}"#])?;
        self.promises
            .equal("the next call fails fast", exit::BREAKER_OPEN, fast.code);
        self.promises
            .equal("without a request", 3, self.stage.simulator().count("search")?);
        self.stage.fusebox(&["breakers"])?;
        self.promises
            .equal("the breaker of search is open", "open", &self.breaker("search/search")?);
        let other = self
            .stage
            .fusebox(&["call", "llm.complete", r#"{"prompt":"Are you there?"}"#])?;
        self.promises.equal("the LLM is not affected", exit::OK, other.code);
        self.stage.fusebox(&["dlq", "list"])?;
        let letters = self.letters()?;
        self.promises.equal("one letter was written", 1, letters.len());
        let letter = letters
            .first()
            .and_then(|letter| letter["id"].as_str())
            .context("there is no letter")?;
        self.stage.fusebox(&["dlq", "show", letter])?;
        Ok(letter.to_owned())
    }

    fn recovery(&mut self) -> Result<()> {
        self.stage.title(
            "Recovery",
            "after the cooldown one probe is let through; its success closes the breaker",
        );
        self.stage.simulator().clear("search")?;
        self.stage.wait(COOLDOWN + Duration::from_millis(500));
        let before = self.stage.simulator().count("search")?;
        let ran = self.stage.fusebox(&["call", "search.query", r#"{"text":"sandbox"}"#])?;
        self.promises.equal("the probe succeeds", exit::OK, ran.code);
        self.promises
            .equal("with one request", before + 1, self.stage.simulator().count("search")?);
        self.promises
            .equal("and closes the breaker", "closed", &self.breaker("search/search")?);
        Ok(())
    }

    fn replay(&mut self, letter: &str) -> Result<()> {
        self.stage.title(
            "Replay",
            "the upstream is well again, so the letter goes on where it failed, under its own run and key",
        );
        let before = self.stage.simulator().count("search")?;
        let ran = self.stage.fusebox(&["dlq", "replay", letter])?;
        self.promises
            .equal("the letter is replayed to success", exit::OK, ran.code);
        self.promises
            .equal("with one request", before + 1, self.stage.simulator().count("search")?);
        let ran = self.stage.fusebox(&["dlq", "list"])?;
        self.promises.equal("and no letter is left open", "", ran.stdout.trim());
        Ok(())
    }

    fn bad_input(&mut self) -> Result<()> {
        self.stage.title(
            "Bad input",
            "refused at its path, before anything runs; never a retry, never a letter",
        );
        self.stage.simulator().reset()?;
        let ran = self
            .stage
            .fusebox(&["call", "search.query", r#"{"text":"wasm","limit":-1}"#])?;
        self.promises.equal("bad input is refused", exit::BAD_INPUT, ran.code);
        self.promises
            .holds("naming its path", ran.stderr.contains("limit"), "limit");
        self.promises
            .equal("without a request", 0, self.stage.simulator().count("search")?);
        self.promises.equal("without a letter", 0, self.letters()?.len());
        self.stage.fusebox(&["errors", "--limit", "1"])?;
        Ok(())
    }

    fn trap(&mut self) -> Result<()> {
        self.stage.title(
            "A trap",
            "the component itself is broken: once, kept with its backtrace, its log and its state",
        );
        let ran = self
            .stage
            .fusebox(&["call", "faulty.trap", r#"{"message":"the demo asked for it"}"#])?;
        self.promises
            .equal("a trap is a fault of the tool", exit::FAULT, ran.code);
        let letters = self.letters()?;
        self.promises.equal("kept as a letter", 1, letters.len());
        let letter = &letters[0];
        let id = letter["id"].as_str().context("the letter has no id")?.to_owned();
        self.stage.fusebox(&["dlq", "show", &id])?;
        let frames = letter["backtrace"].as_array().map_or(0, Vec::len);
        self.promises
            .holds("with a symbolised backtrace", frames >= 3, &format!("{frames} frames"));
        let pages: usize = letter["snapshot"]["instances"]
            .as_array()
            .into_iter()
            .flatten()
            .flat_map(|instance| instance["memories"].as_array().into_iter().flatten())
            .map(|memory| memory["stored"].as_array().map_or(0, Vec::len))
            .sum();
        self.promises
            .holds("and with its memory", pages > 0, &format!("{pages} pages"));
        self.promises.holds(
            "and with what it printed",
            letter["log"].to_string().contains("the demo asked for it"),
            "the message",
        );
        self.promises.equal(
            "in one attempt",
            1,
            letter["run"]["attempts"].as_array().map_or(0, Vec::len),
        );
        self.promises.equal(
            "the breaker of search stays closed",
            "closed",
            &self.breaker("search/search")?,
        );
        let debugged = self.stage.fusebox(&["debug", &id])?;
        self.promises
            .equal("and can be debugged offline", exit::OK, debugged.code);
        self.stage.fusebox(&["dlq", "purge", &id, "--yes"])?;
        Ok(())
    }

    fn keyed_transfer(&mut self) -> Result<()> {
        self.stage.title(
            "Money under a key",
            "the ledger moves the money and then the connection breaks; the retry carries the same key",
        );
        self.stage.simulator().reset()?;
        self.stage
            .simulator()
            .fault("ledger", json!({ "execute-then-reset": true }), Some(1))?;
        let transfer = r#"{"from-account":"alice","to-account":"bob","amount":100}"#;
        let ran = self
            .stage
            .fusebox(&["call", "ledger.transfer", transfer, "--key", "order-42"])?;
        self.promises.equal("the transfer succeeds", exit::OK, ran.code);
        self.promises
            .equal("with two requests", 2, self.stage.simulator().count("ledger")?);
        self.promises.equal("and is executed once", 1, self.transfers()?);
        let again = self
            .stage
            .fusebox(&["call", "ledger.transfer", transfer, "--key", "order-42"])?;
        self.promises.equal(
            "the same key gives the same answer",
            ran.stdout.trim(),
            again.stdout.trim(),
        );
        self.promises
            .equal("without a third request", 2, self.stage.simulator().count("ledger")?);
        Ok(())
    }

    fn mail_in_doubt(&mut self) -> Result<()> {
        self.stage.title(
            "A mail in doubt",
            "the service sends the mail and answers 504: nobody repeats it, a person is told",
        );
        self.stage.simulator().reset()?;
        self.stage
            .simulator()
            .fault("mail", json!({ "execute-then-status": 504 }), Some(1))?;
        let mail = r#"{"to":"ada@example.com","subject":"Hello","body":"Once is enough."}"#;
        let ran = self.stage.fusebox(&["call", "email.send", mail])?;
        self.promises.equal("the run ends in doubt", exit::IN_DOUBT, ran.code);
        let letter = self
            .letters()?
            .into_iter()
            .find(|letter| letter["kind"] == "in-doubt")
            .context("there is no letter in doubt")?;
        let id = letter["id"].as_str().context("the letter has no id")?.to_owned();
        let replay = self.stage.fusebox(&["dlq", "replay", &id])?;
        self.promises.holds(
            "and is not replayed",
            replay.code != exit::OK,
            &format!("exit code {}", replay.code),
        );
        self.promises
            .equal("one mail was sent", 1, self.stage.simulator().mails()?);
        self.stage.write(
            "answer",
            "HTTP/1.1 202 Accepted\ncontent-type: application/json\n\n{\"id\":\"mail-1\"}\n",
        )?;
        let resolved = self.stage.fusebox(&[
            "dlq",
            "resolve",
            &id,
            "--effect",
            "1",
            "--as",
            "happened",
            "--response",
            "answer",
        ])?;
        self.promises
            .equal("a person records what happened", exit::OK, resolved.code);
        let replay = self.stage.fusebox(&["dlq", "replay", &id])?;
        self.promises.equal("and the run goes on", exit::OK, replay.code);
        self.promises
            .equal("still by one request", 1, self.stage.simulator().count("mail")?);
        Ok(())
    }

    fn breaker(&self, key: &str) -> Result<String> {
        let all = self.stage.quietly(&["breakers", "list", "--json"])?;
        let found = lines(&all)?.into_iter().find(|breaker| breaker["key"] == key);
        // A breaker without a history is closed and need not be listed.
        Ok(found.map_or_else(
            || "closed".to_owned(),
            |breaker| breaker["state"].as_str().unwrap_or_default().to_owned(),
        ))
    }

    fn letters(&self) -> Result<Vec<Value>> {
        lines(&self.stage.quietly(&["dlq", "list", "--json"])?)
    }

    fn transfers(&self) -> Result<usize> {
        Ok(self.stage.simulator().get("/ledger")?["transfers"]
            .as_array()
            .map_or(0, Vec::len))
    }
}

fn lines(ran: &Ran) -> Result<Vec<Value>> {
    ran.stdout
        .lines()
        .map(|line| serde_json::from_str(line).with_context(|| format!("this is no JSON: {line}")))
        .collect()
}
