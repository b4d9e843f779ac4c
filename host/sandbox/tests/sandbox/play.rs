//! The engine's part, played for tests: performs by a script what a guest asks for, keeps the journal, and serves it to another attempt.

use async_trait::async_trait;
use fusebox_engine::ports::sandbox::{Ask, Delivery, EffectError, Effects, Got, GuestRequest, Moment, Stopped};
use fusebox_engine::ports::transport::Incoming;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Mutex;
use std::time::Duration;

/// What becomes of an effect.
pub(crate) enum Reply {
    /// This, after a while by the clock of the play: nobody really waits.
    Give(Duration, Got),
    /// Nothing, ever.
    Hang,
}

type Script = Box<dyn Fn(&Ask) -> Reply + Send + Sync>;

/// What a run asked for, by number, and what it got, in the order in which it was let in.
#[derive(Clone, Default)]
pub(crate) struct Journal {
    pub(crate) asked: Vec<Ask>,
    pub(crate) let_in: Vec<Delivery>,
}

impl Journal {
    /// What is left when only effects up to that number are served.
    pub(crate) fn up_to(&self, last: usize) -> Self {
        let served = self.let_in.iter().filter(|delivery| delivery.seq as usize <= last);
        Self {
            asked: self.asked[..last].to_vec(),
            let_in: served.cloned().collect(),
        }
    }
}

/// Plays the engine in one attempt.
pub(crate) struct Play {
    script: Script,
    served: Journal,
    /// The first number that is refused, as if the host drained.
    stop_at: Option<u32>,
    /// Ends the attempt when the guest waits for what has not settled.
    drains: bool,
    /// Where each effect leaves the guest's clock; the clock of the play unless told.
    at: Option<Duration>,
    book: Mutex<Book>,
}

#[derive(Default)]
struct Book {
    happened: Journal,
    /// What is served and not let in yet.
    waiting: VecDeque<Delivery>,
    now: Duration,
    /// What settles live, by time and number.
    scheduled: BTreeMap<(Duration, u32), Got>,
    abandoned: Vec<u32>,
    diverged: Vec<u32>,
    live: Vec<u32>,
}

/// Where the guest's wall clock starts.
pub(crate) const START: fusebox_core::time::Wall = fusebox_core::time::Wall(1_767_225_600_000);

impl Play {
    pub(crate) fn new(script: impl Fn(&Ask) -> Reply + Send + Sync + 'static) -> Self {
        Self {
            script: Box::new(script),
            served: Journal::default(),
            stop_at: None,
            drains: false,
            at: None,
            book: Mutex::default(),
        }
    }

    /// Upstreams that answer by path at once, and refuse every other; timers run as long as they are meant to.
    pub(crate) fn answering<const N: usize>(answers: [(&str, Result<Incoming, EffectError>); N]) -> Self {
        let by_path: HashMap<_, _> = answers.map(|(path, answer)| (path.to_owned(), answer)).into();
        Self::new(move |ask| match ask {
            Ask::Http(request) => {
                let answer = by_path.get(&request.path).cloned();
                Reply::Give(Duration::ZERO, Got::Http(answer.unwrap_or(Err(EffectError::Denied))))
            }
            Ask::Timer { after } => Reply::Give(*after, Got::Timer),
            _ => Reply::Hang,
        })
    }

    /// Nothing ever ends.
    pub(crate) fn hanging() -> Self {
        Self::new(|_| Reply::Hang)
    }

    /// Serves what a journal holds.
    pub(crate) fn serving(mut self, journal: Journal) -> Self {
        self.book.lock().unwrap().waiting = journal.let_in.clone().into();
        self.served = journal;
        self
    }

    /// Ends the attempt when the guest asks for that effect.
    pub(crate) fn stopping_at(mut self, seq: u32) -> Self {
        self.stop_at = Some(seq);
        self
    }

    /// Ends the attempt when the guest waits for what has not settled.
    pub(crate) fn draining(mut self) -> Self {
        self.drains = true;
        self
    }

    /// Leaves the guest's clock there with each effect.
    pub(crate) fn at(mut self, passed: Duration) -> Self {
        self.at = Some(passed);
        self
    }

    pub(crate) fn journal(&self) -> Journal {
        self.book.lock().unwrap().happened.clone()
    }

    pub(crate) fn requests(&self) -> Vec<GuestRequest> {
        let asked = self.journal().asked.into_iter();
        asked
            .filter_map(|ask| match ask {
                Ask::Http(request) => Some(request),
                _ => None,
            })
            .collect()
    }

    pub(crate) fn abandoned(&self) -> Vec<u32> {
        self.book.lock().unwrap().abandoned.clone()
    }

    /// Numbers of the effects that differ from the journal.
    pub(crate) fn diverged(&self) -> Vec<u32> {
        self.book.lock().unwrap().diverged.clone()
    }

    /// What settles next.
    fn settled(&self) -> Option<Delivery> {
        let book = &mut *self.book.lock().unwrap();
        let served = book.waiting.pop_front();
        let delivery = served.or_else(|| {
            let ((due, seq), got) = book.scheduled.pop_first()?;
            book.now = book.now.max(due);
            let passed = self.at.unwrap_or(book.now);
            let at = Moment {
                passed,
                wall: START + passed,
            };
            Some(Delivery { seq, got, at })
        })?;
        book.happened.let_in.push(delivery.clone());
        Some(delivery)
    }

    /// Numbers of the effects that were performed and not served.
    pub(crate) fn live(&self) -> Vec<u32> {
        self.book.lock().unwrap().live.clone()
    }
}

#[async_trait]
impl Effects for Play {
    fn begin(&self, ask: Ask) -> Result<u32, Stopped> {
        let mut book = self.book.lock().unwrap();
        let number = book.happened.asked.len();
        let seq = u32::try_from(number).unwrap() + 1;
        book.happened.asked.push(ask.clone());
        if self.stop_at == Some(seq) {
            return Err(Stopped);
        }
        match self.served.asked.get(number) {
            Some(before) if *before != ask => {
                book.diverged.push(seq);
                return Err(Stopped);
            }
            Some(_) if self.served.let_in.iter().any(|delivery| delivery.seq == seq) => return Ok(seq),
            Some(_) | None => {}
        }
        book.live.push(seq);
        let now = book.now;
        // A script may panic, as a defect of the host would.
        drop(book);
        if let Reply::Give(after, got) = (self.script)(&ask) {
            let mut book = self.book.lock().unwrap();
            book.scheduled.insert((now + after, seq), got);
        }
        Ok(seq)
    }

    async fn next(&self) -> Result<Delivery, Stopped> {
        if let Some(delivery) = self.settled() {
            return Ok(delivery);
        }
        if self.drains {
            return Err(Stopped);
        }
        std::future::pending().await
    }

    fn abandon(&self, seq: u32) {
        let mut book = self.book.lock().unwrap();
        book.scheduled
            .retain(|(_, other), got| *other != seq || *got != Got::Timer);
        book.abandoned.push(seq);
    }

    fn is_live(&self) -> bool {
        self.book.lock().unwrap().waiting.is_empty()
    }
}
