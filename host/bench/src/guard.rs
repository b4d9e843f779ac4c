//! What stands around every effect of an HTTP service with the default policy.

use fusebox_core::policy::{ServiceKind, ServicePolicy};
use fusebox_engine::guard::Guard;
use fusebox_engine::ports::clock::SystemClock;
use fusebox_engine::ports::entropy::{Entropy, OsEntropy};
use std::sync::Arc;

/// The guard, on the machine's clock.
#[must_use]
pub fn guard() -> Guard {
    let entropy: Arc<dyn Entropy> = Arc::new(OsEntropy);
    let policy = ServicePolicy::new("upstream", ServiceKind::Http, Vec::new());
    Guard::new(Arc::new(SystemClock::new()), &entropy, policy)
}
