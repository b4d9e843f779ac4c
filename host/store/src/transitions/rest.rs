//! Roots that nobody holds: they sleep, wait for a person, or lost their host, and are taken again.

use super::dialect::{self, Connection, Row};
use super::finish::{self, Rest, leave};
use super::sql::span;
use super::{approvals, holds, journal, runs};
use crate::failures::{Failed, refused};
use crate::rows::Unreadable;
use crate::seal::Vault;
use fusebox_core::ids::{ApprovalId, OwnerId, RunId};
use fusebox_core::run::State;
use fusebox_engine::ports::store::{Fence, Lane, Taken, Wakes, cancelled};
use fusebox_engine::records::{ApprovalRecord, JournalRecord, RunRecord};
use sqlx::Row as _;
use std::time::Duration;

/// The tools of each tenant that have runs which are taken some time: found one after the other in the index, however many runs there are.
/// The last tool of each tenant is empty.
macro_rules! of_lanes {
    () => {
        concat!(
            "WITH RECURSIVE of_tenants (tenant) AS (SELECT MIN(q.tenant) FROM runs q WHERE q.wake IS NOT NULL UNION ALL ",
            "SELECT (SELECT MIN(q.tenant) FROM runs q WHERE q.wake IS NOT NULL AND q.tenant > of_tenants.tenant) ",
            "FROM of_tenants WHERE tenant IS NOT NULL), ",
            "of_lanes (tenant, tool) AS (SELECT tenant, (SELECT MIN(q.tool) FROM runs q WHERE q.wake IS NOT NULL ",
            "AND q.tenant = of_tenants.tenant) FROM of_tenants WHERE tenant IS NOT NULL UNION ALL ",
            "SELECT tenant, (SELECT MIN(q.tool) FROM runs q WHERE q.wake IS NOT NULL AND q.tenant = of_lanes.tenant ",
            "AND q.tool > of_lanes.tool) FROM of_lanes WHERE tool IS NOT NULL)"
        )
    };
}
/// Runs of a tool that are looked at where hosts take some at once.
const DEPTH: i64 = 1000;
/// Whether a root can be taken.
pub(super) const ANY_DUE: &str = concat!(
    of_lanes!(),
    " SELECT 1 FROM of_lanes WHERE EXISTS (SELECT 1 FROM runs q WHERE q.tenant = of_lanes.tenant AND q.tool = of_lanes.tool ",
    "AND q.wake <= ",
    now!(),
    ") LIMIT 1"
);
/// `$1` roots that can be taken, those of lanes in `$2` and those of `$3` left out. Each tool's runs have turns in the order of their age,
/// by these each tenant's have, and by those all have. The first `$4` of each tool are looked at.
pub(super) const DUE: &str = concat!(
    of_lanes!(),
    ", of_tools AS (SELECT r.tenant, r.id, r.wake, ROW_NUMBER() OVER (PARTITION BY r.tenant, r.tool ORDER BY r.wake, r.id) AS turn ",
    "FROM of_lanes ",
    first_runs!(concat!(
        "FROM runs q WHERE q.tenant = of_lanes.tenant AND q.tool = of_lanes.tool AND q.wake <= ",
        now!(),
        " AND q.id NOT IN ",
        strings!("$3"),
        " ORDER BY q.wake, q.id LIMIT $4"
    )),
    " WHERE of_lanes.tenant || '/' || of_lanes.tool NOT IN ",
    strings!("$2"),
    "), of_all AS (SELECT tenant, id, wake, ROW_NUMBER() OVER (PARTITION BY tenant ORDER BY turn, wake, id) AS turn FROM of_tools) ",
    // SQLite keeps to this order of joins.
    "SELECT r.tenant, r.id, r.state, r.approval FROM of_all CROSS JOIN runs r WHERE r.tenant = of_all.tenant AND r.id = of_all.id ",
    "AND r.wake <= ",
    now!(),
    " ORDER BY of_all.turn, of_all.wake, of_all.tenant, of_all.id LIMIT $1",
    for_update_of_free!("r")
);
/// What decides whether a root can be taken or cancelled by name.
pub(super) const FACTS: &str = concat!(
    "SELECT r.state, r.root, r.wake, r.wake > ",
    now!(),
    " AS early, r.approval, r.journal_until IS NOT NULL AS journaled, r.call_key, r.seed IS NULL AS old, ",
    alive!("r"),
    " AS alive, (SELECT l.id FROM letters l WHERE l.tenant = r.tenant AND l.run = r.id AND l.state = 'open') AS letter, ",
    now!(),
    " AS now FROM runs r WHERE r.tenant = $1 AND r.id = $2"
);
/// Whether the journals of a tree hold an effect of which nobody knows the end.
pub(super) const UNSETTLED: &str = "SELECT EXISTS (SELECT 1 FROM journal j WHERE j.tenant = $1 AND j.run = $2 \
     AND j.settled IS NULL) OR EXISTS (SELECT 1 FROM runs n JOIN journal j ON j.tenant = n.tenant AND j.run = n.id \
     WHERE n.tenant = $1 AND n.root = $2 AND j.settled IS NULL)";
/// A run that is kept by a letter keeps the state of before the replay: when the lease ends, the letter is open again.
pub(super) const GIVE: &str = concat!(
    "UPDATE runs SET state = CASE WHEN EXISTS (SELECT 1 FROM letters l WHERE l.tenant = $1 AND l.run = $2 ",
    "AND l.state = 'open') THEN 'dead-lettered' ELSE 'running' END, finished = NULL, until = NULL, approval = NULL, ",
    "journal_until = NULL, recoveries = recoveries + $5, owner = $3, epoch = epoch + 1, lease_until = ",
    now!(),
    " + $4 WHERE tenant = $1 AND id = $2 RETURNING epoch"
);
pub(super) const CANCELLED: &str = "SELECT cancel FROM runs WHERE tenant = $1 AND id = $2";

/// Whether somebody wants the run of a row cancelled.
pub(super) fn wish(row: &Row) -> Result<bool, Unreadable> {
    Ok(row.try_get("cancel")?)
}

pub(super) async fn sleep(
    connection: &mut Connection,
    vault: &Vault,
    fence: Fence,
    mut run: RunRecord,
    journal: Vec<JournalRecord>,
) -> Result<(), Failed> {
    let until = match run.until {
        Some(until) => until,
        None => clock(connection).await?,
    };
    State::Sleeping.name().clone_into(&mut run.state);
    rest(connection, vault, &fence, run, until, &journal).await
}

async fn clock(connection: &mut Connection) -> Result<i64, Failed> {
    let now = sqlx::query_scalar(concat!("SELECT ", now!()));
    Ok(now.fetch_one(connection).await?)
}

pub(super) async fn suspend(
    connection: &mut Connection,
    vault: &Vault,
    fence: Fence,
    mut run: RunRecord,
    mut approval: ApprovalRecord,
    journal: Vec<JournalRecord>,
) -> Result<(), Failed> {
    State::Suspended.name().clone_into(&mut run.state);
    run.approval = Some(approval.id.clone());
    approval.tenant.clone_from(&run.tenant);
    approval.root.clone_from(&run.id);
    rest(connection, vault, &fence, run, approval.expires, &journal).await?;
    approvals::ask(connection, vault, &approval).await
}

async fn rest(
    connection: &mut Connection,
    vault: &Vault,
    fence: &Fence,
    mut run: RunRecord,
    until: i64,
    journal: &[JournalRecord],
) -> Result<(), Failed> {
    run.finished = None;
    let rest = Rest {
        until: Some(until),
        keeps_wish: true,
    };
    leave(connection, vault, Some(fence), &run, rest).await?;
    journal::put(connection, vault, &run.tenant, &run.id, journal).await
}

pub(super) async fn take(
    connection: &mut Connection,
    vault: &Vault,
    owner: OwnerId,
    lease: Duration,
    limit: u32,
    busy: String,
) -> Result<Vec<Taken>, Failed> {
    let mut taken = Vec::new();
    // What cannot be read stays where it is, named each time, and is in nobody's way.
    let mut skipped: Vec<String> = Vec::new();
    let mut depth = i64::from(limit);
    loop {
        let wanted = i64::from(limit) - i64::try_from(taken.len()).unwrap_or(i64::MAX);
        let due = sqlx::query(DUE).bind(wanted.max(0)).bind(&busy);
        let due = due
            .bind(listed(&skipped))
            .bind(depth)
            .fetch_all(&mut *connection)
            .await?;
        if due.is_empty() {
            // Other hosts may have been at the first ones.
            if dialect::MANY_WRITERS && wanted > 0 && depth < DEPTH {
                depth = DEPTH;
                continue;
            }
            return Ok(taken);
        }
        for row in &due {
            let (tenant, id): (&str, &str) = (row.try_get("tenant")?, row.try_get("id")?);
            let state: &str = row.try_get("state")?;
            match (why(state), runs::one(connection, vault, tenant, id).await) {
                (Some(why), Ok(run)) => {
                    taken.push(give(connection, run, waited_for(row)?, why, &owner, lease).await?);
                    continue;
                }
                (_, Err(Failed::Unreadable(row))) => tracing::error!(row = %row.row, "skipped a row: {row}"),
                (None, Ok(_)) => tracing::error!(run = id, state, "skipped a run: nobody knows its state"),
                (_, Err(failed)) => return Err(failed),
            }
            skipped.push(id.to_owned());
        }
    }
}

/// Lanes as the statement wants them; a tool's name has no slash.
pub(super) fn lanes(lanes: &[Lane]) -> String {
    let names: Vec<_> = lanes
        .iter()
        .map(|lane| format!("{}/{}", lane.tenant, lane.tool))
        .collect();
    listed(&names)
}

fn listed(texts: &[String]) -> String {
    serde_json::json!(texts).to_string()
}

/// Why a run in that state can be taken once its time has come.
fn why(state: &str) -> Option<Wakes> {
    match State::from_name(state)? {
        State::Accepted => Some(Wakes::Accepted),
        State::Sleeping => Some(Wakes::Slept),
        State::Suspended => Some(Wakes::Decided),
        State::Running => Some(Wakes::Abandoned),
        _ => None,
    }
}

fn waited_for(row: &Row) -> Result<Option<ApprovalId>, Failed> {
    let id: Option<String> = row.try_get("approval")?;
    let parse = |id: String| {
        id.parse().map_err(|error| Unreadable {
            row: format!("approval {id}"),
            reason: format!("{error}"),
        })
    };
    Ok(id.map(parse).transpose()?)
}

/// Gives a root to a new owner.
async fn give(
    connection: &mut Connection,
    mut run: RunRecord,
    waited_for: Option<ApprovalId>,
    why: Wakes,
    owner: &OwnerId,
    lease: Duration,
) -> Result<Taken, Failed> {
    let recovered = u32::from(why == Wakes::Abandoned);
    let given = sqlx::query_scalar(GIVE)
        .bind(&run.tenant)
        .bind(run.id.as_str())
        .bind(owner.as_str())
        .bind(span(lease))
        .bind(i64::from(recovered));
    let epoch = given.fetch_one(&mut *connection).await?;
    State::Running.name().clone_into(&mut run.state);
    run.finished = None;
    run.until = None;
    run.recoveries += recovered;
    run.approval = waited_for.filter(|_| why == Wakes::Decided);
    if let Some(approval) = &run.approval {
        approvals::expire(connection, &run.tenant, approval.as_str()).await?;
    }
    let owner = owner.clone();
    Ok(Taken {
        run,
        fence: Fence { owner, epoch },
        why,
    })
}

async fn facts(connection: &mut Connection, tenant: &str, run: &RunId) -> Result<Row, Failed> {
    let row = sqlx::query(FACTS).bind(tenant).bind(run.as_str());
    let row = row.fetch_optional(connection).await?;
    let row = row.ok_or_else(|| refused(format!("there is no run {run}")))?;
    let state: String = row.try_get("state")?;
    if State::from_name(&state).is_none() {
        return Err(refused(format!(
            "run {run} is `{state}`, which this version does not know; use the version that wrote it"
        )));
    }
    Ok(row)
}

pub(super) async fn take_run(
    connection: &mut Connection,
    vault: &Vault,
    tenant: &str,
    id: &RunId,
    owner: OwnerId,
    lease: Duration,
) -> Result<Taken, Failed> {
    holds::run(connection, tenant, id.as_str()).await?;
    let facts = facts(connection, tenant, id).await?;
    let why = may_take(id, &facts)?;
    let run = runs::one(connection, vault, tenant, id.as_str()).await?;
    if matches!(State::from_name(&run.state), Some(State::Failed | State::Cancelled)) {
        take_key_back(connection, &run, &facts).await?;
    }
    give(connection, run, waited_for(&facts)?, why, &owner, lease).await
}

/// Why a root can be taken by name, or who has it, or what it waits for.
fn may_take(id: &RunId, facts: &Row) -> Result<Wakes, Failed> {
    let (state, letter): (String, Option<String>) = (facts.try_get("state")?, facts.try_get("letter")?);
    if let Some(root) = facts.try_get::<Option<String>, _>("root")? {
        return Err(refused(format!("run {id} is part of run {root}; resume that")));
    }
    if facts.try_get("alive")? {
        return Err(refused(format!("run {id} is running on another host")));
    }
    let wakes = facts.try_get::<Option<i64>, _>("wake")?.and_then(|_| why(&state));
    if wakes == Some(Wakes::Decided) && facts.try_get("early")? {
        let approval: Option<String> = facts.try_get("approval")?;
        return Err(refused(format!(
            "run {id} waits for approval {}; decide that first",
            approval.unwrap_or_default()
        )));
    }
    if let Some(wakes) = wakes {
        return Ok(wakes);
    }
    if let Some(letter) = letter {
        return Err(refused(format!("run {id} is kept by letter {letter}; replay that")));
    }
    if facts.try_get("journaled")? {
        return Ok(Wakes::Slept);
    }
    if facts.try_get("old")? && state == "running" {
        return Err(refused(format!(
            "run {id} was accepted by a version that kept no journals: nobody knows what it did; cancel it, and call again"
        )));
    }
    Err(refused(format!(
        "run {id} is over ({state}) and keeps no journal; call again instead"
    )))
}

/// A run that is resumed after its end has its key again, unless a younger run took it.
async fn take_key_back(connection: &mut Connection, run: &RunRecord, facts: &Row) -> Result<(), Failed> {
    let Some(key) = facts.try_get::<Option<Vec<u8>>, _>("call_key")? else {
        return Ok(());
    };
    let holder = sqlx::query_scalar(
        "INSERT INTO keys (tenant, call_key, run, fingerprint) VALUES ($1, $2, $3, $4) ON CONFLICT (tenant, call_key) DO UPDATE \
         SET free_at = CASE WHEN keys.run = excluded.run THEN NULL ELSE keys.free_at END RETURNING run",
    )
    .bind(&run.tenant)
    .bind(key)
    .bind(run.id.as_str())
    .bind(run.fingerprint.0.as_slice());
    let holder: String = holder.fetch_one(connection).await?;
    if holder == run.id.as_str() {
        return Ok(());
    }
    Err(refused(format!(
        "the key of run {} belongs to run {holder} now; resuming would do its work twice",
        run.id
    )))
}

pub(super) async fn cancel(
    connection: &mut Connection,
    vault: &Vault,
    tenant: &str,
    id: &RunId,
) -> Result<bool, Failed> {
    holds::run(connection, tenant, id.as_str()).await?;
    let facts = facts(connection, tenant, id).await?;
    let (state, letter): (String, Option<String>) = (facts.try_get("state")?, facts.try_get("letter")?);
    if let Some(root) = facts.try_get::<Option<String>, _>("root")? {
        return Err(refused(format!("run {id} is part of run {root}; cancel that")));
    }
    let alive: bool = facts.try_get("alive")?;
    // What nobody knows the end of is judged by whoever takes the run over.
    if alive || (state == "running" && unsettled(connection, tenant, id).await?) {
        let wish = sqlx::query("UPDATE runs SET cancel = TRUE WHERE tenant = $1 AND id = $2");
        wish.bind(tenant).bind(id.as_str()).execute(connection).await?;
        return Ok(true);
    }
    if why(&state).is_none() {
        return match letter {
            Some(letter) => Err(refused(format!("run {id} is kept by letter {letter}; purge that"))),
            None => Ok(false),
        };
    }
    let mut run = runs::one(connection, vault, tenant, id.as_str()).await?;
    let waited_for = run.approval.take();
    run.until = None;
    if letter.is_some() {
        // It is the replay that is cancelled.
        State::DeadLettered.name().clone_into(&mut run.state);
        leave(connection, vault, None, &run, Rest::default()).await?;
    } else {
        cancelled(&mut run, facts.try_get("now")?);
        finish::cancel_unowned(connection, vault, &run).await?;
    }
    if let Some(approval) = waited_for {
        approvals::expire(connection, tenant, approval.as_str()).await?;
    }
    Ok(true)
}

async fn unsettled(connection: &mut Connection, tenant: &str, root: &RunId) -> Result<bool, Failed> {
    let unsettled = sqlx::query_scalar(UNSETTLED).bind(tenant).bind(root.as_str());
    Ok(unsettled.fetch_one(connection).await?)
}
