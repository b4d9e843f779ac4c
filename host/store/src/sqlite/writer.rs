//! The one writer. What waits is written in one transaction, so that throughput grows with concurrency.

use super::failures;
use crate::failures::Failed;
use fusebox_engine::ports::store::StoreError;
use futures::future::BoxFuture;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, SqliteConnection};
use std::path::Path;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};

/// Jobs that may wait; further callers wait to hand theirs over.
const QUEUE: usize = 1024;
/// Jobs of one transaction.
const BATCH: usize = 256;

/// Hands jobs to the writing task, which ends with the last handle.
pub(super) struct Writer {
    jobs: mpsc::Sender<Box<dyn Job>>,
    path: Arc<Path>,
}

type Performed<'c> = BoxFuture<'c, Result<(), StoreError>>;

/// One caller's part of a transaction.
trait Job: Send {
    /// Does it; what failed has to be undone.
    fn perform<'c>(&'c mut self, connection: &'c mut SqliteConnection, path: &'c Path) -> Performed<'c>;
    /// Answers the caller, now that the transaction is over.
    fn answer(self: Box<Self>, committed: Result<(), StoreError>);
}

struct Work<F, T> {
    act: Option<F>,
    /// `None` until it was performed.
    result: Option<Result<T, StoreError>>,
    caller: oneshot::Sender<Result<T, StoreError>>,
}

impl<F, T> Job for Work<F, T>
where
    F: for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, Result<T, Failed>> + Send,
    T: Send,
{
    fn perform<'c>(&'c mut self, connection: &'c mut SqliteConnection, path: &'c Path) -> Performed<'c> {
        Box::pin(async move {
            let Some(act) = self.act.take() else {
                return Ok(());
            };
            let result = act(connection).await.map_err(|failed| failures::at(path, failed));
            let performed = result.as_ref().map(|_| ()).map_err(StoreError::clone);
            self.result = Some(result);
            performed
        })
    }

    fn answer(self: Box<Self>, committed: Result<(), StoreError>) {
        let answer = match self.result {
            Some(result) => result.and_then(|value| committed.map(|()| value)),
            None => match committed {
                Err(error) => Err(error),
                Ok(()) => return,
            },
        };
        // A caller that went away needs no answer.
        let _ = self.caller.send(answer);
    }
}

impl Writer {
    /// Starts the task on a connection; a broken one is replaced by one made with `options`.
    pub(super) fn start(path: Arc<Path>, connection: SqliteConnection, options: SqliteConnectOptions) -> Self {
        let (jobs, queue) = mpsc::channel(QUEUE);
        let task = Task {
            path: Arc::clone(&path),
            connection: Some(connection),
            options,
        };
        tokio::spawn(task.run(queue));
        Self { jobs, path }
    }

    /// Runs `act` in a transaction, all of it or nothing, and answers once it is durable.
    /// A caller that goes away after handing it over changes nothing about that.
    pub(super) async fn write<T, F>(&self, act: F) -> Result<T, StoreError>
    where
        F: for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, Result<T, Failed>> + Send + 'static,
        T: Send + 'static,
    {
        let ended = || StoreError::Unavailable {
            reason: format!("the writer of {} has ended; start the host anew", self.path.display()),
        };
        let (caller, answer) = oneshot::channel();
        let work = Work {
            act: Some(act),
            result: None,
            caller,
        };
        self.jobs.send(Box::new(work)).await.map_err(|_| ended())?;
        answer.await.unwrap_or_else(|_| Err(ended()))
    }
}

struct Task {
    path: Arc<Path>,
    connection: Option<SqliteConnection>,
    options: SqliteConnectOptions,
}

impl Task {
    async fn run(mut self, mut queue: mpsc::Receiver<Box<dyn Job>>) {
        let mut batch = Vec::with_capacity(BATCH);
        while queue.recv_many(&mut batch, BATCH).await > 0 {
            let committed = self.transact(&mut batch).await;
            for job in batch.drain(..) {
                job.answer(committed.clone());
            }
        }
        if let Some(connection) = self.connection.take()
            && let Err(error) = connection.close().await
        {
            tracing::warn!(path = %self.path.display(), %error, "the database was not closed cleanly; nothing is lost");
        }
    }

    /// One transaction for all, a savepoint for each unless it is the only one: one that fails undoes itself alone.
    async fn transact(&mut self, batch: &mut [Box<dyn Job>]) -> Result<(), StoreError> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => {
                let made = self.options.connect().await;
                made.map_err(|error| failures::at(&self.path, Failed::from(error)))?
            }
        };
        match commit(&mut connection, batch, &self.path).await {
            Ok(()) => {
                self.connection = Some(connection);
                Ok(())
            }
            // SQLite may have ended the transaction by itself, or left it open: only a new connection is in a known state.
            Err(error) => {
                tracing::error!(%error, jobs = batch.len(), "a transaction failed");
                Err(error)
            }
        }
    }
}

async fn commit(connection: &mut SqliteConnection, batch: &mut [Box<dyn Job>], path: &Path) -> Result<(), StoreError> {
    let at = |error: sqlx::Error| failures::at(path, Failed::from(error));
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await.map_err(at)?;
    if let [alone] = batch {
        return match alone.perform(&mut transaction, path).await {
            Ok(()) => transaction.commit().await.map_err(at),
            Err(failed) => transaction.rollback().await.map_err(|_| failed),
        };
    }
    for job in batch {
        let mut savepoint = transaction.begin().await.map_err(at)?;
        match job.perform(&mut savepoint, path).await {
            Ok(()) => savepoint.commit().await.map_err(at)?,
            // A full disk undoes more than the savepoint; then it is what failed for everybody.
            Err(failed) => savepoint.rollback().await.map_err(|_| failed)?,
        }
    }
    transaction.commit().await.map_err(at)
}

#[cfg(test)]
mod tests;
