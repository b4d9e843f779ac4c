//! The store's transitions, each one transaction, under the names of the port.

use crate::state::{End, Lease, Letter, Slot, Store, Why};
use fusebox_core::dead_letter::{self, Kind};
use fusebox_core::journal::Cut;
use fusebox_core::run::{self, Event};

impl Store {
    /// Whether nobody has the run.
    pub(crate) fn is_free(&self) -> bool {
        self.lease != Lease::Live
    }

    /// Something happens to the run.
    pub(crate) fn shift(&mut self, event: Event) {
        let known = self.run.map(|state| run::next(state, event));
        let next = match known {
            Some(Ok(next)) => next,
            // A write that nothing fences asks for no permission.
            _ => {
                self.illegal = true;
                match event {
                    Event::Succeed => run::State::Succeeded,
                    Event::Doubt => run::State::InDoubt,
                    Event::DeadLetter => run::State::DeadLettered,
                    _ => run::State::Failed,
                }
            }
        };
        self.run = Some(next);
        if next.is_over() {
            self.ends += 1;
            self.ended.get_or_insert(next);
        }
    }

    /// Something happens to the letter, if there is one.
    fn shift_letter(&mut self, event: dead_letter::Event) {
        if let Some(letter) = &mut self.letter {
            match dead_letter::next(letter.state, event) {
                Ok(next) => letter.state = next,
                Err(_) => self.illegal = true,
            }
        }
    }

    /// `claim`: a new run, which belongs to the host that was called, or waits for one.
    pub(crate) fn claim(&mut self, owned: bool) {
        self.journal.fill(Slot::Empty);
        self.letter = None;
        self.run = Some(if owned {
            run::State::Running
        } else {
            run::State::Accepted
        });
        self.lease = if owned { Lease::Live } else { Lease::None };
    }

    /// `take`: a run that nobody has; says why it could be taken.
    pub(crate) fn take(&mut self, cap: u8) -> Why {
        let (event, why) = match self.run {
            Some(run::State::Accepted) => (Event::Start, Why::Goes),
            Some(run::State::Sleeping) => (Event::Wake, Why::Goes),
            _ => (Event::Recover, Why::Recovers),
        };
        self.shift(event);
        self.lease = Lease::Live;
        // Beyond the cap more is no different.
        self.recoveries = (self.recoveries + u8::from(why == Why::Recovers)).min(cap + 1);
        why
    }

    /// `lease_letter`.
    pub(crate) fn lease_letter(&mut self) {
        self.shift_letter(dead_letter::Event::Lease);
        self.shift(Event::Replay);
        self.lease = Lease::Live;
    }

    /// `go_on`: what is not served goes; what is an intent now may have been sent.
    pub(crate) fn go_on(&mut self, cut: &Cut) {
        for (seq, slot) in self.journal.iter_mut().enumerate() {
            let number = crate::entries::number(seq);
            if cut.drop.contains(&number) {
                *slot = Slot::Empty;
            } else if cut.reopen.contains(&number) || matches!(slot, Slot::Intent { .. }) {
                *slot = Slot::Intent { resent: true };
            }
        }
    }

    /// `sleep`.
    pub(crate) fn sleep(&mut self) {
        self.shift(Event::Sleep);
        self.lease = Lease::None;
    }

    /// `finish`: the run's end, its letter and its lease.
    pub(crate) fn finish(&mut self, end: End) {
        self.lease = Lease::None;
        let (event, kind) = match end {
            End::Succeeds => {
                self.shift(Event::Succeed);
                return self.shift_letter(dead_letter::Event::Succeed);
            }
            End::DeadLetters => (Event::DeadLetter, Kind::Retryable),
            End::Doubts => (Event::Doubt, Kind::InDoubt),
        };
        self.shift(event);
        self.shift_letter(dead_letter::Event::FailAgain);
        let state = self.letter.map_or(dead_letter::State::Open, |letter| letter.state);
        self.letter = Some(Letter { state, kind });
    }

    /// The lease's time is over: the run can be taken, and a letter that was replayed is open again.
    pub(crate) fn expire(&mut self) {
        self.lease = Lease::Over;
        let replaying = |letter: Letter| letter.state == dead_letter::State::Replaying;
        if self.letter.is_some_and(replaying) {
            self.shift_letter(dead_letter::Event::Release);
            self.shift(Event::DeadLetter);
            self.lease = Lease::None;
        }
    }

    /// `resolve`: what was in doubt is known; once nothing is, the letter may be replayed.
    pub(crate) fn resolve(&mut self, in_doubt: bool) {
        if let Some(letter) = self.letter.as_mut().filter(|_| !in_doubt) {
            letter.kind = Kind::Retryable;
            self.shift(Event::Resolve);
        }
    }

    /// `resolve`, by a person who closes the letter, or `purge`.
    pub(crate) fn close(&mut self, event: dead_letter::Event) {
        self.shift_letter(event);
        self.shift(Event::Fail);
    }
}
