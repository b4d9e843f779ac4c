//! The sandbox held to its promises by guests: each a small component that does one thing, good or bad.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod cancel;
mod debug;
mod debug_letters;
mod determinism;
mod effects;
mod ends;
mod examples;
mod isolation;
mod limits;
mod load;
mod play;
mod remains;
mod support;
mod wasi;
