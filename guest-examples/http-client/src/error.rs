//! Why there is no answer to work with.

use std::fmt;
use wasip2::http::types::ErrorCode;

/// Why there is no answer to work with.
#[derive(Debug)]
pub enum Error {
    /// The base URL is missing or wrong.
    NotConfigured(String),
    /// The request cannot be put as HTTP.
    BadRequest(String),
    /// The host refused the exchange, or no whole answer came.
    NoAnswer(ErrorCode),
    /// The answer is not what the upstream promises.
    BadAnswer(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotConfigured(why) | Self::BadRequest(why) | Self::BadAnswer(why) => f.write_str(why),
            Self::NoAnswer(code) => write!(f, "no answer: {code:?}"),
        }
    }
}

impl std::error::Error for Error {}
