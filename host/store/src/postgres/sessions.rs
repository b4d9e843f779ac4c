//! Whose sessions statements run in: the server's own, or those that a pooler lends for a transaction.

use super::dialect::Connection;
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Error};

/// A setting of no meaning: the server keeps it for a session that is this process's own, and no pooler passes it on.
const MARK: (&str, &str) = ("fusebox.session", "own");
const MARKED: &str = "SELECT COALESCE(current_setting('fusebox.session', TRUE), '') = 'own'";
/// Asked by a prepared statement, which is among those that it finds unless a pooler gave it another name.
const CARRIED: &str = r"SELECT NOT EXISTS (SELECT 1 FROM pg_prepared_statements WHERE name LIKE 'sqlx\_s\_%')";

/// Whatever the server's default is: rows that are decided by are locked, and statements see what was committed before them. Of a host that is
/// not heard of any more in the middle of a transaction the server undoes it, or what it locked would be nobody's.
const BEGIN: &str =
    "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SET LOCAL idle_in_transaction_session_timeout = '5s'";
/// Of what others prepared in a session that is lent, nothing may be taken for one's own.
const BEGIN_LENT: &str = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; \
     SET LOCAL idle_in_transaction_session_timeout = '5s'; DEALLOCATE ALL";

/// Whether a prepared statement is there for the next transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sessions {
    /// The session is one's own, or the pooler carries statements from one to the other.
    Kept,
    /// Each transaction may be in another session, under whose names others prepare statements too.
    Lent,
}

impl Sessions {
    /// What a transaction begins with.
    pub(super) fn begin(self) -> &'static str {
        match self {
            Self::Kept => BEGIN,
            Self::Lent => BEGIN_LENT,
        }
    }
}

/// Connects, and finds out what stands between.
pub(super) async fn connect(options: &PgConnectOptions) -> Result<(Connection, Sessions), Error> {
    let marked = options.clone().options([MARK]).connect().await;
    let mut connection = match marked {
        // A pooler refuses what it would have to set for each session anew.
        Err(error) if code(&error).as_deref() == Some("08P01") => options.connect().await?,
        connected => connected?,
    };
    // Not prepared: it would be so in one session, and asked in another.
    let own: bool = {
        let asked = sqlx::Executor::fetch_one(&mut connection, sqlx::raw_sql(MARKED)).await?;
        sqlx::Row::try_get(&asked, 0)?
    };
    if own || carries(&mut connection).await? {
        return Ok((connection, Sessions::Kept));
    }
    tracing::info!(
        "a pooler lends sessions for a transaction and does not carry prepared statements: each is prepared anew, which doubles the \
         round trips. PgBouncer 1.21 or later carries them where `max_prepared_statements` is above 0"
    );
    Ok((connection, Sessions::Lent))
}

/// Whether a pooler prepares statements in the session that it lends, under names of its own.
async fn carries(connection: &mut Connection) -> Result<bool, Error> {
    let mut transaction = sqlx::Connection::begin(connection).await?;
    let asked = sqlx::query_scalar(CARRIED).fetch_one(&mut *transaction).await;
    transaction.rollback().await?;
    match asked {
        // Somebody else's statement has the name.
        Err(error) if code(&error).as_deref() == Some("42P05") => Ok(false),
        asked => asked,
    }
}

fn code(error: &Error) -> Option<String> {
    super::failures::code(error)
}
