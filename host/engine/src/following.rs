//! A call seen by its caller while it runs: which run it is, where it stands, how it ends, and a way to call it off.

use crate::requests::Reply;
use fusebox_core::failure::{Class, Failure};
use fusebox_core::ids::RunId;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Where a call stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Stage {
    /// Not started.
    #[default]
    Admitted,
    /// An attempt runs.
    Attempt {
        /// Its number within the run, from 1.
        number: u32,
    },
    /// Between two attempts.
    Resting {
        /// Number of the attempt that failed.
        failed: u32,
        /// Why it failed.
        class: Class,
        /// The service that it failed at.
        service: Option<String>,
        /// How long until the next one.
        after: Duration,
    },
}

/// What is seen of a call.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Its run, once there is one.
    pub run: Option<RunId>,
    /// Whether that run was there before the call, and the call joined it.
    pub joined: bool,
    /// Where it stands.
    pub stage: Stage,
    /// How it ended, as its caller is told.
    pub outcome: Option<Result<Reply, Box<Failure>>>,
}

/// What the caller wants beside the call itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// The run is written down before it starts, whatever its function says: who was told its id can ask for it after a crash.
    pub durable: bool,
    /// Without a key, a call that equals a run which waits for somebody or has lost its caller joins that run (faces.md, MCP).
    pub join: bool,
}

/// The caller's hold on a call; clones are the same hold.
#[derive(Clone, Debug)]
pub struct Following(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    seen: watch::Sender<Seen>,
    terms: Terms,
    called_off: AtomicBool,
    run: OnceLock<CancellationToken>,
    left: AtomicBool,
}

impl Following {
    /// A hold on a call that is not made yet.
    #[must_use]
    pub fn new(terms: Terms) -> Self {
        Self(Arc::new(Shared {
            seen: watch::Sender::new(Seen::default()),
            terms,
            called_off: AtomicBool::new(false),
            run: OnceLock::new(),
            left: AtomicBool::new(false),
        }))
    }

    /// What is seen, now and from now on.
    #[must_use]
    pub fn seen(&self) -> watch::Receiver<Seen> {
        self.0.seen.subscribe()
    }

    /// Ends the attempt at its next effect; those in flight are waited for. A run that the call merely joined goes on.
    pub fn call_off(&self) {
        self.0.called_off.store(true, Ordering::SeqCst);
        if let Some(run) = self.0.run.get() {
            run.cancel();
        }
    }

    /// The caller does not wait any longer.
    pub(crate) fn leave(&self) {
        self.0.left.store(true, Ordering::SeqCst);
    }

    /// Somebody waits again.
    pub(crate) fn is_waited_for(&self) {
        self.0.left.store(false, Ordering::SeqCst);
    }

    /// Whether the caller has left.
    pub(crate) fn is_left(&self) -> bool {
        self.0.left.load(Ordering::SeqCst)
    }

    pub(crate) fn terms(&self) -> Terms {
        self.0.terms
    }

    /// The call is this run now, which is cancelled by that.
    pub(crate) fn is_run(&self, run: &RunId, cancel: &CancellationToken) {
        let adopted = self.0.run.get_or_init(|| cancel.clone());
        // Whoever called it off before this line saw nothing to cancel.
        if self.0.called_off.load(Ordering::SeqCst) {
            adopted.cancel();
        }
        self.0.seen.send_modify(|seen| seen.run = Some(run.clone()));
    }

    pub(crate) fn joins(&self, run: &RunId) {
        self.0.seen.send_modify(|seen| {
            seen.run = Some(run.clone());
            seen.joined = true;
        });
    }

    pub(crate) fn is_at(&self, stage: Stage) {
        self.0.seen.send_modify(|seen| seen.stage = stage);
    }

    pub(crate) fn ended(&self, outcome: &Result<Reply, Box<Failure>>) {
        self.0.seen.send_modify(|seen| seen.outcome = Some(outcome.clone()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fusebox_core::time::Wall;

    #[test]
    fn a_call_that_was_called_off_before_it_became_a_run_is_cancelled_all_the_same() {
        let following = Following::new(Terms::default());
        following.call_off();
        let cancel = CancellationToken::new();
        following.is_run(&RunId::new(Wall(0), 1), &cancel);
        assert!(cancel.is_cancelled());
    }

    #[test]
    fn calling_off_cancels_the_run_and_leaving_does_not() {
        let following = Following::new(Terms::default());
        let cancel = CancellationToken::new();
        following.is_run(&RunId::new(Wall(0), 1), &cancel);
        following.leave();
        assert!(!cancel.is_cancelled() && following.is_left());
        following.clone().call_off();
        assert!(cancel.is_cancelled());
    }
}
