//! Calls of tools by runs: runs of their own, owned through their root.

use super::dialect::Connection;
use super::runs::select;
use super::{finish, holds, journal, runs};
use crate::failures::{Failed, fenced as lost, refused};
use crate::seal::Vault;
use fusebox_core::run::State;
use fusebox_engine::ports::store::{Claim, Fence, Finish, NewRun};
use fusebox_engine::records::{Nested, RunRecord};
use sqlx::Row as _;

pub(super) const TREE: &str = select!("WHERE r.tenant = $1 AND r.root = $2 ORDER BY r.created, r.id");
/// The owner of the root `$2` ends the run `$5`. What succeeded stays so.
pub(super) const END: &str = concat!(
    "UPDATE runs SET tool = $6, state = $7, created = $8, finished = $9, body = $10, clock = NULL WHERE tenant = $1 AND id = $5 ",
    "AND root = $2 AND state <> 'succeeded' AND EXISTS (SELECT 1 FROM runs o WHERE ",
    fenced!("o", "$2", "$3", "$4"),
    ") RETURNING call_key, (SELECT ",
    texts_by!("a.number", "a.body"),
    " FROM attempts a WHERE a.tenant = $1 AND a.run = $5) AS attempts"
);
/// When a nested run's key is free: with its row, which goes with its root's.
const FOREVER: i64 = i64::MAX;

/// Where a nested run stands in its tree.
fn place(run: &RunRecord) -> Result<&Nested, Failed> {
    run.nested
        .as_ref()
        .ok_or_else(|| refused(format!("run {} is a root; it is owned by itself", run.id)))
}

pub(super) async fn claim(
    connection: &mut Connection,
    vault: &Vault,
    new: NewRun,
    fence: Fence,
) -> Result<Claim, Failed> {
    let (tenant, root) = (new.run.tenant.clone(), place(&new.run)?.root.clone());
    journal::owned_in(connection, &tenant, &root, &root, &fence).await?;
    match runs::claim(connection, vault, new).await? {
        Claim::Fresh(_) => Ok(Claim::Fresh(fence)),
        other => Ok(other),
    }
}

pub(super) async fn finish(
    connection: &mut Connection,
    vault: &Vault,
    fence: Fence,
    finish: Finish,
) -> Result<(), Failed> {
    let run = &finish.run;
    holds::run(connection, &run.tenant, place(run)?.root.as_str()).await?;
    let ended = sqlx::query(END)
        .bind(&run.tenant)
        .bind(place(run)?.root.as_str())
        .bind(fence.owner.as_str())
        .bind(fence.epoch)
        .bind(run.id.as_str())
        .bind(&run.tool)
        .bind(&run.state)
        .bind(run.created)
        .bind(run.finished)
        .bind(runs::body(vault, run)?)
        .fetch_optional(&mut *connection)
        .await?;
    let row = ended.ok_or_else(|| lost(format!("run {}", run.id)))?;
    finish::put_attempts(connection, run, &row).await?;
    let state = State::from_name(&run.state);
    if state == Some(State::Succeeded) {
        let dropped = sqlx::query(journal::DROP_ALL).bind(&run.tenant).bind(run.id.as_str());
        dropped.execute(&mut *connection).await?;
    } else {
        journal::put(connection, vault, &run.tenant, &run.id, &finish.journal).await?;
    }
    let Some(key) = row.try_get::<Option<Vec<u8>>, _>("call_key")? else {
        return Ok(());
    };
    let over = state.is_some_and(State::is_over);
    let query = if finish.keep_key || !over {
        let free_at = over.then_some(FOREVER);
        sqlx::query("UPDATE keys SET free_at = $4 WHERE tenant = $1 AND call_key = $2 AND run = $3")
            .bind(&run.tenant)
            .bind(key)
            .bind(run.id.as_str())
            .bind(free_at)
    } else {
        sqlx::query("DELETE FROM keys WHERE tenant = $1 AND call_key = $2 AND run = $3")
            .bind(&run.tenant)
            .bind(key)
            .bind(run.id.as_str())
    };
    query.execute(connection).await?;
    Ok(())
}
