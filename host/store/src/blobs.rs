//! Components and pages outside of the database, as objects of a store that speaks S3's protocol.
//!
//! An object is put before the row that names it, and removed after the row has gone. What a crash leaves over is an object that no row names,
//! which `retain` sweeps up. Each is put once, under a name of its own: who removes what a row named can never hit what somebody else has
//! put meanwhile.

mod s3;

pub use s3::S3;

use bytes::Bytes;
use fusebox_core::ids::Digest;
use fusebox_engine::ports::entropy::{Entropy, OsEntropy};
use fusebox_engine::ports::store::StoreError;
use fusebox_engine::requests::digest_of;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{Error, ObjectMeta, ObjectStore, ObjectStoreExt};
use std::fmt;
use std::sync::Arc;

/// A place for objects, which any number of databases may share: each has a folder of its own there.
#[derive(Clone)]
pub struct Blobs {
    store: Arc<dyn ObjectStore>,
    prefix: Path,
    /// What it is called in messages; without credentials.
    place: Arc<str>,
}

impl Blobs {
    /// A store of objects, and what it is called in messages.
    #[must_use]
    pub fn new(store: Arc<dyn ObjectStore>, prefix: &str, place: &str) -> Self {
        Self {
            store,
            prefix: Path::from(prefix),
            place: place.into(),
        }
    }

    /// Puts, lists, reads and removes an object of no meaning.
    ///
    /// # Errors
    /// `Unavailable`, with what to do, when one of that cannot be done.
    pub async fn check(&self) -> Result<(), StoreError> {
        let folder = self.prefix.clone().join("check");
        let at = folder.clone().join(nonce());
        let failed = |error: &Error| unavailable(&self.place, error);
        self.store
            .put(&at, Bytes::from_static(b"fusebox").into())
            .await
            .map_err(|error| failed(&error))?;
        let listed: Vec<ObjectMeta> = self
            .store
            .list(Some(&folder))
            .try_collect()
            .await
            .map_err(|error| failed(&error))?;
        let read = async { self.store.get(&at).await?.bytes().await };
        let read = read.await.map_err(|error| failed(&error))?;
        self.store.delete(&at).await.map_err(|error| failed(&error))?;
        if read != "fusebox" || !listed.iter().any(|object| object.location == at) {
            return Err(StoreError::Unavailable {
                reason: format!("{}: what was put is not what is read or listed", self.place),
            });
        }
        Ok(())
    }

    /// The part of one database.
    pub(crate) fn folder(&self, name: &str) -> Objects {
        Objects {
            store: Arc::clone(&self.store),
            folder: self.prefix.clone().join(name),
            place: Arc::clone(&self.place),
        }
    }
}

impl fmt::Debug for Blobs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Blobs").field(&self.place).finish()
    }
}

impl fmt::Display for Blobs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.place)
    }
}

/// What is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Component,
    Page,
}

impl Kind {
    pub(crate) const ALL: [Self; 2] = [Self::Component, Self::Page];

    /// The name of its table, and of its folder.
    pub(crate) fn table(self) -> &'static str {
        match self {
            Self::Component => "components",
            Self::Page => "pages",
        }
    }
}

/// What a row keeps, wherever that is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Blob {
    pub(crate) kind: Kind,
    pub(crate) tenant: String,
    pub(crate) digest: Digest,
}

impl Blob {
    pub(crate) fn new(kind: Kind, tenant: &str, digest: Digest) -> Self {
        Self {
            kind,
            tenant: tenant.to_owned(),
            digest,
        }
    }
}

impl fmt::Display for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            Kind::Component => "component",
            Kind::Page => "page",
        };
        write!(f, "{kind} {}", self.digest)
    }
}

/// An object, by what it keeps and the name that its row has for it.
pub(crate) type Object = (Blob, String);

/// The objects of one database.
#[derive(Clone)]
pub(crate) struct Objects {
    store: Arc<dyn ObjectStore>,
    folder: Path,
    place: Arc<str>,
}

impl Objects {
    fn at(&self, blob: &Blob, name: &str) -> Path {
        let tenant = self.folder.clone().join(blob.tenant.as_str());
        tenant.join(blob.kind.table()).join(hex(blob.digest)).join(name)
    }

    fn failed(&self, error: &Error) -> StoreError {
        unavailable(&self.place, error)
    }

    /// Puts what is to be kept, and tells the name for its row. Crash after: `retain` sweeps it up after a day.
    pub(crate) async fn put(&self, blob: &Blob, bytes: Bytes) -> Result<String, StoreError> {
        let name = format!("{}-{}", hex(digest_of(&bytes)), nonce());
        let put = self.store.put(&self.at(blob, &name), bytes.into()).await;
        put.map(|_| name).map_err(|error| self.failed(&error))
    }

    /// What was put under that name, whole and as it was; `None` when it is not there.
    pub(crate) async fn get(&self, blob: &Blob, name: &str) -> Result<Option<Bytes>, StoreError> {
        let at = self.at(blob, name);
        let read = async { self.store.get(&at).await?.bytes().await };
        let bytes = match read.await {
            Ok(bytes) => bytes,
            Err(Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(self.failed(&error)),
        };
        if name.split('-').next() != Some(&hex(digest_of(&bytes))) {
            return Err(StoreError::Unavailable {
                reason: format!(
                    "{}: the object {at} of {blob} is not what was put there. Restore it from an earlier version or a backup",
                    self.place
                ),
            });
        }
        Ok(Some(bytes))
    }

    /// What is lost when a row names an object that is not there.
    pub(crate) fn lost(&self, blob: &Blob, name: &str) -> StoreError {
        StoreError::Unavailable {
            reason: format!(
                "{}: the object {} of {blob} is missing. Restore it from an earlier version or a backup, or look whether `blobs` names the right place",
                self.place,
                self.at(blob, name)
            ),
        }
    }

    /// Removes objects that no row names any more. Those that stay for now are swept up later.
    pub(crate) async fn remove(&self, objects: Vec<Object>) {
        let places: Vec<_> = objects.iter().map(|(blob, name)| Ok(self.at(blob, name))).collect();
        let removed: Vec<_> = self.store.delete_stream(stream::iter(places).boxed()).collect().await;
        let failed = removed.into_iter().filter_map(Result::err);
        // Who removed it before has done the same.
        let mut failed = failed.filter(|error| !matches!(error, Error::NotFound { .. }));
        if let Some(error) = failed.next() {
            tracing::warn!(place = %self.place, %error, "objects could not be removed; they are swept up later");
        }
    }

    /// The objects of a tenant that were put before that time, in milliseconds since 1970. Those with names that are none of ours are left out.
    pub(crate) fn older(&self, tenant: &str, than: i64) -> BoxStream<'static, Result<Object, StoreError>> {
        let (folder, tenant) = (self.folder.clone().join(tenant), tenant.to_owned());
        let place = Arc::clone(&self.place);
        let all = self.store.list(Some(&folder));
        let old = all.try_filter_map(move |object| {
            let known = (object.last_modified.timestamp_millis() < than)
                .then(|| parsed(&folder, &tenant, &object.location))
                .flatten();
            async move { Ok(known) }
        });
        old.map_err(move |error| unavailable(&place, &error)).boxed()
    }

    /// Has the object of another database copied into this one's folder, under the same name.
    pub(crate) async fn copy(&self, from: &Self, blob: &Blob, name: &str) -> Result<(), StoreError> {
        let (there, here) = (from.at(blob, name), self.at(blob, name));
        match self.store.copy(&there, &here).await {
            Ok(()) => Ok(()),
            Err(Error::NotFound { .. }) => Err(from.lost(blob, name)),
            Err(error) => Err(self.failed(&error)),
        }
    }
}

/// What an object in the folder of a tenant is, by where it lies.
fn parsed(folder: &Path, tenant: &str, at: &Path) -> Option<Object> {
    let parts: Vec<_> = at.prefix_match(folder)?.collect();
    let [kind, digest, name] = parts.as_slice() else {
        return None;
    };
    let kind = Kind::ALL.into_iter().find(|known| known.table() == kind.as_ref())?;
    let digest = format!("sha256:{}", digest.as_ref()).parse().ok()?;
    Some((Blob::new(kind, tenant, digest), name.as_ref().to_owned()))
}

fn hex(digest: Digest) -> String {
    digest.0.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What nobody else has.
fn nonce() -> String {
    format!("{:032x}", OsEntropy.id())
}

/// What it means that an object cannot be used, and what to do next.
fn unavailable(place: &str, error: &Error) -> StoreError {
    let next = match error {
        Error::NotFound { .. } => "Look whether the bucket is there",
        Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => {
            "Mend AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or what they may do: objects are put, read, listed, copied and removed"
        }
        _ => "Look whether it is up, and at `blobs` in the operator's file",
    };
    StoreError::Unavailable {
        reason: format!("{place}: {}. {next}", brief(error)),
    }
}

/// The error and what brought it about, each once, on one line.
fn brief(error: &Error) -> String {
    let mut said = vec![error.to_string()];
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        let text = error.to_string();
        if !said.iter().any(|before| before.contains(&text)) {
            said.push(text);
        }
        cause = error.source();
    }
    said.join(": ").replace('\n', " ")
}
