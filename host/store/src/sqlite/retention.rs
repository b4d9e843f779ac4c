//! Purging and forgetting, in small transactions so that nobody's heartbeat waits.

use crate::failures::Failed;
use crate::sqlite::SqliteStore;
use crate::sqlite::sql::{alive, now, span};
use crate::sqlite::{blobs, letters};
use fusebox_core::ids::LetterId;
use fusebox_engine::ports::store::{ORPHAN_AFTER, PAGE_GRACE, StoreError};
use sqlx::SqliteConnection;
use std::time::Duration;

/// Rows of one transaction.
const PART: usize = 200;

pub(super) const EXPIRED_LETTERS: &str = concat!(
    "SELECT id FROM letters WHERE tenant = ?1 AND state = 'open' AND expires <= ",
    now!(),
    " AND kind <> 'in-doubt'"
);
const PAGES_OF_LETTER: &str = "SELECT digest FROM snapshot_pages WHERE tenant = ?1 AND letter = ?2";
pub(super) const FORGET_ERRORS: &str = concat!(
    "DELETE FROM errors WHERE id IN (SELECT id FROM errors WHERE tenant = ?1 AND at <= ",
    now!(),
    " - ?2 LIMIT ?3)"
);
pub(super) const FORGET_KEYS: &str = concat!(
    "DELETE FROM keys WHERE rowid IN (SELECT k.rowid FROM keys k WHERE k.tenant = ?1 AND k.free_at <= ",
    now!(),
    " - ?2 AND NOT EXISTS (SELECT 1 FROM letters l WHERE l.tenant = k.tenant AND l.run = k.run AND l.state = 'open') ",
    "LIMIT ?3)"
);
pub(super) const FORGET_RUNS: &str = concat!(
    "DELETE FROM runs WHERE rowid IN (SELECT r.rowid FROM runs r WHERE r.tenant = ?1 AND r.finished <= ",
    now!(),
    " - ?2 AND NOT ",
    alive!("r"),
    " AND NOT EXISTS (SELECT 1 FROM letters l WHERE l.tenant = r.tenant AND l.run = r.id AND l.state = 'open') ",
    "AND NOT EXISTS (SELECT 1 FROM keys k WHERE k.tenant = r.tenant AND k.run = r.id) LIMIT ?3)"
);

/// Whether only letters whose time is over are closed.
type OnlyExpired = Option<bool>;

impl SqliteStore {
    /// Closes letters that are neither leased nor in doubt, and ends their runs, with the pages that nothing else needs; returns those closed.
    pub(super) async fn purge_in_parts(
        &self,
        tenant: &str,
        ids: &[LetterId],
        only_expired: OnlyExpired,
    ) -> Result<Vec<LetterId>, StoreError> {
        let mut purged = Vec::new();
        for part in ids.chunks(PART) {
            let (tenant, part) = (tenant.to_owned(), part.to_vec());
            purged.extend(
                self.writer
                    .write(move |c| Box::pin(purge(c, tenant, part, only_expired)))
                    .await?,
            );
        }
        Ok(purged)
    }

    /// Closes and forgets what is over, in an order in which each step frees what the next one may take.
    pub(super) async fn retain_in_parts(&self, tenant: &str, keep: Duration) -> Result<u64, StoreError> {
        let expired = sqlx::query_scalar(EXPIRED_LETTERS).bind(tenant);
        let expired: Vec<String> = expired.fetch_all(&self.readers).await.map_err(|e| self.failed(e))?;
        // A row whose id is no id is named and left alone.
        let expired: Vec<LetterId> = expired
            .iter()
            .filter_map(|id| {
                id.parse()
                    .inspect_err(|error| tracing::error!(row = %id, "skipped a letter: {error}"))
                    .ok()
            })
            .collect();
        let closed = self.purge_in_parts(tenant, &expired, Some(true)).await?;
        let mut gone = u64::try_from(closed.len()).unwrap_or(u64::MAX);
        gone += self.forget(FORGET_ERRORS, tenant, span(keep)).await?;
        gone += self.forget(FORGET_KEYS, tenant, 0).await?;
        gone += self.forget(FORGET_RUNS, tenant, span(keep)).await?;
        self.drop_orphans(tenant).await?;
        Ok(gone)
    }

    /// Runs one of the statements above until it finds nothing more.
    async fn forget(&self, statement: &'static str, tenant: &str, age: i64) -> Result<u64, StoreError> {
        let mut gone = 0;
        loop {
            let tenant = tenant.to_owned();
            match self
                .writer
                .write(move |c| Box::pin(forget_part(c, statement, tenant, age)))
                .await?
            {
                0 => return Ok(gone),
                rows => gone += rows,
            }
        }
    }

    /// Looks for orphans beside the writer, and asks again of each when it is removed.
    async fn drop_orphans(&self, tenant: &str) -> Result<(), StoreError> {
        let age = span(ORPHAN_AFTER);
        let orphans = sqlx::query_scalar(blobs::ORPHANS).bind(tenant).bind(age);
        let orphans: Vec<Vec<u8>> = orphans.fetch_all(&self.readers).await.map_err(|e| self.failed(e))?;
        for part in orphans.chunks(PART) {
            let (tenant, part) = (tenant.to_owned(), part.to_vec());
            self.writer
                .write(move |c| Box::pin(async move { blobs::drop_orphans(c, &tenant, &part, age).await }))
                .await?;
        }
        Ok(())
    }
}

async fn forget_part(
    connection: &mut SqliteConnection,
    statement: &'static str,
    tenant: String,
    age: i64,
) -> Result<u64, Failed> {
    let part = i64::try_from(PART).unwrap_or(i64::MAX);
    let forgotten = sqlx::query(statement).bind(tenant).bind(age).bind(part);
    Ok(forgotten.execute(connection).await?.rows_affected())
}

async fn purge(
    connection: &mut SqliteConnection,
    tenant: String,
    ids: Vec<LetterId>,
    only_expired: OnlyExpired,
) -> Result<Vec<LetterId>, Failed> {
    let mut purged = Vec::new();
    for id in ids {
        let closed = sqlx::query(letters::PURGE)
            .bind(&tenant)
            .bind(id.as_str())
            .bind(only_expired);
        if closed.execute(&mut *connection).await?.rows_affected() == 0 {
            continue;
        }
        let ended = sqlx::query(letters::GIVE_UP).bind(&tenant).bind(id.as_str());
        ended.execute(&mut *connection).await?;
        let pages = sqlx::query_scalar(PAGES_OF_LETTER).bind(&tenant).bind(id.as_str());
        let pages: Vec<Vec<u8>> = pages.fetch_all(&mut *connection).await?;
        letters::drop_snapshot(connection, &tenant, id.as_str()).await?;
        blobs::drop_orphans(connection, &tenant, &pages, span(PAGE_GRACE)).await?;
        purged.push(id);
    }
    Ok(purged)
}
