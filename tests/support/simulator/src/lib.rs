//! Upstream services that fail on command, and count what they really did. `README.md` lists every endpoint and fault.

mod admin;
mod clock;
mod connection;
mod fault;
mod http;
mod listener;
mod record;
mod service;
mod services;
mod simulator;
mod world;

pub use fault::{Fault, ResetAt};
pub use record::{Answered, Recorded};
pub use service::{Ports, Service};
pub use services::ledger::{KeyCount, LedgerView, Transfer};
pub use services::llm::{ScriptedCall, ScriptedMessage};
pub use services::mail::Mail;
pub use simulator::{Simulator, SimulatorError};
pub use world::RateLimit;
