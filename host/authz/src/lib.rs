//! Who may do what: rules in Cedar, behind the port of the engine.

mod arguments;
mod authorizer;
mod decide;
mod folder;
mod party;
mod rules;
mod schema;
mod source;
#[cfg(test)]
mod testing;
mod wit;

pub use authorizer::CedarAuthorizer;
