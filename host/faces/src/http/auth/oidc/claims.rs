//! What a token says of whoever has it.

use fusebox_core::role::{Role, Roles};
use serde::Deserialize;
use serde_json::{Map, Value};

/// No name in a claim is longer.
const LONGEST: usize = 128;

/// The claims of a token.
#[derive(Deserialize)]
#[serde(transparent)]
pub(super) struct Claims(Map<String, Value>);

impl Claims {
    /// Whom it is about.
    pub(super) fn subject(&self) -> Option<&str> {
        self.name("sub")
    }

    /// A claim that is one name without blanks.
    pub(super) fn name(&self, claim: &str) -> Option<&str> {
        let name = self.at(claim)?.as_str()?;
        let well = (1..=LONGEST).contains(&name.len()) && name.chars().all(|c| !c.is_control() && !c.is_whitespace());
        well.then_some(name)
    }

    /// The roles that a claim names, as a list or separated by blanks. Names that are no roles are for others.
    pub(super) fn roles(&self, claim: &str) -> Roles {
        let names: Vec<&str> = match self.at(claim) {
            Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
            Some(Value::String(names)) => names.split_whitespace().collect(),
            _ => Vec::new(),
        };
        names.into_iter().filter_map(Role::from_name).collect()
    }

    /// A claim by its name, or by names with dots between them that lead into objects.
    fn at(&self, claim: &str) -> Option<&Value> {
        // Names of claims may have dots themselves, such as those that begin with an address.
        self.0.get(claim).or_else(|| {
            let mut steps = claim.split('.');
            let first = self.0.get(steps.next()?)?;
            steps.try_fold(first, |value, step| value.get(step))
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    fn claims(value: Value) -> Claims {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn roles_are_found_where_issuers_put_them() {
        let both: Roles = [Role::Caller, Role::Operator].into_iter().collect();
        let found = claims(json!({
            "roles": ["caller", "operator", "admin", 7],
            "scope": "openid operator caller",
            "realm_access": { "roles": ["caller", "operator"] },
            "https://fusebox.example/roles": ["operator", "caller"],
        }));
        for claim in ["roles", "scope", "realm_access.roles", "https://fusebox.example/roles"] {
            assert_eq!(found.roles(claim), both, "{claim}");
        }
        assert!(found.roles("groups").is_empty() && found.roles("realm_access").is_empty());
    }

    #[test]
    fn a_name_is_one_word() {
        let found = claims(json!({ "sub": "u-1", "a": "", "b": "x y", "c": "x\u{0}", "d": 7, "e": "x".repeat(129) }));
        assert_eq!(found.subject(), Some("u-1"));
        for claim in ["a", "b", "c", "d", "e", "f"] {
            assert_eq!(found.name(claim), None, "{claim}");
        }
    }
}
