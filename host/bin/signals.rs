//! SIGINT and SIGTERM: the first asks for an orderly end, the second ends at once.

use fusebox_faces::cli::Failed;
use std::future::Future;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Drives `work` to its end. The first signal calls `stop` and waits on; a second one ends the wait.
///
/// # Errors
/// Those of `work`, or [`Failed::Interrupted`] after a second signal.
pub(crate) async fn heed(work: impl Future<Output = Result<(), Failed>>, stop: impl Fn()) -> Result<(), Failed> {
    let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        tracing::warn!("the system lets this process heed no signals");
        return work.await;
    };
    let mut work = std::pin::pin!(work);
    tokio::select! {
        end = &mut work => return end,
        () = either(&mut interrupt, &mut terminate) => stop(),
    }
    tokio::select! {
        end = &mut work => end,
        () = either(&mut interrupt, &mut terminate) => Err(Failed::Interrupted),
    }
}

async fn either(interrupt: &mut Signal, terminate: &mut Signal) {
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}
