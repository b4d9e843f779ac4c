//! What the engine needs from the outside, each as a trait that an adapter implements.

pub mod authorizer;
pub mod clock;
pub mod debugger;
pub mod entropy;
pub mod fleet;
pub mod policies;
pub mod sandbox;
pub mod secrets;
pub mod store;
pub mod tracer;
pub mod transport;
