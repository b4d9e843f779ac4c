//! Runs: claimed under a key, leased, and read.

use super::dialect::{Connection, Database, Row};
use super::holds;
use super::sql::{count, go_on_behind, listed, span, text};
use crate::failures::{Failed, fenced as lost, refused, unless_taken};
use crate::rows::{Unreadable, decode, encode};
use crate::seal::{Place, Vault};
use fusebox_core::idempotency::{self, Holder};
use fusebox_core::ids::{Digest, OwnerId, RunId};
use fusebox_core::run::State;
use fusebox_engine::ports::store::{Claim, Fence, NewRun, RunFilter};
use fusebox_engine::records::{AttemptRecord, RunRecord, Seed};
use sqlx::{QueryBuilder, Row as _};
use std::time::Duration;

/// `$run` is the id of the run where that is known beforehand, so that its attempts are looked for in one partition.
macro_rules! select {
    ($rest:literal) => {
        select!($rest, run = "r.id")
    };
    ($rest:literal, run = $run:literal) => {
        concat!(
            "SELECT r.tenant, r.id, r.state, r.finished, r.seed, r.clock, r.recoveries, r.until, r.approval, r.wake, r.body, ",
            "(SELECT ",
            texts!("a.body", "a.number"),
            " FROM attempts a WHERE a.tenant = r.tenant AND a.run = ",
            $run,
            ") AS attempts, ",
            alive!("r"),
            " AS alive FROM runs r ",
            $rest
        )
    };
}
pub(super) use select;

pub(super) const ONE: &str = select!("WHERE r.tenant = $1 AND r.id = $2", run = "$2");
const LIST: &str = select!("WHERE r.tenant = ");
pub(super) const KEY: &str = concat!(
    "SELECT k.run, k.fingerprint, k.free_at IS NOT NULL AS over, k.free_at <= ",
    now!(),
    " AS expired, EXISTS (SELECT 1 FROM letters l WHERE l.tenant = k.tenant AND l.run = k.run AND l.state = 'open') ",
    "AS lettered FROM keys k WHERE k.tenant = $1 AND k.call_key = $2"
);
/// Takes a key that is free, or that run `$5` had, whose time with it is over; nothing when somebody else was faster.
pub(super) const TAKE_KEY: &str = "INSERT INTO keys (tenant, call_key, run, fingerprint) VALUES ($1, $2, $3, $4) \
     ON CONFLICT (tenant, call_key) DO UPDATE SET run = excluded.run, fingerprint = excluded.fingerprint, free_at = NULL \
     WHERE keys.run = $5 AND keys.free_at IS NOT NULL";
/// The newest that a like call may join.
pub(super) const ALIKE: &str = select!(
    "WHERE r.tenant = $1 AND r.joinable = $2 AND (r.state IN ('sleeping', 'suspended', 'dead-lettered', 'in-doubt') \
     OR (r.caller_lost >= $3 AND r.state NOT IN ('failed', 'cancelled'))) ORDER BY r.created DESC, r.id DESC LIMIT 1"
);
pub(super) const LOSE_CALLER: &str = concat!(
    "UPDATE runs SET caller_lost = CASE WHEN $3 THEN ",
    now!(),
    " END WHERE tenant = $1 AND id = $2 AND likeness IS NOT NULL ",
    "AND NOT ($3 AND state IN ('succeeded', 'failed', 'cancelled'))"
);
pub(super) const INSERT: &str = concat!(
    "INSERT INTO runs (tenant, id, tool, state, created, finished, call_key, key_lifetime, body, root, parent, seq, seed, ",
    "recoveries, owner, epoch, lease_until, until, likeness) ",
    "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, CASE WHEN CAST($15 AS TEXT) IS NULL THEN 0 ELSE 1 END, CASE WHEN CAST($15 AS TEXT) IS NULL THEN 0 ELSE ",
    now!(),
    " + $16 END, CASE WHEN $17 THEN ",
    now!(),
    " END, $18)"
);
pub(super) const RENEW: &str = concat!("UPDATE runs SET lease_until = ", now!(), " + $5 WHERE ", fenced!());
pub(super) const ADD_ATTEMPT: &str = concat!(
    "INSERT INTO attempts (tenant, run, number, body) SELECT tenant, id, $5, $6 FROM runs WHERE ",
    fenced!(),
    for_update!("runs"),
    " ON CONFLICT (tenant, run, number) DO UPDATE SET body = excluded.body"
);

pub(super) fn run(vault: &Vault, row: &Row) -> Result<RunRecord, Unreadable> {
    let (tenant, id): (String, String) = (row.try_get("tenant")?, row.try_get("id")?);
    let place = Place::new("run", &tenant, &id);
    let mut run: RunRecord = vault.decode(place, text(row, "body")?)?;
    // What changes without the rest of the run stands beside its body.
    run.state = row.try_get("state")?;
    let finished: Option<i64> = row.try_get("finished")?;
    run.finished = finished.map(|at| run.finished.unwrap_or(at));
    run.recoveries = count(row, "recoveries")?;
    run.clock = row.try_get::<Option<i64>, _>("clock")?.unwrap_or(run.clock);
    let attempts: Vec<String> = decode(&place.to_string(), text(row, "attempts")?)?;
    let attempts = attempts.iter().map(|body| decode(&place.to_string(), body.as_bytes()));
    run.attempts = attempts.collect::<Result<_, _>>()?;
    if row.try_get("alive")? {
        "running".clone_into(&mut run.state);
        run.finished = None;
    }
    run.until = row
        .try_get::<Option<i64>, _>("until")?
        .filter(|_| run.state == "sleeping");
    let approval: Option<String> = row.try_get("approval")?;
    run.approval = approval
        .filter(|_| run.state == "suspended")
        .map(|id| parsed(place, &id))
        .transpose()?;
    if let Some(seed) = row.try_get::<Option<&[u8]>, _>("seed")? {
        let seed = vault.open(
            Place {
                what: "seed of run",
                ..place
            },
            seed,
        )?;
        run.seed = Seed(seed.as_ref().try_into().map_err(|_| Unreadable {
            row: place.to_string(),
            reason: "its seed has not 32 bytes".to_owned(),
        })?);
    }
    Ok(run)
}

/// An id that stands in a column of `place`.
pub(super) fn parsed<T>(place: Place<'_>, id: &str) -> Result<T, Unreadable>
where
    T: std::str::FromStr,
    T::Err: std::fmt::Display,
{
    id.parse().map_err(|error| Unreadable {
        row: place.to_string(),
        reason: format!("{error}"),
    })
}

pub(super) fn list<'q>(tenant: &'q str, filter: &'q RunFilter) -> QueryBuilder<'q, Database> {
    let mut query = QueryBuilder::new(LIST);
    query.push_bind(tenant);
    if let Some(tool) = &filter.tool {
        query.push(" AND r.tool = ").push_bind(tool);
    }
    match filter.state.as_deref() {
        Some("running") => {
            // The first half is what a partial index has: those that were left by their host are few.
            query.push(concat!(
                " AND (r.owner IS NOT NULL OR r.state = 'running') AND (r.state = 'running' OR ",
                alive!("r"),
                ")"
            ));
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
    if let Some(after) = &filter.after {
        let row = (tenant, after.as_str(), after.made());
        go_on_behind(&mut query, "(r.created, r.id) <", ("created", "runs"), row);
    }
    query
        .push(" ORDER BY r.created DESC, r.id DESC LIMIT ")
        .push_bind(listed(filter.limit));
    query
}

pub(super) async fn claim(connection: &mut Connection, vault: &Vault, new: NewRun) -> Result<Claim, Failed> {
    let mut before = None;
    if let Some(key) = &new.call_key {
        match taken(connection, vault, &new.run, key).await? {
            Key::Taken(taken) => return Ok(*taken),
            Key::Free { before: holder } => before = holder,
        }
    }
    // A run that waits for a host has no owner yet, and a nested one never has: its root's owner is its own.
    let run = &new.run;
    let owned = run.nested.is_none() && run.state != "accepted";
    let held = owned.then_some((&new.owner, new.lease));
    insert(connection, vault, run, new.call_key.as_ref(), new.key_lifetime, held).await?;
    for attempt in &run.attempts {
        let body = attempt_body(&run.id, attempt)?;
        put_attempt(connection, &run.tenant, &run.id, attempt.number, &body).await?;
    }
    if let Some(key) = &new.call_key {
        let taken = sqlx::query(TAKE_KEY)
            .bind(&run.tenant)
            .bind(key.0.as_slice())
            .bind(run.id.as_str())
            .bind(run.fingerprint.0.as_slice())
            .bind(before)
            .execute(&mut *connection)
            .await?;
        if taken.rows_affected() == 0 {
            return Err(Failed::Overtaken(format!("the key of run {}", run.id)));
        }
    }
    let owner = new.owner;
    Ok(Claim::Fresh(Fence {
        owner,
        epoch: i64::from(owned),
    }))
}

/// What the holder of a key means for a call.
enum Key {
    /// The call gets what the key has.
    Taken(Box<Claim>),
    /// The call may have it from that run, whose time with it is over.
    Free {
        /// The run, if one had it.
        before: Option<String>,
    },
}

async fn taken(connection: &mut Connection, vault: &Vault, run: &RunRecord, key: &Digest) -> Result<Key, Failed> {
    holds::key(connection, &run.tenant, key).await?;
    let holder = sqlx::query(KEY).bind(&run.tenant).bind(key.0.as_slice());
    let Some(row) = holder.fetch_optional(&mut *connection).await? else {
        return Ok(Key::Free { before: None });
    };
    let (over, lettered): (bool, bool) = (row.try_get("over")?, row.try_get("lettered")?);
    let id: String = row.try_get("run")?;
    let place = Place::new("the key of run", &run.tenant, &id);
    let fingerprint: Vec<u8> = row.try_get("fingerprint")?;
    let holder = Holder {
        fingerprint: Digest(fingerprint.try_into().map_err(|_| Unreadable {
            row: place.to_string(),
            reason: "its fingerprint is no SHA-256".to_owned(),
        })?),
        over: over && !lettered,
        expired: row.try_get::<Option<bool>, _>("expired")? == Some(true),
    };
    let decided = idempotency::claim(Some(&holder), run.fingerprint);
    if decided == idempotency::Claim::Fresh {
        return Ok(Key::Free { before: Some(id) });
    }
    if decided == idempotency::Claim::Conflict {
        return Ok(Key::Taken(Box::new(Claim::Conflict(parsed(place, &id)?))));
    }
    let row = sqlx::query(ONE)
        .bind(&run.tenant)
        .bind(&id)
        .fetch_one(connection)
        .await?;
    let holder = Box::new(self::run(vault, &row)?);
    Ok(Key::Taken(Box::new(if decided == idempotency::Claim::Stored {
        Claim::Stored(holder)
    } else {
        Claim::Joined {
            run: holder,
            alive: row.try_get("alive")?,
        }
    })))
}

/// Takes the lease for a new owner; returns its epoch.
pub(super) async fn lease(
    connection: &mut Connection,
    tenant: &str,
    run: &str,
    owner: &str,
    lease: Duration,
) -> Result<i64, Failed> {
    const LEASE: &str = concat!(
        "UPDATE runs SET owner = $3, epoch = epoch + 1, lease_until = ",
        now!(),
        " + $4 WHERE tenant = $1 AND id = $2 RETURNING epoch"
    );
    let leased = sqlx::query_scalar(LEASE)
        .bind(tenant)
        .bind(run)
        .bind(owner)
        .bind(span(lease));
    Ok(leased.fetch_one(connection).await?)
}

pub(super) async fn renew(
    connection: &mut Connection,
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
    connection: &mut Connection,
    tenant: &str,
    run: &RunId,
    fence: &Fence,
    attempt: &AttemptRecord,
) -> Result<(), Failed> {
    let added = sqlx::query(ADD_ATTEMPT).bind(tenant).bind(run.as_str());
    let added = added.bind(fence.owner.as_str()).bind(fence.epoch);
    let added = added.bind(i64::from(attempt.number)).bind(attempt_body(run, attempt)?);
    still_owned(run, added.execute(connection).await?.rows_affected())
}

pub(super) fn still_owned(run: &RunId, rows: u64) -> Result<(), Failed> {
    if rows == 0 {
        return Err(lost(format!("run {run}")));
    }
    Ok(())
}

pub(super) async fn lose_caller(
    connection: &mut Connection,
    tenant: &str,
    run: &RunId,
    lost: bool,
) -> Result<(), Failed> {
    let noted = sqlx::query(LOSE_CALLER).bind(tenant).bind(run.as_str()).bind(lost);
    noted.execute(connection).await?;
    Ok(())
}

/// Adds a run: owned, waiting for a host, or nobody's.
pub(super) async fn insert(
    connection: &mut Connection,
    vault: &Vault,
    run: &RunRecord,
    key: Option<&Digest>,
    key_lifetime: Duration,
    held: Option<(&OwnerId, Duration)>,
) -> Result<(), Failed> {
    let nested = run.nested.as_ref();
    // What was recorded as a success is joined by nobody.
    let succeeded = State::from_name(&run.state) == Some(State::Succeeded);
    let likeness = Some(run).filter(|_| !succeeded).and_then(RunRecord::likeness);
    let seed = vault.seal(Place::new("seed of run", &run.tenant, run.id.as_str()), &run.seed.0)?;
    let inserted = sqlx::query(INSERT)
        .bind(&run.tenant)
        .bind(run.id.as_str())
        .bind(&run.tool)
        .bind(&run.state)
        .bind(run.created)
        .bind(run.finished)
        .bind(key.map(|key| key.0.as_slice()))
        .bind(span(key_lifetime))
        .bind(body(vault, run)?)
        .bind(nested.map(|nested| nested.root.as_str()))
        .bind(nested.map(|nested| nested.parent.as_str()))
        .bind(nested.map(|nested| i64::from(nested.seq)))
        .bind(seed.as_ref())
        .bind(i64::from(run.recoveries))
        .bind(held.map(|(owner, _)| owner.as_str()))
        .bind(held.map(|(_, lease)| span(lease)))
        .bind(run.state == "accepted" && nested.is_none())
        .bind(likeness.map(|likeness| likeness.0.to_vec()))
        .execute(connection)
        .await;
    let taken = || format!("run {} exists already; a new run needs a new id", run.id);
    inserted.map(|_| ()).map_err(|error| unless_taken(error, taken))
}

pub(super) async fn put_attempt(
    connection: &mut Connection,
    tenant: &str,
    run: &RunId,
    number: u32,
    body: &str,
) -> Result<(), Failed> {
    sqlx::query(
        "INSERT INTO attempts (tenant, run, number, body) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (tenant, run, number) DO UPDATE SET body = excluded.body",
    )
    .bind(tenant)
    .bind(run.as_str())
    .bind(i64::from(number))
    .bind(body)
    .execute(connection)
    .await?;
    Ok(())
}

pub(super) fn attempt_body(run: &RunId, attempt: &AttemptRecord) -> Result<String, Unreadable> {
    encode(&format!("run {run}"), attempt)
}

/// A run's body. Its attempts have rows of their own, so that one can be added without rewriting the run.
pub(super) fn body(vault: &Vault, run: &RunRecord) -> Result<String, Unreadable> {
    let mut bare = run.clone();
    bare.attempts = Vec::new();
    vault.encode(Place::new("run", &run.tenant, run.id.as_str()), &bare)
}

/// One run, inside a transaction.
pub(super) async fn one(
    connection: &mut Connection,
    vault: &Vault,
    tenant: &str,
    id: &str,
) -> Result<RunRecord, Failed> {
    let row = sqlx::query(ONE)
        .bind(tenant)
        .bind(id)
        .fetch_optional(connection)
        .await?;
    let row = row.ok_or_else(|| refused(format!("run {id} is gone")))?;
    Ok(run(vault, &row)?)
}
