//! The pipeline against scripted components and upstreams, on a clock that jumps.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod approvals;
mod audit;
mod breakers;
mod clocks;
mod crashes;
mod deploys;
mod effects;
mod faults;
mod followed;
mod guest;
mod hanging_up;
mod idempotency;
mod keys;
mod leases;
mod letters;
mod mortal;
mod permissions;
mod pipeline;
mod recovery;
mod replaying;
mod replays;
mod resolve;
mod resuming;
mod retries;
mod sleeping;
mod traces;
mod trees;
mod world;
