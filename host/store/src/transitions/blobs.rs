//! Pages of snapshots by digest.

use super::dialect::Connection;
use super::objects;
use crate::blobs::{Blob, Kind, Object};
use crate::failures::Failed;
use crate::rows::Unreadable;
use crate::seal::{Place, Vault};
use bytes::Bytes;
use fusebox_core::ids::Digest;
use fusebox_engine::records::{Page, Snapshot};
use std::collections::BTreeSet;

/// Pages of one transaction: a MiB before compression.
pub(super) const PAGES_AT_ONCE: usize = 16;

pub(super) const PAGE: &str = "SELECT zstd AS bytes, object FROM pages WHERE tenant = $1 AND digest = $2";
pub(super) const ORPHANS: &str = concat!(
    "SELECT p.digest AS bytes FROM pages p WHERE p.tenant = $1 AND p.put_at <= ",
    now!(),
    " - $2 AND NOT EXISTS (SELECT 1 FROM snapshot_pages s WHERE s.tenant = p.tenant AND s.digest = p.digest)"
);
pub(super) const DROP_ORPHAN: &str = concat!(
    "DELETE FROM pages WHERE tenant = $1 AND digest = $2 AND put_at <= ",
    now!(),
    " - $3 AND NOT EXISTS (SELECT 1 FROM snapshot_pages s WHERE s.tenant = pages.tenant AND s.digest = pages.digest) RETURNING digest, object"
);
pub(super) const TOUCH: &str = concat!(
    "UPDATE pages SET put_at = ",
    now!(),
    " WHERE tenant = $1 AND digest = $2"
);

/// A page as it is stored: sealed where there is a key.
pub(super) fn sealed(vault: &Vault, page: &Blob, zstd: &[u8]) -> Result<Bytes, Unreadable> {
    let digest = page.digest.to_string();
    let sealed = vault.seal(Place::new("page", &page.tenant, &digest), zstd)?;
    Ok(Bytes::from(sealed.into_owned()))
}

/// A page, compressed.
pub(super) fn opened(vault: &Vault, page: &Blob, stored: &[u8]) -> Result<Bytes, Unreadable> {
    let digest = page.digest.to_string();
    let zstd = vault.open(Place::new("page", &page.tenant, &digest), stored)?;
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

/// Keeps for longer what is there of the pages; tells the others.
pub(super) async fn touch(connection: &mut Connection, tenant: String, pages: Vec<Page>) -> Result<Vec<Page>, Failed> {
    let mut missing = Vec::new();
    for page in pages {
        let touched = sqlx::query(TOUCH).bind(&tenant).bind(page.digest.0.as_slice());
        if touched.execute(&mut *connection).await?.rows_affected() == 0 {
            missing.push(page);
        }
    }
    Ok(missing)
}

/// Names the objects of pages; tells those that no row has got, because somebody else has put the page meanwhile.
pub(super) async fn name(connection: &mut Connection, put: Vec<Object>) -> Result<Vec<Object>, Failed> {
    const NAME: &str = concat!(
        "INSERT INTO pages (tenant, digest, zstd, object, put_at) VALUES ($1, $2, $3, $4, ",
        now!(),
        ") ON CONFLICT (tenant, digest) DO UPDATE SET put_at = excluded.put_at RETURNING object"
    );
    let mut unnamed = Vec::new();
    for (page, name) in put {
        let named = sqlx::query_scalar(NAME)
            .bind(&page.tenant)
            .bind(page.digest.0.as_slice())
            .bind(b"".as_slice())
            .bind(&name);
        let named: Option<String> = named.fetch_one(&mut *connection).await?;
        if named.as_ref() != Some(&name) {
            unnamed.push((page, name));
        }
    }
    Ok(unnamed)
}

/// Digests of the pages that a snapshot needs, each once.
pub(super) fn needed(snapshot: &Snapshot) -> BTreeSet<Digest> {
    let memories = snapshot.instances.iter().flat_map(|instance| &instance.memories);
    memories
        .flat_map(|memory| &memory.stored)
        .map(|page| page.digest)
        .collect()
}

/// Removes those of the pages that no snapshot needs and that were put at least `age` milliseconds ago; tells their objects.
pub(super) async fn drop_orphans(
    connection: &mut Connection,
    tenant: &str,
    digests: &[Vec<u8>],
    age: i64,
) -> Result<Vec<Object>, Failed> {
    let mut gone = Vec::new();
    for digest in digests {
        let dropped = sqlx::query(DROP_ORPHAN).bind(tenant).bind(digest).bind(age);
        for row in dropped.fetch_all(&mut *connection).await? {
            gone.extend(objects::gone(Kind::Page, tenant, &row)?);
        }
    }
    Ok(gone)
}
