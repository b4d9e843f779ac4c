//! Faces of the one facade: each turns what people and programs send into requests, and answers into what they read.

pub mod api;
pub mod cli;
pub mod deploying;
pub mod dto;
mod following;
pub mod http;
pub mod local;
pub mod mcp;
pub mod outcome;
pub mod remote;
#[cfg(test)]
mod samples;
mod tree;
