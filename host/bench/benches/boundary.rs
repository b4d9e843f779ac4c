//! A call in a fresh instance: by the runtime alone, and through the call boundary without durability.
#![allow(clippy::unwrap_used, reason = "a benchmark that cannot run should stop")]

use criterion::{BenchmarkId, Criterion, Throughput};
use fusebox_bench::boundary::{Boundary, ROOM};
use fusebox_bench::component::ARGUMENTS;
use fusebox_bench::raw::Raw;
use fusebox_bench::timing::{at_once, criterion, processors, runtime};
use fusebox_core::policy::Durability;
use fusebox_engine::guests::GuestRuntime;
use fusebox_engine::memory_store::MemoryStore;
use std::sync::Arc;
use tempfile::TempDir;
use tokio::runtime::Builder;

/// Callers of the benchmarks with concurrency.
const CALLERS: usize = 16;

fn main() {
    let mut criterion = criterion();
    one_thread(&mut criterion);
    many_callers(&mut criterion);
    criterion.final_summary();
}

/// One caller on one thread: what the boundary costs without any hop between threads.
fn one_thread(criterion: &mut Criterion) {
    let runtime = Builder::new_current_thread().enable_time().build().unwrap();
    let raw = Raw::new(ROOM).unwrap();
    let folder = folder();
    let boundary = runtime.block_on(async { boundary(&folder, GuestRuntime::current()).await });
    let mut group = criterion.benchmark_group("call");
    group.bench_function("raw-typed", |bencher| {
        bencher.to_async(&runtime).iter(|| async { raw.typed().await.unwrap() });
    });
    group.bench_function("raw", |bencher| {
        bencher
            .to_async(&runtime)
            .iter(|| async { raw.json(ARGUMENTS).await.unwrap() });
    });
    group.bench_function("fusebox", |bencher| {
        bencher
            .to_async(&runtime)
            .iter(|| async { boundary.call().await.unwrap() });
    });
    group.finish();
}

/// Many callers, and a thread for each processor. Through the boundary, guests have a runtime of their own, as in a real host.
fn many_callers(criterion: &mut Criterion) {
    let runtime = runtime().unwrap();
    let raw = Raw::new(ROOM).unwrap();
    let folder = folder();
    let boundary = runtime.block_on(boundary(&folder, GuestRuntime::start(processors()).unwrap()));
    let mut group = criterion.benchmark_group("calls");
    group.throughput(Throughput::Elements(CALLERS as u64));
    group.bench_function(BenchmarkId::new("raw", CALLERS), |bencher| {
        bencher.iter_custom(|times| {
            let raw = raw.clone();
            let call = move || {
                let raw = raw.clone();
                async move { raw.json(ARGUMENTS).await.map(drop) }
            };
            at_once(&runtime, CALLERS, times, call).unwrap()
        });
    });
    group.bench_function(BenchmarkId::new("fusebox", CALLERS), |bencher| {
        bencher.iter_custom(|times| boundary.call_at_once(&runtime, CALLERS, times).unwrap());
    });
    group.finish();
}

fn folder() -> TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

async fn boundary(folder: &TempDir, guests: GuestRuntime) -> Arc<Boundary> {
    let store = Arc::new(MemoryStore::new());
    let started = Boundary::start(folder.path(), store, guests, Durability::None);
    Arc::new(started.await.unwrap())
}
