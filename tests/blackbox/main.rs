//! The built binary, as somebody uses it: real guests, a real database, upstreams that fail on command and count what they did.
//!
//! The guests come from `cargo xtask guests`. Compiled code is kept in `target/blackbox-cache` for all tests. Besides the binary they run
//! `sqlite3` (to look at the database from outside), `bash` and `script` (for pipes and terminals).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and it is the one that waits and looks at the clock"
)]

mod approvals;
mod audit;
mod authorization;
mod boundary;
mod cli;
#[cfg(feature = "failpoints")]
mod crash;
mod crashes;
mod debug;
mod deploys;
mod faults;
mod fleet;
#[cfg(feature = "failpoints")]
mod harness;
mod http;
mod keys;
mod letters;
mod mcp;
mod migrate;
mod objects;
mod postgres;
mod refusals;
mod remote;
mod replays;
mod runs;
mod serving;
mod settling;
mod signals;
mod site;
mod watching;
