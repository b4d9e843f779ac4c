//! The call boundary: one facade, one pipeline, and the ports that it needs from the outside.

pub mod guests;
pub mod ports;
pub mod records;
pub mod requests;
#[cfg(feature = "testing")]
pub mod testing;
