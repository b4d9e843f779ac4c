//! A bar on stderr for long work, for somebody who watches; nobody else sees anything of it.

use super::output::printable;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

const TEMPLATE: &str = "{wide_bar} {pos}/{len}  {msg}  {eta}";

/// A bar; it is wiped away when it is dropped.
pub(super) struct Bar(ProgressBar);

impl Bar {
    /// A bar of so many steps; without a watcher it draws nothing.
    pub(super) fn new(watched: bool, steps: u64) -> Self {
        let target = if watched {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        let style = ProgressStyle::with_template(TEMPLATE).unwrap_or_else(|_| ProgressStyle::default_bar());
        Self(ProgressBar::with_draw_target(Some(steps), target).with_style(style))
    }

    /// So many steps are done, of so many.
    pub(super) fn at(&self, done: u64, of: u64, text: &str) {
        self.0.set_length(of);
        self.0.set_message(printable(text));
        self.0.set_position(done);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
