//! HTTP to declared upstreams: addresses checked before they are connected to, TLS verified, nothing repeated, and exact word on whether a byte left.

mod address;
mod connect;
mod deadline;
mod exchange;
mod message;
mod pool;
mod resolve;
mod settings;
mod tls;
mod wire;

pub use exchange::HttpTransport;
pub use resolve::{Resolver, SystemResolver};
pub use settings::{Allow, EgressError, NetworkSettings};
