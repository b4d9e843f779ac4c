//! Stores on databases. SQLite: one file, shared by the processes of one machine.

mod failures;
mod rows;
mod seal;
mod sqlite;

pub use sqlite::{SqliteStore, StoreOptions};
