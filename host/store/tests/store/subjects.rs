//! The stores under test, and how time passes for each.

use crate::bucket::Bucket;
use async_trait::async_trait;
use fusebox_core::time::Wall;
use fusebox_engine::memory_store::MemoryStore;
use fusebox_engine::ports::store::Store;
use fusebox_engine::testing::store_contract::Subject;
use fusebox_engine::testing::store_contract::samples::run_id;
use fusebox_store::{Blobs, PostgresStore, SqliteStore, StoreOptions};
use fusebox_test_postgres::{Database, Pooler, Server};
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, Executor, PgConnection, SqliteConnection};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

/// Makes everything in a database older by `$1` milliseconds.
const OLDER: [&str; 7] = [
    "UPDATE runs SET lease_until = lease_until - $1, finished = finished - $1, until = until - $1, \
     journal_until = journal_until - $1",
    "UPDATE keys SET free_at = free_at - $1",
    "UPDATE letters SET expires = expires - $1, not_before = not_before - $1",
    "UPDATE approvals SET expires = expires - $1",
    "UPDATE redrives SET ended = ended - $1, held_until = held_until - $1",
    "UPDATE pages SET put_at = put_at - $1",
    "UPDATE errors SET at = at - $1",
];

/// What empties every table but the audit trail's, which are only added to.
fn emptied() -> String {
    let tables = [
        "keys",
        "letters",
        "approvals",
        "journal",
        "attempts",
        "runs",
        "tools",
        "components",
        "tool_numbers",
        "state",
        "pages",
        "breakers",
        "errors",
        "redrives",
        "api_keys",
    ];
    tables.map(|table| format!("DELETE FROM {table}")).join("; ")
}

pub(crate) struct Memory(Arc<MemoryStore>);

pub(crate) async fn memory() -> Memory {
    Memory(Arc::default())
}

#[async_trait]
impl Subject for Memory {
    fn store(&self) -> Arc<dyn Store> {
        Arc::clone(&self.0) as _
    }

    async fn pass(&self, time: Duration) {
        self.0.pass(time);
    }
}

fn keyed() -> StoreOptions {
    StoreOptions {
        key: Some([7; 32]),
        ..StoreOptions::default()
    }
}

pub(crate) struct Sqlite {
    path: PathBuf,
    _folder: TempDir,
    store: Arc<SqliteStore>,
}

pub(crate) async fn sqlite() -> Sqlite {
    with(StoreOptions::default()).await
}

/// As [`sqlite`], encrypted.
pub(crate) async fn sealed() -> Sqlite {
    with(keyed()).await
}

async fn with(options: StoreOptions) -> Sqlite {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fusebox.db");
    let store = Arc::new(SqliteStore::open_with(&path, options).await.unwrap());
    Sqlite {
        path,
        _folder: folder,
        store,
    }
}

impl Sqlite {
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Empties it, all but its audit trail.
    pub(crate) async fn clear(&self) {
        let mut connection = self.raw().await;
        let clear = format!("{}; DELETE FROM sqlite_sequence", emptied());
        connection.execute(sqlx::raw_sql(&clear)).await.unwrap();
        connection.close().await.unwrap();
    }

    /// A connection past the store.
    pub(crate) async fn raw(&self) -> SqliteConnection {
        let file = SqliteConnectOptions::new().filename(&self.path);
        file.busy_timeout(Duration::from_secs(10)).connect().await.unwrap()
    }
}

#[async_trait]
impl Subject for Sqlite {
    fn store(&self) -> Arc<dyn Store> {
        Arc::clone(&self.store) as _
    }

    /// The database's clock is the machine's, so everything in the store is made older instead.
    async fn pass(&self, time: Duration) {
        let mut connection = self.raw().await;
        for statement in OLDER {
            let query = sqlx::query(statement).bind(i64::try_from(time.as_millis()).unwrap());
            query.execute(&mut connection).await.unwrap();
        }
        connection.close().await.unwrap();
    }
}

pub(crate) struct Postgres {
    store: Arc<PostgresStore>,
    /// Connections past the store.
    raw: PgPool,
    database: Database,
    _pooler: Option<Pooler>,
}

pub(crate) async fn postgres() -> Postgres {
    postgres_with(StoreOptions::default()).await
}

/// As [`postgres`], behind PgBouncer, which has fewer sessions than the store has connections.
pub(crate) async fn pooled_postgres() -> Postgres {
    let database = empty().await;
    let pooler = Pooler::start(Arc::new(Server::shared()), 3);
    let url = pooler.url(database.name());
    Postgres::open(database, &url, StoreOptions::default(), Some(pooler)).await
}

/// As [`postgres`], encrypted, and with what the samples make in partitions of its day.
pub(crate) async fn sealed_postgres() -> Postgres {
    let subject = postgres_with(keyed()).await;
    subject.keep_days().await;
    subject
}

async fn postgres_with(options: StoreOptions) -> Postgres {
    let database = empty().await;
    let url = database.url();
    Postgres::open(database, &url, options, None).await
}

/// A database with the schema, and nothing in it.
async fn empty() -> Database {
    let (server, template) = (Arc::new(Server::shared()), template());
    let database = Database::like(server, &template, |url| async move {
        PostgresStore::open(&url).await.unwrap();
    });
    database.await
}

/// The name of a database with this schema and nothing else.
fn template() -> String {
    let schema = sqlx::migrate!("migrations/postgres");
    let all = schema.iter().flat_map(|migration| migration.checksum.iter().take(8));
    all.fold("schema_".to_owned(), |name, byte| format!("{name}{byte:02x}"))
}

impl Postgres {
    async fn open(database: Database, url: &str, options: StoreOptions, pooler: Option<Pooler>) -> Self {
        Self {
            store: Arc::new(PostgresStore::open_with(url, options).await.unwrap()),
            raw: PgPoolOptions::new()
                .max_connections(1)
                .connect_lazy(&database.url())
                .unwrap(),
            database,
            _pooler: pooler,
        }
    }

    pub(crate) fn url(&self) -> String {
        self.database.url()
    }

    /// A connection past the store.
    pub(crate) async fn raw(&self) -> PgConnection {
        let options: PgConnectOptions = self.url().parse().unwrap();
        options.connect().await.unwrap()
    }
}

impl Postgres {
    /// Empties it, all but its audit trail, which is only added to.
    pub(crate) async fn clear(&self) {
        let clear = format!("{}; ALTER TABLE errors ALTER COLUMN id RESTART", emptied());
        self.raw.execute(sqlx::raw_sql(&clear)).await.unwrap();
    }

    /// Gives the day of the samples, and those after it, partitions.
    pub(crate) async fn keep_days_of_samples(&self, days: u32) {
        let (from, day) = (run_id(0).made(), Duration::from_secs(24 * 3600));
        let to = Wall(from.0 + i64::from(days) * 86_400_000);
        self.store.keep_days(from, to, day).await.unwrap();
    }

    /// Rows of a table, or of a partition.
    pub(crate) async fn count(&self, table: &str) -> i64 {
        let count = format!("SELECT COUNT(*) FROM {table}");
        sqlx::query_scalar(&count).fetch_one(&self.raw).await.unwrap()
    }
}

#[async_trait]
impl Subject for Postgres {
    fn store(&self) -> Arc<dyn Store> {
        Arc::clone(&self.store) as _
    }

    async fn pass(&self, time: Duration) {
        let millis = time.as_millis().to_string();
        let older: Vec<_> = OLDER.iter().map(|statement| statement.replace("$1", &millis)).collect();
        self.raw.execute(sqlx::raw_sql(&older.join(";"))).await.unwrap();
    }

    async fn keep_days(&self) {
        self.keep_days_of_samples(1).await;
    }
}

/// A place for objects in that bucket.
pub(crate) fn blobs(bucket: &Arc<Bucket>) -> Blobs {
    Blobs::new(Arc::clone(bucket) as _, "test", "a bucket of the test")
}

/// A store that puts components and pages into a bucket.
pub(crate) struct WithObjects<S> {
    pub(crate) inner: S,
    pub(crate) bucket: Arc<Bucket>,
}

fn outside(bucket: &Arc<Bucket>) -> StoreOptions {
    StoreOptions {
        blobs: Some(blobs(bucket)),
        ..StoreOptions::default()
    }
}

pub(crate) async fn sqlite_with_objects() -> WithObjects<Sqlite> {
    let bucket = Arc::default();
    WithObjects {
        inner: with(outside(&bucket)).await,
        bucket,
    }
}

pub(crate) async fn postgres_with_objects() -> WithObjects<Postgres> {
    let bucket = Arc::default();
    WithObjects {
        inner: postgres_with(outside(&bucket)).await,
        bucket,
    }
}

impl<S: Subject + 'static> WithObjects<S> {
    /// The same, whatever the database.
    pub(crate) fn any(self) -> WithObjects<Any> {
        WithObjects {
            inner: Any(Box::new(self.inner)),
            bucket: self.bucket,
        }
    }
}

/// On any database.
pub(crate) struct Any(Box<dyn Subject>);

#[async_trait]
impl Subject for Any {
    fn store(&self) -> Arc<dyn Store> {
        self.0.store()
    }

    async fn pass(&self, time: Duration) {
        self.0.pass(time).await;
    }

    async fn keep_days(&self) {
        self.0.keep_days().await;
    }
}

impl<S> WithObjects<S> {
    pub(crate) fn bucket(&self) -> &Bucket {
        &self.bucket
    }
}

#[async_trait]
impl<S: Subject> Subject for WithObjects<S> {
    fn store(&self) -> Arc<dyn Store> {
        self.inner.store()
    }

    async fn pass(&self, time: Duration) {
        self.inner.pass(time).await;
        self.bucket.pass(time);
    }

    async fn keep_days(&self) {
        self.inner.keep_days().await;
    }
}
