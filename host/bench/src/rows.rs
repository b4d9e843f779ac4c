//! The bytes that a durable call leaves in the store, written by hand: same pragmas, one connection, no index, no fence.

use anyhow::{Result, bail};
use fusebox_engine::records::RunRecord;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection};
use std::path::Path;

/// A table of bodies.
pub struct Rows {
    connection: SqliteConnection,
}

/// What one durable call writes, by commit.
pub struct Bodies {
    /// The run as it is accepted.
    accepted: String,
    /// The run as it ended.
    ended: String,
    /// Its attempt.
    attempt: String,
}

impl Bodies {
    /// The bodies of a call that left this run.
    ///
    /// # Errors
    /// That the run had more than one attempt, or none.
    pub fn of(run: RunRecord) -> Result<Self> {
        let [attempt] = &*run.attempts else {
            bail!("the run had {} attempts", run.attempts.len());
        };
        let attempt = serde_json::to_string(attempt)?;
        let ended = RunRecord {
            attempts: Vec::new(),
            ..run
        };
        let accepted = RunRecord {
            state: "running".to_owned(),
            finished: None,
            output: None,
            ..ended.clone()
        };
        Ok(Self {
            accepted: serde_json::to_string(&accepted)?,
            ended: serde_json::to_string(&ended)?,
            attempt,
        })
    }
}

impl Rows {
    /// Makes the table in a new file.
    ///
    /// # Errors
    /// The database's.
    pub async fn create(path: &Path) -> Result<Self> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .disable_statement_logging();
        let mut connection = options.connect().await?;
        sqlx::query("CREATE TABLE rows (body TEXT NOT NULL) STRICT")
            .execute(&mut connection)
            .await?;
        Ok(Self { connection })
    }

    /// Writes what so many calls at once leave in two commits: one before they start, one when all have ended.
    ///
    /// # Errors
    /// The database's.
    pub async fn write(&mut self, bodies: &Bodies, calls: usize) -> Result<()> {
        self.commit(&[&bodies.accepted], calls).await?;
        self.commit(&[&bodies.ended, &bodies.attempt], calls).await
    }

    async fn commit(&mut self, bodies: &[&str], calls: usize) -> Result<()> {
        let mut transaction = self.connection.begin_with("BEGIN IMMEDIATE").await?;
        for body in bodies.iter().cycle().take(bodies.len() * calls) {
            sqlx::query("INSERT INTO rows (body) VALUES (?1)")
                .bind(*body)
                .execute(&mut *transaction)
                .await?;
        }
        Ok(transaction.commit().await?)
    }
}
