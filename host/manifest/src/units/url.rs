//! Addresses with a path, which the host itself posts to.

use super::{Problem, origin, show_origin};
use fusebox_core::policy::Origin;
use std::fmt;

/// An address that the host itself posts to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    /// Where it is.
    pub origin: Origin,
    /// Path and query; `/` when it has none.
    pub path: String,
}

impl fmt::Display for Url {
    /// Its path is left out: that of a webhook is often all that keeps strangers from posting to it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.origin.tls { "https://" } else { "" };
        let path = if self.path == "/" { "/" } else { "/…" };
        write!(f, "{scheme}{}{path}", show_origin(&self.origin))
    }
}

/// `https://host/path`, or `http://…`; without credentials and fragment.
///
/// # Errors
/// What is wrong and what to write.
pub fn url(text: &str) -> Result<Url, Problem> {
    const HELP: &str = "write it like \"https://hooks.example/fusebox\"";
    // The text is not quoted: its path may be a secret.
    let bad = |why: &str| Problem::new(format!("this is not an address: {why}"), HELP);
    let (scheme, rest) = text
        .split_once("://")
        .ok_or_else(|| bad("it does not begin with https:// or http://"))?;
    let (host, path) = match rest.find(['/', '?', '#']) {
        Some(at) if rest[at..].starts_with('/') => rest.split_at(at),
        Some(_) => return Err(bad("a path, which begins with `/`, comes after the host")),
        None => (rest, "/"),
    };
    if let Some(odd) = path.chars().find(|c| !c.is_ascii_graphic() || *c == '#') {
        return Err(bad(&format!("its path contains {odd:?}")));
    }
    let origin = origin(&format!("{scheme}://{host}")).map_err(|problem| Problem::new(problem.message, HELP))?;
    Ok(Url {
        origin,
        path: path.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn addresses_are_taken_apart_and_shown_without_their_path() {
        for (text, port, path, shown) in [
            ("https://hooks.example", 443, "/", "https://hooks.example/"),
            (
                "https://hooks.example/a/b?c=d",
                443,
                "/a/b?c=d",
                "https://hooks.example/…",
            ),
            ("HTTP://127.0.0.1:8801/x", 8801, "/x", "http://127.0.0.1:8801/…"),
            ("https://[::1]:8443/x", 8443, "/x", "https://[::1]:8443/…"),
        ] {
            let url = url(text).unwrap();
            assert_eq!((url.origin.port, url.path.as_str()), (port, path), "{text}");
            assert_eq!(url.to_string(), shown);
        }
        for text in [
            "",
            "hooks.example/x",
            "ftp://hooks.example/x",
            "https:///x",
            "https://user:pass@hooks.example/x",
            "https://hooks.example/a b",
            "https://hooks.example/a#b",
            "https://hooks.example?a=b",
            "https://hooks.example/ü",
            "https://hooks.example/x\r\nhost: y",
        ] {
            let problem = url(text).unwrap_err();
            assert!(problem.message.contains("not a"), "{text}: {problem}");
        }
    }
}
