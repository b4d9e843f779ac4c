//! Why a transaction did nothing, and how that is told as an error of the port.

use crate::rows::Unreadable;
use fusebox_engine::ports::store::StoreError;
use sqlx::migrate::MigrateError;

/// Why a transaction ended without doing anything.
#[derive(Debug)]
pub(crate) enum Failed {
    /// For a reason that the caller is told as it is.
    Answer(StoreError),
    /// The database said so.
    Database(sqlx::Error),
    /// A row's body is broken.
    Unreadable(Unreadable),
    /// Another writer changed what it had read, named here: it is to be done again.
    Overtaken(String),
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
    /// As an error of the port, about the database called `place`; `database` says what an error of it means, and what to do next.
    pub(crate) fn told(self, place: &str, database: impl FnOnce(&sqlx::Error) -> String) -> StoreError {
        let reason = match self {
            Self::Answer(error) => return error,
            Self::Database(error) => database(&error),
            Self::Unreadable(row) => format!(
                "{place}: {row}; the rest of the database is not affected. Restore the row from a backup, or purge or remove it"
            ),
            Self::Overtaken(what) => {
                format!(
                    "{place}: others wrote to {what} each time that it was to be written. Nothing was written; try again"
                )
            }
        };
        StoreError::Unavailable { reason }
    }
}

/// Why the schema of the database called `place` could not be brought up to date.
pub(crate) fn migration(place: &str, error: MigrateError, database: impl FnOnce(&sqlx::Error) -> String) -> StoreError {
    let reason = match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => database(&error),
        error => {
            format!(
                "the schema of {place} is not one of Fusebox's ({error}). Use another database, or restore a backup"
            )
        }
    };
    StoreError::Unavailable { reason }
}
