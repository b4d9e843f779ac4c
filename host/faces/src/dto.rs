//! What travels between a host and its clients besides the records: one shape for server, remote client and `--json`.

pub mod call_reply;
pub mod deployment;
pub mod finding;
pub mod key_request;
pub mod letter_stats;
pub mod listed;
pub mod policy_row;
pub mod problem;
pub mod replay_request;
pub mod resolve_request;
pub mod small;
pub mod tool_detail;
pub mod who;
