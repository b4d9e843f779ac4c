//! The store on SQLite: one file in WAL mode, one writer, readers beside it.

#[macro_use]
mod dialect;
mod failures;
mod open;
#[cfg(test)]
mod plans;
#[path = "transitions/store.rs"]
mod transitions;
mod writer;

use crate::blobs::Objects;
use crate::failures::Failed;
use crate::options::StoreOptions;
use crate::seal::Vault;
use dialect::{Connection, Database};
use fusebox_engine::ports::store::{JOURNAL_KEPT, StoreError};
use futures::future::BoxFuture;
use sqlx::Transaction;
use sqlx::sqlite::{SqlitePool, SqlitePoolOptions};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use writer::Writer;

/// How long to wait for another process's transaction.
const BUSY: Duration = Duration::from_secs(10);

/// A store in one file. Several processes may have the same file open.
pub struct SqliteStore {
    path: Arc<Path>,
    writer: Writer,
    readers: SqlitePool,
    vault: Arc<Vault>,
    /// Where components and pages are put; `None` puts them into the database.
    objects: Option<Objects>,
    /// How long the journals of failed runs are kept that became no letter.
    failed_journals: Duration,
}

impl SqliteStore {
    /// Opens the database at `path`, making file, folder and schema where they are missing.
    ///
    /// # Errors
    /// `Unavailable`, with what to do, when it cannot be opened, is damaged, encrypted, or has the schema of a newer version.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        Self::open_with(path, StoreOptions::default()).await
    }

    /// As [`SqliteStore::open`], with options.
    ///
    /// # Errors
    /// Those of [`SqliteStore::open`]; `Unavailable` when the key is not that of the database, or the database is not encrypted and not new.
    pub async fn open_with(path: &Path, options: StoreOptions) -> Result<Self, StoreError> {
        Self::open_within(path, options, BUSY).await
    }

    async fn open_within(path: &Path, options: StoreOptions, busy: Duration) -> Result<Self, StoreError> {
        let vault = Vault::new(options.key.as_ref());
        let (connection, folder) = open::open(path, &vault, busy).await?;
        let path: Arc<Path> = path.into();
        Ok(Self {
            writer: Writer::start(Arc::clone(&path), connection, open::writer_options(&path, busy)),
            readers: open::readers(&path, busy),
            vault: Arc::new(vault),
            objects: options.blobs.map(|blobs| blobs.folder(&folder)),
            failed_journals: JOURNAL_KEPT,
            path,
        })
    }

    /// A transaction over everything, which keeps every other writer out.
    async fn everything(&self) -> Result<Transaction<'static, Database>, StoreError> {
        let options = open::writer_options(&self.path, BUSY);
        let pool = SqlitePoolOptions::new().max_connections(1).connect_with(options).await;
        let pool = pool.map_err(|error| self.failed(error))?;
        let begun = pool.begin_with("BEGIN IMMEDIATE").await;
        begun.map_err(|error| self.failed(error))
    }

    /// Runs are all in one table: none are forgotten by their days.
    #[expect(clippy::unused_async, reason = "another store has something to do")]
    async fn turn_days(&self, _: &[String], _: Duration) -> Result<u64, StoreError> {
        Ok(0)
    }

    fn failed(&self, error: impl Into<Failed>) -> StoreError {
        failures::at(&self.path, error.into())
    }

    /// Runs `act` in a transaction, all of it or nothing.
    async fn write<T, F>(&self, act: F) -> Result<T, StoreError>
    where
        F: for<'c> FnOnce(&'c mut Connection, &'c Vault) -> BoxFuture<'c, Result<T, Failed>> + Send + 'static,
        T: Send + 'static,
    {
        let vault = Arc::clone(&self.vault);
        self.writer
            .write(move |connection| Box::pin(async move { act(connection, &vault).await }))
            .await
    }
}
