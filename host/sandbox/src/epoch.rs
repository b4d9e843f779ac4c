//! Ticks: a thread of their own makes computing guests yield, so that no guest keeps a thread of the runtime.

use std::io;
use std::thread;
use std::time::Duration;
use wasmtime::EngineWeak;

/// Time between two ticks: how long a guest computes before others get their turn, and how late its timeout may be
/// noticed.
pub(crate) const TICK: Duration = Duration::from_millis(2);

/// Starts the thread; it ends with the last of the engines.
///
/// # Errors
/// The system's, when it refuses a thread.
pub(crate) fn start(engines: Vec<EngineWeak>) -> io::Result<()> {
    let tick = move || {
        loop {
            thread::sleep(TICK);
            let mut alive = false;
            for engine in engines.iter().filter_map(EngineWeak::upgrade) {
                engine.increment_epoch();
                alive = true;
            }
            if !alive {
                return;
            }
        }
    };
    thread::Builder::new().name("fusebox-epoch".to_owned()).spawn(tick)?;
    Ok(())
}
