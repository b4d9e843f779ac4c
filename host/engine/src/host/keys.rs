//! API keys through the facade: made, listed, revoked, and who somebody is who has one.

use super::Host;
use crate::api_keys::{self, Token};
use crate::audit::{Deed, Entry, around};
use crate::engine::Engine;
use crate::permission::Action;
use crate::ports::sandbox::Spelling;
use crate::records::{KeyRecord, StoredKey, millis};
use crate::refusals;
use crate::requests::Caller;
use fusebox_core::failure::{Class, Code, Failure};
use fusebox_core::ids::Digest;
use fusebox_core::role::Roles;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

type Answer<T> = Result<T, Box<Failure>>;

/// An API key that is wanted.
#[derive(Clone, Debug)]
pub struct NewKey {
    /// What people call it. Two keys may have one name, so that one can take the other's place.
    pub name: String,
    /// What whoever has it may be to the host; none that its maker is not.
    pub roles: Roles,
    /// How long it is good; `None` until it is revoked.
    pub expires: Option<Duration>,
    /// Its tenant; none but the maker's own.
    pub tenant: Option<String>,
}

impl Host {
    /// Makes an API key. The token is told here and never again: nothing that is kept gives it back.
    ///
    /// # Errors
    /// A name that is none, no roles, roles that the caller lacks, another tenant, or those of the store.
    pub async fn create_key(&self, caller: &Caller, new: NewKey) -> Answer<(KeyRecord, String)> {
        caller.may(Action::Keys)?;
        may_create(caller, &new)?;
        let ports = &self.engine.ports;
        let made = api_keys::make(&*ports.entropy);
        let now = ports.clock.wall().0;
        let lifetime = |time| i64::try_from(millis(time)).unwrap_or(i64::MAX);
        let key = KeyRecord {
            id: made.id,
            tenant: caller.tenant.to_string(),
            name: new.name,
            roles: new.roles,
            created: now,
            expires: new.expires.map(|time| now.saturating_add(lifetime(time))),
            revoked: None,
        };
        let roles: Vec<_> = key.roles.iter().map(|role| role.name()).collect();
        let detail = json!({ "name": key.name, "roles": roles, "expires": key.expires });
        let stored = StoredKey {
            key: key.clone(),
            secret: made.secret,
        };
        let put = async move |engine: Arc<Engine>, _| {
            let put = engine.ports.store.put_key(stored).await;
            put.map_err(|error| refusals::store("the key could not be kept", &error))
        };
        let entry = Entry::begun(Deed::CreateKey, &key.id, detail);
        around(&self.engine, caller, entry, put).await?;
        Ok((key, made.token))
    }

    /// The keys of the tenant, oldest first, those that are good no longer included.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn keys(&self, caller: &Caller) -> Answer<Vec<KeyRecord>> {
        caller.may(Action::Keys)?;
        let keys = self.engine.ports.store.keys(&caller.tenant).await;
        keys.map_err(|error| refusals::store("the keys cannot be listed", &error))
    }

    /// Revokes a key: it opens nothing from now on, at no host of the database.
    ///
    /// # Errors
    /// That there is none, or those of the store.
    pub async fn revoke_key(&self, caller: &Caller, id: &str) -> Answer<KeyRecord> {
        caller.may(Action::Keys)?;
        let all = self.keys(caller).await?;
        let key = all.into_iter().find(|key| key.id == id);
        let key = key.ok_or_else(|| refusals::no_key(id))?;
        let named = id.to_owned();
        let revoke = async move |engine: Arc<Engine>, caller: Caller| {
            let revoked = engine.ports.store.revoke_key(&caller.tenant, &named).await;
            let revoked = revoked.map_err(|error| refusals::store("the key could not be revoked", &error))?;
            revoked.ok_or_else(|| refusals::no_key(&named))
        };
        let entry = Entry::begun(Deed::RevokeKey, id, json!({ "name": key.name }));
        around(&self.engine, caller, entry, revoke).await
    }

    /// Who somebody is who sends that token. Expiry and revocation are seen at once.
    ///
    /// # Errors
    /// `unauthenticated`: it is no token, of no key, or of one that is not good any more; those of the store.
    pub async fn authenticate(&self, token: &str) -> Answer<Caller> {
        let ports = &self.engine.ports;
        let token = Token::parse(token).ok_or_else(no_such_key)?;
        let stored = ports.store.key(token.id).await;
        let stored = stored.map_err(|error| refusals::store("the API key cannot be looked up", &error))?;
        let Some(stored) = stored else {
            // As much work as for a key that is there.
            let _ = token.opens(&Digest([0; 32]));
            return Err(no_such_key());
        };
        if !token.opens(&stored.secret) {
            return Err(no_such_key());
        }
        let key = stored.key;
        let now = ports.clock.wall();
        if !key.is_live(now) {
            let message = format!(
                "API key {} ({}) is {}: ask for a new one",
                key.id,
                key.name,
                key.state(now)
            );
            return Err(unauthenticated(message));
        }
        Ok(Caller {
            tenant: Arc::from(key.tenant),
            principal: Arc::from(api_keys::principal(&key.name)),
            roles: key.roles,
            spelling: Spelling::Kebab,
            trace: None,
        })
    }
}

fn unauthenticated(message: String) -> Box<Failure> {
    Box::new(Failure::new(Code::Unauthenticated, Class::Control, message))
}

/// The same for a text that is no token, an id that nobody has, and a secret that is wrong.
fn no_such_key() -> Box<Failure> {
    unauthenticated("that is no API key of this host".to_owned())
}

/// Whether the caller may make such a key: nobody gives what they do not have.
fn may_create(caller: &Caller, new: &NewKey) -> Answer<()> {
    let refused = |code, class, message: String| Err(Box::new(Failure::new(code, class, message)));
    if let Some(form) = api_keys::bad_name(&new.name) {
        let message = format!("the name of a key has {form}");
        return refused(Code::BadInput, Class::Caller, message);
    }
    if let Some(form) = api_keys::bad_name(&caller.tenant) {
        let message = format!("the name of a tenant has {form}");
        return refused(Code::BadInput, Class::Caller, message);
    }
    if new.roles.is_empty() {
        let message = "a key needs a role: caller, approver, operator or deployer".to_owned();
        return refused(Code::BadInput, Class::Caller, message);
    }
    if new.expires == Some(Duration::ZERO) {
        return refused(
            Code::BadInput,
            Class::Caller,
            "a key that expires at once opens nothing".to_owned(),
        );
    }
    if new.tenant.as_deref().is_some_and(|tenant| *tenant != *caller.tenant) {
        let message = format!("`{}` may make keys of its own tenant alone", caller.principal);
        return refused(Code::Denied, Class::Control, message);
    }
    let lacking = new.roles.iter().find(|role| !caller.roles.has(*role));
    if let Some(role) = lacking.filter(|_| !caller.roles.covers(new.roles)) {
        let message = format!(
            "`{}` has not the role {role}, and so cannot give it to a key",
            caller.principal
        );
        return refused(Code::Denied, Class::Control, message);
    }
    Ok(())
}
