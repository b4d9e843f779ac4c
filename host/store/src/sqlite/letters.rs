//! Dead letters: written with the end of their run, leased for a replay, closed once.

use crate::failures::{Failed, fenced as lost, refused, unless_taken};
use crate::rows::{Unreadable, decode, encode};
use crate::sqlite::sql::{alive, fenced, listed, now};
use crate::sqlite::{blobs, runs};
use fusebox_core::dead_letter::UNSETTLED;
use fusebox_core::ids::{LetterId, OwnerId};
use fusebox_engine::ports::store::{Fence, LetterChange, LetterFilter};
use fusebox_engine::records::{LetterRecord, RunRecord, Snapshot};
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row, Sqlite, SqliteConnection};
use std::time::Duration;

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT l.id, l.run, l.kind, l.state, l.replays, l.first_failed, l.body, s.body AS snapshot, ",
            alive!("r"),
            " AS leased FROM letters l LEFT JOIN runs r ON r.tenant = l.tenant AND r.id = l.run ",
            "LEFT JOIN snapshots s ON s.tenant = l.tenant AND s.letter = l.id ",
            $rest
        )
    };
}

pub(super) const ONE: &str = select!("WHERE l.tenant = ?1 AND l.id = ?2");
pub(super) const NEWEST_OF_RUN: &str =
    select!("WHERE l.tenant = ?1 AND l.run = ?2 ORDER BY l.first_failed DESC, l.id DESC LIMIT 1");
const LIST: &str = select!("WHERE l.tenant = ");
pub(super) const OPEN_OF_RUN: &str =
    "SELECT id, first_failed, replays FROM letters WHERE tenant = ?1 AND run = ?2 AND state = 'open'";
pub(super) const RELEASE: &str = concat!("UPDATE runs SET owner = NULL WHERE ", fenced!());
pub(super) const PURGE: &str = concat!(
    "UPDATE letters SET state = 'purged' WHERE tenant = ?1 AND id = ?2 AND state = 'open' AND kind <> 'in-doubt' ",
    "AND (?3 IS NULL OR expires <= ",
    now!(),
    ") AND NOT EXISTS (SELECT 1 FROM runs r WHERE r.tenant = letters.tenant AND r.id = letters.run AND ",
    alive!("r"),
    ")"
);
/// Ends the run of a letter that was closed without success: its failure stands.
pub(super) const GIVE_UP: &str = concat!(
    "UPDATE runs SET state = 'failed', finished = ",
    now!(),
    " WHERE tenant = ?1 AND id = (SELECT run FROM letters WHERE tenant = ?1 AND id = ?2) AND finished IS NULL"
);

pub(super) fn letter(row: &SqliteRow) -> Result<LetterRecord, Unreadable> {
    let name = format!("letter {}", row.try_get::<String, _>("id")?);
    let mut letter: LetterRecord = decode(&name, row.try_get("body")?)?;
    letter.state = row.try_get("state")?;
    if letter.state == "open" && row.try_get::<Option<bool>, _>("leased")? == Some(true) {
        "replaying".clone_into(&mut letter.state);
    }
    letter.replays = row.try_get("replays")?;
    let snapshot: Option<&[u8]> = row.try_get("snapshot")?;
    letter.snapshot = snapshot.map(|snapshot| decode(&name, snapshot)).transpose()?;
    Ok(letter)
}

pub(super) fn list<'q>(tenant: &'q str, filter: &'q LetterFilter) -> QueryBuilder<'q, Sqlite> {
    let mut query = QueryBuilder::new(LIST);
    query.push_bind(tenant);
    if !filter.closed {
        query.push(" AND l.state = 'open'");
    }
    let equal = [
        (" AND l.service = ", &filter.service),
        (" AND l.tool = ", &filter.tool),
        (" AND l.class = ", &filter.class),
    ];
    for (column, value) in equal {
        if let Some(value) = value {
            query.push(column).push_bind(value);
        }
    }
    if let Some(since) = filter.since {
        query.push(" AND l.last_failed >= ").push_bind(since);
    }
    query
        .push(" ORDER BY l.first_failed, l.id LIMIT ")
        .push_bind(listed(filter.limit));
    query
}

/// The letter of a run that is not closed.
pub(super) struct Open {
    id: LetterId,
    first_failed: i64,
    replays: u32,
}

pub(super) async fn open_of(connection: &mut SqliteConnection, run: &RunRecord) -> Result<Option<Open>, Failed> {
    let open = sqlx::query(OPEN_OF_RUN).bind(&run.tenant).bind(run.id.as_str());
    let Some(row) = open.fetch_optional(connection).await? else {
        return Ok(None);
    };
    let id: String = row.try_get("id")?;
    Ok(Some(Open {
        id: id.parse().map_err(|error| Unreadable {
            row: format!("letter {id}"),
            reason: format!("{error}"),
        })?,
        first_failed: row.try_get("first_failed")?,
        replays: row.try_get("replays")?,
    }))
}

/// The letter that a run has once its end is written, when that end touches a letter.
pub(super) fn after(open: Option<&Open>, change: &LetterChange) -> Option<LetterId> {
    let open = open.map(|open| open.id.clone());
    match change {
        LetterChange::None => None,
        LetterChange::Close => open,
        LetterChange::Enqueue(letter) => open.or_else(|| Some(letter.id.clone())),
    }
}

/// Applies the end of a run, already written, to its letter.
pub(super) async fn apply(
    connection: &mut SqliteConnection,
    run: &RunRecord,
    open: Option<Open>,
    change: LetterChange,
) -> Result<(), Failed> {
    match (change, open) {
        (LetterChange::None, _) | (LetterChange::Close, None) => Ok(()),
        (LetterChange::Close, Some(open)) => {
            sqlx::query("UPDATE letters SET state = 'replayed' WHERE tenant = ?1 AND id = ?2")
                .bind(&run.tenant)
                .bind(open.id.as_str())
                .execute(connection)
                .await?;
            Ok(())
        }
        (LetterChange::Enqueue(letter), open) => {
            let mut letter = *letter;
            let updated = open.is_some();
            if let Some(open) = open {
                letter.id = open.id;
                letter.first_failed = open.first_failed;
                letter.replays = open.replays;
            }
            letter.tenant.clone_from(&run.tenant);
            letter.run.letter = Some(letter.id.clone());
            "open".clone_into(&mut letter.state);
            let snapshot = letter.snapshot.take();
            write(connection, run, &letter, updated).await?;
            write_snapshot(connection, &letter, snapshot).await
        }
    }
}

async fn write(
    connection: &mut SqliteConnection,
    run: &RunRecord,
    letter: &LetterRecord,
    update: bool,
) -> Result<(), Failed> {
    let written = if update {
        "UPDATE letters SET run = ?3, tool = ?4, state = ?5, kind = ?6, class = ?7, service = ?8, first_failed = ?9, \
         last_failed = ?10, expires = ?11, replays = ?12, body = ?13 WHERE tenant = ?1 AND id = ?2"
    } else {
        "INSERT INTO letters (tenant, id, run, tool, state, kind, class, service, first_failed, last_failed, expires, \
         replays, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)"
    };
    let written = sqlx::query(written)
        .bind(&letter.tenant)
        .bind(letter.id.as_str())
        .bind(run.id.as_str())
        .bind(&run.tool)
        .bind(&letter.state)
        .bind(&letter.kind)
        .bind(&letter.class)
        .bind(&letter.service)
        .bind(letter.first_failed)
        .bind(letter.last_failed)
        .bind(letter.expires)
        .bind(letter.replays)
        .bind(encode(&format!("letter {}", letter.id), letter)?)
        .execute(connection)
        .await;
    let taken = || format!("letter {} exists already; a new letter needs a new id", letter.id);
    written.map(|_| ()).map_err(|error| unless_taken(error, taken))
}

/// Replaces the snapshot of a letter.
async fn write_snapshot(
    connection: &mut SqliteConnection,
    letter: &LetterRecord,
    snapshot: Option<Snapshot>,
) -> Result<(), Failed> {
    let (tenant, id) = (&letter.tenant, letter.id.as_str());
    drop_snapshot(connection, tenant, id).await?;
    let Some(snapshot) = snapshot else {
        return Ok(());
    };
    sqlx::query("INSERT INTO snapshots (tenant, letter, body) VALUES (?1, ?2, ?3)")
        .bind(tenant)
        .bind(id)
        .bind(encode(&format!("letter {id}"), &snapshot)?)
        .execute(&mut *connection)
        .await?;
    for digest in blobs::needed(&snapshot) {
        sqlx::query("INSERT INTO snapshot_pages (tenant, letter, digest) VALUES (?1, ?2, ?3)")
            .bind(tenant)
            .bind(id)
            .bind(digest.0.to_vec())
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

/// Removes the snapshot of a letter, not its pages: others may need them.
pub(super) async fn drop_snapshot(connection: &mut SqliteConnection, tenant: &str, id: &str) -> Result<(), Failed> {
    sqlx::query("DELETE FROM snapshots WHERE tenant = ?1 AND letter = ?2")
        .bind(tenant)
        .bind(id)
        .execute(connection)
        .await?;
    Ok(())
}

pub(super) async fn lease(
    connection: &mut SqliteConnection,
    tenant: &str,
    id: &LetterId,
    owner: OwnerId,
    lease: Duration,
) -> Result<(LetterRecord, Fence), Failed> {
    let row = sqlx::query(ONE).bind(tenant).bind(id.as_str());
    let row = row.fetch_optional(&mut *connection).await?;
    let row = row.ok_or_else(|| refused(format!("there is no letter {id}")))?;
    may_lease(&row, id)?;
    let mut leased = letter(&row)?;
    let run: String = row.try_get("run")?;
    let epoch = runs::lease(connection, tenant, &run, owner.as_str(), lease).await?;
    sqlx::query("UPDATE letters SET replays = replays + 1 WHERE tenant = ?1 AND id = ?2")
        .bind(tenant)
        .bind(id.as_str())
        .execute(&mut *connection)
        .await?;
    leased.run = runs::one(connection, tenant, &run).await?;
    leased.replays += 1;
    "replaying".clone_into(&mut leased.state);
    Ok((leased, Fence { owner, epoch }))
}

fn may_lease(row: &SqliteRow, id: &LetterId) -> Result<(), Failed> {
    let (state, kind): (String, String) = (row.try_get("state")?, row.try_get("kind")?);
    if state != "open" {
        return Err(refused(format!("letter {id} is closed: {state}")));
    }
    if kind == "in-doubt" {
        return Err(refused(format!(
            "letter {id} is in doubt: an effect may have happened, and a replay could make it happen twice; {UNSETTLED}"
        )));
    }
    if row.try_get::<Option<bool>, _>("leased")? == Some(true) {
        return Err(refused(format!("letter {id} is being replayed by another host")));
    }
    Ok(())
}

pub(super) async fn release(
    connection: &mut SqliteConnection,
    tenant: &str,
    id: &LetterId,
    fence: &Fence,
) -> Result<(), Failed> {
    let fenced = || lost(format!("letter {id}"));
    let run = sqlx::query_scalar("SELECT run FROM letters WHERE tenant = ?1 AND id = ?2 AND state = 'open'")
        .bind(tenant)
        .bind(id.as_str());
    let run: Option<String> = run.fetch_optional(&mut *connection).await?;
    let released = sqlx::query(RELEASE).bind(tenant).bind(run.ok_or_else(fenced)?);
    let released = released.bind(fence.owner.as_str()).bind(fence.epoch);
    if released.execute(&mut *connection).await?.rows_affected() == 0 {
        return Err(fenced());
    }
    sqlx::query("UPDATE letters SET replays = MAX(replays - 1, 0) WHERE tenant = ?1 AND id = ?2")
        .bind(tenant)
        .bind(id.as_str())
        .execute(connection)
        .await?;
    Ok(())
}
