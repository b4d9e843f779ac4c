//! What lists are asked for.

use fusebox_core::ids::RunId;

/// Which runs are listed, newest first.
#[derive(Clone, Debug, Default)]
pub struct RunFilter {
    /// Only of that tool.
    pub tool: Option<String>,
    /// Only in that state.
    pub state: Option<String>,
    /// Only created at or after, milliseconds since 1970.
    pub since: Option<i64>,
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
    /// At most so many; zero means 100.
    pub limit: u32,
}
