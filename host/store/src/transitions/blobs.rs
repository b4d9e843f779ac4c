//! Pages of snapshots by digest.

use super::dialect::{Connection, Row};
use crate::failures::Failed;
use crate::rows::Unreadable;
use crate::seal::{Place, Vault};
use bytes::Bytes;
use fusebox_core::ids::Digest;
use fusebox_engine::records::{Page, Snapshot};
use sqlx::Row as _;
use std::collections::BTreeSet;

/// Pages of one transaction: a MiB before compression.
pub(super) const PAGES_AT_ONCE: usize = 16;

pub(super) const PAGE: &str = "SELECT tenant, digest, zstd FROM pages WHERE tenant = $1 AND digest = $2";
pub(super) const ORPHANS: &str = concat!(
    "SELECT p.digest AS bytes FROM pages p WHERE p.tenant = $1 AND p.put_at <= ",
    now!(),
    " - $2 AND NOT EXISTS (SELECT 1 FROM snapshot_pages s WHERE s.tenant = p.tenant AND s.digest = p.digest)"
);
pub(super) const DROP_ORPHAN: &str = concat!(
    "DELETE FROM pages WHERE tenant = $1 AND digest = $2 AND put_at <= ",
    now!(),
    " - $3 AND NOT EXISTS (SELECT 1 FROM snapshot_pages s WHERE s.tenant = pages.tenant AND s.digest = pages.digest)"
);

/// The one column of a row that is a blob and nothing else.
pub(super) fn bytes(row: &Row) -> Result<Bytes, Unreadable> {
    Ok(Bytes::from(row.try_get::<Vec<u8>, _>("bytes")?))
}

/// A page, compressed.
pub(super) fn page(vault: &Vault, row: &Row) -> Result<Bytes, Unreadable> {
    let (tenant, digest): (String, Vec<u8>) = (row.try_get("tenant")?, row.try_get("digest")?);
    let digest = Digest(digest.try_into().map_err(|_| Unreadable {
        row: "a page".to_owned(),
        reason: "its digest is no SHA-256".to_owned(),
    })?);
    let zstd = vault.open(Place::new("page", &tenant, &digest.to_string()), row.try_get("zstd")?)?;
    Ok(Bytes::from(zstd.into_owned()))
}

pub(super) async fn put(
    connection: &mut Connection,
    vault: &Vault,
    tenant: String,
    pages: Vec<Page>,
) -> Result<(), Failed> {
    const PUT: &str = concat!(
        "INSERT INTO pages (tenant, digest, zstd, put_at) VALUES ($1, $2, $3, ",
        now!(),
        ") ON CONFLICT (tenant, digest) DO UPDATE SET put_at = excluded.put_at"
    );
    for page in pages {
        let digest = page.digest.to_string();
        let zstd = vault.seal(Place::new("page", &tenant, &digest), &page.zstd)?;
        sqlx::query(PUT)
            .bind(&tenant)
            .bind(page.digest.0.as_slice())
            .bind(zstd.as_ref())
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

/// Digests of the pages that a snapshot needs, each once.
pub(super) fn needed(snapshot: &Snapshot) -> BTreeSet<Digest> {
    let memories = snapshot.instances.iter().flat_map(|instance| &instance.memories);
    memories
        .flat_map(|memory| &memory.stored)
        .map(|page| page.digest)
        .collect()
}

/// Removes those of the pages that no snapshot needs and that were put at least `age` milliseconds ago.
pub(super) async fn drop_orphans(
    connection: &mut Connection,
    tenant: &str,
    digests: &[Vec<u8>],
    age: i64,
) -> Result<(), Failed> {
    for digest in digests {
        sqlx::query(DROP_ORPHAN)
            .bind(tenant)
            .bind(digest)
            .bind(age)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}
