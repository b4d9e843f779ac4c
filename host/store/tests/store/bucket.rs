//! A place for objects in memory, in which time passes and which can be down.

use async_trait::async_trait;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

#[derive(Debug, Default)]
pub(crate) struct Bucket {
    objects: InMemory,
    older: Mutex<Duration>,
    down: AtomicBool,
    reads: AtomicUsize,
}

impl Bucket {
    /// Makes every object older.
    pub(crate) fn pass(&self, time: Duration) {
        *self.older.lock().unwrap() += time;
    }

    /// Whether every request fails from now on.
    pub(crate) fn down(&self, down: bool) {
        self.down.store(down, Ordering::SeqCst);
    }

    /// How many objects were read.
    pub(crate) fn reads(&self) -> usize {
        self.reads.load(Ordering::SeqCst)
    }

    /// Where each object is, in order.
    pub(crate) async fn all(&self) -> Vec<Path> {
        let all: Vec<ObjectMeta> = self.objects.list(None).try_collect().await.unwrap();
        all.into_iter().map(|object| object.location).collect()
    }

    /// The objects past whatever is wrong with this one.
    pub(crate) fn objects(&self) -> &InMemory {
        &self.objects
    }

    /// What an object holds.
    pub(crate) async fn read(&self, at: &Path) -> Vec<u8> {
        self.objects.get(at).await.unwrap().bytes().await.unwrap().to_vec()
    }

    fn up(&self) -> Result<()> {
        if !self.down.load(Ordering::SeqCst) {
            return Ok(());
        }
        Err(Error::Generic {
            store: "test",
            source: "a test has it down".into(),
        })
    }
}

impl fmt::Display for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a bucket in memory")
    }
}

#[async_trait]
impl ObjectStore for Bucket {
    async fn put_opts(&self, at: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.up()?;
        self.objects.put_opts(at, payload, options).await
    }

    async fn put_multipart_opts(&self, at: &Path, options: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.up()?;
        self.objects.put_multipart_opts(at, options).await
    }

    async fn get_opts(&self, at: &Path, options: GetOptions) -> Result<GetResult> {
        self.up()?;
        self.reads.fetch_add(1, Ordering::SeqCst);
        self.objects.get_opts(at, options).await
    }

    fn delete_stream(&self, places: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        match self.up() {
            Ok(()) => self.objects.delete_stream(places),
            Err(error) => stream::iter([Err(error)]).boxed(),
        }
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let (older, up) = (*self.older.lock().unwrap(), self.up());
        let aged = move |mut object: ObjectMeta| {
            object.last_modified -= older;
            object
        };
        match up {
            Ok(()) => self.objects.list(prefix).map_ok(aged).boxed(),
            Err(error) => stream::iter([Err(error)]).boxed(),
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.up()?;
        self.objects.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.up()?;
        self.objects.copy_opts(from, to, options).await
    }
}
