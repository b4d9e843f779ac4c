//! What lists are asked for. A cursor is the id of the last row of the page before; a row that is gone by then breaks nothing.

use crate::requests::digest_of;
use fusebox_core::ids::{ApprovalId, Digest, LetterId, RunId};

/// Which runs are listed, newest first.
#[derive(Clone, Debug, Default)]
pub struct RunFilter {
    /// Only of that tool.
    pub tool: Option<String>,
    /// Only in that state.
    pub state: Option<String>,
    /// Only created at or after, milliseconds since 1970.
    pub since: Option<i64>,
    /// Only of that principal.
    pub principal: Option<String>,
    /// Only those that come after that one in the list.
    pub after: Option<RunId>,
    /// At most so many; zero means 100.
    pub limit: u32,
}

/// Which letters are listed, oldest first.
#[derive(Clone, Debug, Default)]
pub struct LetterFilter {
    /// Only of that service.
    pub service: Option<String>,
    /// Only of that tool.
    pub tool: Option<String>,
    /// Only of that class.
    pub class: Option<String>,
    /// Only that failed last at or after, milliseconds since 1970.
    pub since: Option<i64>,
    /// Closed letters too.
    pub closed: bool,
    /// Only those that come after that one in the list.
    pub after: Option<LetterId>,
    /// At most so many; zero means 100.
    pub limit: u32,
}

/// Which approvals are listed, oldest first.
#[derive(Clone, Debug, Default)]
pub struct ApprovalFilter {
    /// Decided and expired ones too.
    pub all: bool,
    /// Only of that root.
    pub root: Option<RunId>,
    /// Only those that come after that one in the list.
    pub after: Option<ApprovalId>,
    /// At most so many; zero means 100.
    pub limit: u32,
}

/// Which rows of the error log are listed, newest first.
#[derive(Clone, Debug, Default)]
pub struct ErrorFilter {
    /// Only of that tool.
    pub tool: Option<String>,
    /// Only older ones than that row.
    pub after: Option<i64>,
    /// At most so many; zero means 100.
    pub limit: u32,
}

/// Which entries of the audit trail are listed, newest first.
#[derive(Clone, Debug, Default)]
pub struct AuditFilter {
    /// Only of that action.
    pub action: Option<String>,
    /// Only of that principal.
    pub principal: Option<String>,
    /// Only about that subject.
    pub subject: Option<String>,
    /// Only written at or after, milliseconds since 1970.
    pub since: Option<i64>,
    /// Only older ones than the entry of that number.
    pub after: Option<i64>,
    /// At most so many; zero means 100.
    pub limit: u32,
}

/// What makes two unkeyed calls alike.
#[derive(Clone, Copy, Debug)]
pub struct Likeness<'a> {
    /// Who calls.
    pub principal: &'a str,
    /// Deployed tool.
    pub tool: &'a str,
    /// Exported function.
    pub function: &'a str,
    /// Digest of the decoded input.
    pub fingerprint: Digest,
}

impl Likeness<'_> {
    /// One value for all of it, every part behind its length: what stores look for.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let mut all = b"fusebox likeness 1".to_vec();
        for part in [self.principal, self.tool, self.function] {
            all.extend((part.len() as u64).to_be_bytes());
            all.extend_from_slice(part.as_bytes());
        }
        all.extend(self.fingerprint.0);
        digest_of(&all)
    }
}
