//! The audit trail: added to at its end, by statements that the database itself holds to that.

use super::dialect::{Connection, Database, Row};
use super::sql::listed;
use crate::failures::Failed;
use crate::rows::Unreadable;
use fusebox_core::ids::Digest;
use fusebox_engine::ports::store::AuditFilter;
use fusebox_engine::records::{AuditEntry, AuditHead, AuditRecord};
use sqlx::{QueryBuilder, Row as _};

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT tenant, number, at, principal, action, subject, detail, outcome, previous, hash FROM audit WHERE tenant = ",
            $rest
        )
    };
}

pub(super) const TRAIL: &str = select!("$1 AND number > $2 ORDER BY number LIMIT $3");
pub(super) const HEAD: &str = "SELECT number, hash FROM audit_heads WHERE tenant = $1";
const END: &str = concat!(
    "SELECT number, hash FROM audit_heads WHERE tenant = $1",
    for_update!("audit_heads")
);

pub(super) fn record(row: &Row) -> Result<AuditRecord, Unreadable> {
    let number: i64 = row.try_get("number")?;
    Ok(AuditRecord {
        number,
        tenant: row.try_get("tenant")?,
        at: row.try_get("at")?,
        principal: row.try_get("principal")?,
        action: row.try_get("action")?,
        subject: row.try_get("subject")?,
        detail: row.try_get("detail")?,
        outcome: row.try_get("outcome")?,
        previous: digest(row, "previous", number)?,
        hash: digest(row, "hash", number)?,
    })
}

fn digest(row: &Row, column: &str, number: i64) -> Result<Digest, Unreadable> {
    let bytes: &[u8] = row.try_get(column)?;
    let bytes = bytes.try_into().map_err(|_| Unreadable {
        row: format!("entry {number} of the audit trail"),
        reason: format!("its `{column}` is no SHA-256"),
    })?;
    Ok(Digest(bytes))
}

pub(super) fn head(row: &Row) -> Result<AuditHead, Unreadable> {
    let number = row.try_get("number")?;
    Ok(AuditHead {
        number,
        hash: digest(row, "hash", number)?,
    })
}

pub(super) fn list<'q>(tenant: &'q str, filter: &'q AuditFilter) -> QueryBuilder<'q, Database> {
    let mut query = QueryBuilder::new(select!(""));
    query.push_bind(tenant);
    let equal = [
        (" AND action = ", &filter.action),
        (" AND principal = ", &filter.principal),
        (" AND subject = ", &filter.subject),
    ];
    for (column, value) in equal {
        if let Some(value) = value {
            query.push(column).push_bind(value);
        }
    }
    if let Some(since) = filter.since {
        query.push(" AND at >= ").push_bind(since);
    }
    if let Some(after) = filter.after {
        query.push(" AND number < ").push_bind(after);
    }
    query
        .push(" ORDER BY number DESC LIMIT ")
        .push_bind(listed(filter.limit));
    query
}

pub(super) async fn append(connection: &mut Connection, entry: AuditEntry) -> Result<AuditRecord, Failed> {
    let before = match end(connection, &entry.tenant).await? {
        Some(before) => before,
        None => begin(connection, &entry.tenant).await?,
    };
    let record = AuditRecord::after(before, entry);
    sqlx::query(
        "INSERT INTO audit (tenant, number, at, principal, action, subject, detail, outcome, previous, hash) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
    )
    .bind(&record.tenant)
    .bind(record.number)
    .bind(record.at)
    .bind(&record.principal)
    .bind(&record.action)
    .bind(&record.subject)
    .bind(&record.detail)
    .bind(&record.outcome)
    .bind(record.previous.0.as_slice())
    .bind(record.hash.0.as_slice())
    .execute(connection)
    .await?;
    Ok(record)
}

/// The end of a trail, kept for who writes behind it.
async fn end(connection: &mut Connection, tenant: &str) -> Result<Option<AuditHead>, Failed> {
    let row = sqlx::query(END).bind(tenant).fetch_optional(connection).await?;
    Ok(row.as_ref().map(head).transpose()?)
}

/// The first entry of a tenant's trail is about to be written.
async fn begin(connection: &mut Connection, tenant: &str) -> Result<AuditHead, Failed> {
    let head = AuditHead::EMPTY;
    sqlx::query("INSERT INTO audit_heads (tenant, number, hash) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING")
        .bind(tenant)
        .bind(head.number)
        .bind(head.hash.0.as_slice())
        .execute(&mut *connection)
        .await?;
    // Somebody else may have begun it at the same time.
    Ok(end(connection, tenant).await?.unwrap_or(head))
}
