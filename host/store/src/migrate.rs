//! Everything of one database into an empty one of whatever kind, row by row, and compared by digest before it counts.
//!
//! Sealed values are copied as they are: what they are bound to is the same in both. Objects that rows name are copied by their store into the
//! folder of the other database, so that each has its own.

use crate::blobs::{Blob, Kind as BlobKind, Object, Objects};
use crate::options::StoreOptions;
use crate::postgres::PostgresStore;
use crate::sqlite::SqliteStore;
use async_trait::async_trait;
use fusebox_core::ids::Digest;
use fusebox_engine::ports::store::StoreError;
use fusebox_engine::requests::digest_of;
use futures::TryStreamExt;
use futures::stream::{self, StreamExt};
use std::path::PathBuf;

mod tables;

pub(crate) use tables::{Kind, TABLES, Table};

/// Rows that are read and written at once.
pub(crate) const PART: i64 = 500;
/// Objects that are copied at once.
const AT_ONCE: usize = 8;

/// A database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A SQLite file.
    File(PathBuf),
    /// A `postgres://` URL.
    Postgres(String),
}

/// What was copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copied {
    /// Rows of all tables.
    pub rows: u64,
    /// Objects that rows name.
    pub objects: u64,
    /// Of every row in its order, the same in both databases.
    pub digest: Digest,
}

/// A value of a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Null,
    Text(String),
    Number(i64),
    Flag(bool),
    Bytes(Vec<u8>),
}

pub(crate) type Line = Vec<Value>;

/// One database in a transaction of its own.
#[async_trait]
pub(crate) trait Side: Send {
    /// Whether it has the schema of a newer version, with tables and columns that this one knows nothing of.
    async fn is_newer(&mut self) -> Result<bool, StoreError>;
    /// Its objects, where a place for them is set.
    fn objects(&self) -> Option<Objects>;
    /// Whether a run is owned under a lease that has not ended.
    async fn in_use(&mut self) -> Result<bool, StoreError>;
    /// At most [`PART`] rows behind the one with that key, in the order of the key.
    async fn part(&mut self, table: &Table, behind: Option<&[Value]>) -> Result<Vec<Line>, StoreError>;
    /// Adds rows.
    async fn add(&mut self, table: &Table, lines: &[Line]) -> Result<(), StoreError>;
    /// Ends the transaction: what was added counts.
    async fn commit(self: Box<Self>) -> Result<(), StoreError>;
}

async fn side(place: &Place, options: StoreOptions) -> Result<Box<dyn Side>, StoreError> {
    match place {
        Place::File(path) => SqliteStore::open_with(path, options).await?.side().await,
        Place::Postgres(url) => PostgresStore::open_with(url, options).await?.side().await,
    }
}

/// Copies everything `from` one database `to` an empty one. `options` are those of the first; the second one is encrypted with the same key,
/// and its objects are at the same place.
///
/// # Errors
/// `Refused` while a host works on the first, when the second is not empty, or when a row cannot be kept there: nothing was written then.
/// `Unavailable` when one of them cannot be used, or does not hold afterwards what the other does: nothing was written then either.
pub async fn migrate(from: &Place, to: &Place, options: StoreOptions) -> Result<Copied, StoreError> {
    let mut source = side(from, options.clone()).await?;
    if source.in_use().await? {
        return Err(refused("a host works on runs of the database; stop every host first"));
    }
    if source.is_newer().await? {
        return Err(refused(
            "the database was upgraded by a newer Fusebox; copy it with that version, which knows everything that is in it",
        ));
    }
    // Without the key, so that nothing is written there; the proof of the key is copied.
    let keyless = StoreOptions { key: None, ..options };
    let mut target = side(to, keyless).await?;
    for table in TABLES {
        if !target.part(table, None).await?.is_empty() {
            return Err(refused(&format!(
                "the database that is to be written holds something already (table {}); name an empty one",
                table.name
            )));
        }
    }
    let read = walk(&mut *source, Some(&mut *target)).await?;
    let written = walk(&mut *target, None).await?;
    if read != written {
        return Err(StoreError::Unavailable {
            reason: format!(
                "the copy is not what was copied ({} and {} rows, digests {} and {}); nothing was kept of it",
                read.rows, written.rows, read.digest, written.digest
            ),
        });
    }
    target.commit().await?;
    Ok(read)
}

fn refused(what: &str) -> StoreError {
    StoreError::Refused { what: what.to_owned() }
}

/// Reads every row, writes it to the other database if there is one, and tells the digest of all.
async fn walk(side: &mut dyn Side, mut into: Option<&mut dyn Side>) -> Result<Copied, StoreError> {
    let mut all = Copied {
        rows: 0,
        objects: 0,
        digest: digest_of(b"fusebox tables 1"),
    };
    let places = into.as_deref().map(|into| side.objects().zip(into.objects()));
    for table in TABLES {
        let mut behind: Option<Line> = None;
        loop {
            let lines = side.part(table, behind.as_deref()).await?;
            let Some(last) = lines.last() else { break };
            behind = Some(last[..table.key].to_vec());
            for line in &lines {
                all.rows += 1;
                all.digest = chained(all.digest, table.name, line);
            }
            let objects = named(table, &lines);
            all.objects += u64::try_from(objects.len()).unwrap_or(0);
            if let Some(into) = &mut into {
                into.add(table, &lines).await?;
            }
            if let Some(places) = &places {
                carry(places.as_ref(), objects).await?;
            }
        }
    }
    Ok(all)
}

/// The objects that those rows name.
fn named(table: &Table, lines: &[Line]) -> Vec<Object> {
    let Some(kind) = BlobKind::ALL.into_iter().find(|kind| kind.table() == table.name) else {
        return Vec::new();
    };
    let object = |line: &Line| match line.as_slice() {
        [Value::Text(tenant), Value::Bytes(digest), .., Value::Text(name)] => {
            let digest = Digest(digest.as_slice().try_into().ok()?);
            Some((Blob::new(kind, tenant, digest), name.clone()))
        }
        _ => None,
    };
    lines.iter().filter_map(object).collect()
}

/// Has objects copied. Crash after: objects that no row names in the folder of the second database, which sweeps them up once it is in use.
async fn carry(places: Option<&(Objects, Objects)>, objects: Vec<Object>) -> Result<(), StoreError> {
    if objects.is_empty() {
        return Ok(());
    }
    let Some((from, to)) = places else {
        return Err(refused(
            "components or pages are kept outside of the database, and no place for that is set; set `blobs.store` to where they are",
        ));
    };
    let copied = stream::iter(objects).map(|(blob, name)| async move { to.copy(from, &blob, &name).await });
    copied.buffer_unordered(AT_ONCE).try_collect().await
}

/// The digest of everything so far and one more row, every part behind its length.
fn chained(before: Digest, table: &str, line: &Line) -> Digest {
    let mut all = before.0.to_vec();
    let mut part = |kind: u8, bytes: &[u8]| {
        all.push(kind);
        all.extend((bytes.len() as u64).to_be_bytes());
        all.extend_from_slice(bytes);
    };
    part(b't', table.as_bytes());
    for value in line {
        match value {
            Value::Null => part(b'0', &[]),
            Value::Text(text) => part(b's', text.as_bytes()),
            Value::Number(number) => part(b'n', &number.to_be_bytes()),
            Value::Flag(flag) => part(b'f', &[u8::from(*flag)]),
            Value::Bytes(bytes) => part(b'b', bytes),
        }
    }
    digest_of(&all)
}
