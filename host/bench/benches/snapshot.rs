//! The snapshot of a failed attempt: its memory read, digested and compressed; and the same bytes copied.
#![allow(clippy::unwrap_used, reason = "a benchmark that cannot run should stop")]

use criterion::{BenchmarkId, SamplingMode, Throughput};
use fusebox_bench::scribble::{Scribbler, memory};
use fusebox_bench::timing::{criterion, runtime};
use fusebox_engine::ports::clock::{Clock as _, SystemClock};
use std::hint::black_box;
use std::time::Duration;
use tokio::runtime::Runtime;

/// Mebibytes that were written.
const MEBIBYTES: [u32; 2] = [1, 16];

fn main() {
    let mut criterion = criterion();
    let runtime = runtime().unwrap();
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let scribbler = runtime.block_on(Scribbler::start(folder.path())).unwrap();

    let mut group = criterion.benchmark_group("snapshot");
    group.sampling_mode(SamplingMode::Flat).sample_size(10);
    for mebibytes in MEBIBYTES {
        group.throughput(Throughput::Bytes(u64::from(mebibytes) << 20));
        let memory = memory(mebibytes);
        let mut copy = memory.clone();
        group.bench_function(BenchmarkId::new("raw", mebibytes), |bencher| {
            bencher.iter(|| black_box(&mut copy).copy_from_slice(black_box(&memory)));
        });
        group.bench_function(BenchmarkId::new("fusebox", mebibytes), |bencher| {
            bencher.iter_custom(|times| (0..times).map(|_| once(&runtime, &scribbler, mebibytes)).sum());
        });
    }
    group.finish();
    criterion.final_summary();
}

/// One snapshot, without the attempt before it.
fn once(runtime: &Runtime, scribbler: &Scribbler, mebibytes: u32) -> Duration {
    runtime.block_on(async {
        let left = scribbler.scribble(mebibytes).await.unwrap();
        let clock = SystemClock::new();
        let start = clock.tick();
        left.snapshot().await.unwrap();
        clock.tick().since(start)
    })
}
