//! Threads of the face's own. However many clients have to be refused, the calls that were taken on keep their share of the processors:
//! on one runtime each of their steps would wait for its turn behind every client that knocks.

use super::Server;
use axum::Router;
use std::future::Future;
use std::io;
use std::thread;
use std::time::Duration;
use tokio::runtime::Builder;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

const NAME: &str = "fusebox-http";

impl Server {
    /// As [`Self::serve`], on threads of its own; the future says how it ended.
    ///
    /// # Errors
    /// The system's, when it refuses threads.
    pub fn serve_apart(
        self,
        router: Router,
        stop: CancellationToken,
        drain: Duration,
    ) -> io::Result<impl Future<Output = io::Result<()>>> {
        let runtime = Builder::new_multi_thread().thread_name(NAME).enable_all().build()?;
        let (ended, end) = oneshot::channel();
        thread::Builder::new().name(NAME.to_owned()).spawn(move || {
            let served = runtime.block_on(self.serve(router, stop, drain));
            // Clients had their time; what they still wait for ends with the process.
            runtime.shutdown_background();
            // Nobody asks how it ended when the process is told to end at once.
            let _ = ended.send(served);
        })?;
        Ok(async {
            end.await.unwrap_or_else(|_| {
                Err(io::Error::other(
                    "the thread that served clients ended by a defect of Fusebox",
                ))
            })
        })
    }
}
