//! Breakers: written by compare-and-set on their epoch.

use crate::failures::Failed;
use crate::rows::{Unreadable, decode, encode};
use fusebox_engine::records::BreakerRecord;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

pub(super) const ALL: &str = "SELECT key, epoch, body FROM breakers WHERE tenant = ?1 ORDER BY key";
pub(super) const ONE: &str = "SELECT key, epoch, body FROM breakers WHERE tenant = ?1 AND key = ?2";

pub(super) fn breaker(row: &SqliteRow) -> Result<BreakerRecord, Unreadable> {
    decode(
        &format!("breaker {}", row.try_get::<String, _>("key")?),
        row.try_get("body")?,
    )
}

pub(super) async fn swap(
    connection: &mut SqliteConnection,
    tenant: &str,
    expected: i64,
    new: &BreakerRecord,
) -> Result<Option<BreakerRecord>, Failed> {
    let stored = sqlx::query(ONE).bind(tenant).bind(&new.key);
    if let Some(row) = stored.fetch_optional(&mut *connection).await?
        && row.try_get::<i64, _>("epoch")? != expected
    {
        match breaker(&row) {
            Ok(stored) => return Ok(Some(stored)),
            // A breaker guards calls: a row that nobody can read gives way to what a host knows.
            Err(unreadable) => tracing::error!(row = %unreadable.row, "replaced: {unreadable}"),
        }
    }
    sqlx::query(
        "INSERT INTO breakers (tenant, key, epoch, body) VALUES (?1, ?2, ?3, ?4) \
         ON CONFLICT DO UPDATE SET epoch = excluded.epoch, body = excluded.body",
    )
    .bind(tenant)
    .bind(&new.key)
    .bind(new.epoch)
    .bind(encode(&format!("breaker {}", new.key), new)?)
    .execute(connection)
    .await?;
    Ok(None)
}
