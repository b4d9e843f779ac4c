//! The call boundary: one facade, one pipeline, and the ports that it needs from the outside.

pub mod ports;
pub mod records;
pub mod requests;
