//! How the benchmarks measure: short passes, of which `cargo xtask bench` makes several, and callers at once.

use anyhow::Result;
use criterion::Criterion;
use fusebox_engine::ports::clock::{Clock as _, SystemClock};
use std::future::Future;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;

/// The settings of all benchmarks, under those of the command line.
#[must_use]
pub fn criterion() -> Criterion {
    Criterion::default()
        .without_plots()
        .nresamples(10_000)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .configure_from_args()
}

/// Processors that this process may use.
#[must_use]
pub fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// A runtime with a thread for each processor.
///
/// # Errors
/// The system's, when it refuses threads.
pub fn runtime() -> std::io::Result<Runtime> {
    Builder::new_multi_thread()
        .worker_threads(processors())
        .enable_time()
        .build()
}

/// How long it takes so many callers at once to call so many times each, one call after the other.
///
/// # Errors
/// That of a call, or a caller that panicked.
pub fn at_once<C, F>(runtime: &Runtime, callers: usize, times: u64, call: C) -> Result<Duration>
where
    C: Fn() -> F + Clone + Send + 'static,
    F: Future<Output = Result<()>> + Send,
{
    let clock = SystemClock::new();
    let start = clock.tick();
    runtime.block_on(async {
        let mut tasks = JoinSet::new();
        for _ in 0..callers {
            let call = call.clone();
            tasks.spawn(async move {
                for _ in 0..times {
                    call().await?;
                }
                anyhow::Ok(())
            });
        }
        while let Some(ended) = tasks.join_next().await {
            ended??;
        }
        Ok(clock.tick().since(start))
    })
}
