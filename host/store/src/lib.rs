//! Stores on databases. SQLite: one file, shared by the processes of one machine. PostgreSQL: shared by machines.
//!
//! The transitions are written once, in `transitions/`, and compiled for each database with its `dialect`: concrete types, and statements that are
//! whole at compile time.
#![expect(
    clippy::duplicate_mod,
    reason = "the transitions are compiled once for each database"
)]

mod blobs;
mod failures;
mod migrate;
mod options;
mod postgres;
mod rows;
mod seal;
mod sqlite;

pub use blobs::{Blobs, S3};
pub use migrate::{Copied, Place, migrate};
pub use options::StoreOptions;
pub use postgres::{PostgresFleet, PostgresStore};
pub use sqlite::SqliteStore;
