//! Tells who listens that the list of tools has changed: a deploy, a tool switched on or off, another rule.

use super::Mcp;
use fusebox_engine::requests::Caller;
use std::future::Future;
use std::time::Duration;

/// How often somebody who listens makes the host look; the store is asked once for all of a tenant's listeners.
const LOOK: Duration = Duration::from_secs(1);

/// What a client can see of a list: each name with the version behind it.
type Listed = Vec<(String, i64)>;

/// Calls `tell` at each change as long as somebody `listens`, or until it fails, or the face closes.
pub(super) async fn watch<F: Future<Output = bool> + Send>(
    mcp: Mcp,
    caller: Caller,
    listens: impl Fn() -> bool + Send,
    tell: impl Fn() -> F + Send,
) {
    let mut before = listed(&mcp, &caller).await;
    loop {
        tokio::select! {
            () = mcp.0.clock.sleep(LOOK) => {}
            () = mcp.0.closing.cancelled() => return,
        }
        if !listens() {
            return;
        }
        let now = listed(&mcp, &caller).await;
        let changed = matches!((&before, &now), (Some(before), Some(now)) if before != now);
        if now.is_some() {
            before = now;
        }
        if changed && !tell().await {
            return;
        }
    }
}

/// `None` while the store cannot be asked: that is no change.
async fn listed(mcp: &Mcp, caller: &Caller) -> Option<Listed> {
    let listed = mcp.0.entries(caller).await.ok()?;
    Some(
        listed
            .iter()
            .map(|(name, entry)| (name.clone(), entry.version))
            .collect(),
    )
}
