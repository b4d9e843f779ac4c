//! Ways to crash.
#![allow(clippy::panic, reason = "crashing is what these functions are for")]

use std::hint::black_box;

/// Panics three frames deep, so that a backtrace has something to show.
#[inline(never)]
pub(crate) fn trap(message: Option<String>) {
    settle(&message.unwrap_or_else(|| "the faulty tool was told to panic".to_owned()));
}

#[inline(never)]
fn settle(message: &str) {
    give_up(black_box(message));
}

#[inline(never)]
fn give_up(message: &str) {
    panic!("{message}");
}

/// Reads beyond the end of linear memory: a trap of the machine, which Rust knows nothing of.
pub(crate) fn out_of_bounds() -> u8 {
    let beyond = black_box(usize::MAX - 15) as *const u8;
    // SAFETY: there is none. The address is outside of linear memory, and the sandbox stops the read.
    unsafe { beyond.read_volatile() }
}

/// Calls itself until the stack is exhausted.
#[allow(unconditional_recursion, reason = "that is the point")]
pub(crate) fn stack_overflow(depth: u64) -> u64 {
    let frame = black_box([depth; 64]);
    stack_overflow(depth + 1) + frame[63]
}

/// A string with a byte that no UTF-8 has.
pub(crate) fn invalid_utf8() -> String {
    // SAFETY: there is none. Nothing here reads the string; the host is the one to refuse it.
    unsafe { String::from_utf8_unchecked(vec![b'a', 0xff, b'b']) }
}
