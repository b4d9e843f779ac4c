//! Upstreams: they do what they are asked, or not, and what they say of it may be lost. One that knows a key does not do it again.

use crate::state::{Came, Host, Request, State, Step, World};

/// What becomes of a request. An upstream is done with it within the effect's timeout; of one that was sent late nobody knows when.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fate {
    /// Done, and said so.
    Done,
    /// Done, and the answer is a 503, or lost.
    DoneAndLost,
    /// Not done, and the answer is a 503, or lost.
    Lost,
    /// Not even sent.
    Refused,
}

impl Fate {
    pub(crate) const ALL: [Self; 4] = [Self::Done, Self::DoneAndLost, Self::Lost, Self::Refused];

    fn came(self) -> Came {
        match self {
            Self::Done => Came::Answered,
            Self::DoneAndLost | Self::Lost => Came::Unknown,
            Self::Refused => Came::Refused,
        }
    }
}

impl World {
    /// What is asked for anew has a new key. While no upstream has seen the old one, that is as good.
    pub(crate) fn new_key(&mut self, seq: usize) {
        let key = self.keys[seq];
        let seen = self.known.contains(&(seq, key));
        let under_way = self
            .requests
            .iter()
            .any(|request| (request.seq, request.key) == (seq, key));
        self.keys[seq] += u8::from(seen || under_way);
    }
}

impl State {
    /// A request reaches its upstream, or not, and its host hears of it if it still waits.
    pub(crate) fn reach(&mut self, index: usize, keyed: bool, fate: Fate) {
        let request = self.world.requests.remove(index);
        if matches!(fate, Fate::Done | Fate::DoneAndLost) {
            self.happen(request, keyed);
        }
        let waits = |host: &&mut Host| host.step == Step::Waits(request.seq) && host.fenced == request.fenced;
        if let Some(host) = self.hosts.iter_mut().find(waits) {
            host.step = Step::Got(request.seq, fate.came());
        }
    }

    fn happen(&mut self, request: Request, keyed: bool) {
        let key = (request.seq, request.key);
        if keyed && self.world.known.contains(&key) {
            return;
        }
        self.world.happened[request.seq] += 1;
        if keyed {
            self.world.known.push(key);
            self.world.known.sort_unstable();
        }
    }
}
