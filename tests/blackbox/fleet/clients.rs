//! Clients that call all the time, whichever host answers, and repeat under its key what nobody answered.

use super::Host;
use crate::harness::Dice;
use crate::harness::load::{self, Load, Order};
use crate::site::Site;
use serde_json::Value;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Scope, sleep};
use std::time::{Duration, Instant};
use ureq::Agent;
use ureq::http::Request;

/// Clients at once.
const CLIENTS: u64 = 8;
/// So many calls for each fault of an upstream: most find their breakers closed.
const CALLS_PER_FAULT: u64 = 5;
/// A client waits so long for an answer at most.
const PATIENCE: Duration = Duration::from_secs(8);
/// What has a key is accepted within this, once nothing is disturbed.
const ACCEPTED: Duration = Duration::from_secs(60);

/// The clients, and what they know.
#[derive(Default)]
pub(crate) struct Clients {
    load: Mutex<Load>,
    /// Where the hosts listen.
    urls: Mutex<Vec<String>>,
    over: AtomicBool,
}

/// Ends the calls when it is dropped, when the test fails too.
pub(crate) struct Over<'a>(&'a Clients);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.over.store(true, Ordering::Relaxed);
    }
}

impl Clients {
    /// Lets them call until what is returned is dropped.
    pub(crate) fn start<'scope>(
        &'scope self,
        scope: &'scope Scope<'scope, '_>,
        site: &'scope Site,
        hosts: &[Host],
        seed: u64,
    ) -> Over<'scope> {
        self.listen(hosts);
        for client in 1..=CLIENTS {
            scope.spawn(move || self.call_on(site, Dice(seed.wrapping_add(client << 32))));
        }
        Over(self)
    }

    /// Tells them where the hosts listen now.
    pub(crate) fn listen(&self, hosts: &[Host]) {
        let url = |host: &Host| host.process.as_ref().map(|process| process.url.clone());
        *self.urls.lock().unwrap() = hosts.iter().filter_map(url).collect();
    }

    /// How many calls were accepted so far.
    pub(crate) fn accepted(&self) -> usize {
        self.load.lock().unwrap().accepted.len()
    }

    /// What was asked for.
    pub(crate) fn load(self) -> Load {
        self.load.into_inner().unwrap()
    }

    /// Has every host do something itself, so that none only seems to work.
    pub(crate) fn ask_each(&self) {
        for url in &*self.urls.lock().unwrap() {
            let order = self.load.lock().unwrap().transfer();
            let since = Instant::now();
            while post(&agent(), url, &order, true).is_none() {
                assert!(since.elapsed() < ACCEPTED, "the host at {url} does nothing any more");
                sleep(Duration::from_millis(200));
            }
        }
    }

    fn call_on(&self, site: &Site, mut dice: Dice) {
        let agent = agent();
        while !self.over.load(Ordering::Relaxed) {
            if dice.below(CALLS_PER_FAULT) == 0 {
                load::fault(site, &mut dice);
            } else {
                load::slow(site, &mut dice);
            }
            let order = self.load.lock().unwrap().next(&mut dice);
            self.have_it_accepted(site, &agent, &order, &mut dice);
            sleep(Duration::from_millis(dice.below(400)));
        }
    }

    /// Calls once, and under a key until somebody has said that the run is there.
    fn have_it_accepted(&self, site: &Site, agent: &Agent, order: &Order, dice: &mut Dice) {
        let mut since = None;
        loop {
            let run = match dice.below(16) {
                0 => detached(site, order),
                way => post(agent, &self.any_host(dice), order, way < 6),
            };
            if let Some(run) = run {
                self.load.lock().unwrap().accept(&run, order);
                return;
            }
            if order.key.is_none() {
                return;
            }
            if self.over.load(Ordering::Relaxed) {
                let since = since.get_or_insert_with(Instant::now);
                assert!(since.elapsed() < ACCEPTED, "nobody accepts {:?}", order.input);
            }
            sleep(Duration::from_millis(200));
        }
    }

    fn any_host(&self, dice: &mut Dice) -> String {
        let urls = self.urls.lock().unwrap();
        urls[usize::try_from(dice.below(urls.len() as u64)).unwrap()].clone()
    }
}

fn agent() -> Agent {
    let config = Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(PATIENCE));
    config.build().into()
}

/// Asks a host; the run, if it says that it is kept.
fn post(agent: &Agent, url: &str, order: &Order, waits: bool) -> Option<String> {
    let (tool, function) = order.function.split_once('.').unwrap();
    let mut request = Request::post(format!("{url}/v1/tools/{tool}/functions/{function}/calls"));
    request = request.header("content-type", "application/json");
    if !waits {
        request = request.header("prefer", "respond-async");
    }
    if let Some(key) = &order.key {
        request = request.header("idempotency-key", key);
    }
    let mut answer = agent.run(request.body(order.input.to_string()).unwrap()).ok()?;
    let answered: Value = serde_json::from_str(&answer.body_mut().read_to_string().ok()?).ok()?;
    // What may start over from nothing is written down once it is done, if it can be: nobody was promised more.
    let is_durable = !matches!(order.function, "search.query" | "llm.complete");
    let is_kept = match answer.status().as_u16() {
        200 => is_durable,
        202 => true,
        _ => answered["letter"].is_string() || answered["code"] == "key-in-use",
    };
    answered["run"].as_str().filter(|_| is_kept).map(str::to_owned)
}

/// Types the call, in a process that goes to the database itself.
fn detached(site: &Site, order: &Order) -> Option<String> {
    let ran = order.detach(site);
    (ran.code == 0).then(|| ran.json()["run"].as_str().unwrap().to_owned())
}
