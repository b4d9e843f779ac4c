//! The call boundary: one facade, one pipeline, and the ports that it needs from the outside.

mod attempt;
mod breakers;
mod budgets;
mod call;
mod catalog;
mod commit;
mod effects;
mod ended;
mod engine;
mod failures;
mod finish;
pub mod guard;
pub mod guests;
mod history;
pub mod host;
mod journal;
mod keys;
mod letters;
mod memory;
pub mod memory_store;
mod ownership;
pub mod ports;
pub mod records;
mod recovery;
mod refusals;
mod replay;
pub mod requests;
mod rest;
mod resuming;
mod runs;
mod services;
mod stops;
mod tasks;
#[cfg(feature = "testing")]
pub mod testing;
mod trial;
mod workers;
