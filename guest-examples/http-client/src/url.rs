//! Base URLs, and what may stand in a path.

use crate::Error;
use wasip2::http::types::Scheme;

/// Where an upstream is.
pub(crate) struct Base {
    pub(crate) scheme: Scheme,
    pub(crate) authority: String,
    /// Begins every path; empty or `/…` without a slash at its end.
    pub(crate) prefix: String,
}

impl Base {
    pub(crate) fn parse(base: &str) -> Result<Self, Error> {
        let wrong = || {
            Error::NotConfigured(format!(
                "`{base}` is no base URL; write http://HOST:PORT or https://HOST"
            ))
        };
        let (scheme, rest) = match base.split_once("://").ok_or_else(wrong)? {
            ("http", rest) => (Scheme::Http, rest),
            ("https", rest) => (Scheme::Https, rest),
            _ => return Err(wrong()),
        };
        let (authority, prefix) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        if authority.is_empty() || rest.contains(['?', '#', '@']) {
            return Err(wrong());
        }
        Ok(Self {
            scheme,
            authority: authority.to_owned(),
            prefix: prefix.trim_end_matches('/').to_owned(),
        })
    }
}

/// Percent-encodes all but the unreserved characters of RFC 3986 §2.3, for use in a path segment or a query.
#[must_use]
pub fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => encoded.push(char::from(byte)),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_base_url_has_a_scheme_an_authority_and_perhaps_a_prefix() {
        let base = Base::parse("https://api.example:8443/search/").unwrap();
        assert!(matches!(base.scheme, Scheme::Https));
        assert_eq!(
            (base.authority.as_str(), base.prefix.as_str()),
            ("api.example:8443", "/search")
        );
        for wrong in [
            "",
            "api.example",
            "ftp://api.example",
            "http://",
            "http:///path",
            "http://user@host",
            "http://host/?q",
        ] {
            assert!(matches!(Base::parse(wrong), Err(Error::NotConfigured(_))), "{wrong}");
        }
    }

    #[test]
    fn what_could_end_a_query_value_is_encoded() {
        assert_eq!(encode("a b&c=d/é"), "a%20b%26c%3Dd%2F%C3%A9");
        assert_eq!(encode("A-z.0_~"), "A-z.0_~");
    }
}
