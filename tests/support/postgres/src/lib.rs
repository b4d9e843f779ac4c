//! PostgreSQL servers for tests, started from the installed server binaries in a temporary directory.
//!
//! Tests share one server over all their processes: the first one starts it, each makes databases of its own in it, and a watchdog stops it when
//! no process has used it for a minute. A test that restarts or kills its server starts its own. Nothing of either is left behind, however a
//! test ends.
#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods)]

mod binaries;
mod database;
mod pooler;
mod server;

pub use database::Database;
pub use pooler::Pooler;
pub use server::{Durability, Server};
