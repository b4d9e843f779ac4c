//! Serializes roles as the list of their names.

use fusebox_core::role::{Role, Roles};
use serde::{Deserialize as _, Deserializer, Serializer};

/// Writes the names.
///
/// # Errors
/// Those of the serializer.
pub fn serialize<S: Serializer>(roles: &Roles, to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(roles.iter().map(Role::name))
}

/// Reads the names. One that this version does not know is left out: nobody gets more than is understood.
///
/// # Errors
/// What is no list of texts.
pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Roles, D::Error> {
    let names = Vec::<String>::deserialize(from)?;
    Ok(names.iter().filter_map(|name| Role::from_name(name)).collect())
}
