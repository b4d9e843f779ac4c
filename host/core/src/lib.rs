//! Pure decisions of the call boundary: no clock, no randomness, no I/O, no runtime.

pub mod component;
pub mod effect;
pub mod failure;
pub mod ids;
pub mod policy;
pub mod time;
