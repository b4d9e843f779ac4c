//! Runs: claimed under a key, leased, and ended by their owner alone.

use crate::failures::{Failed, fenced as lost, refused, unless_taken};
use crate::rows::{Unreadable, decode, encode};
use crate::sqlite::letters;
use crate::sqlite::sql::{alive, fenced, listed, now, span};
use fusebox_core::idempotency::{self, Holder};
use fusebox_core::ids::{Digest, RunId};
use fusebox_engine::ports::store::{Claim, Fence, Finish, LetterChange, NewRun, RunFilter};
use fusebox_engine::records::{AttemptRecord, RunRecord};
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row, Sqlite, SqliteConnection};
use std::time::Duration;

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT r.id, r.state, r.finished, r.body, (SELECT json_group_array(a.body ORDER BY a.number) FROM attempts a ",
            "WHERE a.tenant = r.tenant AND a.run = r.id) AS attempts, ",
            alive!("r"),
            " AS alive FROM runs r ",
            $rest
        )
    };
}

pub(super) const ONE: &str = select!("WHERE r.tenant = ?1 AND r.id = ?2");
const LIST: &str = select!("WHERE r.tenant = ");
pub(super) const KEY: &str = concat!(
    "SELECT k.run, k.fingerprint, k.free_at IS NOT NULL AS over, k.free_at <= ",
    now!(),
    " AS expired, EXISTS (SELECT 1 FROM letters l WHERE l.tenant = k.tenant AND l.run = k.run AND l.state = 'open') ",
    "AS lettered FROM keys k WHERE k.tenant = ?1 AND k.call_key = ?2"
);
pub(super) const RENEW: &str = concat!("UPDATE runs SET lease_until = ", now!(), " + ?5 WHERE ", fenced!());
pub(super) const OWNED: &str = concat!("SELECT call_key, key_lifetime FROM runs WHERE ", fenced!());
pub(super) const ADD_ATTEMPT: &str = concat!(
    "INSERT INTO attempts (tenant, run, number, body) SELECT tenant, id, ?5, ?6 FROM runs WHERE ",
    fenced!(),
    " ON CONFLICT DO UPDATE SET body = excluded.body"
);

pub(super) fn run(row: &SqliteRow) -> Result<RunRecord, Unreadable> {
    let name = format!("run {}", row.try_get::<String, _>("id")?);
    let mut run: RunRecord = decode(&name, row.try_get("body")?)?;
    // A run that ended with its letter has its end beside its body.
    run.state = row.try_get("state")?;
    run.finished = run.finished.or(row.try_get("finished")?);
    let attempts: Vec<String> = decode(&name, row.try_get("attempts")?)?;
    let attempts = attempts.iter().map(|attempt| decode(&name, attempt.as_bytes()));
    run.attempts = attempts.collect::<Result<_, _>>()?;
    if row.try_get("alive")? {
        "running".clone_into(&mut run.state);
        run.finished = None;
    }
    Ok(run)
}

pub(super) fn list<'q>(tenant: &'q str, filter: &'q RunFilter) -> QueryBuilder<'q, Sqlite> {
    let mut query = QueryBuilder::new(LIST);
    query.push_bind(tenant);
    if let Some(tool) = &filter.tool {
        query.push(" AND r.tool = ").push_bind(tool);
    }
    match filter.state.as_deref() {
        Some("running") => {
            query.push(concat!(" AND (r.state = 'running' OR ", alive!("r"), ")"));
        }
        Some(state) => {
            query
                .push(concat!(" AND NOT ", alive!("r"), " AND r.state = "))
                .push_bind(state);
        }
        None => {}
    }
    if let Some(since) = filter.since {
        query.push(" AND r.created >= ").push_bind(since);
    }
    query
        .push(" ORDER BY r.created DESC, r.id DESC LIMIT ")
        .push_bind(listed(filter.limit));
    query
}

pub(super) async fn claim(connection: &mut SqliteConnection, new: NewRun) -> Result<Claim, Failed> {
    if let Some(key) = &new.call_key
        && let Some(taken) = taken(connection, &new.run, key).await?
    {
        return Ok(taken);
    }
    let (run, key) = (&new.run, new.call_key.map(|key| key.0.to_vec()));
    insert(connection, run, key.as_deref(), span(new.key_lifetime)).await?;
    for attempt in &run.attempts {
        put_attempt(connection, run, attempt).await?;
    }
    if let Some(key) = key {
        sqlx::query(
            "INSERT INTO keys (tenant, call_key, run, fingerprint) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO UPDATE \
             SET run = excluded.run, fingerprint = excluded.fingerprint, free_at = NULL",
        )
        .bind(&run.tenant)
        .bind(key)
        .bind(run.id.as_str())
        .bind(run.fingerprint.0.as_slice())
        .execute(&mut *connection)
        .await?;
    }
    let epoch = lease(connection, &run.tenant, run.id.as_str(), new.owner.as_str(), new.lease).await?;
    let owner = new.owner;
    Ok(Claim::Fresh(Fence { owner, epoch }))
}

/// What the holder of the key means for a call; `None` when the key is free.
async fn taken(connection: &mut SqliteConnection, run: &RunRecord, key: &Digest) -> Result<Option<Claim>, Failed> {
    let holder = sqlx::query(KEY).bind(&run.tenant).bind(key.0.as_slice());
    let Some(row) = holder.fetch_optional(&mut *connection).await? else {
        return Ok(None);
    };
    let (over, lettered): (bool, bool) = (row.try_get("over")?, row.try_get("lettered")?);
    let id: String = row.try_get("run")?;
    let fingerprint: Vec<u8> = row.try_get("fingerprint")?;
    let holder = Holder {
        fingerprint: Digest(fingerprint.try_into().map_err(|_| Unreadable {
            row: format!("the key of run {id}"),
            reason: "its fingerprint is no SHA-256".to_owned(),
        })?),
        over: over && !lettered,
        expired: row.try_get::<Option<bool>, _>("expired")? == Some(true),
    };
    let decided = idempotency::claim(Some(&holder), run.fingerprint);
    if decided == idempotency::Claim::Fresh {
        return Ok(None);
    }
    if decided == idempotency::Claim::Conflict {
        let id: RunId = id.parse().map_err(|error| Unreadable {
            row: format!("the key of run {id}"),
            reason: format!("{error}"),
        })?;
        return Ok(Some(Claim::Conflict(id)));
    }
    let row = sqlx::query(ONE)
        .bind(&run.tenant)
        .bind(id)
        .fetch_one(connection)
        .await?;
    let holder = Box::new(self::run(&row)?);
    Ok(Some(if decided == idempotency::Claim::Stored {
        Claim::Stored(holder)
    } else {
        Claim::Joined {
            run: holder,
            alive: row.try_get("alive")?,
        }
    }))
}

/// Takes the lease for a new owner; returns its epoch.
pub(super) async fn lease(
    connection: &mut SqliteConnection,
    tenant: &str,
    run: &str,
    owner: &str,
    lease: Duration,
) -> Result<i64, Failed> {
    const LEASE: &str = concat!(
        "UPDATE runs SET owner = ?3, epoch = epoch + 1, lease_until = ",
        now!(),
        " + ?4 WHERE tenant = ?1 AND id = ?2 RETURNING epoch"
    );
    let leased = sqlx::query_scalar(LEASE)
        .bind(tenant)
        .bind(run)
        .bind(owner)
        .bind(span(lease));
    Ok(leased.fetch_one(connection).await?)
}

pub(super) async fn renew(
    connection: &mut SqliteConnection,
    tenant: &str,
    run: &RunId,
    fence: &Fence,
    lease: Duration,
) -> Result<(), Failed> {
    let renewed = sqlx::query(RENEW).bind(tenant).bind(run.as_str());
    let renewed = renewed.bind(fence.owner.as_str()).bind(fence.epoch).bind(span(lease));
    still_owned(run, renewed.execute(connection).await?.rows_affected())
}

pub(super) async fn add_attempt(
    connection: &mut SqliteConnection,
    tenant: &str,
    run: &RunId,
    fence: &Fence,
    attempt: &AttemptRecord,
) -> Result<(), Failed> {
    let added = sqlx::query(ADD_ATTEMPT).bind(tenant).bind(run.as_str());
    let added = added.bind(fence.owner.as_str()).bind(fence.epoch);
    let added = added.bind(attempt.number).bind(encode(&format!("run {run}"), attempt)?);
    still_owned(run, added.execute(connection).await?.rows_affected())
}

fn still_owned(run: &RunId, rows: u64) -> Result<(), Failed> {
    if rows == 0 {
        return Err(lost(format!("run {run}")));
    }
    Ok(())
}

pub(super) async fn finish(connection: &mut SqliteConnection, fence: Fence, finish: Finish) -> Result<(), Failed> {
    let Finish {
        mut run,
        keep_key,
        letter,
        ..
    } = finish;
    let owned = sqlx::query(OWNED).bind(&run.tenant).bind(run.id.as_str());
    let owned = owned.bind(fence.owner.as_str()).bind(fence.epoch);
    let owned = owned.fetch_optional(&mut *connection).await?;
    let owned = owned.ok_or_else(|| lost(format!("run {}", run.id)))?;

    let open = letters::open_of(connection, &run).await?;
    run.letter = letters::after(open.as_ref(), &letter).or(run.letter);
    sqlx::query(
        "UPDATE runs SET tool = ?3, state = ?4, created = ?5, finished = ?6, body = ?7, owner = NULL \
         WHERE tenant = ?1 AND id = ?2",
    )
    .bind(&run.tenant)
    .bind(run.id.as_str())
    .bind(&run.tool)
    .bind(&run.state)
    .bind(run.created)
    .bind(run.finished)
    .bind(body(&run)?)
    .execute(&mut *connection)
    .await?;
    sqlx::query("DELETE FROM attempts WHERE tenant = ?1 AND run = ?2")
        .bind(&run.tenant)
        .bind(run.id.as_str())
        .execute(&mut *connection)
        .await?;
    for attempt in &run.attempts {
        put_attempt(connection, &run, attempt).await?;
    }
    if let Some(key) = owned.try_get::<Option<Vec<u8>>, _>("call_key")? {
        let kept = keep_key || matches!(letter, LetterChange::Enqueue(_));
        let lifetime: i64 = if keep_key { owned.try_get("key_lifetime")? } else { 0 };
        end_key(connection, &run, &key, kept.then_some(lifetime)).await?;
    }
    letters::apply(connection, &run, open, letter).await
}

/// Lets the key of a run that is over go after so many milliseconds, or at once.
async fn end_key(
    connection: &mut SqliteConnection,
    run: &RunRecord,
    key: &[u8],
    lifetime: Option<i64>,
) -> Result<(), Failed> {
    const KEEP: &str = concat!(
        "UPDATE keys SET free_at = ",
        now!(),
        " + ?4 WHERE tenant = ?1 AND call_key = ?2 AND run = ?3"
    );
    let query = match lifetime {
        Some(_) => sqlx::query(KEEP),
        None => sqlx::query("DELETE FROM keys WHERE tenant = ?1 AND call_key = ?2 AND run = ?3"),
    };
    let mut query = query.bind(&run.tenant).bind(key).bind(run.id.as_str());
    if let Some(lifetime) = lifetime {
        query = query.bind(lifetime);
    }
    query.execute(connection).await?;
    Ok(())
}

pub(super) async fn record_finished(connection: &mut SqliteConnection, finished: Vec<Finish>) -> Result<(), Failed> {
    for Finish { mut run, letter, .. } in finished {
        run.letter = letters::after(None, &letter).or(run.letter);
        insert(connection, &run, None, 0).await?;
        for attempt in &run.attempts {
            put_attempt(connection, &run, attempt).await?;
        }
        letters::apply(connection, &run, None, letter).await?;
    }
    Ok(())
}

async fn insert(
    connection: &mut SqliteConnection,
    run: &RunRecord,
    key: Option<&[u8]>,
    key_lifetime: i64,
) -> Result<(), Failed> {
    let inserted = sqlx::query(
        "INSERT INTO runs (tenant, id, tool, state, created, finished, call_key, key_lifetime, epoch, lease_until, body) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 0, 0, ?9)",
    )
    .bind(&run.tenant)
    .bind(run.id.as_str())
    .bind(&run.tool)
    .bind(&run.state)
    .bind(run.created)
    .bind(run.finished)
    .bind(key)
    .bind(key_lifetime)
    .bind(body(run)?)
    .execute(connection)
    .await;
    let taken = || format!("run {} exists already; a new run needs a new id", run.id);
    inserted.map(|_| ()).map_err(|error| unless_taken(error, taken))
}

async fn put_attempt(
    connection: &mut SqliteConnection,
    run: &RunRecord,
    attempt: &AttemptRecord,
) -> Result<(), Failed> {
    sqlx::query(
        "INSERT INTO attempts (tenant, run, number, body) VALUES (?1, ?2, ?3, ?4) \
         ON CONFLICT DO UPDATE SET body = excluded.body",
    )
    .bind(&run.tenant)
    .bind(run.id.as_str())
    .bind(attempt.number)
    .bind(encode(&format!("run {}", run.id), attempt)?)
    .execute(connection)
    .await?;
    Ok(())
}

/// A run's body. Its attempts have rows of their own, so that one can be added without rewriting the run.
fn body(run: &RunRecord) -> Result<String, Unreadable> {
    let mut bare = run.clone();
    bare.attempts = Vec::new();
    encode(&format!("run {}", run.id), &bare)
}

/// The run of a letter that is being leased, as it is now.
pub(super) async fn one(connection: &mut SqliteConnection, tenant: &str, id: &str) -> Result<RunRecord, Failed> {
    let row = sqlx::query(ONE)
        .bind(tenant)
        .bind(id)
        .fetch_optional(connection)
        .await?;
    let row = row.ok_or_else(|| refused(format!("run {id} is gone")))?;
    Ok(run(&row)?)
}
