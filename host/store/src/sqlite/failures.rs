//! What SQLite says, as an error of the port: which file, what happened, what to do next.

use crate::failures::Failed;
use fusebox_engine::ports::store::StoreError;
use sqlx::migrate::MigrateError;
use std::path::Path;

/// As an error of the port, about the database at `path`.
pub(super) fn at(path: &Path, failed: Failed) -> StoreError {
    failed.told(&path.display().to_string(), |error| database(path, error))
}

/// The primary result code, <https://www.sqlite.org/rescode.html>, of an error that SQLite reported.
fn primary_code(error: &sqlx::Error) -> Option<i32> {
    let code: i32 = error.as_database_error()?.code()?.parse().ok()?;
    Some(code & 0xff)
}

fn database(path: &Path, error: &sqlx::Error) -> String {
    let path = path.display();
    match primary_code(error) {
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
    }
}

/// Why the schema could not be brought up to date.
pub(super) fn migration(path: &Path, error: MigrateError) -> StoreError {
    crate::failures::migration(&path.display().to_string(), error, |error| database(path, error))
}

/// A file or folder that could not be prepared.
pub(super) fn file(path: &Path, doing: &str, error: &std::io::Error) -> StoreError {
    StoreError::Unavailable {
        reason: format!(
            "{doing} {} failed ({error}). Choose a place that this user can write to",
            path.display()
        ),
    }
}
