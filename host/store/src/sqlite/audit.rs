//! The audit trail: added to at its end, by statements that the database itself holds to that.

use crate::failures::Failed;
use crate::rows::Unreadable;
use crate::sqlite::sql::listed;
use fusebox_core::ids::Digest;
use fusebox_engine::ports::store::AuditFilter;
use fusebox_engine::records::{AuditEntry, AuditHead, AuditRecord};
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row, Sqlite, SqliteConnection};

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT tenant, number, at, principal, action, subject, detail, outcome, previous, hash FROM audit WHERE tenant = ",
            $rest
        )
    };
}

pub(super) const TRAIL: &str = select!("?1 AND number > ?2 ORDER BY number LIMIT ?3");
pub(super) const HEAD: &str = "SELECT number, hash FROM audit_heads WHERE tenant = ?1";

pub(super) fn record(row: &SqliteRow) -> Result<AuditRecord, Unreadable> {
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

fn digest(row: &SqliteRow, column: &str, number: i64) -> Result<Digest, Unreadable> {
    let bytes: &[u8] = row.try_get(column)?;
    let bytes = bytes.try_into().map_err(|_| Unreadable {
        row: format!("entry {number} of the audit trail"),
        reason: format!("its `{column}` is no SHA-256"),
    })?;
    Ok(Digest(bytes))
}

pub(super) fn head(row: &SqliteRow) -> Result<AuditHead, Unreadable> {
    let number = row.try_get("number")?;
    Ok(AuditHead {
        number,
        hash: digest(row, "hash", number)?,
    })
}

pub(super) fn list<'q>(tenant: &'q str, filter: &'q AuditFilter) -> QueryBuilder<'q, Sqlite> {
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

pub(super) async fn append(connection: &mut SqliteConnection, entry: AuditEntry) -> Result<AuditRecord, Failed> {
    let before = sqlx::query(HEAD).bind(&entry.tenant);
    let before = match before.fetch_optional(&mut *connection).await? {
        Some(row) => head(&row)?,
        None => begin(connection, &entry.tenant).await?,
    };
    let record = AuditRecord::after(before, entry);
    sqlx::query(
        "INSERT INTO audit (tenant, number, at, principal, action, subject, detail, outcome, previous, hash) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
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

/// The first entry of a tenant's trail is about to be written.
async fn begin(connection: &mut SqliteConnection, tenant: &str) -> Result<AuditHead, Failed> {
    let head = AuditHead::EMPTY;
    sqlx::query("INSERT INTO audit_heads (tenant, number, hash) VALUES (?1, ?2, ?3)")
        .bind(tenant)
        .bind(head.number)
        .bind(head.hash.0.as_slice())
        .execute(connection)
        .await?;
    Ok(head)
}
