//! The protocol of lease, claim, intent, settle, replay and resolve as a model: two hosts that crash at any step or stand still, and upstreams
//! that lose answers. Every state that can be reached is looked at (docs/model.md).
//!
//! The decisions are those of `fusebox-core` themselves, and the transitions bear the names of the store's and of the run's events.

mod enabled;
mod entries;
mod host;
mod properties;
mod protocol;
mod rules;
mod state;
mod store;
#[cfg(test)]
mod tests;
mod world;

pub use protocol::{Action, Protocol};
pub use rules::Rule;
pub use state::{Came, End, Faults, Host, Lease, Letter, Request, Slot, State, Step, Store, What, Why, World};
pub use world::Fate;
