//! What a host does with a run that it owns: the engine's side of the protocol.

use crate::entries::entries;
use crate::protocol::Protocol;
use crate::rules::Rule;
use crate::state::{Came, End, Host, Lease, Request, Slot, State, Step, What, Why};
use fusebox_core::dead_letter::{self, Form, Kind};
use fusebox_core::journal::{self, Cut, Resume};
use fusebox_core::run;

impl State {
    /// Whether that host may write: what the store sees by owner and epoch.
    pub(crate) fn owned(&self, host: usize) -> bool {
        let host = self.hosts[host];
        self.store.lease == Lease::Live && host.step != Step::Idle && !host.fenced
    }

    /// Gives the run to a host; whoever had it before is fenced.
    pub(crate) fn give(&mut self, host: usize, why: Why) {
        for other in self.hosts.iter_mut().filter(|other| other.step != Step::Idle) {
            other.fenced = true;
        }
        for request in &mut self.world.requests {
            request.fenced = true;
        }
        self.world.requests.sort_unstable();
        self.hosts[host] = Host {
            step: Step::Owns(why),
            ..Host::IDLE
        };
    }
}

/// The guest runs over what is served, to what it asks for next.
fn served(journal: &[Slot]) -> Step {
    for (seq, slot) in journal.iter().enumerate() {
        match slot {
            Slot::Settled {
                came: Came::Answered, ..
            } => {}
            Slot::Settled { .. } => return Step::Failed,
            Slot::Empty | Slot::Intent { .. } => {
                let intent = *slot != Slot::Empty;
                return Step::Asked { seq, intent };
            }
        }
    }
    Step::Ends(End::Succeeds)
}

/// `go_on`: where the run resumes, decided by the core, and written before the next attempt.
pub(crate) fn go_on(protocol: &Protocol, state: &mut State, host: usize) {
    if !state.owned(host) {
        state.hosts[host] = Host::IDLE;
        return;
    }
    state.hosts[host].step = match resumed(protocol, state, host) {
        Ok(cut) => {
            state.store.go_on(&cut);
            served(&state.store.journal)
        }
        Err(end) => Step::Ends(end),
    };
}

/// The cut before the next attempt, or the end of the run.
fn resumed(protocol: &Protocol, state: &State, host: usize) -> Result<Cut, End> {
    let entries = entries(protocol, state);
    let step = state.hosts[host].step;
    if step == Step::Owns(Why::Replays) {
        let kind = state.store.letter.map_or(Kind::Retryable, |letter| letter.kind);
        let open = dead_letter::State::Open;
        return dead_letter::replay(open, kind, &entries, false, Form::ResumePoint, &[]).map_err(|_| End::Doubts);
    }
    let failed = step == Step::Failed;
    let capped = step == Step::Owns(Why::Recovers) && protocol.holds(Rule::RecoveriesAreCapped);
    let given_up = capped && run::is_given_up(u32::from(state.store.recoveries), u32::from(protocol.cap));
    // Of a run that is given up no guest will be told any more: what it was not told of yet may be in doubt too.
    let at = if failed || given_up {
        journal::resume_point(&entries, false)
    } else {
        journal::go_on(&entries)
    };
    match at {
        Resume::InDoubt(_) if protocol.holds(Rule::LostIntentIsInDoubt) => Err(End::Doubts),
        Resume::InDoubt(_) => Ok(journal::cut(&entries, &Resume::End)),
        Resume::End if failed => Err(End::DeadLetters),
        _ if given_up => Err(End::DeadLetters),
        at => Ok(journal::cut(&entries, &at)),
    }
}

/// `append`: an intent before its request, or the end of an effect before the guest sees it.
pub(crate) fn append(protocol: &Protocol, state: &mut State, host: usize) {
    let step = state.hosts[host].step;
    let written = !matches!(step, Step::Asked { .. }) || protocol.holds(Rule::IntentComesFirst);
    if written && protocol.holds(Rule::AppendIsFenced) && !state.owned(host) {
        state.hosts[host] = Host::IDLE;
        return;
    }
    state.hosts[host].step = match step {
        Step::Asked { seq, .. } => {
            state.world.new_key(seq);
            if written {
                state.store.journal[seq] = Slot::Intent { resent: false };
            }
            Step::Asked { seq, intent: true }
        }
        Step::Got(seq, came) => {
            let resent = state.store.journal[seq] == Slot::Intent { resent: true };
            state.store.journal[seq] = Slot::Settled { came, resent };
            served(&state.store.journal)
        }
        other => other,
    };
}

/// Looks whether the lease lasts, and the key's lifetime. A host that lost the run sends nothing.
pub(crate) fn check(protocol: &Protocol, state: &mut State, host: usize) {
    let Step::Asked { seq, .. } = state.hosts[host].step else {
        return;
    };
    let again = state.store.journal[seq] == Slot::Intent { resent: true };
    let unprotected = protocol.effects[seq] == What::Keyed && state.world.keys_over && protocol.holds(Rule::KeysEnd);
    if protocol.holds(Rule::LeaseIsChecked) && !state.owned(host) {
        state.hosts[host] = Host::IDLE;
    } else if again && unprotected {
        state.hosts[host].step = Step::Ends(End::Doubts);
    } else {
        state.hosts[host].step = Step::Checked(seq);
    }
}

/// Sends the request.
pub(crate) fn send(state: &mut State, host: usize) {
    let Step::Checked(seq) = state.hosts[host].step else {
        return;
    };
    state.world.requests.push(Request {
        seq,
        key: state.world.keys[seq],
        fenced: state.hosts[host].fenced,
        late: !state.owned(host),
    });
    state.world.requests.sort_unstable();
    state.hosts[host].step = Step::Waits(seq);
}

/// `finish`: writes the end, if the run is still this host's.
pub(crate) fn finish(protocol: &Protocol, state: &mut State, host: usize) {
    let Step::Ends(end) = state.hosts[host].step else {
        return;
    };
    if state.owned(host) || !protocol.holds(Rule::FinishIsFenced) {
        state.store.finish(end);
    }
    state.hosts[host] = Host::IDLE;
}
