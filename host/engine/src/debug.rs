//! Debugging a letter: its last attempt is run again, offline, served from its journal, and stopped where it failed.

mod agreement;
mod exchange;
mod pointers;
mod served;

pub use agreement::Agreement;
pub use exchange::{Exchange, Message};
pub use pointers::Pointed;

use crate::engine::Engine;
use crate::journal::Journal;
use crate::ports::debugger::{DebugSpec, Debugged, Debuggee, Stop};
use crate::ports::sandbox::{Ask, AttemptEnd};
use crate::records::{FailureRecord, Frame, LetterRecord, Log, RunRecord};
use crate::recovery;
use crate::refusals;
use agreement::Difference;
use fusebox_core::classify;
use fusebox_core::failure::Failure;
use fusebox_core::journal::{self, Resume};
use fusebox_core::policy::Limits;
use fusebox_core::time::Wall;
use serde::{Deserialize, Serialize};
use served::{Halted, Served};
use std::sync::Arc;
use std::time::Duration;

/// Effects whose stacks are looked at, from the last: each takes a replay of its own.
const LOOKED_AT: usize = 100;
/// Frames of such a stack.
const STACK: usize = 16;
/// The trap whose replay would say nothing: debugged code has other frames, so it overflows elsewhere.
const OVERFLOW: &str = "stack-overflow";

/// Where a guest stood, and what it had in hand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Halt {
    /// Frames, locals, operands, globals, memory.
    #[serde(flatten)]
    pub stop: Stop,
    /// Memory around values that look like addresses.
    pub pointed: Vec<Pointed>,
}

impl Halt {
    fn of(stop: Stop) -> Self {
        let pointed = pointers::pointed(&stop);
        Self { stop, pointed }
    }
}

/// What debugging a letter tells.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct DebugReport {
    /// The letter.
    pub letter: String,
    /// Its run.
    pub run: String,
    /// Its tool.
    pub tool: String,
    /// Its function.
    pub function: String,
    /// The component that ran.
    pub component: String,
    /// What the letter says, with its causes.
    pub failure: FailureRecord,
    /// How the replay ended, in a sentence; `None` when there was none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub ended: Option<String>,
    /// Why there was no replay: what follows is from the letter alone.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub not_replayed: Option<String>,
    /// Whether the replay reached the state that the letter keeps.
    pub state: Agreement,
    /// Where the guest was stopped; `None` when its function returned.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub halt: Option<Halt>,
    /// The effect that failed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub failed: Option<Exchange>,
    /// Where the guest stood when it asked for that.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub asking: Option<Halt>,
    /// Frames that the letter keeps, innermost first, where no replay has better ones.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub frames: Vec<Frame>,
    /// Every effect of the replay.
    pub effects: Vec<Exchange>,
    /// What the guest printed: in the replay, or as the letter has it.
    pub log: Log,
}

/// A letter that is debugged.
pub struct Debugging {
    letter: LetterRecord,
    engine: Arc<Engine>,
    replay: Result<Replay, String>,
}

/// What it takes to run an attempt again.
struct Replay {
    run: RunRecord,
    debuggee: Arc<dyn Debuggee>,
    limits: Arc<Limits>,
    env: Arc<[(String, String)]>,
    journal: Journal,
    starts_over: bool,
    time: Duration,
}

/// A replay that is over.
struct Over {
    debugged: Debugged,
    asks: Vec<Ask>,
    halted: Option<Halted>,
}

impl Debugging {
    /// Prepares a letter: reads run and journal, and compiles the component for debugging. `time` bounds each replay.
    pub(crate) async fn of(engine: &Arc<Engine>, letter: LetterRecord, time: Duration) -> Result<Self, Box<Failure>> {
        let replay = match unfit(&letter) {
            Some(why) => Err(why),
            None => prepare(engine, &letter, time).await?,
        };
        Ok(Self {
            letter,
            engine: Arc::clone(engine),
            replay,
        })
    }

    /// The letter.
    #[must_use]
    pub fn letter(&self) -> &LetterRecord {
        &self.letter
    }

    /// Runs the attempt to its end, and once more to the effect that failed; `stacks` says whether to look where the guest stood at each
    /// of the others, the last hundred of them.
    ///
    /// # Errors
    /// That the replay could not be run at all, or those of the store.
    pub async fn report(&self, stacks: bool) -> Result<DebugReport, Box<Failure>> {
        let letter = &self.letter;
        let mut report = DebugReport {
            letter: letter.id.to_string(),
            run: letter.run.id.to_string(),
            tool: letter.run.tool.clone(),
            function: letter.run.function.clone(),
            component: letter.run.component.to_string(),
            failure: letter.failure.clone(),
            ended: None,
            not_replayed: None,
            state: Agreement::Unknown {
                why: "nothing was replayed".to_owned(),
            },
            halt: None,
            failed: None,
            asking: None,
            frames: letter
                .snapshot
                .as_ref()
                .map(|kept| kept.frames.clone())
                .unwrap_or_default(),
            effects: Vec::new(),
            log: letter.log.clone(),
        };
        let replay = match &self.replay {
            Ok(replay) => replay,
            Err(why) => {
                report.not_replayed = Some(why.clone());
                return Ok(report);
            }
        };
        let over = self.run(replay, None).await?;
        report.ended = Some(ended(&over));
        report.state = self.agreement(&over).await?;
        report.effects = exchanges(replay, &over.asks);
        let failed = failing(replay, &over);
        if stacks {
            self.look(replay, &mut report.effects).await?;
        }
        if let Some(seq) = failed {
            report.asking = self.run(replay, Some(seq)).await?.debugged.stop.map(Halt::of);
            report.failed = report.effects.get(seq as usize - 1).cloned();
        }
        report.halt = over.debugged.stop.map(Halt::of);
        if report.halt.is_some() {
            report.frames.clear();
        }
        report.log = over.debugged.log;
        Ok(report)
    }

    /// Runs the attempt to the moment when its guest asks for that effect.
    ///
    /// # Errors
    /// That there is no such effect, that nothing can be replayed, or that the replay could not be run at all.
    pub async fn at(&self, seq: u32) -> Result<(Exchange, Option<Halt>), Box<Failure>> {
        let replay = self
            .replay
            .as_ref()
            .map_err(|why| refusals::not_debugged(&self.letter, why))?;
        let over = self.run(replay, Some(seq)).await?;
        let found = exchanges(replay, &over.asks)
            .into_iter()
            .find(|exchange| exchange.seq == seq);
        let asked = over.asks.len();
        let mut exchange = found.ok_or_else(|| refusals::never_asked(&self.letter, seq, asked, &ended(&over)))?;
        let halt = over.debugged.stop.map(Halt::of);
        exchange.stack = halt.as_ref().map(|halt| lines(&halt.stop)).unwrap_or_default();
        Ok((exchange, halt))
    }

    async fn run(&self, replay: &Replay, to: Option<u32>) -> Result<Over, Box<Failure>> {
        let wall = Wall(replay.run.clock);
        let served = Arc::new(Served::new(&replay.journal, wall, to));
        let spec = DebugSpec {
            function: replay.run.function.clone(),
            input: replay.run.input.clone(),
            limits: Arc::clone(&replay.limits),
            env: Arc::clone(&replay.env),
            seed: replay.run.seed.0,
            wall,
            time: replay.time,
            effects: Arc::<Served>::clone(&served),
        };
        let debuggee = Arc::clone(&replay.debuggee);
        let ran = self
            .engine
            .ports
            .guests
            .run(async move { debuggee.run(spec).await })
            .await;
        let debugged = ran
            .map_err(|_| refusals::internal("the replay was lost by a defect of Fusebox; the log has its place"))?
            .map_err(|what| refusals::bad_input(&replay.run.tool, &replay.run.function, &what))?;
        Ok(Over {
            debugged,
            asks: served.asks(),
            halted: served.halted(),
        })
    }

    /// Looks where the guest stood when it asked for each effect, the last ones if there are many.
    async fn look(&self, replay: &Replay, effects: &mut [Exchange]) -> Result<(), Box<Failure>> {
        let skipped = effects.len().saturating_sub(LOOKED_AT);
        for exchange in effects.iter_mut().skip(skipped) {
            let over = self.run(replay, Some(exchange.seq)).await?;
            exchange.stack = over.debugged.stop.as_ref().map(lines).unwrap_or_default();
        }
        Ok(())
    }

    async fn agreement(&self, over: &Over) -> Result<Agreement, Box<Failure>> {
        let unknown = |why: String| Ok(Agreement::Unknown { why });
        let Some(before) = &self.letter.snapshot else {
            let why = self.letter.no_snapshot.as_deref().unwrap_or("it was not kept");
            return unknown(format!("the letter has no state: {why}"));
        };
        let after = match &over.debugged.snapshot {
            Ok(after) => after,
            Err(why) => return unknown(format!("the replay has no state to compare: {why}")),
        };
        if over.debugged.end == AttemptEnd::Timeout {
            return unknown("the replay was stopped by its time, which is at another instruction each time".to_owned());
        }
        let first = match agreement::difference(before, after) {
            None => return Ok(agreement::same(after)),
            Some(Difference::Told(text)) => text,
            Some(Difference::Page(page)) => {
                let kept = match page.before() {
                    None => None,
                    Some(digest) => {
                        let kept = self.engine.ports.store.page(&self.letter.tenant, digest).await;
                        kept.map_err(|error| refusals::store("a page of the letter cannot be read", &error))?
                    }
                };
                page.told(kept.as_deref(), &after.pages)
            }
        };
        Ok(Agreement::Differs { first })
    }
}

/// Why the attempt of a letter cannot be run again, as far as the letter tells.
fn unfit(letter: &LetterRecord) -> Option<String> {
    let trap = letter.snapshot.as_ref().and_then(|kept| kept.trap.as_deref());
    if trap == Some(OVERFLOW) {
        return Some("the guest's stack overflowed, which it does elsewhere in code for debugging: frames and memory are those that the letter keeps".to_owned());
    }
    (letter.run.clock == 0).then(|| "the letter is of a version of Fusebox that kept no journal".to_owned())
}

async fn prepare(
    engine: &Arc<Engine>,
    letter: &LetterRecord,
    time: Duration,
) -> Result<Result<Replay, String>, Box<Failure>> {
    let tenant: Arc<str> = Arc::from(letter.tenant.as_str());
    let store = &engine.ports.store;
    let failed = |what: &str, error| refusals::store(what, &error);
    let run = store.run(&tenant, &letter.run.id).await;
    let run = run.map_err(|error| failed("the run of the letter cannot be read", error))?;
    let Some(run) = run else {
        return Ok(Err("its run is not kept any more".to_owned()));
    };
    let pinned = engine
        .catalog
        .pinned(engine, &tenant, &run.tool, run.version, run.component)
        .await;
    let tool = match pinned {
        Ok(tool) => tool,
        // The last replay was of another component than that version's.
        Err(failure) => {
            let other = engine
                .catalog
                .with_component(engine, &tenant, &run.tool, run.component, None)
                .await;
            match other {
                Ok(tool) => tool,
                Err(_) => return Ok(Err(failure.message)),
            }
        }
    };
    let function = Arc::clone(tool.function(&run.function)?);
    let journal = recovery::read_journal(engine, &run, &tool).await?;
    let asked = run.attempts.last().map_or(0, |attempt| attempt.effects.len());
    if journal.is_empty() && asked > 0 {
        return Ok(Err(format!(
            "the attempt had {asked} effect(s), and no journal of them is kept (`durability` of the function, or an older version of Fusebox)"
        )));
    }
    let wasm = store.component(&tenant, run.component).await;
    let wasm = wasm.map_err(|error| failed("the component cannot be read", error))?;
    let Some(wasm) = wasm else {
        return Ok(Err(format!("component {} is not kept any more", run.component)));
    };
    let Some(debugger) = engine.ports.sandbox.debugger() else {
        return Ok(Err("this host has no debugger".to_owned()));
    };
    let debuggee = match debugger.load(run.component, wasm).await {
        Ok(debuggee) => debuggee,
        Err(error) => return Ok(Err(format!("the component is not compiled for debugging: {error}"))),
    };
    Ok(Ok(Replay {
        debuggee,
        limits: Arc::clone(&tool.limits),
        env: Arc::clone(&tool.env),
        journal,
        starts_over: function.policy.idempotency.may_start_over(),
        time,
        run,
    }))
}

fn exchanges(replay: &Replay, asks: &[Ask]) -> Vec<Exchange> {
    let entry = |seq: u32| replay.journal.entries.get(seq as usize - 1).and_then(Option::as_ref);
    (1..)
        .zip(asks)
        .map(|(seq, ask)| exchange::exchange(seq, ask, entry(seq)))
        .collect()
}

/// The effect that the attempt failed by: what the replay waits for in vain, or where the run resumes, or the last one that failed.
fn failing(replay: &Replay, over: &Over) -> Option<u32> {
    let asked = |seq: &u32| (*seq as usize) <= over.asks.len();
    match &over.halted {
        Some(Halted::Waits(open)) => return open.first().copied(),
        Some(Halted::Diverged(diverged)) => return Some(diverged.seq),
        Some(Halted::There(_) | Halted::TooMany) | None => {}
    }
    let evidence = replay.journal.evidence();
    let seq = match journal::resume_point(&evidence, replay.starts_over) {
        Resume::At(seq) => Some(seq),
        Resume::InDoubt(effects) => effects.first().copied(),
        Resume::End => {
            let failed = evidence.iter().rev().find(|entry| classify::has_failed(&entry.effect));
            failed.map(journal::Entry::seq)
        }
    };
    seq.filter(asked)
}

/// How the replay ended, in a sentence.
fn ended(over: &Over) -> String {
    match (&over.debugged.end, &over.halted) {
        (AttemptEnd::Stopped, Some(Halted::There(seq))) => format!("it was stopped when it asked for effect {seq}"),
        (AttemptEnd::Stopped, Some(Halted::Diverged(diverged))) => {
            format!("it does not follow its journal: {diverged}")
        }
        (AttemptEnd::Stopped, Some(Halted::Waits(open))) if open.is_empty() => "it waits for nothing".to_owned(),
        (AttemptEnd::Stopped, Some(Halted::Waits(open))) => {
            let open: Vec<_> = open.iter().map(ToString::to_string).collect();
            format!(
                "it waits for effect {}, whose end the journal does not hold",
                open.join(", ")
            )
        }
        (AttemptEnd::Stopped, Some(Halted::TooMany)) => "it asked for more effects than a run may have".to_owned(),
        (AttemptEnd::Stopped, None) => "it was stopped".to_owned(),
        (AttemptEnd::Ok { json }, _) => format!("its function returned well: {}", short(json)),
        (AttemptEnd::Err { case, json }, _) => {
            let case = case.as_ref().map_or_else(String::new, |case| format!(" `{case}`"));
            format!("its function returned the error{case}: {}", short(json))
        }
        (AttemptEnd::Trap { trap }, _) => format!("it trapped: {trap}"),
        (AttemptEnd::CallFailed, _) => "a call that it made failed".to_owned(),
        (AttemptEnd::Exit { code }, _) => format!("it ended its program with code {code}"),
        (AttemptEnd::Abi { message }, _) => format!("it broke the ABI: {message}"),
        (AttemptEnd::Limit { message, .. }, _) => format!("it reached a limit: {message}"),
        (AttemptEnd::Timeout, _) => "it did not end in the time for a replay".to_owned(),
        (AttemptEnd::Cancelled, _) => "it was cancelled".to_owned(),
        (AttemptEnd::Host { message }, _) => format!("the host failed: {message}"),
    }
}

fn short(json: &str) -> String {
    const MOST: usize = 400;
    match json.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &json[..end]),
        None => json.to_owned(),
    }
}

/// A stack as lines, innermost first, with the functions that were inlined.
fn lines(stop: &Stop) -> Vec<String> {
    let frames = stop.frames.iter().flat_map(|frame| {
        let place = &frame.frame;
        let name = place
            .name
            .clone()
            .unwrap_or_else(|| format!("func[{}]", place.function));
        let line = match &place.location {
            Some(location) => format!("{name} ({location})"),
            None => name,
        };
        std::iter::once(line).chain(frame.inlined_into.iter().cloned())
    });
    frames.take(STACK).collect()
}
