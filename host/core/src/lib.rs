//! Pure decisions of the call boundary: no clock, no randomness, no I/O, no runtime.

pub mod approval;
pub mod backoff;
pub mod breaker;
pub mod budget;
pub mod classify;
pub mod component;
pub mod dead_letter;
pub mod effect;
pub mod failure;
pub mod idempotency;
pub mod ids;
pub mod journal;
pub mod policy;
pub mod retry;
pub mod retry_after;
pub mod role;
pub mod run;
pub mod share;
pub mod time;
pub mod trace;
pub mod window;
