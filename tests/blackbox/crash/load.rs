//! What the hosts are given to do: mixed tools, with faults of their upstreams.

use super::Dice;
use super::points::Point;
use crate::site::{PATIENCE, Running, Site};
use fusebox_simulator::{Fault, Service};
use serde_json::{Value, json};

/// Tools, and the service of each that is made quick.
pub(crate) const TOOLS: [(&str, &str); 6] = [
    ("calculator", ""),
    ("search", "search"),
    ("llm", "llm"),
    ("email", "mail"),
    ("ledger", "ledger"),
    ("pipeline", "openai"),
];

/// Everything that was asked for so far.
#[derive(Default)]
pub(crate) struct Load {
    /// Runs that were accepted.
    pub(crate) accepted: Vec<String>,
    /// Subjects of all mails that were asked for; each is one mail at most.
    pub(crate) subjects: Vec<String>,
    /// Transfers that were asked for, each with a key of its own; the amount tells them apart.
    pub(crate) amounts: Vec<u64>,
    made: u64,
}

impl Load {
    /// Accepts a few more runs, and lets something go wrong with some of their upstreams.
    pub(crate) fn add(&mut self, site: &Site, dice: &mut Dice) {
        fault(site, dice);
        for _ in 0..=dice.below(2) {
            let (function, input, key) = match dice.below(8) {
                0..=2 => self.transfer(),
                3 | 4 => self.mail(),
                5 => ("search.query", json!({ "text": "breakers" }), None),
                6 => (
                    "llm.complete",
                    json!({ "prompt": format!("number {}", self.next()) }),
                    None,
                ),
                _ => ("pipeline.run", json!({ "label": format!("run {}", self.next()) }), None),
            };
            let mut more = vec!["--detach"];
            if let Some(key) = &key {
                more.extend(["--key", key]);
            }
            let ran = site.call_with(function, &input, &more).exits(0);
            self.accepted.push(ran.json()["run"].as_str().unwrap().to_owned());
        }
    }

    /// A call that waits for its outcome, and whose process is to die at the point.
    pub(crate) fn call_that_dies(&mut self, site: &Site, point: Option<&Point>) -> Option<Running> {
        let point = point?;
        let (function, input, key) = if self.next().is_multiple_of(2) {
            self.transfer()
        } else {
            self.mail()
        };
        let input = input.to_string();
        let mut arguments = vec!["call", function, &input, "--json"];
        if let Some(key) = &key {
            arguments.extend(["--key", key]);
        }
        let mut command = site.command(&arguments);
        command.env("FUSEBOX_FAILPOINT", point.to_string());
        Some(Running::start(&mut command, PATIENCE))
    }

    fn transfer(&mut self) -> (&'static str, Value, Option<String>) {
        let amount = 1 + self.next();
        self.amounts.push(amount);
        let input = json!({ "from-account": "treasury", "to-account": "bob", "amount": amount });
        ("ledger.transfer", input, Some(format!("transfer {amount}")))
    }

    fn mail(&mut self) -> (&'static str, Value, Option<String>) {
        let subject = format!("mail {}", self.next());
        self.subjects.push(subject.clone());
        (
            "email.send",
            json!({ "to": "a@example.com", "subject": subject, "body": "b" }),
            None,
        )
    }

    fn next(&mut self) -> u64 {
        self.made += 1;
        self.made
    }
}

/// One upstream fails once, or answers slowly.
fn fault(site: &Site, dice: &mut Dice) {
    let status = |status| Fault::Status {
        status,
        retry_after: None,
        body: None,
    };
    match dice.below(9) {
        0 => site.fault(Service::Ledger, Fault::ExecuteThenReset, Some(1)),
        1 => site.fault(Service::Mail, Fault::ExecuteThenReset, Some(1)),
        2 => site.fault(Service::Ledger, status(503), Some(1)),
        3 => site.fault(Service::Search, status(503), Some(2)),
        4 => site.fault(Service::Llm, status(429), Some(1)),
        5 => site.fault(Service::Llm, Fault::Delay(300), Some(3)),
        6 => site.fault(Service::Ledger, Fault::Delay(400), Some(1)),
        7 => site.fault(Service::Mail, Fault::Delay(400), Some(1)),
        _ => {}
    }
}
