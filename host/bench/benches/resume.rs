//! A run of nearly 10,000 effects, served from its journal to a fresh instance; and the rows of the journal read by hand.
#![allow(clippy::unwrap_used, reason = "a benchmark that cannot run should stop")]

use criterion::{SamplingMode, Throughput};
use fusebox_bench::journey::{EFFECTS, Journey};
use fusebox_bench::timing::{criterion, processors, runtime};
use fusebox_engine::guests::GuestRuntime;

fn main() {
    let mut criterion = criterion();
    let runtime = runtime().unwrap();
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let guests = GuestRuntime::start(processors()).unwrap();
    let mut journey = runtime.block_on(Journey::start(folder.path(), guests)).unwrap();

    let mut group = criterion.benchmark_group("resume");
    group.sampling_mode(SamplingMode::Flat).sample_size(10);
    group.throughput(Throughput::Elements(u64::from(EFFECTS)));
    group.bench_function("raw", |bencher| {
        bencher.iter(|| runtime.block_on(journey.read()).unwrap());
    });
    group.bench_function("fusebox", |bencher| {
        bencher.iter(|| runtime.block_on(journey.replay()).unwrap());
    });
    group.finish();
    criterion.final_summary();
}
