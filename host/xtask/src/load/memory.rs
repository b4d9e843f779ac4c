//! How much memory a process holds while it works.

use anyhow::{Context, Result};
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// The resident memory of a process in MiB, from `/proc`.
///
/// # Errors
/// When the process is gone.
pub(super) fn resident(process: u32) -> Result<u64> {
    let path = format!("/proc/{process}/status");
    let status = fs::read_to_string(&path).with_context(|| format!("{path}: the host is gone"))?;
    status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .and_then(|line| line.split_whitespace().next())
        .and_then(|kib| kib.parse::<u64>().ok())
        .map(|kib| kib / 1024)
        .with_context(|| format!("{path} names no resident memory: the host has ended"))
}

/// Looks at a process each half second until it is dropped.
pub(super) struct Watch {
    peak: Arc<AtomicU64>,
    done: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    /// Begins to look.
    pub(super) fn start(process: u32) -> Self {
        let (peak, done) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let thread = thread::spawn({
            let (peak, done) = (Arc::clone(&peak), Arc::clone(&done));
            move || {
                while !done.load(Ordering::Relaxed) {
                    peak.fetch_max(resident(process).unwrap_or(0), Ordering::Relaxed);
                    thread::sleep(Duration::from_millis(500));
                }
            }
        });
        Self {
            peak,
            done,
            thread: Some(thread),
        }
    }

    /// The most that it has seen, in MiB.
    pub(super) fn peak(&self) -> u64 {
        self.peak.load(Ordering::Relaxed)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.done.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // It only looks; that it panicked would have been seen.
            let _ = thread.join();
        }
    }
}
