//! Bodies of rows: records as JSON, and what happens to a row that cannot be read.

use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt;

/// A row whose body is not what this version writes or reads.
#[derive(Debug)]
pub(crate) struct Unreadable {
    /// Table and id.
    pub(crate) row: String,
    /// What is wrong with it.
    pub(crate) reason: String,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} cannot be read or written as a row: {}", self.row, self.reason)
    }
}

impl From<sqlx::Error> for Unreadable {
    /// A column that is not what the schema says.
    fn from(error: sqlx::Error) -> Self {
        Self {
            row: "a row".to_owned(),
            reason: error.to_string(),
        }
    }
}

/// The JSON of a record; `row` names it should it fail.
pub(crate) fn encode<T: Serialize>(row: &str, record: &T) -> Result<String, Unreadable> {
    serde_json::to_string(record).map_err(|error| Unreadable {
        row: row.to_owned(),
        reason: error.to_string(),
    })
}

/// The record of a JSON body. Bodies are read as bytes, so that damaged text spoils its own row only.
pub(crate) fn decode<T: DeserializeOwned>(row: &str, body: &[u8]) -> Result<T, Unreadable> {
    serde_json::from_slice(body).map_err(|error| Unreadable {
        row: row.to_owned(),
        reason: error.to_string(),
    })
}

/// The rows that can be read. The others are named in the log and are in nobody's way.
pub(crate) fn readable<T>(rows: impl Iterator<Item = Result<T, Unreadable>>) -> Vec<T> {
    rows.filter_map(|row| {
        row.inspect_err(|unreadable| tracing::error!(row = %unreadable.row, "skipped a row: {unreadable}"))
            .ok()
    })
    .collect()
}
