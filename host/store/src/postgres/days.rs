//! Runs, attempts and journals in partitions of days: made ahead of their time, and dropped when nothing in them is needed any more.
//!
//! What has to outlive its day moves to the default partition when the day is dropped, and is forgotten there one by one. Nobody waits for
//! either for long: a lock that others are in the way of is given up, and asked for again with the next pass.

use super::PostgresStore;
use super::dialect::Connection;
use super::failures::came_to_nothing;
use super::transact::pause;
use super::transitions::retention::{FORGETTABLE, FORGOTTEN_RUNS, forget_below, logged};
use crate::failures::Failed;
use crate::migrate::TABLES;
use fusebox_core::ids::RunId;
use fusebox_core::time::Wall;
use fusebox_engine::ports::store::StoreError;
use sqlx::Executor;
use std::time::Duration;

/// The tables that are partitioned, and the column that holds the run.
const PARTITIONED: [(&str, &str); 3] = [("runs", "id"), ("attempts", "run"), ("journal", "run")];
const DAY: i64 = 86_400_000;
/// Partitions that runs are spread over, about: each costs time where a statement looks into all of them.
const PARTITIONS: i64 = 32;
/// Rows that are moved while everybody waits, at most.
const MOVED: i64 = 20_000;
/// Of the transaction that makes or drops partitions: "fuseday" in ASCII.
const DAYS_LOCK: i64 = 0x0066_7573_6564_6179;
/// How long everybody waits behind a lock that is waited for. Shorter than PostgreSQL waits before it looks for a deadlock (1 s): it is never
/// a call that is ended.
const LOCK_TIMEOUT: &str = "SET LOCAL lock_timeout = '300ms'";
/// How often a lock is asked for.
const TRIES: u32 = 5;
/// Nobody else even reads.
const ALONE: &str = "ACCESS EXCLUSIVE";
/// Between two tries.
const AGAIN: Duration = Duration::from_millis(500);

/// One partition of each table: `runs_NAME` and so on.
#[derive(Clone)]
struct Day {
    name: String,
    from: Wall,
    to: Wall,
}

/// What became of a partition that was to be made.
enum Made {
    /// It is there.
    There,
    /// Too much that was to move into it was in the default partition already.
    Full,
    /// Others were in the way.
    Not,
}

impl PostgresStore {
    /// Makes the days to come, and drops those that are over; returns how many runs went.
    pub(super) async fn turn_days(&self, tenants: &[String], keep: Duration) -> Result<u64, StoreError> {
        let now = self.now().await?;
        let length = length(keep);
        // Hosts look every hour: there is a day for whoever is late.
        self.keep_days(Wall(now), Wall(now.saturating_add(DAY)), length).await?;
        let mut gone = self.drop_days(now, millis(keep)).await?;
        // What was not dropped, whatever the reason.
        let late = keep.saturating_add(length).saturating_add(span(DAY));
        for tenant in tenants {
            gone += logged(tenant, self.forget_runs(FORGOTTEN_RUNS, tenant, late).await);
        }
        Ok(gone)
    }

    /// Sees to it that the runs which are made between those times have partitions, new ones of that length; days are whole, and those that are
    /// there are left alone. What the default partition holds of a day moves there; where that is much, the day stays without.
    ///
    /// # Errors
    /// `Unavailable`, when the database cannot be used. That others were in the way is logged: the default partition takes what has no other.
    pub async fn keep_days(&self, from: Wall, to: Wall, length: Duration) -> Result<(), StoreError> {
        let length = millis(length).max(DAY);
        let mut from = from.0 - from.0.rem_euclid(DAY);
        while from < to.0 {
            let made = self.write(move |c, _| Box::pin(make_day(c, from, length)));
            let (made, day) = made.await?;
            match made {
                Made::There => {}
                Made::Full => tracing::warn!(
                    day = day.name,
                    "what was made then stays in the default partitions: it is too much to move"
                ),
                Made::Not => {
                    tracing::info!(day = day.name, "its partitions are made later: others use the tables");
                    return Ok(());
                }
            }
            from = day.to.0;
        }
        Ok(())
    }

    /// Drops the days that ended so long ago, oldest first.
    async fn drop_days(&self, now: i64, age: i64) -> Result<u64, StoreError> {
        let days = self.write(|c, _| Box::pin(days(c))).await?;
        let mut gone = 0;
        for day in days.into_iter().filter(|day| day.to.0.saturating_add(age) <= now) {
            let name = day.name.clone();
            match self
                .write(move |c, _| Box::pin(drop_day(c, day.name.clone(), day.bounds(), age)))
                .await?
            {
                Some(runs) => gone += runs,
                None => tracing::info!(
                    day = name,
                    "it is dropped later: others use the tables, or too much of it is needed"
                ),
            }
        }
        Ok(gone)
    }
}

impl Day {
    /// Its least id, and the least one after it.
    fn bounds(&self) -> (String, String) {
        let bound = |at| RunId::new(at, 0).as_str().to_owned();
        (bound(self.from), bound(self.to))
    }
}

/// How much time a partition has: a day, and more where runs are kept long.
fn length(keep: Duration) -> Duration {
    span(DAY * (millis(keep) / DAY / PARTITIONS).max(1))
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis())
        .unwrap_or(i64::MAX / 2)
        .min(i64::MAX / 2)
}

fn span(millis: i64) -> Duration {
    Duration::from_millis(millis.unsigned_abs())
}

/// Those that there are, oldest first.
async fn days(connection: &mut Connection) -> Result<Vec<Day>, Failed> {
    const DAYS: &str = "SELECT substring(c.relname FROM 6), substring(b.text FROM 'FROM \\(''(\\w+)''\\)'), \
         substring(b.text FROM 'TO \\(''(\\w+)''\\)') \
         FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid, pg_get_expr(c.relpartbound, c.oid) AS b (text) \
         WHERE i.inhparent = CAST('runs' AS regclass) AND b.text <> 'DEFAULT' ORDER BY 2";
    let days: Vec<(String, String, String)> = sqlx::query_as(DAYS).fetch_all(connection).await?;
    let made = |bound: &str| bound.parse().map(|id: RunId| id.made());
    let day = |(name, from, to): (String, String, String)| match (made(&from), made(&to)) {
        (Ok(from), Ok(to)) => Some(Day { name, from, to }),
        _ => {
            tracing::warn!(partition = name, "it is not one of Fusebox's, and is left alone");
            None
        }
    };
    Ok(days.into_iter().filter_map(day).collect())
}

/// The first time from then on that has no partition, as a day that is to be; or the day that is there.
async fn day_at(connection: &mut Connection, from: i64, length: i64) -> Result<(bool, Day), Failed> {
    const NAME: &str = "SELECT to_char(to_timestamp($1 / 1000) AT TIME ZONE 'UTC', 'YYYYMMDD')";
    let mut to = from.saturating_add(length);
    for day in days(connection).await? {
        if (day.from.0..day.to.0).contains(&from) {
            return Ok((true, day));
        }
        if day.from.0 > from {
            to = to.min(day.from.0);
        }
    }
    let name = sqlx::query_scalar(NAME).bind(from).fetch_one(connection).await?;
    let (from, to) = (Wall(from), Wall(to));
    Ok((false, Day { name, from, to }))
}

async fn run(connection: &mut Connection, sql: &str) -> Result<u64, Failed> {
    Ok(connection.execute(sqlx::raw_sql(sql)).await?.rows_affected())
}

async fn number(connection: &mut Connection, sql: &str) -> Result<i64, Failed> {
    let number = sqlx::query_scalar(sql).persistent(false);
    Ok(number.fetch_one(connection).await?)
}

/// The columns of a table that are not generated.
fn columns(table: &str, prefix: &str) -> String {
    let table = TABLES.iter().find(|known| known.name == table);
    let columns = table.map_or(&[][..], |table| table.columns);
    let columns: Vec<_> = columns.iter().map(|(name, _)| format!("{prefix}{name}")).collect();
    columns.join(", ")
}

/// Whether this transaction alone makes or drops days.
async fn alone(connection: &mut Connection) -> Result<bool, Failed> {
    let alone = sqlx::query_scalar("SELECT pg_try_advisory_xact_lock($1)").bind(DAYS_LOCK);
    Ok(alone.fetch_one(connection).await?)
}

/// Whether it has that lock on the tables now.
async fn lock(connection: &mut Connection, tables: &str, mode: &str) -> Result<bool, Failed> {
    run(connection, LOCK_TIMEOUT).await?;
    for n in 0..TRIES {
        if n > 0 {
            pause(AGAIN).await;
        }
        run(connection, "SAVEPOINT before_lock").await?;
        match run(connection, &format!("LOCK TABLE {tables} IN {mode} MODE")).await {
            Ok(_) => return Ok(true),
            Err(Failed::Database(error)) if came_to_nothing(&error) => {
                run(connection, "ROLLBACK TO SAVEPOINT before_lock").await?;
            }
            Err(failed) => return Err(failed),
        }
    }
    Ok(false)
}

/// Makes the day that begins then, if it is not there. Crash after: it is there, with what had been made in it.
async fn make_day(connection: &mut Connection, from: i64, length: i64) -> Result<(Made, Day), Failed> {
    let alone = alone(connection).await?;
    let (there, day) = day_at(connection, from, length).await?;
    if there {
        return Ok((Made::There, day));
    }
    if !alone {
        return Ok((Made::Not, day));
    }
    let (name, (low, high)) = (&day.name, day.bounds());
    let mut here = 0;
    for (table, run) in PARTITIONED {
        let count = format!(
            "SELECT COUNT(*) FROM (SELECT 1 FROM {table}_default WHERE {run} >= '{low}' AND {run} < '{high}' LIMIT {MOVED} + 1) AS moved"
        );
        here += number(connection, &count).await?;
    }
    if here > MOVED {
        return Ok((Made::Full, day));
    }
    if !lock(connection, "runs_default, attempts_default, journal_default", ALONE).await? {
        return Ok((Made::Not, day));
    }
    for (table, run_column) in PARTITIONED {
        let (all, bounds) = (
            columns(table, ""),
            format!("{run_column} >= '{low}' AND {run_column} < '{high}'"),
        );
        let make = format!(
            "CREATE TABLE {table}_{name} (LIKE {table} INCLUDING ALL); \
             WITH moved AS (DELETE FROM {table}_default WHERE {bounds} RETURNING {all}) INSERT INTO {table}_{name} ({all}) SELECT {all} FROM moved; \
             ALTER TABLE {table} ATTACH PARTITION {table}_{name} FOR VALUES FROM ('{low}') TO ('{high}')"
        );
        run(connection, &make).await?;
    }
    Ok((Made::There, day))
}

/// Drops a day, after what is needed of it moved to the default partition; how many runs went, or nothing where that could not be.
/// Crash before: all of it is there. After: what is needed is.
async fn drop_day(
    connection: &mut Connection,
    name: String,
    (low, high): (String, String),
    age: i64,
) -> Result<Option<u64>, Failed> {
    if !alone(connection).await? {
        return Ok(None);
    }
    run(connection, "SAVEPOINT whole").await?;
    // Others read the day meanwhile. Who writes to it, a replay of an old letter or a run that slept so long, waits till it is dropped.
    if !lock(
        connection,
        &format!("runs_{name}, attempts_{name}, journal_{name}"),
        "SHARE",
    )
    .await?
    {
        return Ok(None);
    }
    needed(connection, &name, age).await?;
    let gone = forget_what_hangs(connection, &name, (&low, &high)).await?;
    let parents = "ONLY runs, ONLY attempts, ONLY journal";
    if !may_move(connection, &name).await? || !lock(connection, parents, ALONE).await? {
        run(connection, "ROLLBACK TO SAVEPOINT whole").await?;
        return Ok(None);
    }
    for (table, run_column) in PARTITIONED {
        let (all, theirs) = (columns(table, ""), columns(table, "d."));
        let drop = format!(
            "ALTER TABLE {table} DETACH PARTITION {table}_{name}; \
             INSERT INTO {table} ({all}) SELECT {theirs} FROM needed_{name} k JOIN {table}_{name} d ON d.tenant = k.tenant AND d.{run_column} = k.id; \
             DROP TABLE {table}_{name}"
        );
        run(connection, &drop).await?;
    }
    run(connection, &format!("DROP TABLE needed_{name}")).await?;
    Ok(Some(gone))
}

/// Writes down which runs of a day are needed: roots that must not be forgotten, and nested ones whose root is not.
async fn needed(connection: &mut Connection, name: &str, age: i64) -> Result<(), Failed> {
    let forgettable = FORGETTABLE.replace("$2", &age.to_string());
    let needed = format!(
        "CREATE UNLOGGED TABLE needed_{name} (tenant TEXT COLLATE \"C\", id TEXT COLLATE \"C\", PRIMARY KEY (tenant, id)); \
         INSERT INTO needed_{name} SELECT r.tenant, r.id FROM runs_{name} r WHERE r.root IS NULL AND ({forgettable}) IS NOT TRUE; \
         INSERT INTO needed_{name} SELECT n.tenant, n.id FROM runs_{name} n WHERE n.root IS NOT NULL AND NOT EXISTS \
         (SELECT 1 FROM runs_{name} r WHERE r.tenant = n.tenant AND r.id = n.root AND NOT EXISTS \
         (SELECT 1 FROM needed_{name} k WHERE k.tenant = r.tenant AND k.id = r.id)); \
         ANALYZE needed_{name}"
    );
    run(connection, &needed).await?;
    Ok(())
}

/// Forgets what hangs on the runs that are dropped and stands elsewhere; returns how many runs go, here and there.
async fn forget_what_hangs(connection: &mut Connection, name: &str, (low, high): (&str, &str)) -> Result<u64, Failed> {
    let dropped = |run: &str| {
        format!("{run} = r.id AND NOT EXISTS (SELECT 1 FROM needed_{name} k WHERE k.tenant = r.tenant AND k.id = r.id)")
    };
    let of_dropped = |table: &str, run: &str| {
        format!(
            "DELETE FROM {table} t USING runs_{name} r WHERE t.tenant = r.tenant AND {}",
            dropped(run)
        )
    };
    // A letter that somebody pins meanwhile is seen by whoever looks whether the rows may move.
    let letters = of_dropped("letters", "t.run") + " AND t.state <> 'open' AND NOT t.pinned";
    let state = of_dropped("state", "t.space").replace("r.id AND", "'run:' || r.id AND");
    for sql in [
        letters,
        of_dropped("approvals", "t.root"),
        of_dropped("keys", "t.run"),
        state,
    ] {
        run(connection, &sql).await?;
    }
    let below = format!(
        "SELECT DISTINCT n.tenant, n.root FROM (SELECT DISTINCT tenant FROM runs_{name}) t JOIN runs n ON n.tenant = t.tenant \
         AND n.root >= '{low}' AND n.root < '{high}' WHERE (n.id < '{low}' OR n.id >= '{high}') AND NOT EXISTS \
         (SELECT 1 FROM needed_{name} k WHERE k.tenant = n.tenant AND k.id = n.root)"
    );
    let below = sqlx::query_as(&below).persistent(false);
    let below: Vec<(String, String)> = below.fetch_all(&mut *connection).await?;
    let mut gone = 0;
    for (tenant, root) in &below {
        gone += forget_below(connection, tenant, root).await?;
    }
    let here = format!("SELECT (SELECT COUNT(*) FROM runs_{name}) - (SELECT COUNT(*) FROM needed_{name})");
    Ok(gone + number(connection, &here).await?.unsigned_abs())
}

/// Whether what is needed can move while everybody waits, and nothing else became needed. From now on rows are looked for by index.
async fn may_move(connection: &mut Connection, name: &str) -> Result<bool, Failed> {
    let pinned = format!(
        "SELECT COUNT(*) FROM letters l JOIN runs_{name} r ON r.tenant = l.tenant AND r.id = l.run WHERE NOT EXISTS \
         (SELECT 1 FROM needed_{name} k WHERE k.tenant = r.tenant AND k.id = r.id)"
    );
    if number(connection, &pinned).await? > 0 {
        return Ok(false);
    }
    run(
        connection,
        "SET LOCAL enable_seqscan = off; SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off",
    )
    .await?;
    let mut moved = 0;
    for (table, run) in PARTITIONED {
        let count = format!(
            "SELECT COUNT(*) FROM (SELECT 1 FROM needed_{name} k JOIN {table}_{name} d ON d.tenant = k.tenant AND d.{run} = k.id \
             LIMIT {MOVED} + 1) AS moved"
        );
        moved += number(connection, &count).await?;
    }
    Ok(moved <= MOVED)
}
