//! What the benchmarks compare: one component called by the runtime alone and through the call boundary, and the same
//! bytes written, read and copied by hand and by Fusebox.

pub mod boundary;
pub mod component;
pub mod guard;
pub mod journey;
pub mod raw;
pub mod rows;
pub mod scribble;
pub mod timing;
