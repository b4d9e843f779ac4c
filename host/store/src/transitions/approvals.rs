//! Questions to a person: asked with a suspension, decided once, used up by the call that they allow.

use super::dialect::{Connection, Database, Row};
use super::holds;
use super::sql::{go_on_behind, listed, text};
use crate::failures::{Failed, refused, unless_taken};
use crate::rows::Unreadable;
use crate::seal::{Place, Vault};
use fusebox_core::ids::ApprovalId;
use fusebox_engine::ports::store::{ApprovalFilter, Verdict};
use fusebox_engine::records::ApprovalRecord;
use sqlx::{QueryBuilder, Row as _};

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT a.tenant, a.id, a.state, a.body, a.state = 'pending' AND a.expires <= ",
            now!(),
            " AS late, ",
            now!(),
            " AS now FROM approvals a WHERE a.tenant = ",
            $rest
        )
    };
}

pub(super) const ONE: &str = select!("$1 AND a.id = $2");
/// A question that nobody answered in time, or whose run does not wait any more.
pub(super) const EXPIRE: &str =
    "UPDATE approvals SET state = 'expired' WHERE tenant = $1 AND id = $2 AND state = 'pending'";
/// The run that waits for it can be taken.
pub(super) const WAKE: &str = concat!(
    "UPDATE runs SET until = ",
    now!(),
    " WHERE tenant = $1 AND id = $2 AND state = 'suspended' AND approval = $3"
);

pub(super) fn approval(vault: &Vault, row: &Row) -> Result<ApprovalRecord, Unreadable> {
    let (tenant, id): (String, String) = (row.try_get("tenant")?, row.try_get("id")?);
    let mut approval: ApprovalRecord = vault.decode(Place::new("approval", &tenant, &id), text(row, "body")?)?;
    approval.state = row.try_get("state")?;
    if row.try_get("late")? {
        "expired".clone_into(&mut approval.state);
    }
    Ok(approval)
}

pub(super) fn list<'q>(tenant: &'q str, filter: &'q ApprovalFilter) -> QueryBuilder<'q, Database> {
    let mut query = QueryBuilder::new(select!(""));
    query.push_bind(tenant);
    if let Some(root) = &filter.root {
        query.push(" AND a.root = ").push_bind(root.as_str());
    }
    if !filter.all {
        query.push(concat!(" AND a.state = 'pending' AND a.expires > ", now!()));
    }
    if let Some(after) = &filter.after {
        let row = (tenant, after.as_str(), after.made());
        go_on_behind(&mut query, "(a.asked, a.id) >", ("asked", "approvals"), row);
    }
    query
        .push(" ORDER BY a.asked, a.id LIMIT ")
        .push_bind(listed(filter.limit));
    query
}

pub(super) async fn ask(connection: &mut Connection, vault: &Vault, approval: &ApprovalRecord) -> Result<(), Failed> {
    let (tenant, id) = (approval.tenant.as_str(), approval.id.as_str());
    let asked = sqlx::query(
        "INSERT INTO approvals (tenant, id, root, state, asked, expires, body) VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(tenant)
    .bind(id)
    .bind(approval.root.as_str())
    .bind(&approval.state)
    .bind(approval.asked)
    .bind(approval.expires)
    .bind(vault.encode(Place::new("approval", tenant, id), approval)?)
    .execute(connection)
    .await;
    let taken = || format!("approval {id} exists already; a new question needs a new id");
    asked.map(|_| ()).map_err(|error| unless_taken(error, taken))
}

pub(super) async fn expire(connection: &mut Connection, tenant: &str, id: &str) -> Result<(), Failed> {
    sqlx::query(EXPIRE).bind(tenant).bind(id).execute(connection).await?;
    Ok(())
}

pub(super) async fn decide(
    connection: &mut Connection,
    vault: &Vault,
    tenant: &str,
    id: &ApprovalId,
    verdict: Verdict,
) -> Result<ApprovalRecord, Failed> {
    holds::approval(connection, tenant, id).await?;
    let row = sqlx::query(ONE).bind(tenant).bind(id.as_str());
    let row = row.fetch_optional(&mut *connection).await?;
    let row = row.ok_or_else(|| refused(format!("there is no approval {id}")))?;
    let asked = approval(vault, &row)?;
    if asked.state != "pending" {
        return Err(refused(format!("approval {id} is {} already", asked.state)));
    }
    let decided = ApprovalRecord {
        state: ["declined", "approved"][usize::from(verdict.approved)].to_owned(),
        by: Some(verdict.by),
        reason: verdict.reason,
        decided: Some(row.try_get("now")?),
        ..asked
    };
    sqlx::query("UPDATE approvals SET state = $3, body = $4 WHERE tenant = $1 AND id = $2")
        .bind(tenant)
        .bind(id.as_str())
        .bind(&decided.state)
        .bind(vault.encode(Place::new("approval", tenant, id.as_str()), &decided)?)
        .execute(&mut *connection)
        .await?;
    sqlx::query(WAKE)
        .bind(tenant)
        .bind(decided.root.as_str())
        .bind(id.as_str())
        .execute(connection)
        .await?;
    Ok(decided)
}
