//! What lets the world in to an attempt: effects are begun in the order in which the guest asks, and what became of them is let in one at a
//! time, in the order that the engine gives, only while the guest waits. So a guest's state follows from what it asked and what it got.

use crate::deadline::Deadline;
use crate::http::size_of_head;
use crate::limits::{Charge, HostMemory};
use crate::wasi::clock::VirtualClock;
use fusebox_engine::ports::sandbox::{Ask, Delivery, Effects, Got, StateAsk};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use wasmtime::Result;

/// How many answers that say "not yet" a guest gets before the next of them waits for an effect instead.
const PATIENCE: u32 = 1_000;

/// The guest waits, and nothing is under way that could wake it.
#[derive(Debug, thiserror::Error)]
#[error("the guest waits for something that cannot come")]
pub(crate) struct Deadlock;

/// The host's own fault: an effect was answered by what is no answer to it.
#[derive(Debug, thiserror::Error)]
#[error("the host answered an effect by something of another kind")]
pub(crate) struct WrongAnswer;

/// The effects of one attempt.
pub(crate) struct Pump {
    effects: Arc<dyn Effects>,
    deadline: Deadline,
    clock: Arc<VirtualClock>,
    memory: Arc<HostMemory>,
    begun: BTreeMap<u32, Begun>,
    /// How many of them were not let in yet, those that the guest has let go of left out.
    awaited: u32,
    /// Answers that said "not yet" since the last effect was let in.
    not_yet: u32,
}

/// An effect that was begun, and whose answer the guest has not taken.
struct Begun {
    arrival: Arrival,
    /// Until when a timer runs, by the guest's monotonic clock, in nanoseconds; zero for everything else.
    due: u64,
    /// What the guest asked for, or what it gets.
    held: Charge,
    got: Option<Got>,
    /// The guest has let go of it.
    left: bool,
}

/// Whether an effect was let in: what a pollable looks at.
#[derive(Clone, Default)]
pub(crate) struct Arrival(Arc<AtomicBool>);

impl Arrival {
    pub(crate) fn is_here(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// For a pollable: ready once the effect was let in. It wakes nobody, since it is looked at again after each delivery.
    pub(crate) async fn here(&self) {
        if !self.is_here() {
            std::future::pending().await
        }
    }
}

impl Pump {
    pub(crate) fn new(
        effects: &Arc<dyn Effects>,
        deadline: Deadline,
        clock: &Arc<VirtualClock>,
        memory: &Arc<HostMemory>,
    ) -> Self {
        Self {
            effects: Arc::clone(effects),
            deadline,
            clock: Arc::clone(clock),
            memory: Arc::clone(memory),
            begun: BTreeMap::new(),
            awaited: 0,
            not_yet: 0,
        }
    }

    /// When the attempt has to end.
    pub(crate) fn deadline(&self) -> &Deadline {
        &self.deadline
    }

    /// Begins what the guest asks for; the engine gives it its number.
    ///
    /// # Errors
    /// [`fusebox_engine::ports::sandbox::Stopped`], or the limit of host memory.
    pub(crate) fn begin(&mut self, ask: Ask) -> Result<u32> {
        self.begin_until(ask, 0)
    }

    /// Begins a timer that ends at `due` nanoseconds of the guest's monotonic clock.
    ///
    /// # Errors
    /// As [`Self::begin`].
    pub(crate) fn begin_timer(&mut self, after: std::time::Duration, due: u64) -> Result<u32> {
        self.begin_until(Ask::Timer { after }, due)
    }

    fn begin_until(&mut self, ask: Ask, due: u64) -> Result<u32> {
        let held = self.memory.charge(asked(&ask))?;
        let seq = self.effects.begin(ask)?;
        let begun = Begun {
            arrival: Arrival::default(),
            due,
            held,
            got: None,
            left: false,
        };
        self.begun.insert(seq, begun);
        self.awaited += 1;
        Ok(seq)
    }

    /// For what waits for that effect.
    pub(crate) fn arrival(&self, seq: u32) -> Arrival {
        self.begun
            .get(&seq)
            .map(|begun| begun.arrival.clone())
            .unwrap_or_default()
    }

    /// Waits for one effect and takes what the guest gets; lets in whatever comes first meanwhile.
    ///
    /// # Errors
    /// The typed end of the attempt.
    pub(crate) async fn wait_for(&mut self, seq: u32) -> Result<Got> {
        loop {
            if let Some((got, _held)) = self.take(seq) {
                return Ok(got);
            }
            self.let_in().await?;
        }
    }

    /// What the guest gets, once it was let in, with what it costs the host to hold it.
    pub(crate) fn take(&mut self, seq: u32) -> Option<(Got, Charge)> {
        self.begun.get(&seq)?.got.as_ref()?;
        let begun = self.begun.remove(&seq)?;
        Some((begun.got?, begun.held))
    }

    /// The guest will not look at that effect.
    pub(crate) fn abandon(&mut self, seq: u32) {
        let Some(begun) = self.begun.get_mut(&seq) else { return };
        if begun.got.is_some() {
            self.begun.remove(&seq);
            return;
        }
        if !begun.left {
            begun.left = true;
            self.awaited -= 1;
            self.effects.abandon(seq);
        }
    }

    /// Counts an answer that says "not yet". One that a patient guest gets too often waits for the next effect; then it is worth to look
    /// again, which is what `true` says.
    ///
    /// # Errors
    /// The typed end of the attempt.
    pub(crate) async fn not_yet(&mut self) -> Result<bool> {
        if self.awaited == 0 {
            return Ok(false);
        }
        self.not_yet += 1;
        if self.not_yet < PATIENCE {
            return Ok(false);
        }
        self.let_in().await?;
        Ok(true)
    }

    /// Waits for the next effect, whichever it is, and lets it in.
    ///
    /// # Errors
    /// The typed end of the attempt.
    pub(crate) async fn let_in(&mut self) -> Result<()> {
        if self.awaited == 0 {
            return Err(Deadlock.into());
        }
        let delivery = tokio::select! {
            biased;
            delivery = self.effects.next() => delivery?,
            ended = self.deadline.passed() => return Err(ended.into()),
        };
        self.deliver(delivery)
    }

    fn deliver(&mut self, delivery: Delivery) -> Result<()> {
        self.not_yet = 0;
        self.clock.settle(delivery.at);
        let Some(begun) = self.begun.get_mut(&delivery.seq) else {
            return Ok(());
        };
        if begun.left {
            self.begun.remove(&delivery.seq);
            return Ok(());
        }
        // A timer that fired is over by the guest's clock too, which may be ahead of the real one.
        self.clock.reach(begun.due);
        begun.held.release();
        begun.held.grow(given(&delivery.got))?;
        begun.got = Some(delivery.got);
        begun.arrival.0.store(true, Ordering::Relaxed);
        self.awaited -= 1;
        Ok(())
    }
}

/// Bytes that the host holds for what a guest asks.
fn asked(ask: &Ask) -> u64 {
    let bytes = match ask {
        Ask::Http(request) => request.body.len() + size_of_head(request),
        Ask::Call { input, .. } => input.len(),
        Ask::State {
            ask: StateAsk::Set { value, .. },
            ..
        } => value.as_ref().map_or(0, bytes::Bytes::len),
        Ask::Approval { details, .. } => details.len(),
        Ask::State { .. } | Ask::Timer { .. } | Ask::Tools | Ask::Describe { .. } | Ask::Context => 0,
    };
    bytes as u64
}

/// Bytes that the host holds for what a guest gets.
fn given(got: &Got) -> u64 {
    use fusebox_engine::ports::sandbox::Called;
    let bytes = match got {
        Got::Http(Ok(answer)) => {
            let fields = answer.headers.iter().map(|(name, value)| name.len() + value.len());
            answer.body.len() + fields.sum::<usize>()
        }
        Got::Call(Called::Ok(json) | Called::Err { json, .. }) | Got::Described(Some(json)) => json.len(),
        Got::Value(Some(value)) => value.len(),
        Got::Keys(keys) => keys.iter().map(String::len).sum(),
        _ => 0,
    };
    bytes as u64
}
