//! Bulk replays, and how far they are.

use super::dialect::{Connection, Row};
use super::sql::{span, text};
use crate::failures::Failed;
use crate::rows::{Unreadable, decode, encode};
use fusebox_core::ids::{OwnerId, RedriveId};
use fusebox_engine::records::RedriveRecord;
use sqlx::Row as _;
use std::time::Duration;

pub(super) const ALL: &str = "SELECT id, body FROM redrives WHERE tenant = $1 ORDER BY started DESC, id DESC";
pub(super) const RUNNING: &str = "SELECT id, body FROM redrives WHERE ended IS NULL ORDER BY started, id";
pub(super) const HOLD: &str = concat!(
    "UPDATE redrives SET holder = $3, held_until = ",
    now!(),
    " + $4 WHERE tenant = $1 AND id = $2 AND ended IS NULL AND (holder IS NULL OR holder = $3 OR held_until <= ",
    now!(),
    ")"
);

pub(super) fn redrive(row: &Row) -> Result<RedriveRecord, Unreadable> {
    let name = format!("redrive {}", row.try_get::<String, _>("id")?);
    decode(&name, text(row, "body")?)
}

pub(super) async fn put(connection: &mut Connection, redrive: RedriveRecord) -> Result<(), Failed> {
    sqlx::query(
        "INSERT INTO redrives (tenant, id, started, ended, body) VALUES ($1, $2, $3, $4, $5) \
         ON CONFLICT (tenant, id) DO UPDATE SET started = excluded.started, ended = excluded.ended, body = excluded.body",
    )
    .bind(&redrive.tenant)
    .bind(redrive.id.as_str())
    .bind(redrive.started)
    .bind(redrive.ended)
    .bind(encode(&format!("redrive {}", redrive.id), &redrive)?)
    .execute(connection)
    .await?;
    Ok(())
}

/// Gives it to an owner for so long; `false` when somebody else has it, or when it is over.
pub(super) async fn hold(
    connection: &mut Connection,
    tenant: &str,
    id: &RedriveId,
    owner: &OwnerId,
    time: Duration,
) -> Result<bool, Failed> {
    let held = sqlx::query(HOLD).bind(tenant).bind(id.as_str()).bind(owner.as_str());
    let held = held.bind(span(time)).execute(connection).await?;
    Ok(held.rows_affected() == 1)
}
