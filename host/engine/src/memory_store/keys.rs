//! API keys: of every tenant, since a token tells its tenant only by its key.

use super::handle::State;
use super::tenant::refused;
use crate::ports::store::StoreError;
use crate::records::{KeyRecord, StoredKey};

impl State {
    pub(super) fn put_key(&mut self, key: StoredKey) -> Result<(), StoreError> {
        let id = key.key.id.clone();
        if self.keys.contains_key(&id) {
            return Err(refused(format!("key {id} exists already; a new key needs a new id")));
        }
        self.keys.insert(id, key);
        Ok(())
    }

    pub(super) fn keys_of(&self, tenant: &str) -> Vec<KeyRecord> {
        let keys = self.keys.values().map(|stored| &stored.key);
        let mut keys: Vec<_> = keys.filter(|key| key.tenant == tenant).cloned().collect();
        keys.sort_by(|a, b| (a.created, &a.id).cmp(&(b.created, &b.id)));
        keys
    }

    pub(super) fn revoke_key(&mut self, tenant: &str, id: &str, now: i64) -> Option<KeyRecord> {
        let stored = self.keys.get_mut(id).filter(|stored| stored.key.tenant == tenant)?;
        stored.key.revoked.get_or_insert(now);
        Some(stored.key.clone())
    }
}
