//! The books: what the upstreams counted, against what the runs say of themselves.

use super::load::Load;
use crate::site::Site;
use fusebox_simulator::Service;
use serde_json::Value;
use std::collections::BTreeMap;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Once nobody kills any more letters have to get fewer within this, until there are none.
const SETTLES: Duration = Duration::from_secs(240);
/// States that nothing happens in by itself.
const AT_REST: [&str; 5] = ["succeeded", "failed", "cancelled", "dead-lettered", "in-doubt"];

/// Has everything done that can be, by `work`, which returns when nothing moves any more; settles what is in doubt by what the upstreams know,
/// and replays what was given up.
pub(crate) fn settle(site: &Site, load: &Load, mut work: impl FnMut(Instant)) {
    for service in [Service::Search, Service::Llm, Service::Mail, Service::Ledger] {
        site.heal(service);
    }
    let mut until = Instant::now() + SETTLES;
    let mut fewest = usize::MAX;
    loop {
        work(until);
        let letters = site
            .fusebox(&["dlq", "list", "--limit", "100000", "--json"])
            .exits(0)
            .json_lines();
        if letters.len() < fewest {
            fewest = letters.len();
            until = Instant::now() + SETTLES;
        }
        if letters.is_empty() {
            break;
        }
        assert!(Instant::now() < until, "letters that no replay closes: {letters:#?}");
        for letter in letters {
            close(site, &letter);
        }
    }
    never_twice(site, load);
}

/// Waits until no run moves by itself.
pub(crate) fn wait_for_rest(site: &Site, until: Instant) {
    loop {
        let restless = restless(site);
        if restless == 0 {
            return;
        }
        assert!(Instant::now() < until, "{restless} runs do not come to rest");
        sleep(Duration::from_millis(200));
    }
}

/// Roots that somebody goes on with, or will.
pub(crate) fn restless(site: &Site) -> u64 {
    let names = AT_REST.map(|state| format!("'{state}'")).join(",");
    let counted = site.sql(&format!(
        "SELECT count(*) FROM runs WHERE root IS NULL AND state NOT IN ({names})"
    ));
    counted.parse().unwrap()
}

/// Settles what is in doubt about a letter, and replays it.
fn close(site: &Site, letter: &Value) {
    let id = letter["id"].as_str().unwrap();
    if letter["kind"] == "in-doubt" {
        let run = &letter["run"];
        assert_eq!(run["tool"], "email", "only a mail may not be repeated: {letter:#}");
        let input: Value = serde_json::from_str(run["input"].as_str().unwrap()).unwrap();
        let sent = site
            .upstreams()
            .mails()
            .into_iter()
            .find(|mail| mail.subject == input["subject"].as_str().unwrap());
        let mut arguments = vec!["dlq", "resolve", id, "--effect", "1", "--as"];
        match &sent {
            Some(mail) => {
                let answer = format!(
                    "HTTP/1.1 202 Accepted\r\ncontent-type: application/json\r\n\r\n{{\"id\":\"{}\"}}",
                    mail.id
                );
                site.write("answer", &answer);
                arguments.extend(["happened", "--response", "answer"]);
            }
            None => arguments.push("not-happened"),
        }
        // One that was just left by a host may still be under way: it is settled in the next round.
        if site.fusebox(&arguments).code != 0 {
            sleep(Duration::from_millis(500));
            return;
        }
    }
    site.fusebox(&["dlq", "replay", id]);
}

/// What may not be repeated happened once at most, and what is keyed was executed once for each key.
pub(crate) fn never_twice(site: &Site, load: &Load) {
    let mut mails: BTreeMap<String, u32> = BTreeMap::new();
    for mail in site.upstreams().mails() {
        *mails.entry(mail.subject).or_default() += 1;
    }
    for (subject, count) in &mails {
        assert_eq!(*count, 1, "`{subject}` was sent more than once");
        assert!(load.subjects.contains(subject), "nobody asked for `{subject}`");
    }
    let mut transfers: BTreeMap<u64, u32> = BTreeMap::new();
    let ledger = site.upstreams().ledger();
    for transfer in &ledger.transfers {
        *transfers.entry(transfer.amount).or_default() += 1;
    }
    for (amount, count) in &transfers {
        assert_eq!(*count, 1, "the transfer of {amount} was executed more than once");
        assert!(load.amounts.contains(amount), "nobody asked for a transfer of {amount}");
    }
    for (key, count) in &ledger.per_key {
        assert!(count.executed <= 1, "key {key} was executed {} times", count.executed);
    }
}

/// Every run that was accepted reached one end, and the upstreams counted exactly what the runs say.
pub(crate) fn balance(site: &Site, load: &Load) -> String {
    let runs = site
        .fusebox(&["runs", "list", "--limit", "100000", "--json"])
        .exits(0)
        .json_lines();
    let roots: Vec<_> = runs
        .iter()
        .filter(|run| run.get("nested").is_none_or(Value::is_null))
        .collect();
    for (id, function) in &load.accepted {
        let found: Vec<_> = roots.iter().filter(|run| run["id"] == id.as_str()).collect();
        assert_eq!(
            found.len(),
            1,
            "run {id} of {function} was accepted, and is there {} times",
            found.len()
        );
        assert_eq!(found[0]["state"], "succeeded", "{:#}", found[0]);
    }
    let mails = site.upstreams().mails();
    let ledger = site.upstreams().ledger();
    let mut recoveries = 0;
    for run in &roots {
        assert!(AT_REST.contains(&run["state"].as_str().unwrap()), "{run:#}");
        recoveries += run["recoveries"].as_u64().unwrap_or_default();
        let numbers: Vec<_> = run["attempts"]
            .as_array()
            .unwrap()
            .iter()
            .map(|attempt| attempt["number"].as_u64().unwrap())
            .collect();
        assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>(), "{run:#}");
    }
    // A call that was refused and called again under its key is two runs, and the second one succeeded.
    for subject in &load.subjects {
        let sent = mails.iter().filter(|mail| mail.subject == *subject).count();
        let asked = of(&roots, "email", "subject", &Value::from(subject.as_str()));
        assert_eq!(sent, succeeded(&asked), "what was sent is not what is said: {asked:#?}");
    }
    for amount in &load.amounts {
        let moved = ledger.transfers.iter().filter(|transfer| transfer.amount == *amount);
        let asked = of(&roots, "ledger", "amount", &Value::from(*amount));
        assert_eq!(
            moved.count(),
            succeeded(&asked),
            "what was moved is not what is said: {asked:#?}"
        );
    }
    // What was sent belongs to a run that was accepted, durably, before it was sent.
    for mail in &mails {
        let asked = of(&roots, "email", "subject", &Value::from(mail.subject.as_str()));
        assert_eq!(asked.len(), 1, "nobody remembers `{}`", mail.subject);
    }
    let moved: u64 = ledger.transfers.iter().map(|transfer| transfer.amount).sum();
    assert_eq!(
        ledger.balances["treasury"] + moved,
        load_of_treasury(),
        "money was lost or made"
    );
    let twice = site.sql(
        "SELECT count(*) FROM (SELECT run FROM letters WHERE state = 'open' GROUP BY run HAVING count(*) > 1) AS twice",
    );
    assert_eq!(twice, "0", "a run has two letters");
    let letters = site.sql("SELECT count(*) FROM letters");
    format!(
        "{} runs, {} accepted, {recoveries} takeovers, {letters} letters, {} mails, {} transfers: nothing lost, nothing twice",
        roots.len(),
        load.accepted.len(),
        mails.len(),
        ledger.transfers.len()
    )
}

/// Runs of a tool whose input has that value there.
fn of<'a>(roots: &[&'a Value], tool: &str, field: &str, value: &Value) -> Vec<&'a Value> {
    let is_it = |run: &&&Value| {
        let input: Value = serde_json::from_str(run["input"].as_str().unwrap()).unwrap();
        run["tool"] == tool && input[field] == *value
    };
    roots.iter().filter(is_it).copied().collect()
}

fn succeeded(runs: &[&Value]) -> usize {
    runs.iter().filter(|run| run["state"] == "succeeded").count()
}

/// What the treasury has at the start (the simulator's book).
fn load_of_treasury() -> u64 {
    1_000_000_000
}
