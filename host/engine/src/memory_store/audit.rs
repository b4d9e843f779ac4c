//! The audit trail of one tenant.

use super::{Tenant, listed};
use crate::ports::store::AuditFilter;
use crate::records::{AuditEntry, AuditHead, AuditRecord};

impl Tenant {
    pub(super) fn audit_head(&self) -> AuditHead {
        self.audit.last().map_or(AuditHead::EMPTY, AuditRecord::head)
    }

    pub(super) fn append_audit(&mut self, entry: AuditEntry) -> AuditRecord {
        let record = AuditRecord::after(self.audit_head(), entry);
        self.audit.push(record.clone());
        record
    }

    pub(super) fn list_audit(&self, filter: &AuditFilter) -> Vec<AuditRecord> {
        let newest = self.audit.iter().rev().filter(|entry| {
            filter.action.as_ref().is_none_or(|action| entry.action == *action)
                && filter
                    .principal
                    .as_ref()
                    .is_none_or(|principal| entry.principal == *principal)
                && filter.subject.as_ref().is_none_or(|subject| entry.subject == *subject)
                && filter.since.is_none_or(|since| entry.at >= since)
                && filter.after.is_none_or(|after| entry.number < after)
        });
        newest.take(listed(filter.limit)).cloned().collect()
    }
}
