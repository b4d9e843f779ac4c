//! Who asks and what for, as entities of Cedar: made once for each, and found again.

use arc_swap::ArcSwap;
use cedar_policy::{Entities, Entity, EntityId, EntityTypeName, EntityUid};
use fusebox_core::role::Roles;
use fusebox_engine::ports::authorizer::Act;
use std::collections::{HashMap, HashSet};
use std::str::FromStr as _;
use std::sync::Arc;

/// Parties that are kept; beyond that all are forgotten and made again as they come.
const MOST: usize = 1024;

/// What makes a party.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) principal: String,
    pub(crate) roles: Roles,
    pub(crate) act: Act,
    pub(crate) tool: String,
    pub(crate) function: Option<String>,
}

/// Principal, action and resource of questions, with everything that rules know of them.
#[derive(Debug)]
pub(crate) struct Party {
    pub(crate) principal: EntityUid,
    pub(crate) action: EntityUid,
    pub(crate) resource: EntityUid,
    pub(crate) entities: Entities,
}

/// The parties that asked lately.
#[derive(Debug, Default)]
pub(crate) struct Parties(ArcSwap<HashMap<Key, Arc<Party>>>);

impl Parties {
    /// The party of that key.
    ///
    /// # Errors
    /// What Cedar cannot take for an entity.
    pub(crate) fn get(&self, key: Key) -> Result<Arc<Party>, String> {
        if let Some(known) = self.0.load().get(&key) {
            return Ok(Arc::clone(known));
        }
        let party = Arc::new(Party::of(&key)?);
        self.0.rcu(|known| {
            let mut next = if known.len() < MOST {
                HashMap::clone(known)
            } else {
                HashMap::new()
            };
            next.insert(key.clone(), Arc::clone(&party));
            next
        });
        Ok(party)
    }
}

/// `User::"key:ci"`.
pub(crate) fn user(principal: &str) -> Result<EntityUid, String> {
    uid("User", principal)
}

fn uid(kind: &str, id: &str) -> Result<EntityUid, String> {
    let kind = EntityTypeName::from_str(kind).map_err(|error| error.to_string())?;
    Ok(EntityUid::from_type_name_and_id(kind, EntityId::new(id)))
}

impl Party {
    fn of(key: &Key) -> Result<Self, String> {
        let tool = uid("Tool", &key.tool)?;
        let group = uid("Action", key.act.name())?;
        let action = uid(
            "Action",
            &crate::schema::action(key.act, &key.tool, key.function.as_deref()),
        )?;
        let resource = match &key.function {
            Some(function) => uid("Function", &format!("{}.{function}", key.tool))?,
            None => tool.clone(),
        };
        let principal = user(&key.principal)?;
        let roles = key.roles.iter().map(|role| uid("Role", role.name()));
        let roles: HashSet<_> = roles.collect::<Result<_, _>>()?;
        let mut entities = vec![Entity::new_no_attrs(principal.clone(), roles)];
        if key.function.is_some() {
            entities.push(Entity::new_no_attrs(action.clone(), HashSet::from([group])));
            entities.push(Entity::new_no_attrs(resource.clone(), HashSet::from([tool])));
        }
        let entities = Entities::from_entities(entities, None).map_err(|error| error.to_string())?;
        Ok(Self {
            principal,
            action,
            resource,
            entities,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn key(principal: &str) -> Key {
        Key {
            principal: principal.to_owned(),
            roles: Roles::CALLER,
            act: Act::Call,
            tool: "search".to_owned(),
            function: Some("query".to_owned()),
        }
    }

    #[test]
    fn a_party_is_made_once_and_names_its_entities() {
        let parties = Parties::default();
        let party = parties.get(key("key:ci")).unwrap();
        assert!(Arc::ptr_eq(&party, &parties.get(key("key:ci")).unwrap()));
        assert_eq!(party.principal.to_string(), r#"User::"key:ci""#);
        assert_eq!(party.action.to_string(), r#"Action::"Call:search.query""#);
        assert_eq!(party.resource.to_string(), r#"Function::"search.query""#);
        let of = |a: &str, b: &str| party.entities.is_ancestor_of(&a.parse().unwrap(), &b.parse().unwrap());
        assert!(of(r#"Role::"caller""#, r#"User::"key:ci""#) && of(r#"Tool::"search""#, r#"Function::"search.query""#));
        assert!(of(r#"Action::"Call""#, r#"Action::"Call:search.query""#));
    }

    #[test]
    fn a_principal_is_data_however_it_is_spelled() {
        let party = Parties::default().get(key("a\" } in Role::\"operator")).unwrap();
        let id: &str = party.principal.id().as_ref();
        assert_eq!(id, "a\" } in Role::\"operator");
    }

    #[test]
    fn as_many_parties_as_ask_are_bounded() {
        let parties = Parties::default();
        for n in 0..MOST + 10 {
            parties.get(key(&n.to_string())).unwrap();
        }
        assert!(parties.0.load().len() <= MOST);
    }
}
