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

/// A caller's alone: what rows say that name none.
pub(crate) fn caller_alone() -> Roles {
    Roles::CALLER
}

/// Whether they need not be written.
pub(crate) fn is_caller_alone(roles: &Roles) -> bool {
    *roles == Roles::CALLER
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use serde::{Deserialize, Serialize};

    #[derive(Serialize, Deserialize)]
    struct Row {
        #[serde(default = "caller_alone", skip_serializing_if = "is_caller_alone", with = "super")]
        roles: Roles,
    }

    #[test]
    fn roles_survive_and_a_row_that_names_none_has_a_callers_alone() {
        let all = serde_json::to_string(&Row { roles: Roles::ALL }).unwrap();
        assert_eq!(all, r#"{"roles":["caller","approver","operator","deployer"]}"#);
        let read = |text: &str| serde_json::from_str::<Row>(text).unwrap().roles;
        assert_eq!(read(&all), Roles::ALL);
        assert_eq!(serde_json::to_string(&Row { roles: read("{}") }).unwrap(), "{}");
        assert_eq!(read(r#"{"roles":["emperor"]}"#), Roles::default());
    }
}
