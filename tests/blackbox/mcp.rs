//! MCP, as an agent speaks it: JSON-RPC by hand, against the binary, real tools, and upstreams that fail on command.

pub(crate) mod agent;
mod calls;
mod http;
mod listing;
mod messages;
mod tasks;
mod waiting;
