//! The audit trail through the facade, and what is done to the whole database.

use super::Host;
use crate::audit::{self, Deed, Entry};
use crate::permission::Action;
use crate::ports::store::AuditFilter;
use crate::records::{AuditRecord, AuditVerdict};
use crate::refusals;
use crate::requests::Caller;
use fusebox_core::failure::Failure;
use fusebox_core::ids::Digest;
use serde_json::json;

type Answer<T> = Result<T, Box<Failure>>;

impl Host {
    /// Entries of the audit trail, newest first.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn audit(&self, caller: &Caller, filter: &AuditFilter) -> Answer<Vec<AuditRecord>> {
        caller.may(Action::Audit)?;
        let entries = self.engine.ports.store.audit(&caller.tenant, filter).await;
        entries.map_err(|error| refusals::store("the audit trail cannot be read", &error))
    }

    /// Has the database copied, to what is called `to` in the trail of both; `copying` does it, and is asked for nothing else.
    ///
    /// # Errors
    /// That the trail cannot be written, or those of copying.
    pub async fn copy_database<T: Send + 'static>(
        &self,
        caller: &Caller,
        to: &str,
        copying: impl Future<Output = Answer<T>> + Send + 'static,
    ) -> Answer<T> {
        caller.may(Action::CopyDatabase)?;
        let entry = Entry::begun(Deed::CopyDatabase, to, json!({}));
        audit::around(&self.engine, caller, entry, |_, _| copying).await
    }

    /// Whether the audit trail is as it was written. `known` is the hash of an entry that was kept elsewhere: it must still be there.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn verify_audit(&self, caller: &Caller, known: Option<Digest>) -> Answer<AuditVerdict> {
        caller.may(Action::Audit)?;
        audit::verify(&*self.engine.ports.store, &caller.tenant, known).await
    }
}
