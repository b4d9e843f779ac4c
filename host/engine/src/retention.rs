//! Forgetting what is kept no longer, from time to time, for every tenant.

use crate::engine::Engine;
use std::sync::Arc;
use std::time::Duration;

/// How often it is looked.
const LOOK: Duration = Duration::from_secs(3600);

/// Forgets until the host takes no more work.
pub(crate) async fn work(engine: Arc<Engine>) {
    while !engine.tasks.is_draining() {
        match engine.ports.store.retain_all(engine.settings.keep_runs).await {
            Ok(0) => {}
            Ok(rows) => tracing::info!(rows, "forgot what is kept no longer"),
            Err(error) => tracing::warn!(%error, "old rows could not be removed"),
        }
        tokio::select! {
            () = engine.ports.clock.sleep(LOOK) => {}
            () = engine.tasks.draining().cancelled() => {}
        }
    }
}
