//! What waits for somebody, counted for whoever watches.

use super::dialect::{Pool, rows};
use crate::failures::Failed;
use fusebox_engine::ports::store::Backlog;
use sqlx::Row as _;

/// Open letters are few beside those that are closed, and have an index of their own.
const LETTERS: &str = "SELECT kind, COUNT(*), MIN(first_failed) FROM letters WHERE state = 'open' GROUP BY kind";
const APPROVALS: &str = concat!(
    "SELECT COUNT(*), MIN(asked) FROM approvals WHERE state = 'pending' AND expires > ",
    now!()
);

pub(super) async fn backlog(readers: &Pool) -> Result<Backlog, Failed> {
    let mut backlog = Backlog::default();
    for row in rows(readers, sqlx::query(APPROVALS)).await? {
        backlog.approvals = u64::try_from(row.try_get::<i64, _>(0)?).unwrap_or(0);
        backlog.oldest_approval = row.try_get(1)?;
    }
    for row in rows(readers, sqlx::query(LETTERS)).await? {
        let (kind, count): (String, i64) = (row.try_get(0)?, row.try_get(1)?);
        backlog.add(&kind, u64::try_from(count).unwrap_or(0), row.try_get(2)?);
    }
    Ok(backlog)
}
