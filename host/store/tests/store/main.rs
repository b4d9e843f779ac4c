//! Every store against its contract, against each other, and SQLite against the world.
#![allow(clippy::unwrap_used, clippy::panic)]

mod contract;
mod crash;
mod differential;
mod operations;
mod sqlite;
mod subjects;
