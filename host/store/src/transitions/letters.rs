//! Dead letters: written with the end of their run, leased for a replay, closed once.

use super::dialect::{Connection, Database, Pool, Row, rows};
use super::sql::{count, go_on_behind, listed, text};
use super::{blobs, holds, runs};
use crate::failures::{Failed, fenced as lost, refused, unless_taken};
use crate::rows::{Unreadable, readable};
use crate::seal::{Place, Vault};
use fusebox_core::ids::{LetterId, OwnerId};
use fusebox_engine::ports::store::{Fence, LetterChange, LetterFilter};
use fusebox_engine::records::{LetterRecord, RunRecord, Snapshot};
use sqlx::{QueryBuilder, Row as _};
use std::time::Duration;

macro_rules! select {
    ($($rest:expr),+) => {
        concat!(
            "SELECT l.tenant, l.id, l.run, l.kind, l.state, l.replays, l.first_failed, l.pinned, l.body, s.body AS snapshot, ",
            goes_on!("r"),
            " AS leased, r.state AS run_state, ",
            alive!("r"),
            " AS alive FROM letters l LEFT JOIN runs r ON r.tenant = l.tenant AND r.id = l.run ",
            "LEFT JOIN snapshots s ON s.tenant = l.tenant AND s.letter = l.id ",
            $($rest),+
        )
    };
}

pub(super) const ONE: &str = select!("WHERE l.tenant = $1 AND l.id = $2");
pub(super) const NEWEST_OF_RUN: &str =
    select!("WHERE l.tenant = $1 AND l.run = $2 ORDER BY l.first_failed DESC, l.id DESC LIMIT 1");
const LIST: &str = select!("WHERE l.tenant = ");
pub(super) const OPEN_OF_RUN: &str =
    "SELECT id, first_failed, replays, pinned FROM letters WHERE tenant = $1 AND run = $2 AND state = 'open'";
pub(super) const RELEASE: &str = concat!("UPDATE runs SET owner = NULL WHERE ", fenced!());
/// Letters that replay by themselves, that nobody replays and whose time has come, after the one of `$1` to `$4`.
pub(super) const WAITING: &str = select!(
    "WHERE l.state = 'open' AND l.auto_replay = ",
    yes!(),
    " AND l.kind = 'retryable' AND l.replays >= $1 \
     AND (l.replays, l.first_failed, l.tenant, l.id) > ($1, $2, $3, $4) AND (l.not_before IS NULL OR l.not_before <= ",
    now!(),
    ") AND NOT ",
    goes_on!("r"),
    " ORDER BY l.replays, l.first_failed, l.tenant, l.id LIMIT $5"
);
pub(super) const PIN: &str = "UPDATE letters SET pinned = $3 WHERE tenant = $1 AND id = $2";
/// What [`may_purge`](fusebox_core::dead_letter::may_purge) has to know.
pub(super) const TO_PURGE: &str = concat!(
    "SELECT l.state, l.kind, l.run, l.pinned, l.expires <= ",
    now!(),
    " AS expired, ",
    left_open!("l"),
    " AS left_open, ",
    goes_on!("r"),
    " AS leased FROM letters l LEFT JOIN runs r ON r.tenant = l.tenant AND r.id = l.run WHERE l.tenant = $1 AND l.id = $2"
);
/// Ends the run of a letter that was closed without success: its failure stands.
pub(super) const GIVE_UP: &str = concat!(
    "UPDATE runs SET state = 'failed', finished = ",
    now!(),
    " WHERE tenant = $1 AND id = $2 AND finished IS NULL"
);

pub(super) fn letter(vault: &Vault, row: &Row) -> Result<LetterRecord, Unreadable> {
    let (tenant, id): (String, String) = (row.try_get("tenant")?, row.try_get("id")?);
    let place = Place::new("letter", &tenant, &id);
    let mut letter: LetterRecord = vault.decode(place, text(row, "body")?)?;
    letter.state = row.try_get("state")?;
    if letter.state == "open" && row.try_get::<Option<bool>, _>("leased")? == Some(true) {
        "replaying".clone_into(&mut letter.state);
    }
    letter.kind = row.try_get("kind")?;
    letter.replays = count(row, "replays")?;
    letter.pinned = row.try_get("pinned")?;
    let snapshot: Option<&[u8]> = row.try_get_unchecked("snapshot")?;
    let snapshot = snapshot.map(|snapshot| vault.decode(snapshot_of(place), snapshot));
    letter.snapshot = snapshot.transpose()?;
    Ok(letter)
}

fn snapshot_of(letter: Place<'_>) -> Place<'_> {
    Place {
        what: "snapshot of letter",
        ..letter
    }
}

pub(super) fn list<'q>(tenant: &'q str, filter: &'q LetterFilter) -> QueryBuilder<'q, Database> {
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
    if let Some(after) = &filter.after {
        let row = (tenant, after.as_str(), after.made());
        go_on_behind(&mut query, "(l.first_failed, l.id) >", ("first_failed", "letters"), row);
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
    pinned: bool,
}

pub(super) async fn open_of(connection: &mut Connection, run: &RunRecord) -> Result<Option<Open>, Failed> {
    let open = sqlx::query(OPEN_OF_RUN).bind(&run.tenant).bind(run.id.as_str());
    let Some(row) = open.fetch_optional(connection).await? else {
        return Ok(None);
    };
    let id: String = row.try_get("id")?;
    Ok(Some(Open {
        id: runs::parsed(Place::new("letter", &run.tenant, &id), &id)?,
        first_failed: row.try_get("first_failed")?,
        replays: count(&row, "replays")?,
        pinned: row.try_get("pinned")?,
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
    connection: &mut Connection,
    vault: &Vault,
    run: &RunRecord,
    open: Option<Open>,
    change: LetterChange,
) -> Result<(), Failed> {
    match (change, open) {
        (LetterChange::None, _) | (LetterChange::Close, None) => Ok(()),
        (LetterChange::Close, Some(open)) => {
            sqlx::query("UPDATE letters SET state = 'replayed' WHERE tenant = $1 AND id = $2")
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
                letter.pinned = open.pinned;
            }
            letter.tenant.clone_from(&run.tenant);
            letter.run.letter = Some(letter.id.clone());
            "open".clone_into(&mut letter.state);
            let snapshot = letter.snapshot.take();
            write(connection, vault, &letter, updated).await?;
            write_snapshot(connection, vault, &letter, snapshot).await
        }
    }
}

pub(super) async fn write(
    connection: &mut Connection,
    vault: &Vault,
    letter: &LetterRecord,
    update: bool,
) -> Result<(), Failed> {
    let written = if update {
        "UPDATE letters SET run = $3, tool = $4, state = $5, kind = $6, class = $7, service = $8, first_failed = $9, \
         last_failed = $10, expires = $11, replays = $12, body = $13, pinned = $14, auto_replay = $15, not_before = $16 WHERE tenant = $1 AND id = $2"
    } else {
        "INSERT INTO letters (tenant, id, run, tool, state, kind, class, service, first_failed, last_failed, expires, \
         replays, body, pinned, auto_replay, not_before) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)"
    };
    let written = sqlx::query(written)
        .bind(&letter.tenant)
        .bind(letter.id.as_str())
        .bind(letter.run.id.as_str())
        .bind(&letter.run.tool)
        .bind(&letter.state)
        .bind(&letter.kind)
        .bind(&letter.class)
        .bind(&letter.service)
        .bind(letter.first_failed)
        .bind(letter.last_failed)
        .bind(letter.expires)
        .bind(i64::from(letter.replays))
        .bind(vault.encode(Place::new("letter", &letter.tenant, letter.id.as_str()), letter)?)
        .bind(letter.pinned)
        .bind(letter.auto_replay)
        .bind(letter.not_before)
        .execute(connection)
        .await;
    let taken = || format!("letter {} exists already; a new letter needs a new id", letter.id);
    written.map(|_| ()).map_err(|error| unless_taken(error, taken))
}

/// Replaces the snapshot of a letter.
async fn write_snapshot(
    connection: &mut Connection,
    vault: &Vault,
    letter: &LetterRecord,
    snapshot: Option<Snapshot>,
) -> Result<(), Failed> {
    let (tenant, id) = (&letter.tenant, letter.id.as_str());
    drop_snapshot(connection, tenant, id).await?;
    let Some(snapshot) = snapshot else {
        return Ok(());
    };
    sqlx::query("INSERT INTO snapshots (tenant, letter, body) VALUES ($1, $2, $3)")
        .bind(tenant)
        .bind(id)
        .bind(vault.encode(snapshot_of(Place::new("letter", tenant, id)), &snapshot)?)
        .execute(&mut *connection)
        .await?;
    for digest in blobs::needed(&snapshot) {
        sqlx::query("INSERT INTO snapshot_pages (tenant, letter, digest) VALUES ($1, $2, $3)")
            .bind(tenant)
            .bind(id)
            .bind(digest.0.to_vec())
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

/// Removes the snapshot of a letter, not its pages: others may need them.
pub(super) async fn drop_snapshot(connection: &mut Connection, tenant: &str, id: &str) -> Result<(), Failed> {
    sqlx::query("DELETE FROM snapshots WHERE tenant = $1 AND letter = $2")
        .bind(tenant)
        .bind(id)
        .execute(connection)
        .await?;
    Ok(())
}

pub(super) async fn lease(
    connection: &mut Connection,
    vault: &Vault,
    tenant: &str,
    id: &LetterId,
    owner: OwnerId,
    lease: Duration,
) -> Result<(LetterRecord, Fence), Failed> {
    holds::letter(connection, tenant, id).await?;
    let row = sqlx::query(ONE).bind(tenant).bind(id.as_str());
    let row = row.fetch_optional(&mut *connection).await?;
    let row = row.ok_or_else(|| refused(format!("there is no letter {id}")))?;
    may_lease(&row, id)?;
    let mut leased = letter(vault, &row)?;
    let run: String = row.try_get("run")?;
    let epoch = runs::lease(connection, tenant, &run, owner.as_str(), lease).await?;
    sqlx::query("UPDATE letters SET replays = replays + 1 WHERE tenant = $1 AND id = $2")
        .bind(tenant)
        .bind(id.as_str())
        .execute(&mut *connection)
        .await?;
    leased.run = runs::one(connection, vault, tenant, &run).await?;
    leased.replays += 1;
    "replaying".clone_into(&mut leased.state);
    Ok((leased, Fence { owner, epoch }))
}

fn may_lease(row: &Row, id: &LetterId) -> Result<(), Failed> {
    let (state, kind): (String, String) = (row.try_get("state")?, row.try_get("kind")?);
    if state != "open" {
        return Err(refused(format!("letter {id} is closed: {state}")));
    }
    if kind == "in-doubt" {
        return Err(refused(format!(
            "letter {id} is in doubt: an effect may have happened, and a replay could make it happen twice; resolve it first"
        )));
    }
    not_replayed(row, id)
}

/// Whether nobody replays it, be it that the replay sleeps or waits for a person.
pub(super) fn not_replayed(row: &Row, id: &LetterId) -> Result<(), Failed> {
    if row.try_get::<Option<bool>, _>("alive")? == Some(true) {
        return Err(refused(format!("letter {id} is being replayed by another host")));
    }
    if row.try_get::<Option<bool>, _>("leased")? == Some(true) {
        let state: String = row.try_get("run_state")?;
        return Err(refused(format!("letter {id} is being replayed: its run is {state}")));
    }
    Ok(())
}

/// The letters that wait for their service, at most `limit`; one that cannot be read is named and passed over.
pub(super) async fn waiting(readers: &Pool, vault: &Vault, limit: u32) -> Result<Vec<LetterRecord>, Failed> {
    let wanted = usize::try_from(listed(limit)).unwrap_or(usize::MAX);
    let mut letters = Vec::new();
    let mut last = (-1_i64, 0_i64, String::new(), String::new());
    while letters.len() < wanted {
        let part = sqlx::query(WAITING)
            .bind(last.0)
            .bind(last.1)
            .bind(&last.2)
            .bind(&last.3);
        let rows = rows(readers, part.bind(listed(limit))).await?;
        let Some(end) = rows.last() else { break };
        last = (
            end.try_get("replays")?,
            end.try_get("first_failed")?,
            end.try_get("tenant")?,
            end.try_get("id")?,
        );
        letters.extend(readable(rows.iter().map(|row| letter(vault, row))));
    }
    letters.truncate(wanted);
    Ok(letters)
}

pub(super) async fn release(
    connection: &mut Connection,
    tenant: &str,
    id: &LetterId,
    fence: &Fence,
) -> Result<(), Failed> {
    let fenced = || lost(format!("letter {id}"));
    holds::letter(connection, tenant, id).await?;
    let run = sqlx::query_scalar("SELECT run FROM letters WHERE tenant = $1 AND id = $2 AND state = 'open'")
        .bind(tenant)
        .bind(id.as_str());
    let run: Option<String> = run.fetch_optional(&mut *connection).await?;
    let released = sqlx::query(RELEASE).bind(tenant).bind(run.ok_or_else(fenced)?);
    let released = released.bind(fence.owner.as_str()).bind(fence.epoch);
    if released.execute(&mut *connection).await?.rows_affected() == 0 {
        return Err(fenced());
    }
    sqlx::query(
        "UPDATE letters SET replays = CASE WHEN replays > 0 THEN replays - 1 ELSE 0 END WHERE tenant = $1 AND id = $2",
    )
    .bind(tenant)
    .bind(id.as_str())
    .execute(connection)
    .await?;
    Ok(())
}

/// Pins a letter or lets it go; whether there is one.
pub(super) async fn pin(
    connection: &mut Connection,
    tenant: &str,
    id: &LetterId,
    pinned: bool,
) -> Result<bool, Failed> {
    holds::letter(connection, tenant, id).await?;
    let pin = sqlx::query(PIN).bind(tenant).bind(id.as_str()).bind(pinned);
    Ok(pin.execute(connection).await?.rows_affected() > 0)
}
