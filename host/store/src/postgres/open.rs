//! Opening a database of a server: one process at a time makes or changes its schema.

use super::failures::{self, migration};
use super::line::{CONNECT, Line};
use super::sessions::{self, Sessions};
use super::transitions::{objects, schema, sealing};
use crate::failures::Failed;
use crate::seal::Vault;
use fusebox_engine::ports::store::StoreError;
use sqlx::migrate::Migrator;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions, Connection, Row};
use tokio::time::timeout;

/// Statements that a connection keeps prepared: more than there are.
const STATEMENTS: usize = 256;
/// The oldest version that knows everything that is asked of it: 14.
const OLDEST: i32 = 140_000;
/// What processes lock that change the schema, until they have done so: "fusebox" in ASCII.
const SCHEMA_LOCK: i64 = 0x0066_7573_6562_6f78;

pub(super) static MIGRATIONS: Migrator = {
    let mut migrations = sqlx::migrate!("migrations/postgres");
    // A database says itself which versions may work with it.
    migrations.ignore_missing = true;
    // Its lock is one of the session, which a pooler gives to somebody else.
    migrations.locking = false;
    migrations
};

/// What the database is called in messages, the folder of its objects, and the connections.
pub(super) async fn open(url: &str, vault: &Vault) -> Result<(String, String, Line), StoreError> {
    let options: PgConnectOptions = url.parse().map_err(|error: sqlx::Error| StoreError::Unavailable {
        reason: format!(
            "the URL of the database cannot be read ({error}). Write it as postgres://USER:PASSWORD@HOST:PORT/DATABASE, special characters percent-encoded"
        ),
    })?;
    let name = options.get_application_name().unwrap_or("fusebox").to_owned();
    let options = options
        .application_name(&name)
        // Nothing here has fractions, and poolers refuse to pass it on.
        .extra_float_digits(None)
        // Statements carry inputs and outputs of tools, which are nobody's business in a log.
        .disable_statement_logging();
    let place = place(&options);
    let (sessions, folder) = prepare(&options, &place, vault).await?;
    let kept = match sessions {
        Sessions::Kept => STATEMENTS,
        Sessions::Lent => 0,
    };
    Ok((
        place,
        folder,
        Line::new(options.statement_cache_capacity(kept), sessions),
    ))
}

/// A URL without user, password and options; nothing of one that cannot be read.
pub(super) fn shown(url: &str) -> String {
    url.parse()
        .map_or_else(|_| "postgres://…".to_owned(), |options| place(&options))
}

/// Server and database, without user and password.
fn place(options: &PgConnectOptions) -> String {
    let database = options.get_database().unwrap_or_else(|| options.get_username());
    match options.get_socket() {
        Some(socket) => format!("postgres://{database} at {}", socket.display()),
        None => format!("postgres://{}:{}/{database}", options.get_host(), options.get_port()),
    }
}

/// Brings the schema up to date and compares the key, in one transaction; tells what stands between, and the folder of
/// objects.
async fn prepare(options: &PgConnectOptions, place: &str, vault: &Vault) -> Result<(Sessions, String), StoreError> {
    let at = |error: sqlx::Error| failures::at(place, Failed::from(error));
    let connecting = timeout(CONNECT, sessions::connect(options));
    let connected = connecting.await.map_err(|_| StoreError::Unavailable {
        reason: format!(
            "{place} did not answer within {} s. Look whether the server is up, and at host and port",
            CONNECT.as_secs()
        ),
    })?;
    let (mut connection, sessions) = connected.map_err(at)?;
    let mut transaction = connection.begin_with(sessions.begin()).await.map_err(at)?;
    new_enough(&mut transaction, place).await?;
    let lock = sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(SCHEMA_LOCK);
    lock.execute(&mut *transaction).await.map_err(at)?;
    let migrated = MIGRATIONS.run_direct(&mut *transaction).await;
    migrated.map_err(|error| migration(place, error))?;
    let usable = schema::check(&mut transaction, &MIGRATIONS, place).await;
    usable.map_err(|failed| failures::at(place, failed))?;
    let checked = sealing::check(&mut transaction, vault).await;
    checked.map_err(|failed| failures::at(place, failed))?;
    let folder = objects::folder(&mut transaction).await;
    let folder = folder.map_err(|failed| failures::at(place, failed))?;
    transaction.commit().await.map_err(at)?;
    // What it had to say is said.
    let _ = connection.close().await;
    Ok((sessions, folder))
}

async fn new_enough(connection: &mut PgConnection, place: &str) -> Result<(), StoreError> {
    let at = |error: sqlx::Error| failures::at(place, Failed::from(error));
    let version = sqlx::query(
        "SELECT current_setting('server_version_num')::int AS number, current_setting('server_version') AS name",
    );
    let version = version.fetch_one(connection).await.map_err(at)?;
    let number: i32 = version.try_get("number").map_err(at)?;
    let name: String = version.try_get("name").map_err(at)?;
    not_too_old(place, number, &name)
}

/// `number` is the server's own, such as 140012 for 14.12; `name` is what it is called.
fn not_too_old(place: &str, number: i32, name: &str) -> Result<(), StoreError> {
    if number >= OLDEST {
        return Ok(());
    }
    Err(StoreError::Unavailable {
        reason: format!(
            "{place} is PostgreSQL {name}, and Fusebox needs 14 or later. Upgrade the server, or name another one"
        ),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::not_too_old;

    #[test]
    fn a_server_that_is_too_old_is_named_with_what_is_needed() {
        for (number, name) in [(130_014, "13.14"), (90_624, "9.6.24"), (139_999, "13.99")] {
            let refused = not_too_old("postgres://db:5432/fusebox", number, name);
            assert_eq!(
                refused.unwrap_err().to_string(),
                format!(
                    "the store failed: postgres://db:5432/fusebox is PostgreSQL {name}, and Fusebox needs 14 or later. Upgrade the server, or \
                     name another one"
                )
            );
        }
        for (number, name) in [(140_000, "14.0"), (150_018, "15.18"), (180_000, "18beta1")] {
            assert_eq!(not_too_old("db", number, name), Ok(()), "{name}");
        }
    }
}
