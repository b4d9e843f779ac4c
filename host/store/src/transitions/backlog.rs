//! What waits for somebody, counted for whoever watches.

use super::dialect::Pool;
use crate::failures::Failed;
use fusebox_engine::ports::store::Backlog;

/// Open letters are few beside those that are closed, and have an index of their own.
const LETTERS: &str = "SELECT kind, COUNT(*), MIN(first_failed) FROM letters WHERE state = 'open' GROUP BY kind";
const APPROVALS: &str = concat!(
    "SELECT COUNT(*), MIN(asked) FROM approvals WHERE state = 'pending' AND expires > ",
    now!()
);

pub(super) async fn backlog(readers: &Pool) -> Result<Backlog, Failed> {
    let letters: Vec<(String, i64, i64)> = sqlx::query_as(LETTERS).fetch_all(readers).await?;
    let (approvals, oldest_approval): (i64, Option<i64>) = sqlx::query_as(APPROVALS).fetch_one(readers).await?;
    let mut backlog = Backlog {
        approvals: u64::try_from(approvals).unwrap_or(0),
        oldest_approval,
        ..Backlog::default()
    };
    for (kind, count, oldest) in letters {
        backlog.add(&kind, u64::try_from(count).unwrap_or(0), oldest);
    }
    Ok(backlog)
}
