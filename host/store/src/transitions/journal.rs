//! Journals: appended by whoever owns the root, cut back to the resume point, gone with a success.

use super::dialect::{Arguments, Connection, Database, Row};
use super::finish::Left;
use super::runs::{self, still_owned};
use super::sql::{count, text};
use super::state;
use crate::failures::{Failed, fenced as lost, refused};
use crate::rows::{Unreadable, encode};
use crate::seal::{Place, Vault};
use bytes::Bytes;
use fusebox_core::ids::{ApprovalId, RunId};
use fusebox_engine::ports::store::{Append, Cut, Fence};
use fusebox_engine::records::{AttemptRecord, JournalRecord, RunRecord};
use sqlx::Row as _;

pub(super) const ALL: &str =
    "SELECT tenant, run, seq, wall, body, payload FROM journal WHERE tenant = $1 AND run = $2 ORDER BY seq";
pub(super) const ONE: &str =
    "SELECT tenant, run, seq, wall, body, payload FROM journal WHERE tenant = $1 AND run = $2 AND seq = $3";
/// The owner of the root `$9`, by `$10` and `$11`, writes to a run of its tree.
pub(super) const APPEND: &str = concat!(
    "INSERT INTO journal (tenant, run, seq, settled, wall, body, payload, harmless) SELECT $1, $2, $3, $4, $5, $6, $7, $8 ",
    "FROM runs o WHERE ",
    fenced!("o", "$9", "$10", "$11"),
    " AND ($2 = $9 OR EXISTS (SELECT 1 FROM runs n WHERE n.tenant = $1 AND n.id = $2 AND n.root = $9))",
    for_update!("o"),
    " ON CONFLICT (tenant, run, seq) DO UPDATE SET settled = excluded.settled, wall = excluded.wall, body = excluded.body, ",
    "payload = excluded.payload, harmless = excluded.harmless"
);
const PUT: &str = "INSERT INTO journal (tenant, run, seq, settled, wall, body, payload, harmless) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (tenant, run, seq) DO UPDATE SET settled = excluded.settled, wall = excluded.wall, \
     body = excluded.body, payload = excluded.payload, harmless = excluded.harmless";
pub(super) const OWNED_IN: &str = concat!(
    "SELECT 1 FROM runs WHERE ",
    fenced!(),
    " AND ($5 = $2 OR EXISTS (SELECT 1 FROM runs n WHERE n.tenant = $1 AND n.id = $5 AND n.root = $2))",
    for_update!("runs")
);
pub(super) const USE_UP: &str = concat!(
    "UPDATE approvals SET state = 'used' WHERE tenant = $1 AND id = $2 AND root = $3 AND state = 'approved' ",
    "AND expires > ",
    now!()
);
pub(super) const DROP: &str = concat!(
    "DELETE FROM journal WHERE tenant = $1 AND run = $2 AND seq IN ",
    numbers!("$3")
);
pub(super) const DROP_ALL: &str = "DELETE FROM journal WHERE tenant = $1 AND run = $2";
pub(super) const DROP_BELOW: &str = concat!(
    "DELETE FROM journal WHERE tenant = $1 AND run IN (SELECT n.id FROM runs n WHERE n.tenant = $1 AND n.root = $2",
    since!("n", "$2"),
    ")"
);

pub(super) fn record(vault: &Vault, row: &Row) -> Result<JournalRecord, Unreadable> {
    let (tenant, run): (String, String) = (row.try_get("tenant")?, row.try_get("run")?);
    let key = key(&run, count(row, "seq")?);
    let place = Place::new("journal record", &tenant, &key);
    let mut record: JournalRecord = vault.decode(place, text(row, "body")?)?;
    if let Some(settled) = &mut record.settled {
        if let Some(wall) = row.try_get("wall")? {
            settled.wall = wall;
        }
        let payload = vault.open(body_of(place), row.try_get("payload")?)?;
        settled.body = Bytes::from(payload.into_owned());
    }
    Ok(record)
}

fn key(run: &str, seq: u32) -> String {
    format!("{run}/{seq}")
}

fn body_of(record: Place<'_>) -> Place<'_> {
    Place {
        what: "body of journal record",
        ..record
    }
}

/// A statement that puts one record, with its first eight values.
fn put_record<'q>(
    statement: &'static str,
    vault: &Vault,
    tenant: &'q str,
    run: &'q str,
    record: &JournalRecord,
) -> Result<sqlx::query::Query<'q, Database, Arguments<'q>>, Unreadable> {
    let key = key(run, record.seq);
    let place = Place::new("journal record", tenant, &key);
    let settled = record.settled.as_ref();
    let payload = settled
        .map(|settled| vault.seal(body_of(place), &settled.body))
        .transpose()?;
    Ok(sqlx::query(statement)
        .bind(tenant)
        .bind(run)
        .bind(i64::from(record.seq))
        .bind(settled.map(|settled| i64::from(settled.order)))
        .bind(settled.map(|settled| settled.wall))
        .bind(vault.encode(place, record)?)
        .bind(payload.map(std::borrow::Cow::into_owned).unwrap_or_default())
        .bind(record.is_harmless()))
}

/// Adds to the journal of a run whose owner was asked for already.
pub(super) async fn put(
    connection: &mut Connection,
    vault: &Vault,
    tenant: &str,
    run: &RunId,
    records: &[JournalRecord],
) -> Result<(), Failed> {
    for record in records {
        let put = put_record(PUT, vault, tenant, run.as_str(), record)?;
        put.execute(&mut *connection).await?;
    }
    Ok(())
}

pub(super) async fn append(
    connection: &mut Connection,
    vault: &Vault,
    tenant: &str,
    root: &RunId,
    fence: &Fence,
    append: Append,
) -> Result<(), Failed> {
    let run = append.run.as_ref().unwrap_or(root);
    if append.records.is_empty() {
        owned_in(connection, tenant, root, run, fence).await?;
    }
    for record in &append.records {
        let added = put_record(APPEND, vault, tenant, run.as_str(), record)?;
        let added = added.bind(root.as_str()).bind(fence.owner.as_str()).bind(fence.epoch);
        still_owned(run, added.execute(&mut *connection).await?.rows_affected())?;
    }
    if let Some(approval) = &append.uses {
        use_up(connection, tenant, root, approval).await?;
    }
    if let Some((seq, wall)) = append.rewound {
        let rewound = match seq {
            0 => sqlx::query("UPDATE runs SET clock = $3 WHERE tenant = $1 AND id = $2"),
            _ => sqlx::query("UPDATE journal SET wall = $3 WHERE tenant = $1 AND run = $2 AND seq = $4"),
        };
        let mut rewound = rewound.bind(tenant).bind(run.as_str()).bind(wall);
        if seq != 0 {
            rewound = rewound.bind(i64::from(seq));
        }
        rewound.execute(&mut *connection).await?;
    }
    for write in &append.state {
        state::write(connection, vault, tenant, write).await?;
    }
    Ok(())
}

/// Whether the fence of the root holds, and `run` belongs to its tree.
pub(super) async fn owned_in(
    connection: &mut Connection,
    tenant: &str,
    root: &RunId,
    run: &RunId,
    fence: &Fence,
) -> Result<(), Failed> {
    let owned = sqlx::query(OWNED_IN).bind(tenant).bind(root.as_str());
    let owned = owned.bind(fence.owner.as_str()).bind(fence.epoch).bind(run.as_str());
    let owned = owned.fetch_optional(connection).await?;
    owned.map(|_| ()).ok_or_else(|| lost(format!("run {run}")))
}

/// Uses up an approval by the call that starts now.
async fn use_up(connection: &mut Connection, tenant: &str, root: &RunId, id: &ApprovalId) -> Result<(), Failed> {
    let used = sqlx::query(USE_UP).bind(tenant).bind(id.as_str()).bind(root.as_str());
    if used.execute(&mut *connection).await?.rows_affected() > 0 {
        return Ok(());
    }
    let state = sqlx::query_scalar("SELECT state FROM approvals WHERE tenant = $1 AND id = $2 AND root = $3")
        .bind(tenant)
        .bind(id.as_str())
        .bind(root.as_str());
    let state: Option<String> = state.fetch_optional(connection).await?;
    Err(refused(match state.as_deref() {
        None => format!("approval {id} is none of run {root}"),
        Some("approved") => format!("approval {id} has expired"),
        Some(state) => format!("approval {id} is {state}"),
    }))
}

/// Where a run goes on.
pub(super) struct GoOn<'a> {
    pub(super) tenant: &'a str,
    pub(super) run: &'a RunId,
    pub(super) root: &'a RunId,
    pub(super) fence: &'a Fence,
}

pub(super) async fn go_on(
    connection: &mut Connection,
    vault: &Vault,
    at: GoOn<'_>,
    attempt: Option<&AttemptRecord>,
    cut: &Cut,
) -> Result<(), Failed> {
    let (tenant, run) = (at.tenant, at.run);
    owned_in(connection, tenant, at.root, run, at.fence).await?;
    if let Some(attempt) = attempt {
        let body = runs::attempt_body(run, attempt)?;
        runs::put_attempt(connection, tenant, run, attempt.number, &body).await?;
    }
    forget(connection, tenant, run, &cut.drop).await?;
    for seq in &cut.reopen {
        if let Some(mut record) = one(connection, vault, tenant, run.as_str(), *seq).await? {
            record.settled = None;
            put(connection, vault, tenant, run, &[record]).await?;
        }
    }
    Ok(())
}

/// Forgets effects.
pub(super) async fn forget(
    connection: &mut Connection,
    tenant: &str,
    run: &RunId,
    numbers: &[u32],
) -> Result<(), Failed> {
    if numbers.is_empty() {
        return Ok(());
    }
    let numbers = encode("a cut", &numbers)?;
    let dropped = sqlx::query(DROP).bind(tenant).bind(run.as_str()).bind(numbers);
    dropped.execute(connection).await?;
    Ok(())
}

/// One record, inside a transaction.
pub(super) async fn one(
    connection: &mut Connection,
    vault: &Vault,
    tenant: &str,
    run: &str,
    seq: u32,
) -> Result<Option<JournalRecord>, Failed> {
    let row = sqlx::query(ONE).bind(tenant).bind(run).bind(i64::from(seq));
    let row = row.fetch_optional(connection).await?;
    Ok(row.map(|row| record(vault, &row)).transpose()?)
}

/// Forgets the journals of the tree of a root that was let go.
pub(super) async fn drop_tree(connection: &mut Connection, root: &RunRecord, left: &Left) -> Result<(), Failed> {
    let statements = [(DROP_ALL, left.journaled), (DROP_BELOW, left.calls)];
    for (statement, _) in statements.iter().filter(|(_, any)| *any) {
        let dropped = sqlx::query(statement).bind(&root.tenant).bind(root.id.as_str());
        dropped.execute(&mut *connection).await?;
    }
    Ok(())
}

/// Forgets the journals of a tree that nobody resumes any more.
pub(super) async fn drop_all(connection: &mut Connection, tenant: &str, root: &str) -> Result<(), Failed> {
    const UNKEPT: &str = "UPDATE runs SET journal_until = NULL WHERE tenant = $1 AND id = $2";
    for statement in [DROP_ALL, DROP_BELOW, UNKEPT] {
        sqlx::query(statement)
            .bind(tenant)
            .bind(root)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}
