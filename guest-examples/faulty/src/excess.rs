//! Ways to take too much: time, memory, output, log, host resources.

use std::hint::black_box;
use wasip2::http::types::Fields;

/// Steps of `spin` that take about a millisecond.
const STEPS_PER_MS: u64 = 500_000;

/// Computes for ever.
pub(crate) fn endless_loop() {
    let mut step = 0u64;
    loop {
        step = black_box(step.wrapping_add(1));
    }
}

/// Fills memory, 1 MiB at a time, until the allocator gives up.
pub(crate) fn memory_bomb() -> u64 {
    let mut hoard = Vec::new();
    loop {
        hoard.push(black_box(vec![0x55u8; 1 << 20]));
        if hoard.len() > 1 << 12 {
            return hoard.len() as u64;
        }
    }
}

/// A text of so many mebibytes.
pub(crate) fn text(mib: u32) -> String {
    "0123456789abcdef".repeat((mib as usize) << 16)
}

/// Writes numbered lines to standard output.
pub(crate) fn log_flood(lines: u32) {
    for line in 1..=lines {
        println!("line {line} of {lines}");
    }
}

/// Keeps host resources open until the function returns.
pub(crate) fn hoard(resources: u32) {
    let hoard: Vec<Fields> = (0..resources).map(|_| Fields::new()).collect();
    println!("{} resources are open", hoard.len());
}

/// A linear congruential generator (Knuth's MMIX), run for about so many milliseconds.
pub(crate) fn spin(ms: u32) -> u64 {
    let steps = u64::from(ms) * STEPS_PER_MS;
    (0..steps).fold(1u64, |state, _| {
        black_box(
            state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407),
        )
    })
}
