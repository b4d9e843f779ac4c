//! A call without a key that equals a run whose caller is gone, or that waits for somebody: it joins that run (faces.md, MCP).
//!
//! A model repeats a call whose answer it did not get. Nothing may happen twice for that.

use crate::engine::Engine;
use crate::following::Following;
use crate::refusals;
use crate::requests::Reply;
use crate::runs::Run;
use fusebox_core::failure::Failure;

/// What the run comes to that a call joins; `None` when it joins none.
pub(crate) async fn join(engine: &Engine, run: &Run, following: &Following) -> Option<Result<Reply, Box<Failure>>> {
    if !following.terms().join || run.key.is_some() {
        return None;
    }
    if let Some((id, other)) = engine.tasks.alike(run) {
        following.joins(&id);
        return Some(end_of(&other).await);
    }
    None
}

/// The end of a call that runs in this process.
async fn end_of(other: &Following) -> Result<Reply, Box<Failure>> {
    let mut seen = other.seen();
    let ended = seen.wait_for(|seen| seen.outcome.is_some()).await;
    match ended.ok().and_then(|seen| seen.outcome.clone()) {
        Some(Ok(reply)) => Ok(Reply {
            stored: true,
            attempts: 0,
            ..reply
        }),
        Some(Err(failure)) => Err(failure),
        None => Err(refusals::internal("the call that was joined has no end")),
    }
}
