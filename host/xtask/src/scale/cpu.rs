//! Processor time of processes, from `/proc`.

use anyhow::{Context, Result};
use std::fs;

/// Ticks of the kernel in a second: `USER_HZ`, the same on every Linux that Rust runs on.
const TICKS: f64 = 100.0;

/// What a process has used.
pub(super) struct Cpu {
    /// The process that started it.
    pub(super) parent: u32,
    /// Ticks that it used itself.
    own: u64,
    /// Ticks that its children used which have ended.
    children: u64,
}

impl Cpu {
    /// What that process has used so far.
    ///
    /// # Errors
    /// When it is gone.
    pub(super) fn of(process: u32) -> Result<Self> {
        let path = format!("/proc/{process}/stat");
        let text = fs::read_to_string(&path).with_context(|| format!("{path}: the process is gone"))?;
        Self::read(&text).with_context(|| format!("{path} is none of Linux's"))
    }

    /// Reads proc(5)'s fields; the name, which may hold anything, stands in parentheses before them.
    fn read(text: &str) -> Option<Self> {
        let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
        // The state is field 3, and the first one here.
        let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
        Some(Self {
            parent: u32::try_from(number(4)?).ok()?,
            own: number(14)? + number(15)?,
            children: number(16)? + number(17)?,
        })
    }

    /// Seconds that it used itself.
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    pub(super) fn seconds(&self) -> f64 {
        self.own as f64 / TICKS
    }

    /// Seconds that a process and all that it started have used.
    ///
    /// # Errors
    /// When it is gone.
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    pub(super) fn with_children(process: u32) -> Result<f64> {
        let own = Self::of(process)?;
        let mut ticks = own.own + own.children;
        for entry in fs::read_dir("/proc")? {
            let name = entry?.file_name();
            let Some(number) = name.to_str().and_then(|name| name.parse().ok()) else {
                continue;
            };
            // One that has ended meanwhile counts with its parent next time.
            if let Ok(child) = Self::of(number)
                && child.parent == process
            {
                ticks += child.own;
            }
        }
        Ok(ticks as f64 / TICKS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_spaces_and_parentheses_stands_in_no_fields_way() {
        let read = Cpu::read("7 (a) b (c) S 3 7 7 0 -1 4194560 1 2 3 4 50 6 700 8 20 0 1 0 0 0").unwrap();
        assert_eq!((read.parent, read.own, read.children), (3, 56, 708));
        assert!(Cpu::read("7 (a) S 3").is_none());
    }
}
