//! Which transitions a state has.

use crate::entries::entries;
use crate::protocol::{Action, Protocol};
use crate::rules::Rule;
use crate::state::{Host, Lease, Letter, Slot, State, Step, What};
use crate::world::Fate;
use fusebox_core::dead_letter::{self, Form, Kind};
use fusebox_core::idempotency::{self, Claim, Holder};
use fusebox_core::ids::Digest;
use fusebox_core::run;

/// The input of the one call.
const INPUT: Digest = Digest([0; 32]);

impl Protocol {
    /// All of them.
    pub(crate) fn enabled(&self, state: &State, actions: &mut Vec<Action>) {
        for at in 0..state.hosts.len() {
            self.of_host(state, at, actions);
        }
        self.of_persons_and_time(state, actions);
    }

    /// Whether something leads on from here by itself or by a person's help, faults and giving up aside.
    pub(crate) fn has_a_way_on(&self, state: &State) -> bool {
        let mut actions = Vec::new();
        self.enabled(state, &mut actions);
        actions.iter().any(|action| {
            !matches!(
                action,
                Action::Crash(_) | Action::Stop(_) | Action::Close | Action::Purge | Action::Cancel | Action::KeysEnd
            )
        })
    }

    fn may_claim(&self, state: &State) -> bool {
        let holder = state.store.run.map(|run| Holder {
            fingerprint: INPUT,
            over: run.is_over(),
            expired: false,
        });
        let second = !self.holds(Rule::KeyHasOneRun) && state.store.run == Some(run::State::Running);
        second || idempotency::claim(holder.as_ref(), INPUT) == Claim::Fresh
    }

    fn may_take(&self, state: &State) -> bool {
        match state.store.run {
            Some(run::State::Accepted | run::State::Sleeping) => true,
            Some(run::State::Running) => state.store.lease == Lease::Over || !self.holds(Rule::LeaseIsExclusive),
            _ => false,
        }
    }

    fn may_lease_letter(&self, state: &State) -> bool {
        let Some(letter) = state.store.letter.filter(|_| state.store.is_free()) else {
            return false;
        };
        // Looking at the journal before the lease only refuses; what is found after it is written down.
        let seen = if self.holds(Rule::ReplayLeavesDoubt) {
            Vec::new()
        } else {
            entries(self, state)
        };
        dead_letter::replay(letter.state, letter.kind, &seen, false, Form::ResumePoint, &[]).is_ok()
    }

    fn may_resolve(&self, state: &State) -> bool {
        let open = |letter: Letter| letter.state == dead_letter::State::Open && letter.kind == Kind::InDoubt;
        let under_way = state.world.requests.iter().any(|request| !request.late);
        state.store.letter.is_some_and(open) && state.store.is_free() && !(under_way && self.holds(Rule::ResolveWaits))
    }

    fn may_purge(&self, state: &State) -> bool {
        let old = |letter: Letter| dead_letter::may_purge(letter.state, letter.kind, false);
        state.store.letter.is_some_and(old)
            && state.store.is_free()
            && (!self.holds(Rule::PurgeLooks) || self.in_doubt(state).is_empty())
    }

    /// Whether the lease may end: its host does not renew it. While a host runs, it sends at once what it has looked at the lease for.
    fn may_expire(state: &State) -> bool {
        let renews = |at: usize| state.owned(at) && !state.hosts[at].stopped;
        state.store.lease == Lease::Live && !(0..state.hosts.len()).any(renews)
    }

    /// Whether the keys may end: no request is on its way under one, and no running host is about to send.
    fn may_end_keys(&self, state: &State) -> bool {
        let sending = |host: &Host| matches!(host.step, Step::Checked(_)) && !host.stopped;
        let keyed = |seq: usize| self.effects[seq] == What::Keyed && state.store.journal[seq] != Slot::Empty;
        !state.world.keys_over
            && state.store.run.is_some_and(|run| !run.is_over())
            && (0..self.effects.len()).any(keyed)
            && state.world.requests.is_empty()
            && !state.hosts.iter().any(sending)
    }

    fn of_host(&self, state: &State, at: usize, actions: &mut Vec<Action>) {
        let host = state.hosts[at];
        if host.stopped {
            return actions.push(Action::Wake(at));
        }
        match host.step {
            Step::Idle => {
                if self.may_claim(state) {
                    actions.push(Action::Claim(Some(at)));
                }
                if self.may_take(state) {
                    actions.push(Action::Take(at));
                }
                if self.may_lease_letter(state) {
                    actions.push(Action::LeaseLetter(at));
                }
            }
            Step::Owns(_) => actions.push(Action::GoOn(at)),
            Step::Asked { intent: true, .. } => actions.push(Action::Check(at)),
            Step::Asked { .. } => {
                actions.push(Action::Append(at));
                if state.left.rests > 0 && state.owned(at) {
                    actions.push(Action::Sleep(at));
                }
            }
            Step::Checked(_) => actions.push(Action::Send(at)),
            Step::Waits(_) => {}
            Step::Got(..) => actions.push(Action::Append(at)),
            Step::Failed => {
                actions.push(Action::GoOn(at));
                if self.in_doubt(state).is_empty() {
                    actions.push(Action::GiveUp(at));
                }
            }
            Step::Ends(_) => actions.push(Action::Finish(at)),
        }
        if host.step != Step::Idle {
            if state.left.crashes > 0 {
                actions.push(Action::Crash(at));
            }
            let window = matches!(host.step, Step::Checked(_));
            let stops = if window {
                state.left.stops_in_the_window
            } else {
                state.left.stops
            };
            if stops > 0 {
                actions.push(Action::Stop(at));
            }
        }
    }

    fn of_persons_and_time(&self, state: &State, actions: &mut Vec<Action>) {
        if self.may_claim(state) && state.store.run.is_none() {
            actions.push(Action::Claim(None));
        }
        if self.may_resolve(state) {
            if !self.in_doubt(state).is_empty() {
                actions.push(Action::Resolve);
            }
            actions.push(Action::Close);
        }
        if self.may_purge(state) {
            actions.push(Action::Purge);
        }
        let rests = matches!(state.store.run, Some(run::State::Accepted | run::State::Sleeping));
        if rests && state.store.letter.is_none() {
            actions.push(Action::Cancel);
        }
        if Self::may_expire(state) {
            actions.push(Action::Expire);
        }
        if self.may_end_keys(state) {
            actions.push(Action::KeysEnd);
        }
        for request in 0..state.world.requests.len() {
            for fate in Fate::ALL {
                if fate == Fate::Done || state.left.failures > 0 {
                    actions.push(Action::Reach(request, fate));
                }
            }
        }
    }
}
