//! An answer, read whole.

use crate::Error;
use serde::de::DeserializeOwned;

/// An answer, read whole.
pub struct Response {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, Vec<u8>)>,
    pub(crate) body: Vec<u8>,
}

impl Response {
    /// The status code.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The body as text; what is no UTF-8 is replaced.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as a value of JSON.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_slice(&self.body)
            .map_err(|error| Error::BadAnswer(format!("status {} with an unexpected body: {error}", self.status)))
    }

    /// Whole seconds after which the upstream wants to be asked again, if it says so in seconds.
    #[must_use]
    pub fn retry_after(&self) -> Option<u32> {
        let (_, value) = self
            .headers
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case("retry-after"))?;
        std::str::from_utf8(value).ok()?.trim().parse().ok()
    }

    /// Status and the beginning of the body, for error messages.
    #[must_use]
    pub fn summary(&self) -> String {
        let text: String = self.text().chars().take(200).collect();
        format!("status {}: {text}", self.status)
    }
}
