//! A store that is open: how it is opened, read and written.

use super::{SqliteStore, open};
use crate::failures::Failed;
use crate::rows::{Unreadable, readable};
use crate::seal::Vault;
use crate::sqlite::writer::Writer;
use fusebox_engine::ports::store::{JOURNAL_KEPT, StoreError};
use futures::future::BoxFuture;
use sqlx::query::Query;
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Sqlite, SqliteConnection};
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// How long to wait for another process's transaction.
const BUSY: Duration = Duration::from_secs(10);

/// How a store is opened.
#[derive(Clone, Copy, Default)]
pub struct StoreOptions {
    /// What inputs, outputs, journals, snapshots and state are encrypted with; `None` leaves them as they are.
    pub key: Option<[u8; 32]>,
}

impl fmt::Debug for StoreOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreOptions")
            .field("key", &self.key.map(|_| ".."))
            .finish()
    }
}

pub(super) type Read<'q> = Query<'q, Sqlite, SqliteArguments<'q>>;
pub(super) type Reading<T> = fn(&Vault, &SqliteRow) -> Result<T, Unreadable>;

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

    pub(super) async fn open_within(path: &Path, options: StoreOptions, busy: Duration) -> Result<Self, StoreError> {
        let vault = Vault::new(options.key.as_ref());
        let connection = open::open(path, &vault, busy).await?;
        let path: Arc<Path> = path.into();
        Ok(Self {
            writer: Writer::start(Arc::clone(&path), connection, open::writer_options(&path, busy)),
            readers: open::readers(&path, busy),
            vault: Arc::new(vault),
            failed_journals: JOURNAL_KEPT,
            path,
        })
    }

    /// The same store, which keeps the journals of failed runs that became no letter for another time than [`JOURNAL_KEPT`].
    #[must_use]
    pub fn keep_failed_journals(self, failed_journals: Duration) -> Self {
        Self {
            failed_journals,
            ..self
        }
    }

    pub(super) fn failed(&self, error: impl Into<Failed>) -> StoreError {
        error.into().at(&self.path)
    }

    /// One row, or none.
    pub(super) async fn one<T>(&self, query: Read<'_>, read: Reading<T>) -> Result<Option<T>, StoreError> {
        let row = query.fetch_optional(&self.readers).await;
        let row = row.map_err(|error| self.failed(error))?;
        row.map(|row| read(&self.vault, &row))
            .transpose()
            .map_err(|error| self.failed(error))
    }

    /// Every row that can be read.
    pub(super) async fn all<T>(&self, query: Read<'_>, read: Reading<T>) -> Result<Vec<T>, StoreError> {
        let rows = query.fetch_all(&self.readers).await;
        let rows = rows.map_err(|error| self.failed(error))?;
        Ok(readable(rows.iter().map(|row| read(&self.vault, row))))
    }

    /// Every row, or none when one of them cannot be read.
    pub(super) async fn whole<T>(&self, query: Read<'_>, read: Reading<T>) -> Result<Vec<T>, StoreError> {
        let rows = query.fetch_all(&self.readers).await;
        let rows = rows.map_err(|error| self.failed(error))?;
        let rows = rows.iter().map(|row| read(&self.vault, row));
        rows.collect::<Result<_, _>>().map_err(|error| self.failed(error))
    }

    /// Runs `act` in a transaction, all of it or nothing.
    pub(super) async fn write<T, F>(&self, act: F) -> Result<T, StoreError>
    where
        F: for<'c> FnOnce(&'c mut SqliteConnection, &'c Vault) -> BoxFuture<'c, Result<T, Failed>> + Send + 'static,
        T: Send + 'static,
    {
        let vault = Arc::clone(&self.vault);
        self.writer
            .write(move |connection| Box::pin(async move { act(connection, &vault).await }))
            .await
    }
}
