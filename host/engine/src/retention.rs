//! Forgetting what is kept no longer, from time to time, for every tenant.

use crate::engine::Engine;
use std::sync::Arc;
use std::time::Duration;

/// How often it is looked.
const LOOK: Duration = Duration::from_secs(3600);

/// Forgets until the host takes no more work.
pub(crate) async fn work(engine: Arc<Engine>) {
    while !engine.tasks.is_draining() {
        match engine.ports.store.tenants().await {
            Ok(tenants) => {
                for tenant in tenants {
                    forget(&engine, &tenant).await;
                }
            }
            Err(error) => tracing::warn!(%error, "old rows could not be looked for"),
        }
        tokio::select! {
            () = engine.ports.clock.sleep(LOOK) => {}
            () = engine.tasks.draining().cancelled() => {}
        }
    }
}

async fn forget(engine: &Engine, tenant: &str) {
    match engine.ports.store.retain(tenant, engine.settings.keep_runs).await {
        Ok(0) => {}
        Ok(rows) => tracing::info!(tenant, rows, "forgot what is kept no longer"),
        Err(error) => tracing::warn!(tenant, %error, "old rows could not be removed"),
    }
}
