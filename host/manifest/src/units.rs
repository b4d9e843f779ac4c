//! Values as people write them: durations, sizes, rates, origins, patterns, names. Each parser says what it expected.

mod names;
mod network;
mod quantities;
mod requests;
mod url;

pub(crate) use names::short;
pub use names::{env_name, kebab, secret_name, version};
pub use network::{NetworkRule, Target, network_rule, origin, show_origin};
pub use quantities::{duration, rate, show_duration, show_rate, show_size, size, some_duration};
pub use requests::{header_name, header_value, request_pattern};
pub use url::{Url, url};

use std::fmt;

/// Why a text is not such a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What is wrong with it.
    pub message: String,
    /// What to write instead.
    pub help: String,
}

impl Problem {
    /// A problem with its remedy.
    pub(crate) fn new(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            help: help.into(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.message, self.help)
    }
}

impl std::error::Error for Problem {}
