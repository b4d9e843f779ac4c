//! Transactions, done again when another one got in their way or the connection was lost; questions, asked again when it was.

use super::dialect::{Arguments, Connection, Database, Row};
use super::failures::{came_to_nothing, lost};
use super::line::Line;
use super::sessions::Sessions;
use crate::failures::Failed;
use crate::seal::Vault;
use futures::future::BoxFuture;
use sqlx::query::Query;
use sqlx::{Connection as _, Execute, query_with};
use std::time::Duration;

/// How often a transaction is tried.
const TRIES: u32 = 8;
/// The wait before the second try; it doubles with each further one.
const FIRST_WAIT: Duration = Duration::from_millis(5);
/// The rows of a query that writes nothing; asked again where the connection was lost, since the server may have restarted.
pub(super) async fn rows<'q>(
    line: &Line,
    mut query: Query<'q, Database, Arguments<'q>>,
) -> Result<Vec<Row>, sqlx::Error> {
    let arguments = query.take_arguments().map_err(sqlx::Error::Encode)?.unwrap_or_default();
    let mut wait = FIRST_WAIT;
    for _ in 1..TRIES {
        let asked = query_with::<Database, _>(query.sql(), arguments.clone());
        match ask(line, asked).await {
            Err(error) if worth_another(line, &error) => pause(wait).await,
            told => return told,
        }
        wait *= 2;
    }
    ask(line, query_with::<Database, _>(query.sql(), arguments)).await
}

async fn ask<'q>(line: &Line, query: Query<'q, Database, Arguments<'q>>) -> Result<Vec<Row>, sqlx::Error> {
    let mut connection = line.borrow().await?;
    let told = match line.sessions() {
        Sessions::Kept => line.timely(query.fetch_all(connection.get()?)).await,
        // It is prepared, and then asked: outside of a transaction that could be two sessions.
        Sessions::Lent => {
            let begin = line.sessions().begin();
            let mut transaction = line.timely(connection.get()?.begin_with(begin)).await?;
            let told = line.timely(query.fetch_all(&mut *transaction)).await;
            line.timely(transaction.rollback()).await?;
            told
        }
    };
    if !told.as_ref().is_err_and(lost) {
        connection.answered();
    }
    told
}

/// Runs `act` in a transaction, all of it or nothing, as often as needed until it neither clashes nor is overtaken.
pub(super) async fn write<T, F>(line: &Line, vault: &Vault, act: F) -> Result<T, Failed>
where
    F: for<'c> FnOnce(&'c mut Connection, &'c Vault) -> BoxFuture<'c, Result<T, Failed>> + Clone,
{
    let mut wait = FIRST_WAIT;
    for _ in 1..TRIES {
        match once(line, vault, act.clone()).await {
            Err(failed) if again(line, &failed) => {
                tracing::debug!(?failed, "a transaction is done again");
                pause(wait).await;
                wait *= 2;
            }
            done => return done.map_err(Ended::why),
        }
    }
    once(line, vault, act).await.map_err(Ended::why)
}

#[expect(
    clippy::disallowed_methods,
    reason = "nothing is decided by it; a clock of a test would only make it longer"
)]
pub(super) async fn pause(time: Duration) {
    tokio::time::sleep(time).await;
}

/// How a transaction ended that did not do what it should.
#[derive(Debug)]
enum Ended {
    /// Nothing was written.
    Undone(Failed),
    /// The connection was lost while it was committed: nobody knows whether it was.
    Unknown(sqlx::Error),
}

impl Ended {
    fn why(self) -> Failed {
        match self {
            Self::Undone(failed) => failed,
            Self::Unknown(error) => error.into(),
        }
    }
}

/// Whether the connection is gone and another one may do: where the server is silent it is waited for once, and not again.
fn worth_another(line: &Line, error: &sqlx::Error) -> bool {
    lost(error) && !line.is_silent()
}

fn again(line: &Line, ended: &Ended) -> bool {
    match ended {
        Ended::Undone(Failed::Overtaken(_)) => true,
        Ended::Undone(Failed::Database(error)) => came_to_nothing(error) || worth_another(line, error),
        Ended::Undone(_) | Ended::Unknown(_) => false,
    }
}

async fn once<T, F>(line: &Line, vault: &Vault, act: F) -> Result<T, Ended>
where
    F: for<'c> FnOnce(&'c mut Connection, &'c Vault) -> BoxFuture<'c, Result<T, Failed>>,
{
    let undone = |error: sqlx::Error| Ended::Undone(error.into());
    let mut connection = line.borrow().await.map_err(undone)?;
    let begun = line
        .timely(connection.get().map_err(undone)?.begin_with(line.sessions().begin()))
        .await;
    let mut transaction = begun.map_err(undone)?;
    match line.timely(act(&mut transaction, vault)).await {
        Ok(done) => match line.timely(transaction.commit()).await {
            Ok(()) => {
                connection.answered();
                Ok(done)
            }
            Err(error) if lost(&error) => Err(Ended::Unknown(error)),
            Err(error) => {
                connection.answered();
                Err(undone(error))
            }
        },
        Err(failed) => {
            // A connection that cannot undo it is closed, which undoes it too.
            if !is_lost(&failed) && line.timely(transaction.rollback()).await.is_ok() {
                connection.answered();
            }
            Err(Ended::Undone(failed))
        }
    }
}

fn is_lost(failed: &Failed) -> bool {
    matches!(failed, Failed::Database(error) if lost(error))
}
