//! What a state of the protocol is: the store's rows, two hosts' memories, and the world.

use fusebox_core::{dead_letter, run};

/// A kind of effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum What {
    /// May not be repeated.
    Once,
    /// May be repeated under its key, within the key's lifetime.
    Keyed,
}

/// What became of an effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Came {
    /// The upstream did it and said so.
    Answered,
    /// A 503, or no whole answer: nobody knows.
    Unknown,
    /// Nothing was sent.
    Refused,
}

/// What the journal holds of one effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Slot {
    /// Nothing.
    Empty,
    /// An intent; `resent` from the second time on that somebody sends it.
    Intent {
        /// Whether it may have been sent by an earlier attempt.
        resent: bool,
    },
    /// Its end.
    Settled {
        /// What became of it.
        came: Came,
        /// Whether it may have been sent by an earlier attempt too.
        resent: bool,
    },
}

/// The right to a run. Which epoch it has is told by [`Host::fenced`]: all that matters of an epoch is whether it is the newest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lease {
    /// Nobody has it.
    None,
    /// Its time is not over.
    Live,
    /// Its time is over.
    Over,
}

/// A dead letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Letter {
    /// Where it is.
    pub state: dead_letter::State,
    /// What it is good for.
    pub kind: dead_letter::Kind,
}

/// The rows of one run.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Store {
    /// Where the run is; `None` before anybody called.
    pub run: Option<run::State>,
    /// Who has it.
    pub lease: Lease,
    /// Its journal, a slot for each effect.
    pub journal: Vec<Slot>,
    /// Its letter.
    pub letter: Option<Letter>,
    /// How often it was taken over from a host that was gone.
    pub recoveries: u8,
    /// How it ended first.
    pub ended: Option<run::State>,
    /// How often an end was written.
    pub ends: u8,
    /// Whether a letter was put away whose journal was in doubt.
    pub doubt_put_away: bool,
    /// Whether something was done to the run that its table of transitions does not name.
    pub illegal: bool,
}

/// Why a host owns the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Why {
    /// It was called, or the run was accepted, or it has slept.
    Goes,
    /// It took the run over from a host that was gone.
    Recovers,
    /// A person replays the letter.
    Replays,
}

/// How a host ends a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum End {
    /// The function returned well.
    Succeeds,
    /// It gave up: a letter keeps the run.
    DeadLetters,
    /// An effect is in doubt: a letter keeps the run, for a person.
    Doubts,
}

/// Where a host is with the run; `seq` is the effect's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Step {
    /// It has nothing of the run.
    Idle,
    /// It owns the run and is to read the journal.
    Owns(Why),
    /// The guest asks for that effect; what is below is served.
    Asked {
        /// The effect.
        seq: usize,
        /// Whether its intent is durable, as far as this host knows.
        intent: bool,
    },
    /// The lease was seen to last: the next thing is to send.
    Checked(usize),
    /// Sent.
    Waits(usize),
    /// Answered, or timed out.
    Got(usize, Came),
    /// The attempt failed.
    Failed,
    /// The end is known and not written.
    Ends(End),
}

/// A host's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Host {
    /// Where it is.
    pub step: Step,
    /// Whether its lease was given to somebody since: its epoch is not the run's any more.
    pub fenced: bool,
    /// Whether it stands still: paused, swapped out, its machine suspended. Time goes on without it.
    pub stopped: bool,
}

impl Host {
    /// Without anything of the run.
    pub const IDLE: Self = Self {
        step: Step::Idle,
        fenced: false,
        stopped: false,
    };
}

/// A request on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Request {
    /// The effect.
    pub seq: usize,
    /// Its key.
    pub key: u8,
    /// Whether the lease under which it was sent was given to somebody since.
    pub fenced: bool,
    /// Whether it was sent after its lease was over. It is bound by no timeout that anybody else knows of.
    pub late: bool,
}

/// What is outside.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct World {
    /// Requests on their way, in order.
    pub requests: Vec<Request>,
    /// How often each effect happened.
    pub happened: Vec<u8>,
    /// Keys that upstreams know: effect and key.
    pub known: Vec<(usize, u8)>,
    /// The key of each effect. One that no upstream has seen is as good as a new one.
    pub keys: Vec<u8>,
    /// Whether the keys' lifetime is over.
    pub keys_over: bool,
}

/// How much may still go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Faults {
    /// Hosts that crash.
    pub crashes: u8,
    /// Hosts that stand still and go on later, anywhere but in the window.
    pub stops: u8,
    /// Hosts that stand still in the window between the check of the lease and the sending: the race that remains.
    pub stops_in_the_window: u8,
    /// Requests that fail, or whose answers are lost.
    pub failures: u8,
    /// Runs that rest: backoffs and hand-overs.
    pub rests: u8,
}

/// One state.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// What lasts.
    pub store: Store,
    /// The hosts' memories.
    pub hosts: [Host; 2],
    /// What is outside.
    pub world: World,
    /// How much may still go wrong.
    pub left: Faults,
}

impl State {
    /// Before anybody called a function with so many effects.
    #[must_use]
    pub fn new(effects: usize, left: Faults) -> Self {
        Self {
            store: Store {
                run: None,
                lease: Lease::None,
                journal: vec![Slot::Empty; effects],
                letter: None,
                recoveries: 0,
                ended: None,
                ends: 0,
                doubt_put_away: false,
                illegal: false,
            },
            hosts: [Host::IDLE; 2],
            world: World {
                requests: Vec::new(),
                happened: vec![0; effects],
                known: Vec::new(),
                keys: vec![0; effects],
                keys_over: false,
            },
            left,
        }
    }
}
