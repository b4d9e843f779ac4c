//! Pure decisions of the call boundary: no clock, no randomness, no I/O, no runtime.

pub mod backoff;
pub mod breaker;
pub mod budget;
pub mod component;
pub mod effect;
pub mod failure;
pub mod ids;
pub mod policy;
pub mod run;
pub mod time;
