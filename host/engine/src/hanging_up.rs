//! Callers that hang up: the call goes on, and it is noted that nobody waits for it, so that a like call may join it (faces.md, MCP).

use crate::engine::Engine;
use fusebox_core::ids::RunId;
use std::sync::Arc;
use tokio::task::Id;

/// Somebody who waits for a call. Dropped before the call is over, it notes that nobody does any more.
///
/// A caller that is gone before its call became a run is not noted: that takes milliseconds, and nothing else knows of such a call.
pub(crate) struct Waiting<'a> {
    engine: &'a Arc<Engine>,
    call: Option<Id>,
}

impl<'a> Waiting<'a> {
    /// For the call that is carried out by that task.
    pub(crate) fn for_call(engine: &'a Arc<Engine>, call: Id) -> Self {
        Self {
            engine,
            call: Some(call),
        }
    }

    /// The call is over.
    pub(crate) fn over(mut self) {
        self.call = None;
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let run = self.call.and_then(|call| self.engine.tasks.carried_out_by(call));
        if let Some((tenant, run)) = run {
            note(self.engine, tenant, run);
        }
    }
}

/// Notes that a run has lost its caller; a run that is over, or not durable, is left alone.
pub(crate) fn note(engine: &Arc<Engine>, tenant: Arc<str>, run: RunId) {
    let store = Arc::clone(&engine.ports.store);
    let noted = async move {
        if let Err(error) = store.lose_caller(&tenant, &run, true).await {
            tracing::warn!(%run, %error, "it could not be noted that nobody waits for the run; a like call will not join it");
        }
    };
    engine.tasks.tracker().spawn_on(noted, &engine.io);
}
