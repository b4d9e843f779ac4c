//! Opening a database file: owner-only, one process at a time, with the schema of this version.

use super::failures::{self, file, migration};
use super::transitions::{objects, schema, sealing};
use crate::failures::Failed;
use crate::seal::Vault;
use fusebox_engine::ports::store::StoreError;
use sqlx::migrate::Migrator;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, SqliteConnection};
use std::ffi::OsString;
use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Statements that a connection keeps prepared: more than there are.
const STATEMENTS: usize = 256;

/// Connections for reading.
const READERS: u32 = 4;

/// How the one connection that writes is made.
pub(super) fn writer_options(path: &Path, busy: Duration) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .statement_cache_capacity(STATEMENTS)
        .busy_timeout(busy)
        // Statements carry inputs and outputs of tools, which are nobody's business in a log.
        .disable_statement_logging()
}

/// Connections that can read and nothing else; opened when first needed.
pub(super) fn readers(path: &Path, busy: Duration) -> SqlitePool {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .pragma("query_only", "ON")
        .statement_cache_capacity(STATEMENTS)
        .busy_timeout(busy)
        .disable_statement_logging();
    SqlitePoolOptions::new()
        .max_connections(READERS)
        .test_before_acquire(false)
        .idle_timeout(None)
        .max_lifetime(None)
        .connect_lazy_with(options)
}

/// Opens or makes the database, and brings its schema up to date; tells the folder of its objects, too.
///
/// Switching to WAL and migrating are not safe against another process that does the same, so a lock file lets one
/// process in at a time. It is a file of its own because closing any handle on a database drops SQLite's locks on it.
pub(super) async fn open(path: &Path, vault: &Vault, busy: Duration) -> Result<(SqliteConnection, String), StoreError> {
    let owned = path.to_owned();
    let prepared = tokio::task::spawn_blocking(move || prepare(&owned)).await;
    let _lock = prepared.map_err(|error| StoreError::Unavailable {
        reason: format!("{} was not opened: {error}", path.display()),
    })??;
    let options = writer_options(path, busy);
    let mut connection = options
        .connect()
        .await
        .map_err(|error| failures::at(path, Failed::from(error)))?;
    // Not `run`: its future cannot be spawned, because `Acquire` is implemented for one lifetime only.
    if let Err(error) = MIGRATIONS.run_direct(&mut connection).await {
        // The first error is the one to tell.
        let _ = connection.close().await;
        return Err(migration(path, error));
    }
    schema::check(&mut connection, &MIGRATIONS, &path.display().to_string())
        .await
        .map_err(|failed| failures::at(path, failed))?;
    sealing::check(&mut connection, vault)
        .await
        .map_err(|failed| failures::at(path, failed))?;
    let folder = objects::folder(&mut connection).await;
    let folder = folder.map_err(|failed| failures::at(path, failed))?;
    Ok((connection, folder))
}

pub(super) static MIGRATIONS: Migrator = {
    let mut migrations = sqlx::migrate!("migrations/sqlite");
    // A database says itself which versions may work with it.
    migrations.ignore_missing = true;
    migrations
};

/// Makes folder and files with the owner's permissions alone, and waits for the lock, which lasts as long as its file is open.
fn prepare(path: &Path) -> Result<File, StoreError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    if let Some(folder) = folder {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
        made.map_err(|error| file(folder, "making the folder", &error))?;
    }
    let beside = lock_path(path);
    let lock = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&beside);
    let lock = lock.map_err(|error| file(&beside, "opening the lock", &error))?;
    lock.lock().map_err(|error| file(&beside, "locking", &error))?;
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    match made {
        Ok(_) => Ok(lock),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => owner_only(path).map(|()| lock),
        Err(error) => Err(file(path, "making the database", &error)),
    }
}

/// Takes a database that others may open away from them.
fn owner_only(path: &Path) -> Result<(), StoreError> {
    let found = path.metadata().map_err(|error| file(path, "looking at", &error))?;
    if !found.is_file() {
        return Err(StoreError::Unavailable {
            reason: format!("{} is no file. Name a file for the database", path.display()),
        });
    }
    if found.permissions().mode() & 0o077 != 0 {
        tracing::warn!(path = %path.display(), "the database was open to others; it is the owner's alone from now on");
        std::fs::set_permissions(path, Permissions::from_mode(0o600))
            .map_err(|error| file(path, "taking from others", &error))?;
    }
    Ok(())
}

fn lock_path(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".lock");
    PathBuf::from(name)
}
