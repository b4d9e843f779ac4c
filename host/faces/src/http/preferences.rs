//! Headers by which a caller says how a call is to be made: `Idempotency-Key`, and `Prefer` (RFC 7240).

use super::refusal::Refusal;
use crate::dto::problem::Problem;
use fusebox_core::failure::Code;
use http::{HeaderMap, HeaderName, HeaderValue};
use std::time::Duration;

/// The header of the key (draft-ietf-httpapi-idempotency-key-header).
const KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// The header of preferences.
const PREFER: HeaderName = HeaderName::from_static("prefer");
/// The header that says which preferences were heeded.
pub(super) const APPLIED: HeaderName = HeaderName::from_static("preference-applied");
/// No key is longer.
const KEY_LENGTH: usize = 255;
/// Nobody waits longer for a run that has the key already.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// The key, quoted or bare.
///
/// # Errors
/// More than one, none in it, too long a one, or characters that no key has.
pub(super) fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Refusal> {
    let bad = |detail: &str| {
        Refusal::from(Problem::new(
            400,
            Code::BadInput,
            "the idempotency key is none",
            format!("Idempotency-Key: {detail}"),
        ))
    };
    let mut values = headers.get_all(KEY).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(bad("it stands twice; a request has one key"));
    }
    let text = value
        .to_str()
        .map_err(|_| bad("it has characters outside of ASCII"))?
        .trim();
    let key = match text.strip_prefix('"') {
        Some(rest) => unquoted(rest).ok_or_else(|| bad("the quoted text does not end, or something follows it"))?,
        None => text.to_owned(),
    };
    match key.len() {
        0 => Err(bad("it is empty")),
        1..=KEY_LENGTH => Ok(Some(key)),
        length => Err(bad(&format!("{length} characters; {KEY_LENGTH} are the most"))),
    }
}

/// What stands in the quotes of a structured field's string (RFC 9651, 4.2.5); the first quote is off already.
fn unquoted(rest: &str) -> Option<String> {
    let mut text = String::with_capacity(rest.len());
    let mut letters = rest.chars();
    loop {
        match letters.next()? {
            '"' => return letters.next().is_none().then_some(text),
            '\\' => text.push(letters.next().filter(|letter| matches!(letter, '"' | '\\'))?),
            letter => text.push(letter),
        }
    }
}

/// What a caller prefers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Preferences {
    /// Not to wait.
    pub(super) respond_async: bool,
    /// How long to wait for the run that has the key already.
    pub(super) wait: Option<Duration>,
}

impl Preferences {
    /// Reads them; what is not known is not heeded, as the RFC demands.
    pub(super) fn read(headers: &HeaderMap) -> Self {
        let mut found = Self::default();
        let values = headers.get_all(PREFER).iter().filter_map(|value| value.to_str().ok());
        for preference in values.flat_map(|value| value.split(',')) {
            let token = preference.split(';').next().unwrap_or_default().trim();
            let (name, value) = token.split_once('=').unwrap_or((token, ""));
            match (
                name.trim().to_ascii_lowercase().as_str(),
                value.trim().trim_matches('"').parse(),
            ) {
                ("respond-async", _) => found.respond_async = true,
                ("wait", Ok(seconds)) => {
                    found.wait = found.wait.or(Some(Duration::from_secs(seconds).min(LONGEST_WAIT)));
                }
                _ => {}
            }
        }
        // Whoever does not wait at all waits for no other run either.
        if found.respond_async {
            found.wait = None;
        }
        found
    }

    /// What was heeded.
    pub(super) fn applied(self) -> Option<HeaderValue> {
        match self {
            Self {
                respond_async: true, ..
            } => Some(HeaderValue::from_static("respond-async")),
            Self { wait: Some(wait), .. } => HeaderValue::from_str(&format!("wait={}", wait.as_secs())).ok(),
            Self { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn headers(name: HeaderName, values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(name.clone(), HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    #[test]
    fn a_key_is_quoted_or_bare() {
        for (text, key) in [
            ("order-42", "order-42"),
            ("\"order-42\"", "order-42"),
            (" \"a \\\"b\\\" \\\\\" ", "a \"b\" \\"),
        ] {
            assert_eq!(
                idempotency_key(&headers(KEY, &[text])).unwrap().as_deref(),
                Some(key),
                "{text}"
            );
        }
        assert_eq!(idempotency_key(&HeaderMap::new()).unwrap(), None);
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let long = "k".repeat(256);
        for values in [
            &["a", "a"][..],
            &[""],
            &["\"\""],
            &["\"a"],
            &["\"a\"b"],
            &["\"a\\n\""],
            &[&long],
        ] {
            assert!(idempotency_key(&headers(KEY, values)).is_err(), "{values:?}");
        }
        assert!(idempotency_key(&headers(KEY, &[&long[1..]])).is_ok());
    }

    #[test]
    fn preferences_are_read_as_the_rfc_writes_them() {
        let read = |values: &[&str]| Preferences::read(&headers(PREFER, values));
        assert!(read(&["respond-async"]).respond_async);
        assert!(read(&["handling=lenient, Respond-Async; x=1"]).respond_async);
        assert_eq!(read(&["wait=10"]).wait, Some(Duration::from_secs(10)));
        assert_eq!(read(&["wait=\"10\"", "wait=20"]).wait, Some(Duration::from_secs(10)));
        assert_eq!(read(&["wait=99999999999"]).wait, Some(LONGEST_WAIT));
        assert_eq!(read(&["wait=soon, return=minimal"]), Preferences::default());
        assert_eq!(read(&["respond-async, wait=5"]).applied().unwrap(), "respond-async");
        assert_eq!(read(&["wait=5"]).applied().unwrap(), "wait=5");
    }
}
