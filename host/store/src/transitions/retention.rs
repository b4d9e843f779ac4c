//! Purging and forgetting, in small transactions so that nobody's heartbeat waits.

use super::dialect::{Connection, Handle, Row};
use super::sql::span;
use super::{blobs, finish, holds, journal, letters};
use crate::blobs::Object;
use crate::failures::Failed;
use fusebox_core::dead_letter::{Kind, State, may_purge};
use fusebox_core::ids::LetterId;
use fusebox_engine::ports::store::{JOURNAL_KEPT, ORPHAN_AFTER, PAGE_GRACE, Store, StoreError};
use futures::future::BoxFuture;
use sqlx::Row as _;
use std::time::Duration;

/// Rows of one transaction.
const PART: usize = 200;

/// The tenants of a table, each found through the index that begins with them.
macro_rules! tenants_of {
    ($table:literal) => {
        concat!(
            "of_",
            $table,
            "(tenant) AS (SELECT MIN(tenant) FROM ",
            $table,
            " UNION ALL SELECT (SELECT MIN(t.tenant) FROM ",
            $table,
            " t WHERE t.tenant > o.tenant) FROM of_",
            $table,
            " o WHERE o.tenant IS NOT NULL)"
        )
    };
}

pub(super) const EXPIRED_LETTERS: &str = concat!(
    "SELECT l.id, l.kind, l.first_failed FROM letters l WHERE l.tenant = $1 AND l.state = 'open' AND l.expires <= ",
    now!(),
    " AND l.kind <> 'in-doubt' AND NOT l.pinned AND NOT EXISTS ",
    "(SELECT 1 FROM runs r WHERE r.tenant = l.tenant AND r.id = l.run AND ",
    goes_on!("r"),
    ") AND NOT ",
    left_open!("l")
);
/// Tenants that have something to forget, found by a step from one to the next.
pub(super) const TENANTS: &str = concat!(
    "WITH RECURSIVE ",
    tenants_of!("runs"),
    ", ",
    tenants_of!("redrives"),
    ", ",
    tenants_of!("errors"),
    " SELECT tenant FROM of_runs WHERE tenant IS NOT NULL ",
    "UNION SELECT tenant FROM of_redrives WHERE tenant IS NOT NULL UNION SELECT tenant FROM of_errors WHERE tenant IS NOT NULL"
);
const PAGES_OF_LETTER: &str = "SELECT digest FROM snapshot_pages WHERE tenant = $1 AND letter = $2";
pub(super) const FORGET_ERRORS: &str = concat!(
    "DELETE FROM errors WHERE id IN (SELECT id FROM errors WHERE tenant = $1 AND at <= ",
    now!(),
    " - $2 LIMIT $3)"
);
pub(super) const FORGET_KEYS: &str = concat!(
    "DELETE FROM keys WHERE ",
    row_id!(),
    " IN (SELECT k.",
    row_id!(),
    " FROM keys k WHERE k.tenant = $1 AND k.free_at <= ",
    now!(),
    " - $2 AND NOT EXISTS (SELECT 1 FROM letters l WHERE l.tenant = k.tenant AND l.run = k.run AND l.state = 'open') ",
    "LIMIT $3)"
);
pub(super) const FORGET_REDRIVES: &str = concat!(
    "DELETE FROM redrives WHERE ",
    row_id!(),
    " IN (SELECT d.",
    row_id!(),
    " FROM redrives d WHERE d.tenant = $1 AND d.ended <= ",
    now!(),
    " - $2 LIMIT $3)"
);
/// Whether nothing needs root `r` any more, nor its tree, `$2` milliseconds after its end.
macro_rules! forgettable {
    () => {
        concat!(
            "r.root IS NULL AND r.finished <= ",
            now!(),
            " - $2 AND r.journal_until IS NULL AND NOT ",
            alive!("r"),
            " AND NOT EXISTS (SELECT 1 FROM letters l WHERE l.tenant = r.tenant AND l.run = r.id ",
            "AND (l.state = 'open' OR l.pinned)) ",
            "AND NOT EXISTS (SELECT 1 FROM keys k WHERE k.tenant = r.tenant AND k.run = r.id)"
        )
    };
}
#[allow(dead_code, reason = "SQLite keeps no days")]
pub(in super::super) const FORGETTABLE: &str = forgettable!();
macro_rules! forgotten_of {
    ($table:expr) => {
        concat!(
            "SELECT r.id, EXISTS (SELECT 1 FROM runs n WHERE n.tenant = r.tenant AND n.root = r.id) AS calls FROM ",
            $table,
            " r WHERE r.tenant = $1 AND ",
            forgettable!(),
            " LIMIT $3",
            for_update_of_free!("r")
        )
    };
}
/// Rows hold the end of the default time; the second parameter is what this store takes off it.
pub(super) const UNWANTED_JOURNALS: &str = concat!(
    "SELECT id FROM runs WHERE tenant = $1 AND journal_until <= ",
    now!(),
    " + $2 LIMIT $3",
    for_update_of_free!("runs")
);
pub(in super::super) const FORGOTTEN_RUNS: &str = forgotten_of!("runs");
pub(super) const LOOSE_RUNS: &str = forgotten_of!(loose_runs!());
pub(super) const BELOW: &str = "SELECT n.id FROM runs n WHERE n.tenant = $1 AND n.root = $2";
/// What hangs on a run, and at last itself.
pub(super) const FORGET_RUN: [&str; 7] = [
    "DELETE FROM state WHERE tenant = $1 AND space = 'run:' || $2",
    "DELETE FROM keys WHERE tenant = $1 AND run = $2",
    "DELETE FROM attempts WHERE tenant = $1 AND run = $2",
    "DELETE FROM journal WHERE tenant = $1 AND run = $2",
    "DELETE FROM approvals WHERE tenant = $1 AND root = $2",
    "DELETE FROM letters WHERE tenant = $1 AND run = $2",
    "DELETE FROM runs WHERE tenant = $1 AND id = $2",
];

/// Whether only letters whose time is over are closed.
type OnlyExpired = bool;

impl Handle {
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
            let part = self.write(move |c, _| Box::pin(purge(c, tenant, part, only_expired)));
            let (part, gone) = part.await?;
            purged.extend(part);
            self.remove_objects(gone).await;
        }
        Ok(purged)
    }

    /// Closes and forgets what is over, in an order in which each step frees what the next one may take.
    pub(super) async fn retain_in_parts(&self, tenant: &str, keep: Duration) -> Result<u64, StoreError> {
        let mut gone = self.let_go(tenant, keep).await?;
        gone += self.forget_runs(FORGOTTEN_RUNS, tenant, keep).await?;
        self.drop_orphans(tenant).await?;
        Ok(gone)
    }

    /// The same for every tenant, with runs forgotten by their days where the store keeps them so. A tenant of which that fails is in nobody's way.
    pub(super) async fn retain_everything(&self, keep: Duration) -> Result<u64, StoreError> {
        let tenants = self.tenants().await?;
        let mut gone = 0;
        for tenant in &tenants {
            gone += logged(tenant, self.let_go(tenant, keep).await);
        }
        gone += self.turn_days(&tenants, keep).await?;
        for tenant in &tenants {
            gone += logged(tenant, self.forget_runs(LOOSE_RUNS, tenant, keep).await);
            logged(tenant, self.drop_orphans(tenant).await.map(|()| 0));
        }
        Ok(gone)
    }

    /// Closes and forgets what keeps runs, and what has nothing to do with them.
    async fn let_go(&self, tenant: &str, keep: Duration) -> Result<u64, StoreError> {
        let expired = self.expired_letters(tenant).await?;
        let closed = self.purge_in_parts(tenant, &expired, true).await?;
        let mut gone = rows(closed.len());
        gone += self.forget(FORGET_ERRORS, tenant, span(keep)).await?;
        gone += self.forget(FORGET_KEYS, tenant, 0).await?;
        gone += self.forget(FORGET_REDRIVES, tenant, span(keep)).await?;
        let earlier = span(JOURNAL_KEPT).saturating_sub(span(self.failed_journals));
        self.in_parts(tenant, move |c, tenant| Box::pin(drop_journals(c, tenant, earlier)))
            .await?;
        Ok(gone)
    }

    /// Forgets the roots that `which` finds, with their trees.
    pub(in super::super) async fn forget_runs(
        &self,
        which: &'static str,
        tenant: &str,
        keep: Duration,
    ) -> Result<u64, StoreError> {
        let age = span(keep);
        self.in_parts(tenant, move |c, tenant| Box::pin(forget_trees(c, which, tenant, age)))
            .await
    }

    /// Letters whose time is over and that nothing keeps: by kind, then oldest first. A row whose id is no id is named and left alone.
    pub(super) async fn expired_letters(&self, tenant: &str) -> Result<Vec<LetterId>, StoreError> {
        let expired = sqlx::query(EXPIRED_LETTERS).bind(tenant);
        let mut rows: Vec<(String, String, i64)> = self
            .whole(expired, |_, row| {
                Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?))
            })
            .await?;
        rows.sort_by(|(a, a_kind, a_first), (b, b_kind, b_first)| (a_kind, a_first, a).cmp(&(b_kind, b_first, b)));
        let ids = rows.iter().filter_map(|(id, ..)| {
            id.parse()
                .inspect_err(|error| tracing::error!(row = %id, "skipped a letter: {error}"))
                .ok()
        });
        Ok(ids.collect())
    }

    /// Runs one of the statements above until it finds nothing more.
    async fn forget(&self, statement: &'static str, tenant: &str, age: i64) -> Result<u64, StoreError> {
        self.in_parts(tenant, move |c, tenant| {
            Box::pin(forget_part(c, statement, tenant, age))
        })
        .await
    }

    /// Runs a small transaction until it finds nothing more; returns how many rows went.
    async fn in_parts<F>(&self, tenant: &str, part: F) -> Result<u64, StoreError>
    where
        F: for<'c> Fn(&'c mut Connection, String) -> BoxFuture<'c, Result<u64, Failed>> + Copy + Send + 'static,
    {
        let mut gone = 0;
        loop {
            let tenant = tenant.to_owned();
            match self.write(move |c, _| part(c, tenant)).await? {
                0 => return Ok(gone),
                rows => gone += rows,
            }
        }
    }

    /// Looks for orphans beside the writer, and asks again of each when it is removed; then for objects without a row.
    async fn drop_orphans(&self, tenant: &str) -> Result<(), StoreError> {
        let age = span(ORPHAN_AFTER);
        let orphans = sqlx::query(blobs::ORPHANS).bind(tenant).bind(age);
        let orphans: Vec<Vec<u8>> = self.whole(orphans, |_, row| Ok(row.try_get("bytes")?)).await?;
        for part in orphans.chunks(PART) {
            let (tenant, part) = (tenant.to_owned(), part.to_vec());
            let gone = self
                .write(move |c, _| Box::pin(async move { blobs::drop_orphans(c, &tenant, &part, age).await }))
                .await?;
            self.remove_objects(gone).await;
        }
        self.sweep(tenant).await;
        Ok(())
    }
}

/// How many rows of a tenant went; why none did is logged.
pub(in super::super) fn logged(tenant: &str, gone: Result<u64, StoreError>) -> u64 {
    gone.unwrap_or_else(|error| {
        tracing::warn!(tenant, %error, "old rows could not be removed");
        0
    })
}

async fn forget_part(
    connection: &mut Connection,
    statement: &'static str,
    tenant: String,
    age: i64,
) -> Result<u64, Failed> {
    let forgotten = sqlx::query(statement).bind(tenant).bind(age).bind(part());
    Ok(forgotten.execute(connection).await?.rows_affected())
}

fn part() -> i64 {
    i64::try_from(PART).unwrap_or(i64::MAX)
}

/// Forgets the journals of runs that nobody resumed in time.
async fn drop_journals(connection: &mut Connection, tenant: String, earlier: i64) -> Result<u64, Failed> {
    let roots = sqlx::query_scalar(UNWANTED_JOURNALS)
        .bind(&tenant)
        .bind(earlier)
        .bind(part());
    let roots: Vec<String> = roots.fetch_all(&mut *connection).await?;
    for root in &roots {
        journal::drop_all(connection, &tenant, root).await?;
    }
    Ok(rows(roots.len()))
}

/// Forgets roots that nothing needs, with their trees.
async fn forget_trees(
    connection: &mut Connection,
    which: &'static str,
    tenant: String,
    age: i64,
) -> Result<u64, Failed> {
    let roots = sqlx::query_as(which).bind(&tenant).bind(age).bind(part());
    let roots: Vec<(String, bool)> = roots.fetch_all(&mut *connection).await?;
    let mut gone = 0;
    for (root, calls) in &roots {
        if *calls {
            gone += forget_below(connection, &tenant, root).await?;
        }
        gone += forget(connection, &tenant, root).await?;
    }
    Ok(gone)
}

/// Forgets what is nested in a root; returns how many runs went.
pub(in super::super) async fn forget_below(
    connection: &mut Connection,
    tenant: &str,
    root: &str,
) -> Result<u64, Failed> {
    let below = sqlx::query_scalar(BELOW).bind(tenant).bind(root);
    let below: Vec<String> = below.fetch_all(&mut *connection).await?;
    let mut gone = 0;
    for run in &below {
        gone += forget(connection, tenant, run).await?;
    }
    Ok(gone)
}

/// Forgets one run; how many went.
async fn forget(connection: &mut Connection, tenant: &str, run: &str) -> Result<u64, Failed> {
    let mut last = 0;
    for statement in FORGET_RUN {
        let done = sqlx::query(statement).bind(tenant).bind(run);
        last = done.execute(&mut *connection).await?.rows_affected();
    }
    Ok(last)
}

fn rows(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

async fn purge(
    connection: &mut Connection,
    tenant: String,
    ids: Vec<LetterId>,
    only_expired: OnlyExpired,
) -> Result<(Vec<LetterId>, Vec<Object>), Failed> {
    let (mut purged, mut gone) = (Vec::new(), Vec::new());
    for id in ids {
        holds::letter(connection, &tenant, &id).await?;
        let found = sqlx::query(letters::TO_PURGE).bind(&tenant).bind(id.as_str());
        let Some(row) = found.fetch_optional(&mut *connection).await? else {
            continue;
        };
        if !may_close(&row, only_expired)? {
            continue;
        }
        sqlx::query("UPDATE letters SET state = 'purged' WHERE tenant = $1 AND id = $2")
            .bind(&tenant)
            .bind(id.as_str())
            .execute(&mut *connection)
            .await?;
        let run: String = row.try_get("run")?;
        let ended = sqlx::query(letters::GIVE_UP).bind(&tenant).bind(&run);
        ended.execute(&mut *connection).await?;
        journal::drop_all(connection, &tenant, &run).await?;
        finish::end_tree(connection, &tenant, &run).await?;
        let pages = sqlx::query_scalar(PAGES_OF_LETTER).bind(&tenant).bind(id.as_str());
        let pages: Vec<Vec<u8>> = pages.fetch_all(&mut *connection).await?;
        letters::drop_snapshot(connection, &tenant, id.as_str()).await?;
        gone.extend(blobs::drop_orphans(connection, &tenant, &pages, span(PAGE_GRACE)).await?);
        purged.push(id);
    }
    Ok((purged, gone))
}

/// Whether a letter can be put away: open, and neither leased, in doubt, pinned, nor with a request whose end nobody knows.
fn may_close(row: &Row, only_expired: OnlyExpired) -> Result<bool, Failed> {
    let (state, kind): (String, String) = (row.try_get("state")?, row.try_get("kind")?);
    let leased = row.try_get::<Option<bool>, _>("leased")? == Some(true);
    let state = if state == "open" && leased { "replaying" } else { &state };
    let known = State::from_name(state).zip(Kind::from_name(&kind));
    let pinned: bool = row.try_get("pinned")?;
    let expired = row.try_get::<Option<bool>, _>("expired")? == Some(true);
    let left_open: bool = row.try_get("left_open")?;
    let may = known.is_some_and(|(state, kind)| may_purge(state, kind, pinned)) && !left_open;
    Ok(may && (expired || !only_expired))
}
