//! What guests get beside WASI: the interfaces of `fusebox:host`, and those of other tools.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod examples;
mod forward;
mod host_api;
mod linking;
mod support;
mod wit;
