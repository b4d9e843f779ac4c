//! Parts of HTTP requests: patterns, header names, header values with secrets in them.

use super::Problem;
use super::names::{secret_name, short};
use fusebox_core::policy::{HeaderPart, RequestPattern};

const PATTERN_HELP: &str = "write a method and a path, such as \"POST /v1/query\"; a last `*` stands for any rest";

/// Headers that belong to the connection or frame the message: the host alone writes them (RFC 9110 §7.6.1).
const RESERVED: [&str; 11] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// A request that may be repeated: `POST /v1/query`; a last `*` stands for any rest of the path.
///
/// # Errors
/// What is wrong and what to write.
pub fn request_pattern(text: &str) -> Result<RequestPattern, Problem> {
    let bad = |why: &str| {
        Problem::new(
            format!("`{}` is not a request pattern: {why}", short(text)),
            PATTERN_HELP,
        )
    };
    let (method, path) = text.split_once(' ').ok_or_else(|| bad("it has no method and path"))?;
    if method.is_empty() || !method.bytes().all(|b| b.is_ascii_uppercase()) {
        return Err(bad("its method is not in capitals"));
    }
    if !path.starts_with('/') || !path.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(bad("its path does not begin with `/`, or has a blank in it"));
    }
    if path.contains(['?', '#']) {
        return Err(bad("queries are not looked at"));
    }
    if path.find('*').is_some_and(|at| at + 1 != path.len()) {
        return Err(bad("`*` stands only at its end"));
    }
    Ok(RequestPattern {
        method: method.to_owned(),
        path: path.to_owned(),
    })
}

/// The name of a header that the host may set, in lower case.
///
/// # Errors
/// What is wrong and what to write.
pub fn header_name(text: &str) -> Result<String, Problem> {
    let name = text.to_ascii_lowercase();
    let token = (1..=128).contains(&name.len())
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b));
    if !token {
        return Err(Problem::new(
            format!("`{}` is not the name of a header", short(text)),
            "write letters, digits and `-`, such as `authorization`",
        ));
    }
    if RESERVED.contains(&name.as_str()) {
        return Err(Problem::new(
            format!("`{name}` belongs to the connection and cannot be set"),
            "leave it out: the host writes it",
        ));
    }
    Ok(name)
}

/// The value of a header: printable ASCII, with `${secret:NAME}` where a secret goes.
///
/// # Errors
/// What is wrong and what to write.
pub fn header_value(text: &str) -> Result<Vec<HeaderPart>, Problem> {
    let help = "write `${secret:NAME}` where the secret goes, such as \"Bearer ${secret:SEARCH_KEY}\"";
    if let Some(odd) = text.chars().find(|&c| !(c == ' ' || c.is_ascii_graphic())) {
        return Err(Problem::new(
            format!("the header's value contains {odd:?}"),
            "write printable ASCII characters on one line",
        ));
    }
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let (before, after) = rest.split_at(at);
        let (inside, tail) = after[2..]
            .split_once('}')
            .ok_or_else(|| Problem::new("the `${` is not closed by a `}`", help))?;
        let name = inside
            .strip_prefix("secret:")
            .ok_or_else(|| Problem::new(format!("`${{{}}}` is not a secret", short(inside)), help))?;
        if !before.is_empty() {
            parts.push(HeaderPart::Text(before.to_owned()));
        }
        parts.push(HeaderPart::Secret(secret_name(name)?));
        rest = tail;
    }
    if !rest.is_empty() {
        parts.push(HeaderPart::Text(rest.to_owned()));
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn patterns_at_their_edges() {
        assert!(
            request_pattern("POST /v1/query")
                .unwrap()
                .matches("POST", "/v1/query?x=1")
        );
        assert!(request_pattern("POST /v1/*").unwrap().matches("POST", "/v1/a/b"));
        assert!(request_pattern("GET /").is_ok());
        for text in [
            "",
            "POST",
            "post /x",
            "POST x",
            "POST  /x",
            "POST /x y",
            "POST /a*b",
            "POST /x?q=1",
            "POST /x#y",
            " /x",
        ] {
            assert!(request_pattern(text).is_err(), "{text}");
        }
    }

    #[test]
    fn headers_of_the_connection_cannot_be_set() {
        assert_eq!(header_name("X-Api-Key").unwrap(), "x-api-key");
        for name in [
            "",
            "Host",
            "content-length",
            "Transfer-Encoding",
            "a b",
            "a:b",
            "a\r\nb",
        ] {
            assert!(header_name(name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn values_are_taken_apart_at_their_secrets() {
        let text = |text: &str| HeaderPart::Text(text.to_owned());
        let secret = |name: &str| HeaderPart::Secret(name.to_owned());
        assert_eq!(
            header_value("Bearer ${secret:K}").unwrap(),
            [text("Bearer "), secret("K")]
        );
        assert_eq!(
            header_value("${secret:A}:${secret:B}x$").unwrap(),
            [secret("A"), text(":"), secret("B"), text("x$")]
        );
        assert_eq!(header_value("").unwrap(), []);
        for bad in [
            "${secret:}",
            "${secret:A",
            "${env:A}",
            "${}",
            "a\r\nHost: b",
            "a\0",
            "é",
            "${secret:A B}",
        ] {
            assert!(header_value(bad).is_err(), "{bad:?}");
        }
    }
}
