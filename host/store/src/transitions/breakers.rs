//! Breakers: written by compare-and-set on their epoch.

use super::dialect::{Connection, Row};
use super::sql::text;
use crate::failures::Failed;
use crate::rows::{Unreadable, decode, encode};
use fusebox_engine::records::BreakerRecord;
use sqlx::Row as _;

pub(super) const ALL: &str = "SELECT key, epoch, body FROM breakers WHERE tenant = $1 ORDER BY key";
pub(super) const ONE: &str = "SELECT key, epoch, body FROM breakers WHERE tenant = $1 AND key = $2";

pub(super) fn breaker(row: &Row) -> Result<BreakerRecord, Unreadable> {
    decode(
        &format!("breaker {}", row.try_get::<String, _>("key")?),
        text(row, "body")?,
    )
}

pub(super) async fn swap(
    connection: &mut Connection,
    tenant: &str,
    expected: i64,
    new: &BreakerRecord,
) -> Result<Option<BreakerRecord>, Failed> {
    let stored = sqlx::query(ONE).bind(tenant).bind(&new.key);
    let mut found = None;
    if let Some(row) = stored.fetch_optional(&mut *connection).await? {
        let epoch: i64 = row.try_get("epoch")?;
        match breaker(&row) {
            Ok(stored) if epoch != expected => return Ok(Some(stored)),
            Ok(_) => {}
            // A breaker guards calls: a row that nobody can read gives way to what a host knows.
            Err(unreadable) => tracing::error!(row = %unreadable.row, "replaced: {unreadable}"),
        }
        found = Some(epoch);
    }
    let swapped = sqlx::query(
        "INSERT INTO breakers (tenant, key, epoch, body) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (tenant, key) DO UPDATE SET epoch = excluded.epoch, body = excluded.body WHERE breakers.epoch = $5",
    )
    .bind(tenant)
    .bind(&new.key)
    .bind(new.epoch)
    .bind(encode(&format!("breaker {}", new.key), new)?)
    .bind(found)
    .execute(connection)
    .await?;
    if swapped.rows_affected() == 0 {
        return Err(Failed::Overtaken(format!("breaker {}", new.key)));
    }
    Ok(None)
}
