//! The model: its transitions, and where each leads.

use crate::entries::{entries, index};
use crate::host;
use crate::properties;
use crate::rules::Rule;
use crate::state::{Came, End, Faults, Host, Lease, Slot, State, Step, What, Why};
use crate::world::Fate;
use fusebox_core::dead_letter;
use fusebox_core::journal::{self, Resume};
use fusebox_core::run;
use stateright::{Model, Property};

/// The protocol for one call of a function with these effects, one after the other.
#[derive(Clone, Debug)]
pub struct Protocol {
    /// Its effects.
    pub effects: Vec<What>,
    /// How much may go wrong.
    pub faults: Faults,
    /// Takeovers after which the run is given up.
    pub cap: u8,
    broken: Option<Rule>,
}

/// One transition; the number is that of the host.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// The caller's key is claimed, by the host that was called, or for any host.
    Claim(Option<usize>),
    /// A host takes a run that was accepted, has slept, or was left.
    Take(usize),
    /// A person replays the letter.
    LeaseLetter(usize),
    /// The journal is read or the attempt has failed: where the run resumes.
    GoOn(usize),
    /// An intent, or the end of an effect.
    Append(usize),
    /// The lease is looked at.
    Check(usize),
    /// The request is sent.
    Send(usize),
    /// The attempts are used up.
    GiveUp(usize),
    /// A backoff, or a hand-over.
    Sleep(usize),
    /// The end is written.
    Finish(usize),
    /// A person says what became of the effect in doubt: what the upstream knows at that moment.
    Resolve,
    /// A person closes a letter in doubt.
    Close,
    /// A person, or its age, puts a letter away.
    Purge,
    /// A person cancels a run that nobody has.
    Cancel,
    /// A lease's time is over: nobody renewed it.
    Expire,
    /// The lifetime of the keys is over, and upstreams forget them.
    KeysEnd,
    /// What becomes of the request of that place.
    Reach(usize, Fate),
    /// A host goes, with all that it knew.
    Crash(usize),
    /// A host stands still.
    Stop(usize),
    /// It goes on.
    Wake(usize),
}

impl Protocol {
    /// The protocol with all its rules.
    #[must_use]
    pub fn new(effects: &[What], faults: Faults) -> Self {
        Self {
            effects: effects.to_vec(),
            faults,
            cap: 1,
            broken: None,
        }
    }

    /// The same without one of its rules.
    #[cfg(test)]
    pub(crate) fn without(self, rule: Rule) -> Self {
        Self {
            broken: Some(rule),
            ..self
        }
    }

    pub(crate) fn holds(&self, rule: Rule) -> bool {
        self.broken != Some(rule)
    }

    /// Numbers of what a person has to settle.
    pub(crate) fn in_doubt(&self, state: &State) -> Vec<u32> {
        match journal::resume_point(&entries(self, state), false) {
            Resume::InDoubt(seqs) => seqs,
            Resume::At(_) | Resume::End => Vec::new(),
        }
    }

    /// A person looks what became of the first effect in doubt.
    fn resolve(&self, state: &mut State) -> Option<()> {
        let doubtful = *self.in_doubt(state).first()?;
        let gone = journal::settle(&entries(self, state), doubtful).ok()?;
        for seq in gone {
            state.store.journal[index(seq)] = Slot::Empty;
        }
        let seq = index(doubtful);
        state.store.journal[seq] = if state.world.happened[seq] > 0 {
            Slot::Settled {
                came: Came::Answered,
                resent: false,
            }
        } else {
            Slot::Empty
        };
        let still = !self.in_doubt(state).is_empty();
        state.store.resolve(still);
        Some(())
    }

    fn claim(state: &mut State, owner: Option<usize>) {
        state.store.claim(owner.is_some());
        if let Some(owner) = owner {
            state.give(owner, Why::Goes);
        }
    }

    fn take(&self, state: &mut State, at: usize) {
        if state.store.lease == Lease::Live {
            // Only without the rule that a lease is exclusive: two hosts with one epoch.
            state.hosts[at].step = Step::Owns(Why::Goes);
        } else {
            let why = state.store.take(self.cap);
            state.give(at, why);
        }
    }

    fn stop(state: &mut State, at: usize) {
        let host = &mut state.hosts[at];
        host.stopped = true;
        if matches!(host.step, Step::Checked(_)) {
            state.left.stops_in_the_window -= 1;
        } else {
            state.left.stops -= 1;
        }
    }
}

impl Model for Protocol {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State::new(self.effects.len(), self.faults)]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        self.enabled(state, actions);
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        match action {
            Action::Claim(owner) => Self::claim(&mut state, owner),
            Action::Take(at) => self.take(&mut state, at),
            Action::LeaseLetter(at) => {
                state.store.lease_letter();
                state.give(at, Why::Replays);
            }
            Action::GoOn(at) => host::go_on(self, &mut state, at),
            Action::Append(at) => host::append(self, &mut state, at),
            Action::Check(at) => host::check(self, &mut state, at),
            Action::Send(at) => host::send(&mut state, at),
            Action::GiveUp(at) => state.hosts[at].step = Step::Ends(End::DeadLetters),
            Action::Sleep(at) => {
                state.store.sleep();
                state.hosts[at] = Host::IDLE;
                state.left.rests -= 1;
            }
            Action::Finish(at) => host::finish(self, &mut state, at),
            Action::Resolve => self.resolve(&mut state)?,
            Action::Close => state.store.close(dead_letter::Event::Resolve),
            Action::Purge => {
                state.store.doubt_put_away = !self.in_doubt(&state).is_empty();
                state.store.close(dead_letter::Event::Purge);
            }
            Action::Cancel => state.store.shift(run::Event::Cancel),
            Action::Expire => state.store.expire(),
            Action::KeysEnd => {
                state.world.keys_over = true;
                state.world.known.clear();
            }
            Action::Reach(request, fate) => {
                state.left.failures -= u8::from(fate != Fate::Done);
                let keyed = self.effects[state.world.requests[request].seq] == What::Keyed;
                state.reach(request, keyed, fate);
            }
            Action::Crash(at) => {
                state.hosts[at] = Host::IDLE;
                state.left.crashes -= 1;
            }
            Action::Stop(at) => Self::stop(&mut state, at),
            Action::Wake(at) => state.hosts[at].stopped = false,
        }
        // One host is as good as the other.
        state.hosts.sort_unstable();
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties::all()
    }
}
