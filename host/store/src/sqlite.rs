//! The store on SQLite: one file in WAL mode, one writer, readers beside it.

mod blobs;
mod breakers;
mod errors;
mod letters;
mod open;
#[cfg(test)]
mod plans;
mod retention;
mod runs;
mod sql;
mod tools;
mod writer;

use crate::failures::Failed;
use crate::rows::{Unreadable, readable};
use async_trait::async_trait;
use bytes::Bytes;
use fusebox_core::ids::{Digest, LetterId, OwnerId, RunId};
use fusebox_engine::ports::store::{
    Claim, Fence, Finish, LetterFilter, NewRun, RunFilter, Store, StoreError, ToolChange,
};
use fusebox_engine::records::{AttemptRecord, BreakerRecord, ErrorRecord, LetterRecord, Page, RunRecord, ToolRecord};
use sqlx::Sqlite;
use sqlx::query::Query;
use sqlx::sqlite::{SqliteArguments, SqlitePool, SqliteRow};
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
}

impl SqliteStore {
    /// Opens the database at `path`, making file, folder and schema where they are missing.
    ///
    /// # Errors
    /// `Unavailable`, with what to do, when it cannot be opened, is damaged, or has the schema of a newer version.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        Self::open_within(path, BUSY).await
    }

    async fn open_within(path: &Path, busy: Duration) -> Result<Self, StoreError> {
        let connection = open::open(path, busy).await?;
        let path: Arc<Path> = path.into();
        Ok(Self {
            writer: Writer::start(Arc::clone(&path), connection, open::writer_options(&path, busy)),
            readers: open::readers(&path, busy),
            path,
        })
    }

    fn failed(&self, error: impl Into<Failed>) -> StoreError {
        error.into().at(&self.path)
    }

    /// One row, or none.
    async fn one<T>(&self, query: Read<'_>, read: Reading<T>) -> Result<Option<T>, StoreError> {
        let row = query.fetch_optional(&self.readers).await;
        let row = row.map_err(|error| self.failed(error))?;
        row.map(|row| read(&row))
            .transpose()
            .map_err(|error| self.failed(error))
    }

    /// Every row that can be read.
    async fn all<T>(&self, query: Read<'_>, read: Reading<T>) -> Result<Vec<T>, StoreError> {
        let rows = query.fetch_all(&self.readers).await;
        let rows = rows.map_err(|error| self.failed(error))?;
        Ok(readable(rows.iter().map(read)))
    }
}

type Read<'q> = Query<'q, Sqlite, SqliteArguments<'q>>;
type Reading<T> = fn(&SqliteRow) -> Result<T, Unreadable>;

#[async_trait]
impl Store for SqliteStore {
    async fn deploy(&self, tool: ToolRecord, component: Bytes) -> Result<(ToolRecord, bool), StoreError> {
        self.writer
            .write(move |c| Box::pin(tools::deploy(c, tool, component)))
            .await
    }

    async fn tools(&self, tenant: &str) -> Result<Vec<ToolRecord>, StoreError> {
        self.all(sqlx::query(tools::NEWEST_OF_ALL).bind(tenant), tools::tool)
            .await
    }

    async fn tool(&self, tenant: &str, name: &str) -> Result<Option<ToolRecord>, StoreError> {
        self.one(sqlx::query(tools::NEWEST).bind(tenant).bind(name), tools::tool)
            .await
    }

    async fn tool_version(&self, tenant: &str, name: &str, number: i64) -> Result<Option<ToolRecord>, StoreError> {
        let query = sqlx::query(tools::VERSION).bind(tenant).bind(name).bind(number);
        self.one(query, tools::tool).await
    }

    async fn change_tool(&self, tenant: &str, name: &str, change: ToolChange) -> Result<bool, StoreError> {
        let (tenant, name) = (tenant.to_owned(), name.to_owned());
        self.writer
            .write(move |c| Box::pin(async move { tools::change(c, &tenant, &name, change).await }))
            .await
    }

    async fn component(&self, tenant: &str, digest: Digest) -> Result<Option<Bytes>, StoreError> {
        let query = sqlx::query(tools::COMPONENT).bind(tenant).bind(digest.0.to_vec());
        self.one(query, blobs::bytes).await
    }

    async fn claim(&self, new: NewRun) -> Result<Claim, StoreError> {
        self.writer.write(move |c| Box::pin(runs::claim(c, new))).await
    }

    async fn renew(&self, tenant: &str, run: &RunId, fence: &Fence, lease: Duration) -> Result<(), StoreError> {
        let (tenant, run, fence) = (tenant.to_owned(), run.clone(), fence.clone());
        self.writer
            .write(move |c| Box::pin(async move { runs::renew(c, &tenant, &run, &fence, lease).await }))
            .await
    }

    async fn record_attempt(
        &self,
        tenant: &str,
        run: &RunId,
        fence: &Fence,
        attempt: &AttemptRecord,
    ) -> Result<(), StoreError> {
        let (tenant, run, fence, attempt) = (tenant.to_owned(), run.clone(), fence.clone(), attempt.clone());
        self.writer
            .write(move |c| Box::pin(async move { runs::add_attempt(c, &tenant, &run, &fence, &attempt).await }))
            .await
    }

    async fn finish(&self, fence: &Fence, finish: Finish) -> Result<(), StoreError> {
        let fence = fence.clone();
        self.writer
            .write(move |c| Box::pin(runs::finish(c, fence, finish)))
            .await
    }

    async fn record_finished(&self, finished: Vec<Finish>) -> Result<(), StoreError> {
        self.writer
            .write(move |c| Box::pin(runs::record_finished(c, finished)))
            .await
    }

    async fn runs(&self, tenant: &str, filter: &RunFilter) -> Result<Vec<RunRecord>, StoreError> {
        self.all(runs::list(tenant, filter).build(), runs::run).await
    }

    async fn run(&self, tenant: &str, id: &RunId) -> Result<Option<RunRecord>, StoreError> {
        self.one(sqlx::query(runs::ONE).bind(tenant).bind(id.as_str()), runs::run)
            .await
    }

    async fn letters(&self, tenant: &str, filter: &LetterFilter) -> Result<Vec<LetterRecord>, StoreError> {
        self.all(letters::list(tenant, filter).build(), letters::letter).await
    }

    async fn letter(&self, tenant: &str, id: &LetterId) -> Result<Option<LetterRecord>, StoreError> {
        self.one(
            sqlx::query(letters::ONE).bind(tenant).bind(id.as_str()),
            letters::letter,
        )
        .await
    }

    async fn letter_of(&self, tenant: &str, run: &RunId) -> Result<Option<LetterRecord>, StoreError> {
        let query = sqlx::query(letters::NEWEST_OF_RUN).bind(tenant).bind(run.as_str());
        self.one(query, letters::letter).await
    }

    async fn lease_letter(
        &self,
        tenant: &str,
        id: &LetterId,
        owner: &OwnerId,
        lease: Duration,
    ) -> Result<(LetterRecord, Fence), StoreError> {
        let (tenant, id, owner) = (tenant.to_owned(), id.clone(), owner.clone());
        self.writer
            .write(move |c| Box::pin(async move { letters::lease(c, &tenant, &id, owner, lease).await }))
            .await
    }

    async fn release_letter(&self, tenant: &str, id: &LetterId, fence: &Fence) -> Result<(), StoreError> {
        let (tenant, id, fence) = (tenant.to_owned(), id.clone(), fence.clone());
        self.writer
            .write(move |c| Box::pin(async move { letters::release(c, &tenant, &id, &fence).await }))
            .await
    }

    async fn purge(&self, tenant: &str, ids: &[LetterId]) -> Result<Vec<LetterId>, StoreError> {
        self.purge_in_parts(tenant, ids, None).await
    }

    async fn retain(&self, tenant: &str, keep_runs: Duration) -> Result<u64, StoreError> {
        self.retain_in_parts(tenant, keep_runs).await
    }

    async fn put_pages(&self, tenant: &str, pages: &[Page]) -> Result<(), StoreError> {
        // Small transactions, so that a large snapshot delays nobody's heartbeat.
        for part in pages.chunks(blobs::PAGES_AT_ONCE) {
            let (tenant, part) = (tenant.to_owned(), part.to_vec());
            self.writer
                .write(move |c| Box::pin(blobs::put(c, tenant, part)))
                .await?;
        }
        Ok(())
    }

    async fn page(&self, tenant: &str, digest: Digest) -> Result<Option<Bytes>, StoreError> {
        let query = sqlx::query(blobs::PAGE).bind(tenant).bind(digest.0.to_vec());
        self.one(query, blobs::bytes).await
    }

    async fn breakers(&self, tenant: &str) -> Result<Vec<BreakerRecord>, StoreError> {
        self.all(sqlx::query(breakers::ALL).bind(tenant), breakers::breaker)
            .await
    }

    async fn swap_breaker(
        &self,
        tenant: &str,
        expected: i64,
        breaker: &BreakerRecord,
    ) -> Result<Option<BreakerRecord>, StoreError> {
        let (tenant, breaker) = (tenant.to_owned(), breaker.clone());
        self.writer
            .write(move |c| Box::pin(async move { breakers::swap(c, &tenant, expected, &breaker).await }))
            .await
    }

    async fn append_errors(&self, errors: Vec<ErrorRecord>) -> Result<(), StoreError> {
        self.writer.write(move |c| Box::pin(errors::append(c, errors))).await
    }

    async fn errors(&self, tenant: &str, tool: Option<&str>, limit: u32) -> Result<Vec<ErrorRecord>, StoreError> {
        self.all(errors::list(tenant, tool, limit).build(), errors::error).await
    }
}
