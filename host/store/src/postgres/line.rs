//! The connections to the server, and whether it answers. A network that drops everything tells nobody, and where something in between
//! acknowledges what arrives, TCP never gives up either: who does not answer in time counts as gone.
//!
//! While the server is silent one asks whether it answers again. Everybody else is told at once, and goes on with what needs no database.

use super::sessions::Sessions;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions, Postgres};
use sqlx::{Connection as _, Error};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::time::timeout;

/// Connections of one process.
const CONNECTIONS: u32 = 16;
/// How long a transition waits for a connection.
pub(super) const CONNECT: Duration = Duration::from_secs(10);
/// A connection that was used so recently is not asked whether it still stands.
const FRESH: Duration = Duration::from_secs(1);
/// A connection that does not say within this that it still stands is left for another one.
const STANDS: Duration = Duration::from_secs(2);
/// How long the server may take for a question, or for what a transaction does: longer than anything here takes.
const ANSWER: Duration = Duration::from_secs(30);

/// The pool, shared by all that a process does with a database.
#[derive(Clone)]
pub(super) struct Line {
    pool: PgPool,
    sessions: Sessions,
    silence: Arc<Silence>,
}

#[derive(Default)]
struct Silence {
    /// The server did not answer when it was asked last.
    silent: AtomicBool,
    /// Somebody asks whether it answers again.
    asking: AtomicBool,
}

impl Line {
    /// A pool that connects when something is asked first.
    pub(super) fn new(options: PgConnectOptions, sessions: Sessions) -> Self {
        let silence = Arc::new(Silence::default());
        let noticed = Arc::clone(&silence);
        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(CONNECT)
            // A question to the server before each use would double what reads cost. What was in use a moment ago is taken as it is.
            .test_before_acquire(false)
            .before_acquire(move |connection, seen| {
                let noticed = Arc::clone(&noticed);
                Box::pin(async move {
                    if seen.idle_for <= FRESH {
                        return Ok(true);
                    }
                    let stands = timeout(STANDS, connection.ping()).await;
                    if stands.is_err() {
                        noticed.is(true);
                    }
                    Ok(matches!(stands, Ok(Ok(()))))
                })
            })
            .connect_lazy_with(options);
        Self {
            pool,
            sessions,
            silence,
        }
    }

    /// Whose sessions it leads to.
    pub(super) fn sessions(&self) -> Sessions {
        self.sessions
    }

    /// The pool itself, for who has time.
    pub(super) fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// A connection that is free.
    ///
    /// # Errors
    /// There is none, or the server is silent and somebody else waits for it already.
    pub(super) async fn borrow(&self) -> Result<Borrowed, Error> {
        let asks = self.is_silent();
        if asks && self.silence.asking.swap(true, Ordering::AcqRel) {
            return Err(no_answer("the server does not answer"));
        }
        // From here on whoever asks is known to have ended, however he does.
        let mut borrowed = Borrowed {
            connection: None,
            silence: Arc::clone(&self.silence),
            asks,
            answered: false,
        };
        let acquired = self.pool.acquire().await;
        if matches!(acquired, Err(Error::PoolTimedOut)) && self.pool.size() < CONNECTIONS {
            self.silence.is(true);
        }
        borrowed.connection = Some(acquired?);
        Ok(borrowed)
    }

    /// Whether the server did not answer when it was asked last.
    pub(super) fn is_silent(&self) -> bool {
        self.silence.silent.load(Ordering::Acquire)
    }

    /// What the server answers, or that it did not in time.
    pub(super) async fn timely<T, E: From<Error>>(&self, answer: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        timeout(ANSWER, answer).await.unwrap_or_else(|_| {
            self.silence.is(true);
            Err(no_answer(&format!("no answer within {} s", ANSWER.as_secs())).into())
        })
    }
}

impl Silence {
    fn is(&self, silent: bool) {
        if self.silent.swap(silent, Ordering::AcqRel) != silent {
            if silent {
                tracing::warn!("the database does not answer; this host goes on without it, and asks again");
            } else {
                tracing::info!("the database answers again");
            }
        }
    }
}

/// A connection that goes back to the pool once it has answered, and is closed when it has not.
pub(super) struct Borrowed {
    connection: Option<PoolConnection<Postgres>>,
    silence: Arc<Silence>,
    asks: bool,
    answered: bool,
}

impl Borrowed {
    /// The connection.
    ///
    /// # Errors
    /// None: it is there until this is dropped.
    pub(super) fn get(&mut self) -> Result<&mut PgConnection, Error> {
        self.connection.as_deref_mut().ok_or(Error::PoolClosed)
    }

    /// Everything that was asked was answered, so that others can use it.
    pub(super) fn answered(mut self) {
        self.answered = true;
        self.silence.is(false);
    }
}

impl Drop for Borrowed {
    fn drop(&mut self) {
        if self.asks {
            self.silence.asking.store(false, Ordering::Release);
        }
        let Some(mut connection) = self.connection.take() else {
            return;
        };
        if self.answered {
            // The pool asks once more whether it stands, and its place is taken as long as it does not say.
            tokio::spawn(timeout(ANSWER, connection.return_to_pool()));
        } else {
            drop(connection.detach());
        }
    }
}

fn no_answer(what: &str) -> Error {
    Error::Io(io::Error::new(io::ErrorKind::TimedOut, what.to_owned()))
}
