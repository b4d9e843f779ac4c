//! A small HTTP client for guests: JSON over `wasi:http`, without an async runtime.
//!
//! It repeats nothing and follows no redirect: retries, limits, breakers, credentials and idempotency keys are the host's business.

#![forbid(unsafe_code)]

mod error;
mod exchange;
mod request;
mod response;
mod url;

pub use error::Error;
pub use exchange::Pending;
pub use request::Request;
pub use response::Response;
pub use url::encode;
pub use wasip2::http::types::ErrorCode;

use serde::Serialize;
use url::Base;

/// A client of one upstream.
pub struct Client {
    base: Base,
}

impl Client {
    /// A client of the upstream whose base URL is in an environment variable, which the tool's manifest sets.
    pub fn from_env(variable: &str) -> Result<Self, Error> {
        let base = std::env::var(variable).map_err(|_| {
            Error::NotConfigured(format!(
                "the environment variable {variable} is not set; set it in [env] of the manifest"
            ))
        })?;
        Self::new(&base)
    }

    /// A client of the upstream at a base URL such as `http://127.0.0.1:8801` or `https://api.example/search`.
    pub fn new(base: &str) -> Result<Self, Error> {
        Ok(Self {
            base: Base::parse(base)?,
        })
    }

    /// Asks for a path that begins with `/`; use [`encode`] on what varies in it.
    pub fn get(&self, path: &str) -> Result<Response, Error> {
        self.send(&Request::new("GET", path))
    }

    /// Posts a value as JSON.
    pub fn post<T: Serialize + ?Sized>(&self, path: &str, value: &T) -> Result<Response, Error> {
        self.send(&Request::new("POST", path).json(value)?)
    }

    /// Sends a request and waits for the whole answer, whatever its status.
    pub fn send(&self, request: &Request) -> Result<Response, Error> {
        self.start(request)?.wait()
    }

    /// Sends a request without waiting for its answer.
    pub fn start(&self, request: &Request) -> Result<Pending, Error> {
        exchange::start(&self.base, request)
    }
}
