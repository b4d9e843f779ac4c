//! The work of a serving host on bulk replays: carries out those that nobody else does.

use crate::engine::Engine;
use crate::ports::fleet::Topic;
use crate::ports::sandbox::Spelling;
use crate::records::RedriveRecord;
use crate::redrive;
use crate::requests::Caller;
use fusebox_core::ids::RedriveId;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::task::JoinHandle;

/// Takes bulk replays and carries them out until the host takes no more work.
pub(crate) async fn work(engine: Arc<Engine>) {
    let mut ours: BTreeMap<RedriveId, JoinHandle<()>> = BTreeMap::new();
    let mut told = engine.ports.fleet.told(Topic::Redrives);
    while !engine.tasks.is_draining() {
        told.mark_unchanged();
        ours.retain(|_, task| !task.is_finished());
        match engine.ports.store.running_redrives().await {
            Ok(running) => {
                for record in running {
                    if !ours.contains_key(&record.id) && redrive::hold(&engine, &record.tenant, &record.id).await {
                        ours.insert(record.id.clone(), carry_out(&engine, record));
                    }
                }
            }
            Err(error) => tracing::warn!(%error, "bulk replays cannot be looked for"),
        }
        tokio::select! {
            () = engine.ports.clock.sleep(engine.settings.recovery_poll) => {}
            Ok(()) = told.changed() => {}
            () = engine.tasks.draining().cancelled() => {}
        }
    }
}

fn carry_out(engine: &Arc<Engine>, record: RedriveRecord) -> JoinHandle<()> {
    let engine = Arc::clone(engine);
    let tracker = engine.tasks.tracker().clone();
    tracker.spawn(async move {
        let caller = Caller {
            tenant: Arc::from(record.tenant.as_str()),
            principal: Arc::from(record.principal.as_str()),
            roles: record.roles,
            spelling: Spelling::Kebab,
            trace: None,
        };
        match redrive::run(&engine, &caller, &record.id, &|_| ()).await {
            Ok(record) => tracing::info!(redrive = %record.id, state = record.state, "bulk replay"),
            Err(failure) => tracing::warn!(redrive = %record.id, %failure, "a bulk replay could not be carried out"),
        }
    })
}
