//! The history of runs that were not made durable before they started: written in batches, off the call path.

use crate::ports::clock::Clock;
use crate::ports::store::{Finish, Store};
use crate::records::ErrorRecord;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// Entries that may wait to be written; a caller that finds the queue full waits for the store.
const QUEUE: usize = 1024;
/// Entries of one transaction.
const BATCH: usize = 256;
/// How long an entry waits for company.
const LINGER: Duration = Duration::from_millis(50);

enum Entry {
    Finished(Box<Finish>),
    Error(Box<ErrorRecord>),
    Flush(oneshot::Sender<()>),
}

/// The queue's end that the pipeline writes to.
#[derive(Clone)]
pub(crate) struct History {
    queue: mpsc::Sender<Entry>,
}

impl History {
    /// Starts the task that writes; it ends with the last handle.
    pub(crate) fn start(store: Arc<dyn Store>, clock: Arc<dyn Clock>) -> Self {
        let (queue, entries) = mpsc::channel(QUEUE);
        tokio::spawn(write_all(store, clock, entries));
        Self { queue }
    }

    /// Keeps a finished run. A crash before it is written loses it: its caller was answered and nothing depends on it.
    pub(crate) async fn finished(&self, finish: Finish) {
        self.push(Entry::Finished(Box::new(finish))).await;
    }

    /// Keeps a failure that became no letter.
    pub(crate) async fn error(&self, error: ErrorRecord) {
        self.push(Entry::Error(Box::new(error))).await;
    }

    /// Returns once everything before it is written.
    pub(crate) async fn flush(&self) {
        let (done, written) = oneshot::channel();
        self.push(Entry::Flush(done)).await;
        if written.await.is_err() {
            tracing::error!("the history's writer has ended; the last entries are lost");
        }
    }

    async fn push(&self, entry: Entry) {
        if self.queue.send(entry).await.is_err() {
            tracing::error!("the history's writer has ended; an entry is lost");
        }
    }
}

async fn write_all(store: Arc<dyn Store>, clock: Arc<dyn Clock>, mut entries: mpsc::Receiver<Entry>) {
    let mut batch = Vec::with_capacity(BATCH);
    while entries.recv_many(&mut batch, BATCH).await > 0 {
        let flushing = batch.iter().any(|entry| matches!(entry, Entry::Flush(_)));
        if !flushing && batch.len() < BATCH {
            clock.sleep(LINGER).await;
            while batch.len() < BATCH
                && let Ok(entry) = entries.try_recv()
            {
                batch.push(entry);
            }
        }
        write(store.as_ref(), batch.drain(..)).await;
    }
}

async fn write(store: &dyn Store, batch: impl Iterator<Item = Entry>) {
    let (mut finished, mut errors, mut waiting) = (Vec::new(), Vec::new(), Vec::new());
    for entry in batch {
        match entry {
            Entry::Finished(finish) => finished.push(*finish),
            Entry::Error(error) => errors.push(*error),
            Entry::Flush(done) => waiting.push(done),
        }
    }
    if !finished.is_empty() {
        let count = finished.len();
        if let Err(error) = store.record_finished(finished).await {
            tracing::error!(%error, count, "finished runs could not be recorded; their callers were answered");
        }
    }
    if !errors.is_empty() {
        let count = errors.len();
        if let Err(error) = store.append_errors(errors).await {
            tracing::error!(%error, count, "failures could not be added to the error log; their callers were answered");
        }
    }
    for done in waiting {
        // A caller that no longer waits for the flush needs no answer.
        let _ = done.send(());
    }
}
