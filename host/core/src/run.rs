//! The life of a run, as one transition table. Recovery and replay go through the same table as the first execution.

use std::fmt;

/// Where a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Taken on, not started: it waits for a place.
    Accepted,
    /// A host holds it, under a lease.
    Running,
    /// Between two attempts: no instance; wakes by time.
    Sleeping,
    /// Waits for a person: no instance, no lease.
    Suspended,
    /// Over: its result is stored.
    Succeeded,
    /// Over: its failure is stored.
    Failed,
    /// Given up for now: a letter keeps what is needed to go on.
    DeadLettered,
    /// An effect that may not be repeated is unsettled: only a person goes on.
    InDoubt,
    /// Over: somebody cancelled it.
    Cancelled,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 9] = [
        Self::Accepted,
        Self::Running,
        Self::Sleeping,
        Self::Suspended,
        Self::Succeeded,
        Self::Failed,
        Self::DeadLettered,
        Self::InDoubt,
        Self::Cancelled,
    ];

    /// The name used in filters, output and stored rows.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Running => "running",
            Self::Sleeping => "sleeping",
            Self::Suspended => "suspended",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::DeadLettered => "dead-lettered",
            Self::InDoubt => "in-doubt",
            Self::Cancelled => "cancelled",
        }
    }

    /// The state of that name, if there is one.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    /// Whether it has ended; only a person takes it up again, as long as its journal is kept.
    #[must_use]
    pub fn is_over(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }

    /// Whether a host must hold a lease on it.
    #[must_use]
    pub fn is_leased(self) -> bool {
        matches!(self, Self::Accepted | Self::Running)
    }

    /// Whether a letter keeps it.
    #[must_use]
    pub fn has_letter(self) -> bool {
        matches!(self, Self::DeadLettered | Self::InDoubt)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What happens to a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// An attempt starts for the first time.
    Start,
    /// A long backoff begins.
    Sleep,
    /// A backoff is over, or the guest is told what a person answered.
    Wake,
    /// A person is asked.
    Suspend,
    /// The person agreed.
    Approve,
    /// The person declined, or did not answer in time.
    Refuse,
    /// Another host takes it over after its lease ended.
    Recover,
    /// The function returned well, or a person settled the run so.
    Succeed,
    /// It failed for good, or a person settled the run so.
    Fail,
    /// It gave up, and a letter keeps it; also a replay that is given back untouched.
    DeadLetter,
    /// It ended with an effect in doubt.
    Doubt,
    /// Somebody cancelled it.
    Cancel,
    /// Its letter is replayed.
    Replay,
    /// A person settled what was in doubt: the run waits for its replay.
    Resolve,
    /// A person takes up a run that is over and became no letter: its journal is kept.
    Resume,
}

impl Event {
    /// Every event.
    pub const ALL: [Self; 15] = [
        Self::Start,
        Self::Sleep,
        Self::Wake,
        Self::Suspend,
        Self::Approve,
        Self::Refuse,
        Self::Recover,
        Self::Succeed,
        Self::Fail,
        Self::DeadLetter,
        Self::Doubt,
        Self::Cancel,
        Self::Replay,
        Self::Resolve,
        Self::Resume,
    ];
}

/// An event that a run in that state cannot have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a run that is {state} cannot take the event {event:?}")]
pub struct Illegal {
    /// Where the run is.
    pub state: State,
    /// What was to happen.
    pub event: Event,
}

/// The state after an event.
///
/// # Errors
/// [`Illegal`] for every pair that the table does not name; the run stays where it is.
pub fn next(state: State, event: Event) -> Result<State, Illegal> {
    use Event as E;
    use State as S;
    match (state, event) {
        (S::Accepted, E::Start)
        | (S::Sleeping | S::Suspended, E::Wake)
        | (S::Suspended, E::Approve)
        | (S::Running | S::Accepted, E::Recover)
        | (S::DeadLettered, E::Replay)
        | (S::Failed | S::Cancelled, E::Resume) => Ok(S::Running),
        (S::Running, E::Sleep) => Ok(S::Sleeping),
        (S::Accepted | S::Running, E::Suspend) => Ok(S::Suspended),
        (S::Running | S::InDoubt, E::Succeed) => Ok(S::Succeeded),
        (S::Suspended, E::Refuse) | (S::Accepted | S::Running | S::DeadLettered | S::InDoubt, E::Fail) => Ok(S::Failed),
        (S::Accepted | S::Running | S::Sleeping, E::DeadLetter) | (S::InDoubt, E::Resolve) => Ok(S::DeadLettered),
        (S::Running, E::Doubt) => Ok(S::InDoubt),
        (S::Accepted | S::Running | S::Sleeping | S::Suspended, E::Cancel) => Ok(S::Cancelled),
        _ => Err(Illegal { state, event }),
    }
}

/// So often a run is taken over from a host that is gone, unless the operator says otherwise: one that ends its hosts does not end them all.
pub const RECOVERY_CAP: u32 = 5;

/// Whether a run that was taken over so often, this time included, is given up instead. Wake-ups and hand-overs do not count.
#[must_use]
pub fn is_given_up(recoveries: u32, cap: u32) -> bool {
    recoveries > cap
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// The design's table, written out a second time: a row for each state, a column for each event.
    /// `.` illegal, else the first letter of the next state (`D` dead-lettered, `?` in doubt, `L` sleeping, `W` suspended).
    const TABLE: [(State, &str); 9] = [
        //                     Start Sleep Wake Susp Appr Refu Reco Succ Fail Dead Doub Canc Repl Reso Resu
        (State::Accepted, "R..W..R.FD.C..."),
        (State::Running, ".L.W..RSFD?C..."),
        (State::Sleeping, "..R......D.C..."),
        (State::Suspended, "..R.RF.....C..."),
        (State::Succeeded, "..............."),
        (State::Failed, "..............R"),
        (State::DeadLettered, "........F...R.."),
        (State::InDoubt, ".......SF....D."),
        (State::Cancelled, "..............R"),
    ];

    #[test]
    fn every_state_and_event_goes_where_the_table_says() {
        for (state, row) in TABLE {
            for (event, cell) in Event::ALL.into_iter().zip(row.chars()) {
                let expected = match cell {
                    'R' => Ok(State::Running),
                    'L' => Ok(State::Sleeping),
                    'W' => Ok(State::Suspended),
                    'S' => Ok(State::Succeeded),
                    'F' => Ok(State::Failed),
                    'D' => Ok(State::DeadLettered),
                    '?' => Ok(State::InDoubt),
                    'C' => Ok(State::Cancelled),
                    _ => Err(Illegal { state, event }),
                };
                assert_eq!(next(state, event), expected, "{state} + {event:?}");
            }
        }
    }

    #[test]
    fn what_is_over_stays_over_unless_a_person_takes_it_up() {
        for state in State::ALL.into_iter().filter(|state| state.is_over()) {
            for event in Event::ALL {
                let taken_up = event == Event::Resume && state != State::Succeeded;
                assert_eq!(next(state, event).is_ok(), taken_up, "{state} + {event:?}");
            }
        }
    }

    #[test]
    fn case_38_a_run_is_given_up_when_it_was_taken_over_too_often() {
        assert!((0..=RECOVERY_CAP).all(|recoveries| !is_given_up(recoveries, RECOVERY_CAP)));
        assert!(is_given_up(RECOVERY_CAP + 1, RECOVERY_CAP));
        assert!(is_given_up(1, 0));
        for state in [State::Accepted, State::Running] {
            assert_eq!(next(state, Event::Recover), Ok(State::Running));
            assert_eq!(
                next(state, Event::DeadLetter),
                Ok(State::DeadLettered),
                "case 39: not lost"
            );
        }
    }

    #[test]
    fn a_run_in_doubt_goes_on_only_by_a_person() {
        for event in Event::ALL {
            let by_a_person = matches!(event, Event::Resolve | Event::Succeed | Event::Fail);
            assert_eq!(next(State::InDoubt, event).is_ok(), by_a_person, "{event:?}");
        }
    }

    #[test]
    fn names_survive_a_round_trip() {
        for state in State::ALL {
            assert_eq!(State::from_name(state.name()), Some(state));
        }
        assert_eq!(State::from_name("dead lettered"), None);
    }
}
