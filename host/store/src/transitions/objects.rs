//! Components and pages wherever they are: in their rows, or in objects that the rows name.

use super::dialect::{Connection, Handle, Row};
use super::sql::span;
use super::{blobs, tools};
use crate::blobs::{Blob, Kind, Object};
use crate::failures::Failed;
use crate::rows::Unreadable;
use bytes::Bytes;
use fusebox_core::ids::Digest;
use fusebox_engine::ports::store::{ORPHAN_AFTER, StoreError};
use fusebox_engine::records::{Page, ToolRecord};
use futures::TryStreamExt;
use futures::stream::{self, StreamExt};
use sqlx::Row as _;

/// Objects that are put at once for one snapshot.
const AT_ONCE: usize = 8;
/// Objects whose rows are looked up at once.
const PART: usize = 500;
pub(super) const FOLDER: &str = "SELECT folder FROM objects";
/// The objects that rows name, of the kinds in their order, between two digests.
pub(super) const NAMED: [&str; 2] = [
    "SELECT digest, object FROM components WHERE tenant = $1 AND digest BETWEEN $2 AND $3 AND object IS NOT NULL",
    "SELECT digest, object FROM pages WHERE tenant = $1 AND digest BETWEEN $2 AND $3 AND object IS NOT NULL",
];

/// The folder of this database's objects.
pub(in super::super) async fn folder(connection: &mut Connection) -> Result<String, Failed> {
    Ok(sqlx::query_scalar(FOLDER).fetch_one(connection).await?)
}

/// What a row keeps.
pub(super) enum Kept {
    /// It is in the row.
    Here(Bytes),
    /// It is in the object of that name.
    There(String),
}

pub(super) fn kept(row: &Row) -> Result<Kept, Unreadable> {
    Ok(match row.try_get("object")? {
        Some(object) => Kept::There(object),
        None => Kept::Here(Bytes::from(row.try_get::<Vec<u8>, _>("bytes")?)),
    })
}

/// A digest as it is stored.
pub(super) fn digest(row: &Row) -> Result<Digest, Unreadable> {
    let digest: Vec<u8> = row.try_get("digest")?;
    Ok(Digest(digest.try_into().map_err(|_| Unreadable {
        row: "a component or page".to_owned(),
        reason: "its digest is no SHA-256".to_owned(),
    })?))
}

/// The object that a row named which is gone, if it named one.
pub(super) fn gone(kind: Kind, tenant: &str, row: &Row) -> Result<Option<Object>, Unreadable> {
    let name: Option<String> = row.try_get("object")?;
    let blob = Blob::new(kind, tenant, digest(row)?);
    Ok(name.map(|name| (blob, name)))
}

impl Handle {
    /// What was kept, as it was put: pages may be sealed.
    pub(super) async fn blob(&self, blob: &Blob) -> Result<Option<Bytes>, StoreError> {
        let mut missing: Option<String> = None;
        loop {
            let statement = match blob.kind {
                Kind::Component => tools::COMPONENT,
                Kind::Page => blobs::PAGE,
            };
            let row = sqlx::query(statement).bind(&blob.tenant).bind(blob.digest.0.to_vec());
            let name = match self.one(row, |_, row| kept(row)).await? {
                None => return Ok(None),
                Some(Kept::Here(bytes)) => return Ok(Some(bytes)),
                Some(Kept::There(name)) => name,
            };
            let objects = self.objects.as_ref().ok_or_else(|| StoreError::Unavailable {
                reason: format!(
                    "{blob} is kept outside of the database, and no place for that is set. Set `blobs.store` in the operator's file to where it is"
                ),
            })?;
            if let Some(bytes) = objects.get(blob, &name).await? {
                return Ok(Some(bytes));
            }
            // A row that has gone took its object along; one that names another object is read again.
            if missing.as_ref() == Some(&name) {
                return Err(objects.lost(blob, &name));
            }
            missing = Some(name);
        }
    }

    /// Adds a version. Crash before its transaction: an object that no row names.
    pub(super) async fn deploy_whole(
        &self,
        tool: ToolRecord,
        component: Bytes,
    ) -> Result<(ToolRecord, bool), StoreError> {
        tools::check(&tool, &component).map_err(|error| self.failed(error))?;
        let blob = Blob::new(Kind::Component, &tool.tenant, tool.component);
        let Some(objects) = &self.objects else {
            let (deployed, _) = self
                .write(move |c, _| Box::pin(tools::deploy(c, tool, component, None)))
                .await?;
            return Ok(deployed);
        };
        let name = objects.put(&blob, component).await?;
        let object = Some(name.clone());
        let (deployed, named) = self
            .write(move |c, _| Box::pin(tools::deploy(c, tool, Bytes::new(), object)))
            .await?;
        if !named {
            objects.remove(vec![(blob, name)]).await;
        }
        Ok(deployed)
    }

    /// Keeps pages, those that are there already for longer. Crash between: objects that no row names.
    pub(super) async fn put_pages_whole(&self, tenant: &str, pages: &[Page]) -> Result<(), StoreError> {
        // Small transactions, so that a large snapshot delays nobody's heartbeat.
        for part in pages.chunks(blobs::PAGES_AT_ONCE) {
            let (tenant, part) = (tenant.to_owned(), part.to_vec());
            if self.objects.is_some() {
                self.put_objects(tenant, part).await?;
            } else {
                self.write(move |c, vault| Box::pin(blobs::put(c, vault, tenant, part)))
                    .await?;
            }
        }
        Ok(())
    }

    async fn put_objects(&self, tenant: String, pages: Vec<Page>) -> Result<(), StoreError> {
        let Some(objects) = &self.objects else { return Ok(()) };
        let of = tenant.clone();
        let missing = self.write(move |c, _| Box::pin(blobs::touch(c, of, pages))).await?;
        let put = missing.into_iter().map(|page| {
            let blob = Blob::new(Kind::Page, &tenant, page.digest);
            async move {
                let bytes = blobs::sealed(&self.vault, &blob, &page.zstd).map_err(|error| self.failed(error))?;
                let name = objects.put(&blob, bytes).await?;
                Ok::<_, StoreError>((blob, name))
            }
        });
        let put: Vec<Object> = stream::iter(put).buffered(AT_ONCE).try_collect().await?;
        let unnamed = self.write(move |c, _| Box::pin(blobs::name(c, put))).await?;
        if !unnamed.is_empty() {
            objects.remove(unnamed).await;
        }
        Ok(())
    }

    /// Removes the objects that rows named which are gone.
    pub(super) async fn remove_objects(&self, gone: Vec<Object>) {
        if gone.is_empty() {
            return;
        }
        match &self.objects {
            Some(objects) => objects.remove(gone).await,
            None => tracing::warn!(
                objects = gone.len(),
                "what was removed leaves objects outside of the database, and no place for them is set; they are swept up once `blobs.store` is"
            ),
        }
    }

    /// Sweeps up the objects of a tenant that were put a day ago and that no row names. Those that cannot be are left to the next time.
    pub(super) async fn sweep(&self, tenant: &str) {
        if let Err(error) = self.sweep_older(tenant, span(ORPHAN_AFTER)).await {
            tracing::warn!(tenant, %error, "objects that no row names could not be swept up");
        }
    }

    async fn sweep_older(&self, tenant: &str, age: i64) -> Result<(), StoreError> {
        let Some(objects) = &self.objects else { return Ok(()) };
        let now = self.now().await?;
        let mut older = objects.older(tenant, now.saturating_sub(age)).try_chunks(PART);
        loop {
            let part = match older.next().await {
                None => return Ok(()),
                Some(part) => part.map_err(|error| error.1)?,
            };
            let unnamed = self.unnamed(tenant, part).await?;
            if !unnamed.is_empty() {
                tracing::info!(tenant, objects = unnamed.len(), "swept up objects that no row names");
                objects.remove(unnamed).await;
            }
        }
    }

    /// Those of the objects that no row names.
    async fn unnamed(&self, tenant: &str, objects: Vec<Object>) -> Result<Vec<Object>, StoreError> {
        let mut unnamed = Vec::new();
        for (kind, statement) in Kind::ALL.into_iter().zip(NAMED) {
            let of_kind: Vec<_> = objects.iter().filter(|(blob, _)| blob.kind == kind).collect();
            let digests = of_kind.iter().map(|(blob, _)| blob.digest.0);
            let (Some(first), Some(last)) = (digests.clone().min(), digests.max()) else {
                continue;
            };
            let rows = sqlx::query(statement)
                .bind(tenant)
                .bind(first.to_vec())
                .bind(last.to_vec());
            let named: Vec<(Digest, String)> = self
                .whole(rows, |_, row| Ok((digest(row)?, row.try_get("object")?)))
                .await?;
            let is_named = |(blob, name): &&&Object| {
                named
                    .iter()
                    .any(|(digest, named)| *digest == blob.digest && named == name)
            };
            unnamed.extend(
                of_kind
                    .iter()
                    .filter(|object| !is_named(object))
                    .map(|object| (*object).clone()),
            );
        }
        Ok(unnamed)
    }
}
