//! What travels between a host and its clients besides the records: one shape for server, remote client and `--json`.

pub mod deployment;
pub mod finding;
pub mod policy_row;
pub mod tool_detail;
