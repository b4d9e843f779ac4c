//! The store on PostgreSQL: shared by the hosts that name the same database.
//!
//! Transactions are READ COMMITTED. What a transition decides by is locked first, in a statement of its own, so that what it reads afterwards
//! stands still; what was overtaken is done again. Nothing is kept in a session, so that a pooler may give each transaction another one
//! (`sessions.rs`).

#[macro_use]
mod dialect;
mod days;
mod failures;
mod fleet;
mod limits;
mod line;
mod open;
#[cfg(test)]
mod plans;
mod sessions;
mod transact;
#[path = "transitions/store.rs"]
mod transitions;

use crate::blobs::Objects;
use crate::failures::Failed;
use crate::migrate::TABLES;
use crate::options::StoreOptions;
use crate::seal::Vault;
use dialect::{Connection, Database};
pub use fleet::PostgresFleet;
use fusebox_engine::ports::store::{JOURNAL_KEPT, StoreError};
use futures::future::BoxFuture;
use limits::PostgresLimits;
use line::Line;
use sqlx::Transaction;
use std::sync::Arc;
use std::time::Duration;

/// A store in one database of a PostgreSQL server. Any number of processes and machines may share it.
pub struct PostgresStore {
    /// Server and database, for messages; without the password.
    place: Arc<str>,
    readers: Line,
    vault: Arc<Vault>,
    /// Where components and pages are put; `None` puts them into the database.
    objects: Option<Objects>,
    /// How long the journals of failed runs are kept that became no letter.
    failed_journals: Duration,
}

impl PostgresStore {
    /// A URL without user, password and options, for whoever reads a message.
    #[must_use]
    pub fn shown(url: &str) -> String {
        open::shown(url)
    }

    /// Opens the database of a `postgres://` URL, making the schema where it is missing.
    ///
    /// # Errors
    /// `Unavailable`, with what to do, when it cannot be reached or used, or has the schema of a newer version.
    pub async fn open(url: &str) -> Result<Self, StoreError> {
        Self::open_with(url, StoreOptions::default()).await
    }

    /// As [`PostgresStore::open`], with options.
    ///
    /// # Errors
    /// Those of [`PostgresStore::open`]; `Unavailable` when the key is not that of the database, or the database is not encrypted and not new.
    pub async fn open_with(url: &str, options: StoreOptions) -> Result<Self, StoreError> {
        let vault = Vault::new(options.key.as_ref());
        let (place, folder, line) = open::open(url, &vault).await?;
        Ok(Self {
            place: place.into(),
            readers: line,
            vault: Arc::new(vault),
            objects: options.blobs.map(|blobs| blobs.folder(&folder)),
            failed_journals: JOURNAL_KEPT,
        })
    }

    /// The other hosts of this database.
    #[must_use]
    pub fn fleet(&self) -> PostgresFleet {
        let limits = PostgresLimits {
            line: self.readers.clone(),
            place: Arc::clone(&self.place),
            vault: Arc::clone(&self.vault),
        };
        PostgresFleet::new(self.readers.clone(), Arc::new(limits))
    }

    /// A transaction over everything, which keeps every other writer out.
    async fn everything(&self) -> Result<Transaction<'static, Database>, StoreError> {
        let begun = self.readers.pool().begin_with(self.readers.sessions().begin()).await;
        let mut transaction = begun.map_err(|error| self.failed(error))?;
        let names: Vec<&str> = TABLES.iter().map(|table| table.name).collect();
        let lock = format!("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE", names.join(", "));
        let locked = sqlx::query(&lock).persistent(false).execute(&mut *transaction).await;
        locked.map_err(|error| self.failed(error))?;
        Ok(transaction)
    }

    fn failed(&self, error: impl Into<Failed>) -> StoreError {
        failures::at(&self.place, error.into())
    }

    /// Runs `act` in a transaction, all of it or nothing; a caller that goes away changes nothing about that.
    async fn write<T, F>(&self, act: F) -> Result<T, StoreError>
    where
        F: for<'c> FnOnce(&'c mut Connection, &'c Vault) -> BoxFuture<'c, Result<T, Failed>> + Clone + Send + 'static,
        T: Send + 'static,
    {
        let (line, vault) = (self.readers.clone(), Arc::clone(&self.vault));
        let written = tokio::spawn(async move { transact::write(&line, &vault, act).await }).await;
        written
            .unwrap_or_else(|error| Err(Failed::Database(sqlx::Error::Protocol(error.to_string()))))
            .map_err(|failed| self.failed(failed))
    }
}
