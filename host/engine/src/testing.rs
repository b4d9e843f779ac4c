//! Fakes of every port, and the contract that every store is held to.

pub mod fake_clock;
pub mod faulty_store;
pub mod fixed_ports;
pub mod scripted_sandbox;
pub mod scripted_transport;
pub mod store_contract;
