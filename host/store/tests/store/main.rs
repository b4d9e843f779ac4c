//! Every store against its contract, against each other, and SQLite against the world.
#![allow(clippy::unwrap_used, clippy::panic)]

mod bucket;
mod contract;
mod crash;
mod days;
mod differential;
mod failed_journals;
mod fleet;
mod migrate;
mod objects;
mod operations;
mod poison;
mod postgres;
mod sealed;
mod sqlite;
mod subjects;
