//! What many statements share: what a lease is, and how durations, counts and limits are bound and read.

use super::dialect::{Database, Row};
use fusebox_core::time::Wall;
use fusebox_engine::ports::store::LISTED;
use fusebox_engine::records::millis;
use sqlx::{QueryBuilder, Row as _};
use std::time::Duration;

/// Whether somebody holds a lease on run `$run` that has not ended.
macro_rules! alive {
    ($run:literal) => {
        concat!(
            "(",
            $run,
            ".owner IS NOT NULL AND ",
            $run,
            ".lease_until > ",
            now!(),
            ")"
        )
    };
}

/// Whether run `$run` is being worked on: leased, or between two leases, asleep or waiting for a person.
macro_rules! goes_on {
    ($run:literal) => {
        concat!("(", alive!($run), " OR ", $run, ".state IN ('sleeping', 'suspended'))")
    };
}

/// Whether the run of tenant `$1` with id `$2` is owned by `$3` under epoch `$4`: the fence of every owner's write.
///
/// By its name it is to be found: an index of runs with an owner seems smaller, and holds an entry of each that has had one until it is
/// vacuumed. So the owner is asked for in a way that such an index does not answer.
macro_rules! fenced {
    () => {
        fenced!("runs", "$2", "$3", "$4")
    };
    ($run:literal, $id:literal, $owner:literal, $epoch:literal) => {
        concat!(
            $run,
            ".tenant = $1 AND ",
            $run,
            ".id = ",
            $id,
            " AND COALESCE(",
            $run,
            ".owner, '') = ",
            $owner,
            " AND ",
            $run,
            ".epoch = ",
            $epoch,
            " AND ",
            $run,
            ".lease_until > ",
            now!()
        )
    };
}

/// Whether the tree of the root of letter `$letter` holds a request that may not be repeated and whose end nobody knows.
macro_rules! left_open {
    ($letter:literal) => {
        concat!(
            "(EXISTS (SELECT 1 FROM journal j WHERE j.tenant = ",
            $letter,
            ".tenant AND j.run = ",
            $letter,
            ".run AND j.settled IS NULL AND j.harmless IS NOT TRUE) OR EXISTS (SELECT 1 FROM runs n JOIN journal j ",
            "ON j.tenant = n.tenant AND j.run = n.id WHERE n.tenant = ",
            $letter,
            ".tenant AND n.root = ",
            $letter,
            ".run AND j.settled IS NULL AND j.harmless IS NOT TRUE))"
        )
    };
}

/// The bytes of a text, so that damaged text spoils its own row only.
pub(super) fn text<'r>(row: &'r Row, column: &str) -> Result<&'r [u8], sqlx::Error> {
    row.try_get_unchecked(column)
}

/// A number that is small.
pub(super) fn count(row: &Row, column: &str) -> Result<u32, sqlx::Error> {
    let number: i64 = row.try_get(column)?;
    u32::try_from(number).map_err(|error| sqlx::Error::ColumnDecode {
        index: column.to_owned(),
        source: error.into(),
    })
}

/// Whole milliseconds as they are stored, saturating.
pub(super) fn span(time: Duration) -> i64 {
    // Half of the range, so that adding the present cannot overflow.
    i64::try_from(millis(time)).unwrap_or(i64::MAX).min(i64::MAX / 2)
}

/// How many rows a list gives.
pub(super) fn listed(limit: u32) -> i64 {
    i64::from(if limit == 0 { LISTED } else { limit })
}

/// Lets a list go on behind a row: `compared` is the order's columns and how they compare, `at` the first of them and its table, `row` a
/// tenant and an id. A row that is gone stands where its id says that it was made.
pub(super) fn go_on_behind<'q>(
    query: &mut QueryBuilder<'q, Database>,
    compared: &str,
    at: (&str, &str),
    row: (&'q str, &'q str, Wall),
) {
    let (tenant, id, made) = row;
    query.push(" AND ").push(compared).push(" (COALESCE((SELECT ");
    query.push(at.0).push(" FROM ").push(at.1);
    query.push(" WHERE tenant = ").push_bind(tenant);
    query.push(" AND id = ").push_bind(id).push("), ");
    query.push_bind(made.0).push("), ").push_bind(id).push(")");
}
