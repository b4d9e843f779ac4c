//! One side of a copy of everything: rows read and added as they are, whatever they mean.

use super::dialect::{AFTER_COPY, Connection, Database, Handle, MIGRATIONS, Row};
use super::schema;
use crate::blobs::Objects;
use crate::failures::Failed;
use crate::migrate::{Kind, Line, PART, Side, Table, Value};
use async_trait::async_trait;
use fusebox_engine::ports::store::StoreError;
use fusebox_engine::records::AuditHead;
use sqlx::{QueryBuilder, Row as _, Transaction};

struct Open {
    store: Handle,
    transaction: Transaction<'static, Database>,
}

impl Handle {
    /// Opens a transaction over everything.
    pub(crate) async fn side(self) -> Result<Box<dyn Side>, StoreError> {
        let transaction = self.everything().await?;
        Ok(Box::new(Open {
            store: self,
            transaction,
        }))
    }
}

fn names(columns: &[(&str, Kind)]) -> String {
    let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
    names.join(", ")
}

fn push(query: &mut QueryBuilder<'_, Database>, kind: Kind, value: &Value) {
    match (kind, value) {
        (Kind::Text, Value::Text(text)) => query.push_bind(text.clone()),
        (Kind::Number, Value::Number(number)) => query.push_bind(*number),
        (Kind::Flag, Value::Flag(flag)) => query.push_bind(*flag),
        (Kind::Bytes, Value::Bytes(bytes)) => query.push_bind(bytes.clone()),
        _ => query.push("NULL"),
    };
}

fn line(table: &Table, row: &Row) -> Result<Line, sqlx::Error> {
    let value = |(name, kind): &(&str, Kind)| {
        Ok(match kind {
            Kind::Text => row.try_get::<Option<String>, _>(*name)?.map(Value::Text),
            Kind::Number => row.try_get::<Option<i64>, _>(*name)?.map(Value::Number),
            Kind::Flag => row.try_get::<Option<bool>, _>(*name)?.map(Value::Flag),
            Kind::Bytes => row.try_get::<Option<Vec<u8>>, _>(*name)?.map(Value::Bytes),
        }
        .unwrap_or(Value::Null))
    };
    table.columns.iter().map(value).collect()
}

async fn part(connection: &mut Connection, table: &Table, behind: Option<&[Value]>) -> Result<Vec<Line>, Failed> {
    let key = &table.columns[..table.key];
    let mut query = QueryBuilder::new(format!("SELECT {} FROM {}", names(table.columns), table.name));
    if let Some(behind) = behind {
        query.push(format!(" WHERE ({}) > (", names(key)));
        for (n, ((_, kind), value)) in key.iter().zip(behind).enumerate() {
            query.push(if n == 0 { "" } else { ", " });
            push(&mut query, *kind, value);
        }
        query.push(")");
    }
    query.push(format!(" ORDER BY {} LIMIT {PART}", names(key)));
    let rows = query.build().persistent(false).fetch_all(connection).await?;
    Ok(rows.iter().map(|row| line(table, row)).collect::<Result<_, _>>()?)
}

async fn add(connection: &mut Connection, table: &Table, lines: &[Line]) -> Result<(), Failed> {
    // The ends of audit trails moved with their entries.
    if table.name == "audit_heads" {
        return Ok(());
    }
    for line in lines {
        if let ("audit", Some(Value::Text(tenant)), Some(Value::Number(1))) = (table.name, line.first(), line.get(1)) {
            begin_trail(connection, tenant).await?;
        }
        let into = format!(
            "INSERT INTO {} ({}){} VALUES (",
            table.name,
            names(table.columns),
            overriding!()
        );
        let mut query = QueryBuilder::new(into);
        for (n, ((_, kind), value)) in table.columns.iter().zip(line).enumerate() {
            query.push(if n == 0 { "" } else { ", " });
            push(&mut query, *kind, value);
        }
        query.push(")");
        query.build().execute(&mut *connection).await?;
    }
    Ok(())
}

async fn begin_trail(connection: &mut Connection, tenant: &str) -> Result<(), Failed> {
    let head = AuditHead::EMPTY;
    sqlx::query("INSERT INTO audit_heads (tenant, number, hash) VALUES ($1, $2, $3)")
        .bind(tenant)
        .bind(head.number)
        .bind(head.hash.0.to_vec())
        .execute(connection)
        .await?;
    Ok(())
}

#[async_trait]
impl Side for Open {
    async fn is_newer(&mut self) -> Result<bool, StoreError> {
        let newer = schema::is_newer(&mut self.transaction, &MIGRATIONS).await;
        newer.map_err(|failed| self.store.failed(failed))
    }

    fn objects(&self) -> Option<Objects> {
        self.store.objects.clone()
    }

    async fn in_use(&mut self) -> Result<bool, StoreError> {
        const LEASED: &str = concat!("SELECT EXISTS (SELECT 1 FROM runs r WHERE ", alive!("r"), ")");
        let leased = sqlx::query_scalar(LEASED).fetch_one(&mut *self.transaction).await;
        leased.map_err(|error| self.store.failed(error))
    }

    async fn part(&mut self, table: &Table, behind: Option<&[Value]>) -> Result<Vec<Line>, StoreError> {
        let part = part(&mut self.transaction, table, behind).await;
        part.map_err(|failed| self.store.failed(failed))
    }

    async fn add(&mut self, table: &Table, lines: &[Line]) -> Result<(), StoreError> {
        let added = add(&mut self.transaction, table, lines).await;
        added.map_err(|failed| self.store.failed(failed))
    }

    async fn commit(mut self: Box<Self>) -> Result<(), StoreError> {
        for statement in AFTER_COPY {
            let went_on = sqlx::query(statement).execute(&mut *self.transaction).await;
            went_on.map_err(|error| self.store.failed(error))?;
        }
        let store = self.store;
        self.transaction.commit().await.map_err(|error| store.failed(error))
    }
}
