//! How rows are read: one, all that can be read, or none unless all can.

use super::dialect::{Arguments, Database, Handle, Row, rows};
use crate::rows::{Unreadable, readable};
use crate::seal::Vault;
use fusebox_engine::ports::store::StoreError;
use sqlx::Row as _;
use sqlx::query::Query;

type Read<'q> = Query<'q, Database, Arguments<'q>>;
type Reading<T> = fn(&Vault, &Row) -> Result<T, Unreadable>;

impl Handle {
    /// One row, or none.
    pub(super) async fn one<T>(&self, query: Read<'_>, read: Reading<T>) -> Result<Option<T>, StoreError> {
        let rows = rows(&self.readers, query).await;
        let rows = rows.map_err(|error| self.failed(error))?;
        let row = rows.first();
        row.map(|row| read(&self.vault, row))
            .transpose()
            .map_err(|error| self.failed(error))
    }

    /// Every row that can be read.
    pub(super) async fn all<T>(&self, query: Read<'_>, read: Reading<T>) -> Result<Vec<T>, StoreError> {
        let rows = rows(&self.readers, query).await;
        let rows = rows.map_err(|error| self.failed(error))?;
        Ok(readable(rows.iter().map(|row| read(&self.vault, row))))
    }

    /// Every row, or none when one of them cannot be read.
    pub(super) async fn whole<T>(&self, query: Read<'_>, read: Reading<T>) -> Result<Vec<T>, StoreError> {
        let rows = rows(&self.readers, query).await;
        let rows = rows.map_err(|error| self.failed(error))?;
        let rows = rows.iter().map(|row| read(&self.vault, row));
        rows.collect::<Result<_, _>>().map_err(|error| self.failed(error))
    }

    /// The database's clock, in milliseconds since 1970.
    pub(in super::super) async fn now(&self) -> Result<i64, StoreError> {
        let now = sqlx::query(concat!("SELECT ", now!(), " AS now"));
        let now = self.one(now, |_, row| Ok(row.try_get("now")?)).await?;
        Ok(now.unwrap_or(0))
    }
}
