//! Texts that have one place alone: names of functions, grants, names towards models, components, the place of a key.

use super::{ComponentRef, Mistake, Scalar};
use crate::codes;
use crate::units::{self, Problem};

pub(super) fn plain_number(text: &str) -> Option<u64> {
    text.bytes()
        .all(|b| b.is_ascii_digit())
        .then(|| text.parse().ok())
        .flatten()
}

pub(super) fn some_text(text: &str) -> Result<Scalar, Problem> {
    if text.trim().is_empty() {
        return Err(Problem::new(
            "the text is empty",
            "write some text, or leave the key out",
        ));
    }
    match text
        .chars()
        .find(|&c| c.is_control() && !matches!(c, '\n' | '\r' | '\t'))
    {
        Some(odd) => Err(Problem::new(format!("the text contains {odd:?}"), "write plain text")),
        None => Ok(Scalar::Text(text.to_owned())),
    }
}

pub(super) fn word(text: &str, words: &[&str]) -> Result<Scalar, Problem> {
    if words.contains(&text) {
        return Ok(Scalar::Text(text.to_owned()));
    }
    let help = crate::suggest::instead(text, words.iter().copied());
    Err(Problem::new(
        format!("`{}` is not known here", units::short(text)),
        help,
    ))
}

/// Words joined by `-`; WIT allows capitals too (`HTTP-get`).
fn is_label(text: &str) -> bool {
    text.len() <= 255
        && text.as_bytes().first().is_some_and(u8::is_ascii_alphabetic)
        && text
            .split('-')
            .all(|word| !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric()))
}

pub(super) fn label(text: &str) -> Result<String, Problem> {
    if is_label(text) {
        return Ok(text.to_owned());
    }
    Err(Problem::new(
        format!("`{}` is not a name in WIT", units::short(text)),
        "write it as the component's WIT does: words joined by `-`, such as `not-found`",
    ))
}

/// `query`, or `iface.query` where the bare name is ambiguous.
pub(super) fn function_name(text: &str) -> Result<String, Problem> {
    if text.split('.').count() <= 2 && text.split('.').all(is_label) {
        return Ok(text.to_owned());
    }
    Err(Problem::new(
        format!("`{}` is not the name of a function", units::short(text)),
        "write it as its WIT does, such as `query`, or `\"api.query\"` in quotes where two interfaces export it",
    ))
}

/// `search`, or `search.query`.
pub(super) fn grant(text: &str) -> Result<String, Problem> {
    if text.contains('.') {
        call(text)
    } else {
        units::kebab(text)
    }
}

/// `search.query`: the name of a tool has no dot, so that the rest is the function.
pub(super) fn call(text: &str) -> Result<String, Problem> {
    let Some((tool, function)) = text.split_once('.') else {
        return Err(Problem::new(
            format!("`{}` names no function", units::short(text)),
            "write a tool and its function, such as \"email.send\"",
        ));
    };
    units::kebab(tool)?;
    function_name(function)?;
    Ok(text.to_owned())
}

/// A file, or `${secret:NAME}`; never the key itself, which would stand in the file for all to read.
pub(super) fn key_place(text: &str) -> Result<Scalar, Mistake> {
    if let Some(name) = secret_of(text) {
        units::secret_name(name).map_err(|problem| (codes::BAD_NAME, problem))?;
        return Ok(Scalar::Text(text.to_owned()));
    }
    // 32 bytes in base64.
    let digits = text.strip_suffix('=').unwrap_or(text);
    let looks_like_a_key = digits.len() == 43
        && digits
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'-' | b'_'));
    if looks_like_a_key {
        return Err((
            codes::ENCRYPTION_KEY,
            Problem::new(
                "this looks like the key itself, which belongs into no settings",
                "write it into a file for its owner alone and name the file, or keep it as a secret and write `${secret:NAME}`",
            ),
        ));
    }
    some_text(text).map_err(|problem| (codes::BAD_TEXT, problem))
}

/// The name in `${secret:NAME}`.
pub(crate) fn secret_of(text: &str) -> Option<&str> {
    text.strip_prefix("${secret:")?.strip_suffix('}')
}

/// What all providers of models accept as the name of a tool.
pub(super) fn model_name(text: &str) -> Result<String, Problem> {
    let fits = (1..=64).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    if fits {
        return Ok(text.to_owned());
    }
    Err(Problem::new(
        format!("`{}` is not a name that models accept", units::short(text)),
        "write letters, digits, `_` and `-`, 64 characters at most",
    ))
}

pub(super) fn component(text: &str) -> Result<ComponentRef, Problem> {
    const HELP: &str =
        "write a file beside the manifest such as \"search.wasm\", or \"sha256:…\" of a deployed component";
    if text.starts_with("sha256:") {
        let digest = text
            .parse()
            .map_err(|bad: fusebox_core::ids::BadId| Problem::new(bad.to_string(), HELP))?;
        return Ok(ComponentRef::Digest(digest));
    }
    if text.starts_with("oci://") {
        return Ok(ComponentRef::Oci(text.to_owned()));
    }
    if text.contains("://") {
        return Err(Problem::new(format!("`{}` is not a file", units::short(text)), HELP));
    }
    if text.trim().is_empty() || text.chars().any(char::is_control) {
        return Err(Problem::new("the component's file has no name", HELP));
    }
    Ok(ComponentRef::File(text.to_owned()))
}
