//! Bulk replays, and how far they are.

use crate::failures::Failed;
use crate::rows::{Unreadable, decode, encode};
use fusebox_engine::records::RedriveRecord;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

pub(super) const ALL: &str = "SELECT id, body FROM redrives WHERE tenant = ?1 ORDER BY started DESC, id DESC";

pub(super) fn redrive(row: &SqliteRow) -> Result<RedriveRecord, Unreadable> {
    let name = format!("redrive {}", row.try_get::<String, _>("id")?);
    decode(&name, row.try_get("body")?)
}

pub(super) async fn put(connection: &mut SqliteConnection, redrive: RedriveRecord) -> Result<(), Failed> {
    sqlx::query(
        "INSERT INTO redrives (tenant, id, started, ended, body) VALUES (?1, ?2, ?3, ?4, ?5) \
         ON CONFLICT DO UPDATE SET started = excluded.started, ended = excluded.ended, body = excluded.body",
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
