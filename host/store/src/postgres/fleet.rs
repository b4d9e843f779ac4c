//! What the hosts of one database tell each other, by LISTEN and NOTIFY.
//!
//! Nothing is told by a transaction that writes: those that do so commit one after the other, server-wide. A task of its own sends what was
//! told a moment ago in one statement. A note that is lost costs whoever waits for it one turn of looking by themselves.

use super::line::Line;
use super::sessions::Sessions;
use super::transact::{pause, rows};
use async_trait::async_trait;
use fusebox_engine::ports::fleet::{Alone, Fleet, Limits, Topic};
use sqlx::postgres::PgListener;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

/// The channel of the database.
const CHANNEL: &str = "fusebox";
/// What is told within so short a time goes out together.
const TOGETHER: Duration = Duration::from_millis(5);
/// Wait before listening is tried again.
const AGAIN: Duration = Duration::from_secs(1);
/// A connection that was silent for so long is replaced: one that a network has dropped is silent for ever.
const SILENT: Duration = Duration::from_secs(60);

/// The hosts of one PostgreSQL database.
pub struct PostgresFleet {
    shared: Arc<Shared>,
    limits: Arc<dyn Limits>,
    listens: AtomicBool,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

struct Shared {
    line: Line,
    /// Drawn at random: tells what this process told from what others did.
    host: String,
    heard: Alone,
    /// The topics that were told and not sent yet: a bit for each.
    unsent: AtomicU8,
    news: Notify,
    sending: tokio::sync::Mutex<()>,
}

impl PostgresFleet {
    /// Tells and hears over connections of that pool.
    pub(super) fn new(line: Line, limits: Arc<dyn Limits>) -> Self {
        let shared = Arc::new(Shared {
            line,
            host: format!("{:016x}", RandomState::new().build_hasher().finish()),
            heard: Alone::default(),
            unsent: AtomicU8::new(0),
            news: Notify::new(),
            sending: tokio::sync::Mutex::new(()),
        });
        let sender = tokio::spawn(send(Arc::clone(&shared)));
        Self {
            shared,
            limits,
            listens: AtomicBool::new(false),
            tasks: Mutex::new(vec![sender]),
        }
    }
}

impl Drop for PostgresFleet {
    fn drop(&mut self) {
        let tasks = self.tasks.get_mut().unwrap_or_else(PoisonError::into_inner);
        tasks.iter().for_each(JoinHandle::abort);
    }
}

#[async_trait]
impl Fleet for PostgresFleet {
    fn limits(&self) -> Option<Arc<dyn Limits>> {
        Some(Arc::clone(&self.limits))
    }

    fn tell(&self, topic: Topic) {
        self.shared.heard.tell(topic);
        self.shared.unsent.fetch_or(1 << topic as u8, Ordering::AcqRel);
        self.shared.news.notify_one();
    }

    fn told(&self, topic: Topic) -> watch::Receiver<u64> {
        self.shared.heard.told(topic)
    }

    fn listen(&self) {
        // A session that is lent would hear for whoever has it next.
        if self.shared.line.sessions() == Sessions::Kept && !self.listens.swap(true, Ordering::AcqRel) {
            let listener = tokio::spawn(listen(Arc::clone(&self.shared)));
            let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
            tasks.push(listener);
        }
    }

    async fn flush(&self) {
        self.shared.send().await;
    }
}

impl Shared {
    /// Sends what was told and not sent yet.
    async fn send(&self) {
        let _turn = self.sending.lock().await;
        let unsent = self.unsent.swap(0, Ordering::AcqRel);
        if unsent == 0 {
            return;
        }
        let topics = Topic::ALL.into_iter().filter(|topic| unsent & (1 << *topic as u8) != 0);
        let note = topics.fold(self.host.clone(), |note, topic| note + " " + topic.name());
        let sent = sqlx::query("SELECT pg_notify($1, $2)").bind(CHANNEL).bind(note);
        if let Err(error) = rows(&self.line, sent).await {
            tracing::debug!(%error, "other hosts could not be told; they look by themselves");
        }
    }

    /// What another host told.
    fn hear(&self, note: &str) {
        let mut words = note.split(' ');
        if words.next() != Some(&self.host) {
            words
                .filter_map(Topic::from_name)
                .for_each(|topic| self.heard.tell(topic));
        }
    }

    /// Nobody knows what was told meanwhile, so that everything is worth a look.
    fn missed(&self) {
        Topic::ALL.into_iter().for_each(|topic| self.heard.tell(topic));
    }

    /// Hears what other hosts tell until the connection is lost or was silent for long.
    async fn listen(&self) -> Result<(), sqlx::Error> {
        let mut listener = PgListener::connect_with(self.line.pool()).await?;
        listener.listen(CHANNEL).await?;
        self.missed();
        loop {
            match tokio::time::timeout(SILENT, listener.try_recv()).await {
                Ok(Ok(Some(note))) => self.hear(note.payload()),
                Ok(Err(error)) => return Err(error),
                Ok(Ok(None)) | Err(_) => return Ok(()),
            }
        }
    }
}

async fn send(shared: Arc<Shared>) {
    loop {
        shared.news.notified().await;
        shared.send().await;
        pause(TOGETHER).await;
    }
}

async fn listen(shared: Arc<Shared>) {
    loop {
        if let Err(error) = shared.listen().await {
            tracing::debug!(%error, "other hosts cannot be heard; this one looks by itself");
            pause(AGAIN).await;
        }
    }
}
