//! The command line itself: help, output for people and for programs, schemas, settings and where they came from.

mod explaining;
mod help;
mod making;
mod output;
mod trials;
