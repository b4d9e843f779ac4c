//! Whole runs of random guests against a random world, resumed until they are over: a guest that depends on all that it saw and on its clock,
//! upstreams that fail and lose answers, hosts that crash anywhere, and a person who settles what is in doubt.
#![allow(clippy::unwrap_used, clippy::panic)]

use fusebox_core::effect::{Answer, Effect, Kind, Lost, NotSent};
use fusebox_core::ids::Digest;
use fusebox_core::journal::{Entry, Resume, cut, go_on, matches, resume_point, settle};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// One step of splitmix64 (<https://prng.di.unimi.it/splitmix64.c>) over two words.
fn mix(state: u64, word: u64) -> u64 {
    let mut z = state.wrapping_add(word).wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Get,
    Listed,
    Keyed,
    Once,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Came {
    Answer(u16),
    Lost,
    Refused,
    Cancelled,
}

#[derive(Clone, Debug)]
struct Row {
    what: What,
    digest: u64,
    saw: Vec<u32>,
    came: Option<(u32, Came, u64)>,
    resent: bool,
}

impl Row {
    fn entry(&self, seq: u32) -> Entry {
        let answer = self.came.map(|(_, came, _)| match came {
            Came::Answer(status) => Answer::Status { status, hint: None },
            Came::Lost => Answer::Lost(Lost::Reset),
            Came::Refused => Answer::NotSent(NotSent::Refused),
            Came::Cancelled => Answer::Cancelled,
        });
        let mut request = [0; 32];
        request[..8].copy_from_slice(&self.digest.to_le_bytes());
        Entry {
            effect: Effect {
                seq,
                kind: Kind::Http,
                service: "any".into(),
                method: format!("{:?}", self.what),
                path: String::new(),
                request: Digest(request),
                occurrence: 0,
                repeatable: self.what != What::Once,
                safe: self.what == What::Get,
                rejected_before_effect: answer
                    == Some(Answer::Status {
                        status: 429,
                        hint: None,
                    }),
                answer,
                took: Duration::ZERO,
            },
            saw: self.saw.clone(),
            order: self.came.map(|(order, ..)| order),
            by_key: self.what == What::Keyed,
            resent: self.resent,
        }
    }
}

enum Act {
    Ask(What),
    Wait,
    Return { well: bool },
}

/// What a guest does is a function of what it saw, in which order, and when by its clock.
struct Guest {
    state: u64,
    asked: u32,
    waits_for: BTreeSet<u32>,
    was_failed: bool,
}

impl Guest {
    fn act(&self) -> Act {
        let drawn = mix(self.state, 1) % 100;
        let give_up = if self.was_failed { 40 } else { 5 };
        match drawn {
            _ if self.asked > 0 && drawn < give_up => Act::Return { well: false },
            _ if self.asked >= 12 && self.waits_for.is_empty() => Act::Return { well: true },
            _ if !self.waits_for.is_empty() && (self.asked >= 12 || drawn < 75) => Act::Wait,
            _ => Act::Ask(
                [What::Get, What::Listed, What::Keyed, What::Once][usize::try_from(mix(self.state, 2) % 4).unwrap()],
            ),
        }
    }

    fn let_in(&mut self, seq: u32, came: Came, wall: u64) {
        let word = match came {
            Came::Answer(status) => u64::from(status),
            Came::Lost => 1,
            Came::Refused => 2,
            Came::Cancelled => panic!("what was never sent is let in"),
        };
        self.was_failed = !matches!(came, Came::Answer(200 | 404));
        self.state = mix(mix(mix(self.state, u64::from(seq)), word), wall);
        self.waits_for.remove(&seq);
    }
}

#[derive(Debug, PartialEq, Eq)]
enum End {
    Well,
    Failed,
    Crashed,
}

struct Run {
    seed: u64,
    drawn: u64,
    now: u64,
    journal: BTreeMap<u32, Row>,
    /// What happened to the world, by digest, and how often: an upstream does once what comes under one key.
    happened: BTreeMap<u64, (What, u32)>,
    resolved: u32,
}

impl Run {
    fn draw(&mut self, below: u64) -> u64 {
        self.drawn = mix(self.drawn, 3);
        self.drawn % below
    }

    fn entries(&self) -> Vec<Entry> {
        self.journal.iter().map(|(seq, row)| row.entry(*seq)).collect()
    }

    fn next_order(&self) -> u32 {
        let orders = self
            .journal
            .values()
            .filter_map(|row| row.came.map(|(order, ..)| order));
        orders.max().unwrap_or(0) + 1
    }

    /// Something is sent; what it does to the world, and what is heard of it.
    fn send(&mut self, seq: u32) -> Came {
        let came = match self.draw(10) {
            0..5 => Came::Answer(200),
            5 => Came::Answer(404),
            6 => Came::Answer(503),
            7 => Came::Answer(429),
            8 => Came::Lost,
            _ => Came::Refused,
        };
        let may_happen = matches!(came, Came::Answer(503) | Came::Lost) && self.draw(2) == 0;
        if came == Came::Answer(200) || may_happen {
            let row = &self.journal[&seq];
            let (what, digest) = (row.what, row.digest);
            let (_, count) = self.happened.entry(digest).or_insert((what, 0));
            *count = if what == What::Keyed { 1 } else { *count + 1 };
        }
        came
    }

    fn settle(&mut self, seq: u32, came: Came) {
        let (order, now) = (self.next_order(), self.now);
        self.journal.get_mut(&seq).unwrap().came = Some((order, came, now));
    }

    fn attempt(&mut self) -> End {
        self.now += 1_000;
        let mut guest = Guest {
            state: self.seed,
            asked: 0,
            waits_for: BTreeSet::new(),
            was_failed: false,
        };
        let mut served: Vec<u32> = self
            .journal
            .iter()
            .filter(|(_, row)| row.came.is_some())
            .map(|(seq, _)| *seq)
            .collect();
        served.sort_by_key(|seq| std::cmp::Reverse(self.journal[seq].came.unwrap().0));
        let must_be_the_same = self.journal.values().any(|row| row.came.is_none());
        for intent in self.journal.values_mut().filter(|row| row.came.is_none()) {
            intent.resent = true;
        }
        let (mut in_flight, mut ready, mut saw) = (Vec::new(), Vec::new(), Vec::new());
        loop {
            if self.draw(60) == 0 {
                return self.crash(&in_flight);
            }
            match guest.act() {
                Act::Return { well } => {
                    self.end(in_flight);
                    return if well { End::Well } else { End::Failed };
                }
                Act::Ask(what) => {
                    guest.asked += 1;
                    let row = Row {
                        what,
                        digest: mix(guest.state, 4),
                        saw: std::mem::take(&mut saw),
                        came: None,
                        resent: false,
                    };
                    let seq = guest.asked;
                    let held = self.journal.entry(seq).or_insert_with(|| row.clone());
                    matches(&held.entry(seq), &row.entry(seq).effect)
                        .unwrap_or_else(|diverged| panic!("seed {}: {diverged}", self.seed));
                    assert_eq!(held.saw, row.saw, "seed {}, effect {seq}", self.seed);
                    if held.came.is_none() {
                        in_flight.push(seq);
                    }
                    guest.waits_for.insert(seq);
                    guest.state = mix(guest.state, 5);
                }
                Act::Wait => {
                    let next = served.pop().or_else(|| {
                        let settles = ready.is_empty() || self.draw(3) == 0;
                        if settles && !in_flight.is_empty() {
                            let which = usize::try_from(self.draw(in_flight.len() as u64)).unwrap();
                            let seq = in_flight.swap_remove(which);
                            self.now += 1;
                            let came = self.send(seq);
                            self.settle(seq, came);
                            ready.push(seq);
                        }
                        (!ready.is_empty()).then(|| ready.remove(0))
                    });
                    let seq = next.unwrap();
                    assert!(
                        guest.waits_for.contains(&seq),
                        "seed {}: {seq} is served before it was asked for",
                        self.seed
                    );
                    let now = self.now;
                    let (_, came, wall) = self.journal.get_mut(&seq).unwrap().came.as_mut().unwrap();
                    if served.is_empty()
                        && !must_be_the_same
                        && *wall < now - now % 1_000
                        && !guest.waits_for.is_empty()
                    {
                        *wall = now;
                    }
                    guest.let_in(seq, *came, *wall);
                    saw.push(seq);
                }
            }
        }
    }

    /// The end waits for what is in flight; what was not sent yet is not sent any more.
    fn end(&mut self, in_flight: Vec<u32>) {
        for seq in in_flight {
            if self.draw(4) > 0 {
                let came = self.send(seq);
                self.settle(seq, came);
            } else if !self.journal[&seq].resent {
                self.settle(seq, Came::Cancelled);
            }
        }
    }

    /// What was in flight may have been sent; an intent is known only of what may not be sent twice, or only under its key.
    fn crash(&mut self, in_flight: &[u32]) -> End {
        for seq in in_flight {
            if self.draw(2) == 0 {
                self.send(*seq);
            }
            if matches!(self.journal[seq].what, What::Get | What::Listed) {
                self.journal.remove(seq);
            }
        }
        End::Crashed
    }

    /// A person looks what became of it, and the run goes on; `false` when the guest has gone on for good.
    fn resolve(&mut self, seq: u32) -> bool {
        let Ok(gone) = settle(&self.entries(), seq) else {
            return false;
        };
        gone.iter().for_each(|seq| drop(self.journal.remove(seq)));
        if self.happened.contains_key(&self.journal[&seq].digest) {
            self.settle(seq, Came::Answer(200));
        } else {
            self.journal.remove(&seq);
        }
        self.resolved += 1;
        true
    }

    fn go(&mut self) -> u32 {
        let mut attempts = 0;
        loop {
            attempts += 1;
            let end = self.attempt();
            self.balance();
            let mut at = match end {
                End::Failed => resume_point(&self.entries(), false),
                End::Crashed => go_on(&self.entries()),
                End::Well => return attempts,
            };
            if end == End::Failed && at == Resume::End {
                return attempts;
            }
            while let Resume::InDoubt(lost) = at {
                if !self.resolve(lost[0]) {
                    return attempts;
                }
                at = resume_point(&self.entries(), false);
            }
            let gone = cut(&self.entries(), &at);
            gone.drop.iter().for_each(|seq| drop(self.journal.remove(seq)));
            for seq in gone.reopen {
                let row = self.journal.get_mut(&seq).unwrap();
                (row.came, row.resent) = (None, true);
            }
            self.balance();
            assert!(attempts < 400, "seed {}: no end", self.seed);
        }
    }

    /// What may not happen twice has not, and all of it stands in the journal: the run knows what it did.
    fn balance(&self) {
        let known: BTreeSet<u64> = self.journal.values().map(|row| row.digest).collect();
        for (digest, (what, count)) in &self.happened {
            let may_be_repeated = matches!(what, What::Get | What::Listed);
            assert!(
                may_be_repeated || *count == 1,
                "seed {}: {what:?} happened {count} times",
                self.seed
            );
            assert!(
                may_be_repeated || known.contains(digest),
                "seed {}: {what:?} happened and is forgotten",
                self.seed
            );
        }
    }
}

#[test]
fn no_run_repeats_or_forgets_what_may_not_be_repeated_and_every_replay_asks_the_same() {
    let (mut attempts, mut resolved, mut resent) = (0, 0, 0);
    for seed in 0..6_000 {
        let mut run = Run {
            seed,
            drawn: mix(seed, 6),
            now: 0,
            journal: BTreeMap::new(),
            happened: BTreeMap::new(),
            resolved: 0,
        };
        attempts += run.go();
        resolved += run.resolved;
        resent += run.journal.values().filter(|row| row.resent).count();
    }
    // Else the laws held because nothing happened.
    assert!(
        attempts > 12_000 && resolved > 500 && resent > 500,
        "{attempts} attempts, {resolved} resolved, {resent} resent"
    );
}
