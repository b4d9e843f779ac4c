//! The face before a host in memory: what each route answers to whom.
#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used)]

mod description;
mod door;
mod issuer;
mod routes;
mod sockets;
mod tenants;
mod world;
