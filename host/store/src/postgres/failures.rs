//! What PostgreSQL says, as an error of the port: which database, what happened, what to do next.

use crate::failures::Failed;
use fusebox_engine::ports::store::StoreError;
use sqlx::migrate::MigrateError;

/// As an error of the port, about the database called `place`.
pub(super) fn at(place: &str, failed: Failed) -> StoreError {
    match failed {
        // The one text that others can keep and PostgreSQL cannot. Nothing is wrong with the database.
        Failed::Database(error) if code(&error).as_deref() == Some("22021") => StoreError::Refused {
            what: "a text holds the character U+0000, which no text in the database can; leave it out".to_owned(),
        },
        failed => failed.told(place, |error| database(place, error)),
    }
}

/// Why the schema could not be brought up to date.
pub(super) fn migration(place: &str, error: MigrateError) -> StoreError {
    crate::failures::migration(place, error, |error| database(place, error))
}

/// The SQLSTATE, <https://www.postgresql.org/docs/current/errcodes-appendix.html>, of an error that the server reported.
pub(super) fn code(error: &sqlx::Error) -> Option<String> {
    Some(error.as_database_error()?.code()?.into_owned())
}

/// Whether another transaction was in the way, so that this one did nothing: a deadlock, a clash, or a row that went while it was referred to.
pub(super) fn came_to_nothing(error: &sqlx::Error) -> bool {
    matches!(code(error).as_deref(), Some("40001" | "40P01" | "55P03" | "23503")) || wrong_day(error)
}

/// Whether a row was on its way into one partition while another one was made for it. Unlike a check of the table, that has no name.
fn wrong_day(error: &sqlx::Error) -> bool {
    let check = error.as_database_error().filter(|error| error.is_check_violation());
    check.is_some_and(|check| check.constraint().is_none())
}

/// The server ended a transaction of which it heard nothing for too long, and the connection with it.
const SILENT: &str = "25P03";

/// Whether the connection is gone: the server ended it, or the network did.
pub(super) fn lost(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::WorkerCrashed => true,
        error => code(error).is_some_and(|code| code == SILENT || code.starts_with("08") || code.starts_with("57P")),
    }
}

pub(super) fn database(place: &str, error: &sqlx::Error) -> String {
    let told = match error {
        sqlx::Error::PoolTimedOut => {
            return format!(
                "{place} gave no connection in time. Look whether the server is up and whether its `max_connections` is used up"
            );
        }
        sqlx::Error::Io(error) => {
            return format!("{place} cannot be reached ({error}). Look whether the server is up, and at host and port");
        }
        sqlx::Error::Tls(error) => {
            return format!(
                "{place} cannot be reached over TLS ({error}). `sslmode` and `sslrootcert` in the URL say what is expected of the server"
            );
        }
        error => error
            .as_database_error()
            .map_or_else(|| error.to_string(), |error| error.message().to_owned()),
    };
    let next = match code(error).as_deref() {
        Some("28P01" | "28000") => "Mend user and password in the URL, or the server's pg_hba.conf",
        Some("3D000") => "Make it with `createdb`, or name another one",
        Some("42501") => "Give this user the rights: it has to own the schema, or `GRANT ALL ON SCHEMA public` to it",
        Some("53300") => "Raise the server's `max_connections`, or put a pooler before it",
        Some("53100") => "Free some space on the server's disk",
        Some("25006") => "It takes no writes: name the primary server, not a standby",
        Some("26000") => {
            "A pooler that stood not between when the host started took a prepared statement away: start the host anew"
        }
        Some(code) if code.starts_with("57P") => "The server is stopping or starting; try again",
        _ => return format!("{place}: {told}"),
    };
    format!("{place}: {told}. {next}")
}
