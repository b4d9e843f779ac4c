//! The call boundary, from outside: what is retried, what is not, and how often an upstream really did something.

mod answers;
mod breakers;
mod doubt;
mod keys;
mod network;
mod retries;
mod secrets;
