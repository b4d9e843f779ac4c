//! Entries of the audit trail: each holds the hash of the one before, so that none can be changed, removed, inserted or moved unseen.

use super::text;
use fusebox_core::ids::Digest;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// What is to be written to the trail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// Its tenant: each has a trail of its own.
    pub tenant: String,
    /// When, milliseconds since 1970.
    pub at: i64,
    /// Who did it.
    pub principal: String,
    /// What was done, such as `tool.deploy`.
    pub action: String,
    /// What it was done to: the name of a tool, the id of a letter.
    pub subject: String,
    /// More of it, as the text of a JSON object: names, ids, digests and numbers, never inputs, outputs or secrets.
    pub detail: String,
    /// `begun` before the deed, `failed` after one that failed, `done` for what was seen to have happened.
    pub outcome: String,
}

/// One entry of the audit trail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub struct AuditRecord {
    /// Its number in the trail of its tenant, from 1, without gaps.
    pub number: i64,
    /// Its tenant.
    pub tenant: String,
    /// When, milliseconds since 1970.
    pub at: i64,
    /// Who did it.
    pub principal: String,
    /// What was done, such as `tool.deploy`.
    pub action: String,
    /// What it was done to.
    pub subject: String,
    /// More of it, as the text of a JSON object.
    pub detail: String,
    /// `begun`, `failed` or `done`.
    pub outcome: String,
    /// Hash of the entry before; zeros for the first.
    #[serde(with = "text")]
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub previous: Digest,
    /// Its own hash, over everything above.
    #[serde(with = "text")]
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub hash: Digest,
}

/// The end of a trail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditHead {
    /// Number of the last entry; 0 when there is none.
    pub number: i64,
    /// Its hash; zeros when there is none.
    pub hash: Digest,
}

impl AuditHead {
    /// The end of a trail without entries.
    pub const EMPTY: Self = Self {
        number: 0,
        hash: Digest([0; 32]),
    };
}

impl AuditRecord {
    /// The entry that follows that head.
    #[must_use]
    pub fn after(head: AuditHead, entry: AuditEntry) -> Self {
        let mut record = Self {
            number: head.number.saturating_add(1),
            tenant: entry.tenant,
            at: entry.at,
            principal: entry.principal,
            action: entry.action,
            subject: entry.subject,
            detail: entry.detail,
            outcome: entry.outcome,
            previous: head.hash,
            hash: head.hash,
        };
        record.hash = record.computed_hash();
        record
    }

    /// The trail's end once it is written.
    #[must_use]
    pub fn head(&self) -> AuditHead {
        AuditHead {
            number: self.number,
            hash: self.hash,
        }
    }

    /// SHA-256 over the hash of the entry before and every field, numbers as 64 bits and texts behind their length, so that no two entries
    /// are hashed alike.
    #[must_use]
    pub fn computed_hash(&self) -> Digest {
        let mut hash = Sha256::new();
        hash.update(b"fusebox audit 1");
        hash.update(self.previous.0);
        hash.update(self.number.to_be_bytes());
        hash.update(self.at.to_be_bytes());
        let texts = [
            &self.tenant,
            &self.principal,
            &self.action,
            &self.subject,
            &self.detail,
            &self.outcome,
        ];
        for text in texts {
            hash.update((text.len() as u64).to_be_bytes());
            hash.update(text);
        }
        Digest(hash.finalize().into())
    }
}

/// What became of a walk along the whole trail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub struct AuditVerdict {
    /// Whether every entry is as it was written, and none is missing or added.
    pub whole: bool,
    /// How many entries there are.
    pub entries: u64,
    /// Number of the last entry.
    pub last: i64,
    /// Hash of the last entry: kept elsewhere, it tells later whether the trail was rewritten.
    #[serde(with = "text")]
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub head: Digest,
    /// What is wrong, in the order of the trail, at most 100.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub faults: Vec<AuditFault>,
}

/// One place where a trail is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub struct AuditFault {
    /// Number of the entry.
    pub number: i64,
    /// What is wrong there.
    pub fault: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> AuditEntry {
        AuditEntry {
            tenant: "default".to_owned(),
            at: 1_767_225_600_000,
            principal: "local".to_owned(),
            action: "tool.deploy".to_owned(),
            subject: "search".to_owned(),
            detail: "{}".to_owned(),
            outcome: "begun".to_owned(),
        }
    }

    #[test]
    fn the_encoding_is_a_promise() {
        // Recomputed by hand from the words of `computed_hash`; another value would make every trail of before look broken.
        let first = AuditRecord::after(AuditHead::EMPTY, entry());
        assert_eq!(
            first.hash.to_string(),
            "sha256:8930ff716ed831d1ba9c9b64e3b6874e2ee738ffb5a449070e5ef50cd22a6fbb"
        );
    }

    #[test]
    fn every_field_is_under_the_hash() {
        let first = AuditRecord::after(AuditHead::EMPTY, entry());
        let changes: [fn(&mut AuditRecord); 9] = [
            |entry| entry.number += 1,
            |entry| entry.tenant.push('x'),
            |entry| entry.at += 1,
            |entry| entry.principal.push('x'),
            |entry| entry.action.push('x'),
            |entry| entry.subject.push('x'),
            |entry| entry.detail.push('x'),
            |entry| entry.outcome.push('x'),
            |entry| entry.previous.0[31] = 1,
        ];
        for (index, change) in changes.into_iter().enumerate() {
            let mut changed = first.clone();
            change(&mut changed);
            assert_ne!(changed.computed_hash(), first.hash, "{index}");
        }
        // What moves from one field to the next is another entry.
        let mut moved = first.clone();
        moved.principal.push('t');
        moved.action.remove(0);
        assert_ne!(moved.computed_hash(), first.hash);
    }
}
