//! The error log: what failed and became no letter, the newest of each tenant.

use super::dialect::{Connection, Database, Row};
use super::sql::{listed, text};
use crate::failures::Failed;
use crate::rows::Unreadable;
use crate::seal::{Place, Vault};
use fusebox_engine::ports::store::{ERRORS_KEPT, ErrorFilter};
use fusebox_engine::records::ErrorRecord;
use sqlx::{QueryBuilder, Row as _};
use std::collections::BTreeSet;

pub(super) const TRIM: &str = "DELETE FROM errors WHERE tenant = $1 AND id <= \
     (SELECT id FROM errors WHERE tenant = $1 ORDER BY id DESC LIMIT 1 OFFSET $2)";

/// The number of a row is given with its insertion, when its body is sealed already: the tool stands for it.
fn place<'a>(tenant: &'a str, tool: &'a str) -> Place<'a> {
    Place::new("error of tool", tenant, tool)
}

pub(super) fn error(vault: &Vault, row: &Row) -> Result<ErrorRecord, Unreadable> {
    let (tenant, tool): (String, String) = (row.try_get("tenant")?, row.try_get("tool")?);
    let id: i64 = row.try_get("id")?;
    let mut error: ErrorRecord = vault.decode(place(&tenant, &tool), text(row, "body")?)?;
    error.id = id;
    Ok(error)
}

pub(super) fn list<'q>(tenant: &'q str, filter: &'q ErrorFilter) -> QueryBuilder<'q, Database> {
    let mut query = QueryBuilder::new("SELECT id, tenant, tool, body FROM errors WHERE tenant = ");
    query.push_bind(tenant);
    if let Some(tool) = &filter.tool {
        query.push(" AND tool = ").push_bind(tool);
    }
    if let Some(after) = filter.after {
        query.push(" AND id < ").push_bind(after);
    }
    query.push(" ORDER BY id DESC LIMIT ").push_bind(listed(filter.limit));
    query
}

pub(super) async fn append(connection: &mut Connection, vault: &Vault, errors: Vec<ErrorRecord>) -> Result<(), Failed> {
    let mut tenants = BTreeSet::new();
    for error in &errors {
        sqlx::query("INSERT INTO errors (tenant, tool, at, body) VALUES ($1, $2, $3, $4)")
            .bind(&error.tenant)
            .bind(&error.tool)
            .bind(error.at)
            .bind(vault.encode(place(&error.tenant, &error.tool), error)?)
            .execute(&mut *connection)
            .await?;
        tenants.insert(&error.tenant);
    }
    for tenant in tenants {
        sqlx::query(TRIM)
            .bind(tenant)
            .bind(i64::from(ERRORS_KEPT))
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}
