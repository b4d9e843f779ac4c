//! How often the call path allocates, as one JSON object on standard output.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark that cannot run should stop; its output is its result"
)]

use allocation_counter::measure;
use fusebox_bench::boundary::{Boundary, ROOM};
use fusebox_bench::component::{ARGUMENTS, RECORD};
use fusebox_bench::guard::guard;
use fusebox_bench::raw::Raw;
use fusebox_core::effect::Answer;
use fusebox_core::policy::Durability;
use fusebox_engine::guests::GuestRuntime;
use fusebox_engine::memory_store::MemoryStore;
use serde_json::json;
use std::sync::Arc;

/// Times that something is done before it is counted: tables are filled and queues have their size by then.
const BEFORE: usize = 100;
/// Times that it is counted, so that what happens now and then weighs little.
const COUNTED: u64 = 100;

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let boundary = runtime
        .block_on(async {
            let (store, guests) = (Arc::new(MemoryStore::new()), GuestRuntime::current());
            Boundary::start(folder.path(), store, guests, Durability::None).await
        })
        .unwrap();
    let raw = Raw::new(ROOM).unwrap();
    let (guard, answer) = (
        guard(),
        Answer::Status {
            status: 200,
            hint: None,
        },
    );

    let guard = each(|| guard.pass(&answer).unwrap());
    let raw = each(|| assert_eq!(runtime.block_on(raw.json(ARGUMENTS)).unwrap(), RECORD));
    let fusebox = each(|| assert_eq!(runtime.block_on(boundary.call()).unwrap().output, RECORD));
    println!("{}", json!({ "guard": guard, "raw": raw, "fusebox": fusebox }));
}

/// Allocations each time.
fn each(mut act: impl FnMut()) -> u64 {
    (0..BEFORE).for_each(|_| act());
    let counted = measure(|| (0..COUNTED).for_each(|_| act()));
    counted.count_total / COUNTED
}
