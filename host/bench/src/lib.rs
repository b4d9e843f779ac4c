//! What the benchmarks compare: one component called by the runtime alone and through the call boundary, and the same
//! bytes written by hand and by the store.

pub mod boundary;
pub mod component;
pub mod guard;
pub mod raw;
pub mod rows;
pub mod timing;
