//! What a database says, as an error of the port: which file, what happened, what to do next.

use crate::rows::Unreadable;
use fusebox_engine::ports::store::StoreError;
use sqlx::migrate::MigrateError;
use std::path::Path;

/// Why a transaction ended without doing anything.
#[derive(Debug)]
pub(crate) enum Failed {
    /// For a reason that the caller is told as it is.
    Answer(StoreError),
    /// The database said so.
    Database(sqlx::Error),
    /// A row's body is broken.
    Unreadable(Unreadable),
}

impl From<sqlx::Error> for Failed {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}

impl From<Unreadable> for Failed {
    fn from(row: Unreadable) -> Self {
        Self::Unreadable(row)
    }
}

/// The row belongs to somebody else now.
pub(crate) fn fenced(what: String) -> Failed {
    Failed::Answer(StoreError::Fenced { what })
}

/// The row's state does not allow it.
pub(crate) fn refused(what: String) -> Failed {
    Failed::Answer(StoreError::Refused { what })
}

/// A clash of ids, told as `what`; every other error as it is.
pub(crate) fn unless_taken(error: sqlx::Error, what: impl FnOnce() -> String) -> Failed {
    match error.as_database_error() {
        Some(database) if database.is_unique_violation() => refused(what()),
        _ => error.into(),
    }
}

impl Failed {
    /// As an error of the port, about the database at `path`.
    pub(crate) fn at(self, path: &Path) -> StoreError {
        match self {
            Self::Answer(error) => error,
            Self::Database(error) => database(path, &error),
            Self::Unreadable(row) => StoreError::Unavailable {
                reason: format!(
                    "{}: {row}; the rest of the database is not affected. Restore the row from a backup, or purge or remove it",
                    path.display()
                ),
            },
        }
    }
}

/// The primary result code, <https://www.sqlite.org/rescode.html>, of an error that SQLite reported.
fn primary_code(error: &sqlx::Error) -> Option<i32> {
    let code: i32 = error.as_database_error()?.code()?.parse().ok()?;
    Some(code & 0xff)
}

fn database(path: &Path, error: &sqlx::Error) -> StoreError {
    let path = path.display();
    let reason = match primary_code(error) {
        Some(5 | 6) => format!(
            "{path} is locked by another process ({error}). Find it with `fuser {path}`, let it finish, and try again"
        ),
        Some(13) => format!("the disk under {path} is full ({error}). Free some space and try again"),
        Some(10) => format!("the disk under {path} failed ({error}). Check the disk and its mount"),
        Some(11 | 26) => format!(
            "{path} is damaged, or no database of Fusebox ({error}). Move it away and restore a backup, or salvage it with `sqlite3 {path} .recover`"
        ),
        Some(3 | 8 | 14 | 23) => {
            format!(
                "{path} cannot be opened for writing ({error}). Make the file and its folder writable for this user"
            )
        }
        _ => format!("{path}: {error}"),
    };
    StoreError::Unavailable { reason }
}

/// Why the schema could not be brought up to date.
pub(crate) fn migration(path: &Path, error: MigrateError) -> StoreError {
    let reason = match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => return database(path, &error),
        MigrateError::VersionMissing(version) => format!(
            "{} was written by a newer Fusebox (schema {version}). Use that version, or another database",
            path.display()
        ),
        error => format!(
            "the schema of {} is not one of Fusebox's ({error}). Use another database, or restore a backup",
            path.display()
        ),
    };
    StoreError::Unavailable { reason }
}

/// A file or folder that could not be prepared.
pub(crate) fn file(path: &Path, doing: &str, error: &std::io::Error) -> StoreError {
    StoreError::Unavailable {
        reason: format!(
            "{doing} {} failed ({error}). Choose a place that this user can write to",
            path.display()
        ),
    }
}
