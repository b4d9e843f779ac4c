//! What the transitions have to know of SQLite: its types, and the parts of statements that no two databases write alike.

use sqlx::query::Query;
use sqlx::sqlite::{SqliteArguments, SqliteConnection, SqlitePool, SqliteRow};

pub(super) use super::open::MIGRATIONS;

pub(super) type Database = sqlx::Sqlite;
pub(super) type Connection = SqliteConnection;
pub(super) type Pool = SqlitePool;
pub(super) type Row = SqliteRow;
pub(super) type Arguments<'q> = SqliteArguments<'q>;
pub(super) type Handle = super::SqliteStore;

/// Whether others write at the same time: transactions are immediate, so that nobody does.
pub(super) const MANY_WRITERS: bool = false;

/// The rows of a query that writes nothing.
pub(super) async fn rows<'q>(
    readers: &Pool,
    query: Query<'q, Database, Arguments<'q>>,
) -> Result<Vec<Row>, sqlx::Error> {
    query.fetch_all(readers).await
}

/// What has to be done once rows were copied with the numbers that they had.
pub(super) const AFTER_COPY: &[&str] = &[];

/// The database's clock in milliseconds since 1970: hosts of one database agree on when a lease ends.
macro_rules! now {
    () => {
        "CAST(unixepoch('subsec') * 1000 AS INTEGER)"
    };
}

/// Texts as a JSON array.
macro_rules! texts {
    ($text:literal, $order:literal) => {
        concat!("json_group_array(", $text, " ORDER BY ", $order, ")")
    };
}

/// Texts by their numbers as a JSON object.
macro_rules! texts_by {
    ($number:literal, $text:literal) => {
        concat!("json_group_object(CAST(", $number, " AS TEXT), ", $text, ")")
    };
}

/// The numbers of a JSON array.
macro_rules! numbers {
    ($array:literal) => {
        concat!("(SELECT value FROM json_each(", $array, "))")
    };
}

/// The texts of a JSON array.
macro_rules! strings {
    ($array:literal) => {
        numbers!($array)
    };
}

/// Joins, for each row of what stands before, the runs `r` that a query of runs `q` finds by it.
macro_rules! first_runs {
    ($query:expr) => {
        concat!("JOIN runs r ON r.rowid IN (SELECT q.rowid ", $query, ")")
    };
}

/// What a column holds that says yes.
macro_rules! yes {
    () => {
        "1"
    };
}

/// Where a row is.
macro_rules! row_id {
    () => {
        "rowid"
    };
}

/// Lets a row be added with the number that it had.
macro_rules! overriding {
    () => {
        ""
    };
}

/// Where nested runs `$run` of root `$root` are: in the one table.
macro_rules! since {
    ($run:literal, $root:literal) => {
        ""
    };
}

/// The runs that are forgotten one by one.
macro_rules! loose_runs {
    () => {
        "runs"
    };
}

/// Keeps the rows of `$table` that a query finds from other writers, of which there are none.
macro_rules! for_update {
    ($table:literal) => {
        ""
    };
}

/// As `for_update`, without rows that others keep.
macro_rules! for_update_of_free {
    ($table:literal) => {
        ""
    };
}
