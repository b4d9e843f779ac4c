//! Durable calls: through the boundary into SQLite, and the same bytes written by hand.
#![allow(clippy::unwrap_used, reason = "a benchmark that cannot run should stop")]

use criterion::{BenchmarkId, SamplingMode, Throughput};
use fusebox_bench::boundary::Boundary;
use fusebox_bench::rows::{Bodies, Rows};
use fusebox_bench::timing::{criterion, processors, runtime};
use fusebox_core::policy::Durability;
use fusebox_engine::guests::GuestRuntime;
use fusebox_engine::ports::clock::{Clock as _, SystemClock};
use fusebox_store::SqliteStore;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime;

/// Callers at once.
const CALLERS: [usize; 3] = [1, 16, 256];

fn main() {
    let mut criterion = criterion();
    let runtime = runtime().unwrap();
    // Beside the build, not in a folder for temporary files, which may be memory.
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let boundary = Arc::new(runtime.block_on(async {
        let store = SqliteStore::open(&folder.path().join("fusebox.db")).await.unwrap();
        let guests = GuestRuntime::start(processors()).unwrap();
        let started = Boundary::start(folder.path(), Arc::new(store), guests, Durability::Always);
        started.await.unwrap()
    }));
    let bodies = runtime.block_on(left_by_a_call(&boundary));
    let mut rows = runtime.block_on(Rows::create(&folder.path().join("raw.db"))).unwrap();

    let mut group = criterion.benchmark_group("durable");
    group.sampling_mode(SamplingMode::Flat).sample_size(10);
    for callers in CALLERS {
        group.throughput(Throughput::Elements(callers as u64));
        group.bench_function(BenchmarkId::new("raw", callers), |bencher| {
            bencher.iter_custom(|times| by_hand(&runtime, times, &mut rows, &bodies, callers));
        });
        group.bench_function(BenchmarkId::new("fusebox", callers), |bencher| {
            bencher.iter_custom(|times| boundary.call_at_once(&runtime, callers, times).unwrap());
        });
    }
    group.finish();
    criterion.final_summary();
    runtime.block_on(boundary.host.drain());
}

async fn left_by_a_call(boundary: &Boundary) -> Bodies {
    let run = boundary.call().await.unwrap().run.unwrap();
    Bodies::of(boundary.host.run(&boundary.caller, &run).await.unwrap()).unwrap()
}

fn by_hand(runtime: &Runtime, times: u64, rows: &mut Rows, bodies: &Bodies, callers: usize) -> Duration {
    let clock = SystemClock::new();
    let start = clock.tick();
    runtime.block_on(async {
        for _ in 0..times {
            rows.write(bodies, callers).await.unwrap();
        }
    });
    clock.tick().since(start)
}
