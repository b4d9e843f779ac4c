//! Runs that their owner lets go: over, given up, asleep, or waiting for a person.

use super::dialect::{Connection, Row};
use super::sql::{span, text};
use super::{holds, journal, letters, runs};
use crate::failures::{Failed, fenced as lost};
use crate::seal::Vault;
use fusebox_core::idempotency::key_expires;
use fusebox_core::run::State;
use fusebox_core::time::Wall;
use fusebox_engine::ports::store::{Fence, Finish, JOURNAL_KEPT, LetterChange};
use fusebox_engine::records::RunRecord;
use sqlx::Row as _;
use std::collections::BTreeMap;
use std::time::Duration;

macro_rules! leave {
    ($which:expr) => {
        concat!(
            "UPDATE runs SET tool = $5, state = $6, created = $7, finished = $8, body = $9, until = $10, approval = $11, ",
            "cancel = cancel AND $12, clock = NULL, owner = NULL, journal_until = NULL WHERE ",
            $which,
            " RETURNING call_key, key_lifetime, ",
            now!(),
            " AS now, (SELECT ",
            texts_by!("a.number", "a.body"),
            " FROM attempts a WHERE a.tenant = $1 AND a.run = $2) AS attempts, EXISTS (SELECT 1 FROM journal j WHERE j.tenant = $1 AND j.run = $2) AS journaled, ",
            "EXISTS (SELECT 1 FROM runs n WHERE n.tenant = $1 AND n.root = $2",
            since!("n", "$2"),
            ") AS calls"
        )
    };
}

/// By its owner.
pub(super) const LEAVE: &str = leave!(fenced!());
/// A root that nobody holds; owner and epoch are not looked at.
pub(super) const LEAVE_UNOWNED: &str =
    leave!("tenant = $1 AND id = $2 AND CAST($3 AS TEXT) IS NULL AND CAST($4 AS BIGINT) IS NULL");
/// What is not over below a root that is over: nobody goes on with it any more.
pub(super) const END_TREE: &str = concat!(
    "UPDATE runs SET state = CASE state WHEN 'running' THEN 'cancelled' ELSE 'failed' END, finished = ",
    now!(),
    " WHERE tenant = $1 AND root = $2",
    since!("runs", "$2"),
    " AND state NOT IN ('succeeded', 'failed', 'cancelled')"
);
pub(super) const KEEP_JOURNAL: &str = concat!(
    "UPDATE runs SET journal_until = ",
    now!(),
    " + $3 WHERE tenant = $1 AND id = $2 AND NOT EXISTS ",
    "(SELECT 1 FROM letters l WHERE l.tenant = $1 AND l.run = $2 AND l.state = 'open')"
);

/// What was found of a run when it was let go.
pub(super) struct Left {
    key: Option<Vec<u8>>,
    key_lifetime: Duration,
    /// The database's clock.
    now: Wall,
    pub(super) journaled: bool,
    /// Whether it has nested runs.
    pub(super) calls: bool,
}

/// What a run that is let go waits for.
#[derive(Default)]
pub(super) struct Rest {
    pub(super) until: Option<i64>,
    /// Whether a wish to cancel it is kept for whoever takes it next.
    pub(super) keeps_wish: bool,
}

/// Writes a run as its owner leaves it; attempts that did not change are left alone. Without a fence nobody may own it.
pub(super) async fn leave(
    connection: &mut Connection,
    vault: &Vault,
    fence: Option<&Fence>,
    run: &RunRecord,
    rest: Rest,
) -> Result<Left, Failed> {
    let statement = if fence.is_some() { LEAVE } else { LEAVE_UNOWNED };
    let left = sqlx::query(statement)
        .bind(&run.tenant)
        .bind(run.id.as_str())
        .bind(fence.map(|fence| fence.owner.as_str()))
        .bind(fence.map(|fence| fence.epoch))
        .bind(&run.tool)
        .bind(&run.state)
        .bind(run.created)
        .bind(run.finished)
        .bind(runs::body(vault, run)?)
        .bind(rest.until)
        .bind(run.approval.as_ref().map(|id| id.as_str()))
        .bind(rest.keeps_wish)
        .fetch_optional(&mut *connection)
        .await?;
    let row = left.ok_or_else(|| lost(format!("run {}", run.id)))?;
    put_attempts(connection, run, &row).await?;
    let lifetime: i64 = row.try_get("key_lifetime")?;
    Ok(Left {
        key: row.try_get("call_key")?,
        key_lifetime: Duration::from_millis(u64::try_from(lifetime).unwrap_or(0)),
        now: Wall(row.try_get("now")?),
        journaled: row.try_get("journaled")?,
        calls: row.try_get("calls")?,
    })
}

/// Makes the stored attempts those of the run.
pub(super) async fn put_attempts(connection: &mut Connection, run: &RunRecord, row: &Row) -> Result<(), Failed> {
    // What cannot be read is replaced.
    let stored = text(row, "attempts")?;
    let stored: BTreeMap<u32, String> = serde_json::from_slice(stored).unwrap_or_default();
    let mut wanted = BTreeMap::new();
    for attempt in &run.attempts {
        wanted.insert(attempt.number, runs::attempt_body(&run.id, attempt)?);
    }
    for (number, body) in &wanted {
        if stored.get(number) != Some(body) {
            runs::put_attempt(connection, &run.tenant, &run.id, *number, body).await?;
        }
    }
    for number in stored.keys().filter(|number| !wanted.contains_key(number)) {
        sqlx::query("DELETE FROM attempts WHERE tenant = $1 AND run = $2 AND number = $3")
            .bind(&run.tenant)
            .bind(run.id.as_str())
            .bind(i64::from(*number))
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

pub(super) async fn finish(
    connection: &mut Connection,
    vault: &Vault,
    fence: Fence,
    finish: Finish,
) -> Result<(), Failed> {
    let Finish {
        mut run,
        keep_key,
        letter,
        journal,
    } = finish;
    let open = match letter {
        LetterChange::None => None,
        LetterChange::Close | LetterChange::Enqueue(_) => {
            holds::run(connection, &run.tenant, run.id.as_str()).await?;
            letters::open_of(connection, &run).await?
        }
    };
    run.letter = letters::after(open.as_ref(), &letter).or(run.letter);
    let mut left = leave(connection, vault, Some(&fence), &run, Rest::default()).await?;
    let enqueued = matches!(letter, LetterChange::Enqueue(_));
    end_key(connection, &run, &left, keep_key, enqueued).await?;
    if matches!(letter, LetterChange::Close) {
        journal::drop_tree(connection, &run, &left).await?;
        left.journaled = false;
    }
    letters::apply(connection, vault, &run, open, letter).await?;
    after_end(connection, vault, &run, journal, left).await
}

/// What the end of a root means for its tree: a success leaves no journal, a failure keeps it for a while, and a letter as long as itself.
async fn after_end(
    connection: &mut Connection,
    vault: &Vault,
    run: &RunRecord,
    journal: Vec<fusebox_engine::records::JournalRecord>,
    left: Left,
) -> Result<(), Failed> {
    let state = State::from_name(&run.state);
    if state == Some(State::Succeeded) {
        journal::drop_tree(connection, run, &left).await?;
    } else {
        journal::put(connection, vault, &run.tenant, &run.id, &journal).await?;
        if state.is_some_and(State::is_over) && (left.journaled || !journal.is_empty()) {
            sqlx::query(KEEP_JOURNAL)
                .bind(&run.tenant)
                .bind(run.id.as_str())
                .bind(span(JOURNAL_KEPT))
                .execute(&mut *connection)
                .await?;
        }
    }
    if left.calls && state.is_some_and(State::is_over) {
        end_tree(connection, &run.tenant, run.id.as_str()).await?;
    }
    Ok(())
}

pub(super) async fn end_tree(connection: &mut Connection, tenant: &str, root: &str) -> Result<(), Failed> {
    sqlx::query(END_TREE)
        .bind(tenant)
        .bind(root)
        .execute(connection)
        .await?;
    Ok(())
}

/// Ends a root that nobody holds, with its tree; its key and its journal are kept as after any other end.
pub(super) async fn end_unowned(connection: &mut Connection, vault: &Vault, run: &RunRecord) -> Result<Left, Failed> {
    let left = leave(connection, vault, None, run, Rest::default()).await?;
    end_key(connection, run, &left, true, false).await?;
    Ok(left)
}

/// As [`end_unowned`], without a letter.
pub(super) async fn cancel_unowned(connection: &mut Connection, vault: &Vault, run: &RunRecord) -> Result<(), Failed> {
    let left = end_unowned(connection, vault, run).await?;
    after_end(connection, vault, run, Vec::new(), left).await
}

/// Lets the key of a run that is over go when its lifetime is, or at once; a letter keeps it beyond that.
async fn end_key(
    connection: &mut Connection,
    run: &RunRecord,
    left: &Left,
    keep: bool,
    enqueued: bool,
) -> Result<(), Failed> {
    let Some(key) = &left.key else { return Ok(()) };
    let kept = key_expires(Some(left.now), false, left.key_lifetime).filter(|_| keep);
    let query = if keep || enqueued {
        sqlx::query("UPDATE keys SET free_at = $4 WHERE tenant = $1 AND call_key = $2 AND run = $3")
    } else {
        sqlx::query("DELETE FROM keys WHERE tenant = $1 AND call_key = $2 AND run = $3")
    };
    let mut query = query.bind(&run.tenant).bind(key).bind(run.id.as_str());
    if keep || enqueued {
        query = query.bind(kept.unwrap_or(left.now).0);
    }
    query.execute(connection).await?;
    Ok(())
}

pub(super) async fn record_finished(
    connection: &mut Connection,
    vault: &Vault,
    finished: Vec<Finish>,
) -> Result<(), Failed> {
    for finish in finished {
        let Finish {
            mut run,
            letter,
            journal,
            ..
        } = finish;
        run.letter = letters::after(None, &letter).or(run.letter);
        runs::insert(connection, vault, &run, None, Duration::ZERO, None).await?;
        for attempt in &run.attempts {
            runs::put_attempt(
                connection,
                &run.tenant,
                &run.id,
                attempt.number,
                &runs::attempt_body(&run.id, attempt)?,
            )
            .await?;
        }
        letters::apply(connection, vault, &run, None, letter).await?;
        let left = Left {
            key: None,
            key_lifetime: Duration::ZERO,
            now: Wall(0),
            journaled: false,
            calls: true,
        };
        after_end(connection, vault, &run, journal, left).await?;
    }
    Ok(())
}
