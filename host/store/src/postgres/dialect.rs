//! What the transitions have to know of PostgreSQL: its types, and the parts of statements that no two databases write alike.

use sqlx::postgres::{PgArguments, PgConnection, PgRow};

pub(super) use super::open::MIGRATIONS;
pub(super) use super::transact::rows;

pub(super) type Database = sqlx::Postgres;
pub(super) type Connection = PgConnection;
pub(super) type Pool = super::line::Line;
pub(super) type Row = PgRow;
pub(super) type Arguments<'q> = PgArguments;
pub(super) type Handle = super::PostgresStore;

/// Whether others write at the same time.
pub(super) const MANY_WRITERS: bool = true;

/// What has to be done once rows were copied with the numbers that they had.
pub(super) const AFTER_COPY: &[&str] =
    &["SELECT setval(pg_get_serial_sequence('errors', 'id'), (SELECT COALESCE(MAX(id), 0) + 1 FROM errors), FALSE)"];

/// The database's clock in milliseconds since 1970, as it stood when the statement came: hosts of one database agree on when a lease ends.
macro_rules! now {
    () => {
        "CAST(FLOOR(EXTRACT(EPOCH FROM statement_timestamp()) * 1000) AS BIGINT)"
    };
}

/// Texts as a JSON array.
macro_rules! texts {
    ($text:literal, $order:literal) => {
        concat!(
            "CAST(COALESCE(json_agg(",
            $text,
            " ORDER BY ",
            $order,
            "), '[]') AS TEXT)"
        )
    };
}

/// Texts by their numbers as a JSON object.
macro_rules! texts_by {
    ($number:literal, $text:literal) => {
        concat!(
            "CAST(COALESCE(json_object_agg(",
            $number,
            ", ",
            $text,
            "), '{}') AS TEXT)"
        )
    };
}

/// The numbers of a JSON array.
macro_rules! numbers {
    ($array:literal) => {
        concat!(
            "(SELECT CAST(value AS BIGINT) FROM json_array_elements_text(CAST(",
            $array,
            " AS JSON)))"
        )
    };
}

/// The texts of a JSON array.
macro_rules! strings {
    ($array:literal) => {
        concat!(
            "(SELECT value FROM json_array_elements_text(CAST(",
            $array,
            " AS JSON)))"
        )
    };
}

/// Joins, for each row of what stands before, the runs `r` that a query of runs `q` finds by it.
macro_rules! first_runs {
    ($query:expr) => {
        concat!("CROSS JOIN LATERAL (SELECT q.* ", $query, ") r")
    };
}

/// What a column holds that says yes.
macro_rules! yes {
    () => {
        "TRUE"
    };
}

/// Where a row is. Another version of it is elsewhere, so that a row that changed meanwhile is left alone.
macro_rules! row_id {
    () => {
        "ctid"
    };
}

/// Lets a row be added with the number that it had.
macro_rules! overriding {
    () => {
        " OVERRIDING SYSTEM VALUE"
    };
}

/// Where nested runs `$run` of root `$root` are: ids tell when they were made, and none is older than its root. Partitions of days before that
/// are not looked at.
macro_rules! since {
    ($run:literal, $root:literal) => {
        concat!(" AND ", $run, ".id >= substr(", $root, ", 1, 14)")
    };
}

/// The runs that are forgotten one by one. Those of a day are forgotten with it.
macro_rules! loose_runs {
    () => {
        "runs_default"
    };
}

/// Keeps the rows of `$table` that a query finds from other writers until the transaction is over.
macro_rules! for_update {
    ($table:literal) => {
        concat!(" FOR NO KEY UPDATE OF ", $table)
    };
}

/// As `for_update`, without rows that others keep.
macro_rules! for_update_of_free {
    ($table:literal) => {
        concat!(" FOR NO KEY UPDATE OF ", $table, " SKIP LOCKED")
    };
}
