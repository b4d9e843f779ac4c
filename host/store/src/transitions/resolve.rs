//! Letters in doubt: a person says what became of an effect, and the run may go on, or is over.

use super::dialect::Connection;
use super::{finish, holds, journal, letters, nested, runs};
use crate::failures::{Failed, refused};
use crate::seal::Vault;
use fusebox_core::effect::Kind;
use fusebox_core::ids::{LetterId, RunId};
use fusebox_engine::ports::store::Resolution;
use fusebox_engine::records::{LetterRecord, RunRecord};
use sqlx::Row as _;

pub(super) async fn resolve(
    connection: &mut Connection,
    vault: &Vault,
    tenant: &str,
    id: &LetterId,
    resolution: Resolution,
) -> Result<LetterRecord, Failed> {
    holds::letter(connection, tenant, id).await?;
    let row = sqlx::query(letters::ONE).bind(tenant).bind(id.as_str());
    let row = row.fetch_optional(&mut *connection).await?;
    let row = row.ok_or_else(|| refused(format!("there is no letter {id}")))?;
    let (state, kind): (String, String) = (row.try_get("state")?, row.try_get("kind")?);
    if state != "open" || kind != "in-doubt" {
        let is = if state == "open" { kind } else { state };
        return Err(refused(format!("letter {id} is {is}: nothing of it is in doubt")));
    }
    letters::not_replayed(&row, id)?;
    let letter = letters::letter(vault, &row)?;
    match resolution {
        Resolution::Happened { run, record, drop } => {
            settle_doubt(connection, vault, &letter, &run, record.seq, drop).await?;
            journal::put(connection, vault, tenant, &run, &[*record]).await?;
            go_on_undoubted(connection, vault, letter).await?;
        }
        Resolution::NotHappened { run, seq, mut drop } => {
            drop.push(seq);
            settle_doubt(connection, vault, &letter, &run, seq, drop).await?;
            go_on_undoubted(connection, vault, letter).await?;
        }
        Resolution::Close { run } => close(connection, vault, letter, *run).await?,
    }
    let row = sqlx::query(letters::ONE).bind(tenant).bind(id.as_str());
    let row = row.fetch_one(connection).await?;
    Ok(letters::letter(vault, &row)?)
}

/// Takes the effect off the list of those in doubt, and what is dropped out of the journal, in which the effect has to be.
async fn settle_doubt(
    connection: &mut Connection,
    vault: &Vault,
    letter: &LetterRecord,
    run: &RunId,
    seq: u32,
    drop: Vec<u32>,
) -> Result<(), Failed> {
    let (tenant, root) = (letter.tenant.as_str(), &letter.run.id);
    let stranger = || refused(format!("run {run} is not part of run {root}"));
    let found = sqlx::query(runs::ONE).bind(tenant).bind(run.as_str());
    let found = found.fetch_optional(&mut *connection).await?.ok_or_else(stranger)?;
    let mut record = runs::run(vault, &found)?;
    if run != root && record.nested.as_ref().is_none_or(|nested| nested.root != *root) {
        return Err(stranger());
    }
    if journal::one(connection, vault, tenant, run.as_str(), seq)
        .await?
        .is_none()
    {
        return Err(refused(format!(
            "the journal of run {run} has no effect {seq}; close the letter instead"
        )));
    }
    journal::forget(connection, tenant, run, &drop).await?;
    record.in_doubt.retain(|doubt| *doubt != seq && !drop.contains(doubt));
    write(connection, vault, &record).await
}

/// Writes state and body of a run.
async fn write(connection: &mut Connection, vault: &Vault, run: &RunRecord) -> Result<(), Failed> {
    sqlx::query("UPDATE runs SET state = $3, body = $4 WHERE tenant = $1 AND id = $2")
        .bind(&run.tenant)
        .bind(run.id.as_str())
        .bind(&run.state)
        .bind(runs::body(vault, run)?)
        .execute(connection)
        .await?;
    Ok(())
}

/// Once nothing in the tree is in doubt any more, the letter may be replayed.
async fn go_on_undoubted(connection: &mut Connection, vault: &Vault, mut letter: LetterRecord) -> Result<(), Failed> {
    let root = letter.run.id.as_str();
    let doubt = doubtful(connection, vault, &letter.tenant, root).await?;
    let mut run = runs::one(connection, vault, &letter.tenant, root).await?;
    if !doubt {
        "dead-lettered".clone_into(&mut run.state);
        write(connection, vault, &run).await?;
        "retryable".clone_into(&mut letter.kind);
    }
    letter.run = run;
    // It has a row of its own.
    letter.snapshot = None;
    letters::write(connection, vault, &letter, true).await
}

/// Whether an effect of the tree is in doubt. A call is not in doubt by itself: its run is.
async fn doubtful(connection: &mut Connection, vault: &Vault, tenant: &str, root: &str) -> Result<bool, Failed> {
    let below = sqlx::query(nested::TREE).bind(tenant).bind(root);
    let below = below.fetch_all(&mut *connection).await?;
    let mut tree = vec![runs::one(connection, vault, tenant, root).await?];
    for row in &below {
        tree.push(runs::run(vault, row)?);
    }
    for run in &tree {
        for seq in &run.in_doubt {
            let record = journal::one(connection, vault, tenant, run.id.as_str(), *seq).await?;
            if record.is_none_or(|record| record.kind != Kind::Call.name()) {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

async fn close(
    connection: &mut Connection,
    vault: &Vault,
    letter: LetterRecord,
    mut run: RunRecord,
) -> Result<(), Failed> {
    let (id, root) = (&letter.id, &letter.run.id);
    if run.id != *root {
        return Err(refused(format!("letter {id} is that of run {root}, not of {}", run.id)));
    }
    sqlx::query("UPDATE letters SET state = 'resolved' WHERE tenant = $1 AND id = $2")
        .bind(&letter.tenant)
        .bind(id.as_str())
        .execute(&mut *connection)
        .await?;
    run.letter = Some(id.clone());
    finish::end_unowned(connection, vault, &run).await?;
    journal::drop_all(connection, &letter.tenant, root.as_str()).await?;
    finish::end_tree(connection, &letter.tenant, root.as_str()).await
}
