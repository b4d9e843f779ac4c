//! Files and sockets that this process may have open at once.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Where there is no upper limit, as many as macOS lets a process ask for (`OPEN_MAX`).
const UNLIMITED: u64 = 10_240;

/// Raises the limit to what the system allows this process at most, for the usual one is for programs with few connections.
/// Returns the limit that is in force then; `None` without one.
pub(crate) fn raise() -> Option<u64> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let current = current?;
    let most = maximum.unwrap_or(UNLIMITED);
    if most <= current {
        return Some(current);
    }
    let raised = Rlimit {
        current: Some(most),
        maximum,
    };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => Some(most),
        Err(error) => {
            tracing::debug!(%error, current, most, "the limit of open files cannot be raised");
            Some(current)
        }
    }
}
