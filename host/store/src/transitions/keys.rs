//! API keys.

use super::dialect::{Connection, Row};
use super::sql::text;
use crate::failures::{Failed, unless_taken};
use crate::rows::{Unreadable, decode, encode};
use fusebox_core::ids::Digest;
use fusebox_engine::records::{KeyRecord, StoredKey};
use sqlx::Row as _;

pub(super) const ONE: &str = "SELECT id, revoked, secret, body FROM api_keys WHERE id = $1";
pub(super) const ALL: &str = "SELECT id, revoked, secret, body FROM api_keys WHERE tenant = $1 ORDER BY created, id";
pub(super) const REVOKE: &str = concat!(
    "UPDATE api_keys SET revoked = COALESCE(revoked, ",
    now!(),
    ") WHERE tenant = $1 AND id = $2 RETURNING id, revoked, secret, body"
);

fn name(id: &str) -> String {
    format!("API key {id}")
}

pub(super) fn stored(row: &Row) -> Result<StoredKey, Unreadable> {
    let id: String = row.try_get("id")?;
    let mut key: KeyRecord = decode(&name(&id), text(row, "body")?)?;
    key.revoked = row.try_get("revoked")?;
    let secret: &[u8] = row.try_get("secret")?;
    let secret = secret.try_into().map_err(|_| Unreadable {
        row: name(&id),
        reason: "the digest of its secret is no SHA-256".to_owned(),
    })?;
    Ok(StoredKey {
        key,
        secret: Digest(secret),
    })
}

pub(super) fn record(row: &Row) -> Result<KeyRecord, Unreadable> {
    stored(row).map(|stored| stored.key)
}

pub(super) async fn put(connection: &mut Connection, stored: StoredKey) -> Result<(), Failed> {
    let key = &stored.key;
    let put = sqlx::query(
        "INSERT INTO api_keys (id, tenant, created, revoked, secret, body) VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(&key.id)
    .bind(&key.tenant)
    .bind(key.created)
    .bind(key.revoked)
    .bind(stored.secret.0.as_slice())
    .bind(encode(&name(&key.id), key)?)
    .execute(connection)
    .await;
    let taken = || format!("key {} exists already; a new key needs a new id", key.id);
    put.map(|_| ()).map_err(|error| unless_taken(error, taken))
}

pub(super) async fn revoke(connection: &mut Connection, tenant: &str, id: &str) -> Result<Option<KeyRecord>, Failed> {
    let revoked = sqlx::query(REVOKE).bind(tenant).bind(id);
    let row = revoked.fetch_optional(connection).await?;
    Ok(row.as_ref().map(record).transpose()?)
}
