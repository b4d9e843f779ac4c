//! Breaker, verdict and retry budget around an effect that is answered well at the first attempt.
#![allow(clippy::unwrap_used, reason = "a benchmark that cannot run should stop")]

use fusebox_bench::guard::guard;
use fusebox_bench::timing::criterion;
use fusebox_core::effect::Answer;
use std::hint::black_box;

fn main() {
    let mut criterion = criterion();
    let guard = guard();
    let answer = Answer::Status {
        status: 200,
        hint: None,
    };
    criterion.bench_function("guard", |bencher| {
        bencher.iter(|| guard.pass(black_box(&answer)).unwrap());
    });
    criterion.final_summary();
}
