//! The simulator over real sockets: its upstreams, their faults, and the model with its tools.
#![allow(clippy::unwrap_used, clippy::panic)]

mod client;
mod services;
mod tools;
