//! Exchanges with real sockets: what the upstream does, and what the transport says about it.
#![allow(clippy::unwrap_used, clippy::panic)]

mod faults;
mod guard;
mod proxies;
mod reuse;
mod support;
mod tls;
