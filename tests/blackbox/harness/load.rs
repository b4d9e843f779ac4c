//! What the hosts are given to do: mixed tools, with faults of their upstreams.

use super::Dice;
use crate::site::{PATIENCE, Ran, Running, Site};
use fusebox_simulator::{Fault, Service};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

/// Tools, and the service of each that is made quick.
pub(crate) const TOOLS: [(&str, &str); 6] = [
    ("calculator", ""),
    ("search", "search"),
    ("llm", "llm"),
    ("email", "mail"),
    ("ledger", "ledger"),
    ("pipeline", "openai"),
];

/// One call.
pub(crate) struct Order {
    pub(crate) function: &'static str,
    pub(crate) input: Value,
    pub(crate) key: Option<String>,
}

impl Order {
    fn unkeyed(function: &'static str, input: Value) -> Self {
        Self {
            function,
            input,
            key: None,
        }
    }

    /// The call as it is typed.
    pub(crate) fn command(&self, site: &Site, more: &[&str]) -> Command {
        let input = self.input.to_string();
        let mut arguments = [&["call", self.function, &input], more].concat();
        if let Some(key) = &self.key {
            arguments.extend(["--key", key]);
        }
        site.command(&arguments)
    }

    /// Has it accepted, without waiting for it.
    pub(crate) fn detach(&self, site: &Site) -> Ran {
        Running::start(&mut self.command(site, &["--detach", "--json"]), PATIENCE).wait()
    }
}

/// Everything that was asked for so far.
#[derive(Default)]
pub(crate) struct Load {
    /// Runs that were accepted, and of which function each is.
    pub(crate) accepted: BTreeMap<String, &'static str>,
    /// Subjects of all mails that were asked for; each is one mail at most.
    pub(crate) subjects: BTreeSet<String>,
    /// Transfers that were asked for, each with a key of its own; the amount tells them apart.
    pub(crate) amounts: BTreeSet<u64>,
    made: u64,
}

impl Load {
    /// Any call.
    pub(crate) fn next(&mut self, dice: &mut Dice) -> Order {
        match dice.below(8) {
            0..=2 => self.transfer(),
            3 | 4 => self.mail(),
            5 => Order::unkeyed("search.query", json!({ "text": "breakers" })),
            6 => Order::unkeyed("llm.complete", json!({ "prompt": format!("number {}", self.count()) })),
            _ => Order::unkeyed("pipeline.run", json!({ "label": format!("run {}", self.count()) })),
        }
    }

    /// A call that may not happen twice: transfers and mails in turn.
    pub(crate) fn next_that_changes(&mut self) -> Order {
        if self.count().is_multiple_of(2) {
            self.transfer()
        } else {
            self.mail()
        }
    }

    /// Somebody was told that the run was accepted.
    pub(crate) fn accept(&mut self, run: &str, order: &Order) {
        self.accepted.insert(run.to_owned(), order.function);
    }

    /// A transfer that nobody asked for yet.
    pub(crate) fn transfer(&mut self) -> Order {
        let amount = 1 + self.count();
        self.amounts.insert(amount);
        Order {
            function: "ledger.transfer",
            input: json!({ "from-account": "treasury", "to-account": "bob", "amount": amount }),
            key: Some(format!("transfer {amount}")),
        }
    }

    fn mail(&mut self) -> Order {
        let subject = format!("mail {}", self.count());
        self.subjects.insert(subject.clone());
        Order::unkeyed(
            "email.send",
            json!({ "to": "a@example.com", "subject": subject, "body": "b" }),
        )
    }

    fn count(&mut self) -> u64 {
        self.made += 1;
        self.made
    }
}

/// One upstream fails once, or answers slowly.
pub(crate) fn fault(site: &Site, dice: &mut Dice) {
    let status = |status| Fault::Status {
        status,
        retry_after: None,
        body: None,
    };
    match dice.below(9) {
        0 => site.fault(Service::Ledger, Fault::ExecuteThenReset, Some(1)),
        1 => site.fault(Service::Mail, Fault::ExecuteThenReset, Some(1)),
        2 => site.fault(Service::Ledger, status(503), Some(1)),
        3 => site.fault(Service::Search, status(503), Some(1)),
        4 => site.fault(Service::Llm, status(429), Some(1)),
        5 => site.fault(Service::Llm, Fault::Delay(300), Some(3)),
        6 => site.fault(Service::Ledger, Fault::Delay(400), Some(1)),
        7 => site.fault(Service::Mail, Fault::Delay(400), Some(1)),
        _ => {}
    }
}

/// Any upstream takes its time once, so that something is in flight at every moment.
pub(crate) fn slow(site: &Site, dice: &mut Dice) {
    let services = [Service::Search, Service::Llm, Service::Mail, Service::Ledger];
    let service = services[usize::try_from(dice.below(4)).unwrap()];
    site.fault(service, Fault::Delay(100 + dice.below(1000)), Some(1));
}
