//! Names: of tools, services, secrets and environment variables, and versions.

use super::Problem;

/// Longest name; the model's name of a function, made of two, still fits the 64 characters that providers allow.
const LONGEST: usize = 63;

/// A kebab-case name: `search`, `web-search-2`. Without `_`, so that `tool_function` can be taken apart again.
///
/// # Errors
/// What is wrong and what to write.
pub fn kebab(text: &str) -> Result<String, Problem> {
    let fixed = text.to_ascii_lowercase().replace(['_', ' ', '.'], "-");
    let fits = |name: &str| {
        name.len() <= LONGEST
            && name.as_bytes().first().is_some_and(u8::is_ascii_lowercase)
            && name
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && !name.ends_with('-')
            && !name.contains("--")
    };
    if fits(text) {
        return Ok(text.to_owned());
    }
    let help = if fits(&fixed) {
        format!("write `{fixed}`")
    } else {
        format!("write lower-case words joined by `-`, {LONGEST} characters at most, such as `web-search`")
    };
    Err(Problem::new(
        format!("`{}` is not a kebab-case name", short(text)),
        help,
    ))
}

/// The name of a secret: letters, digits, `_` and `-`, 64 characters at most.
///
/// # Errors
/// What is wrong and what to write.
pub fn secret_name(text: &str) -> Result<String, Problem> {
    let fits = (1..=64).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
    if fits {
        return Ok(text.to_owned());
    }
    let help = "write letters, digits, `_` and `-`, 64 characters at most, such as `SEARCH_KEY`";
    Err(Problem::new(
        format!("`{}` is not the name of a secret", short(text)),
        help,
    ))
}

/// The name of an environment variable: letters, digits and `_`, not beginning with a digit.
///
/// # Errors
/// What is wrong and what to write.
pub fn env_name(text: &str) -> Result<String, Problem> {
    let fits = (1..=255).contains(&text.len())
        && !text.as_bytes()[0].is_ascii_digit()
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if fits {
        return Ok(text.to_owned());
    }
    let help = "write letters, digits and `_`, such as `LOG_LEVEL`";
    Err(Problem::new(
        format!("`{}` is not the name of an environment variable", short(text)),
        help,
    ))
}

/// A version by the rules of <https://semver.org>: `1.2.0`, `2.0.0-rc.1`.
///
/// # Errors
/// What is wrong and what to write.
pub fn version(text: &str) -> Result<String, Problem> {
    let (main, build) = text
        .split_once('+')
        .map_or((text, None), |(main, build)| (main, Some(build)));
    let (core, pre) = main
        .split_once('-')
        .map_or((main, None), |(core, pre)| (core, Some(pre)));
    let number = |part: &str| {
        !part.is_empty()
            && part.len() <= 9
            && part.bytes().all(|b| b.is_ascii_digit())
            && (part == "0" || !part.starts_with('0'))
    };
    let word = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    let fits = text.len() <= 64
        && core.split('.').count() == 3
        && core.split('.').all(number)
        && pre.is_none_or(|pre| pre.split('.').all(word))
        && build.is_none_or(|build| build.split('.').all(word));
    if fits {
        return Ok(text.to_owned());
    }
    let fixed = format!("{text}{}", ".0".repeat(3_usize.saturating_sub(text.split('.').count())));
    let help = if text.split('.').all(number) && text.split('.').count() < 3 {
        format!("write `{fixed}`")
    } else {
        "write three numbers such as `1.2.0`, or `1.2.0-rc.1` for a version before it".to_owned()
    };
    Err(Problem::new(format!("`{}` is not a version", short(text)), help))
}

/// Enough of a text to recognise it by.
pub(crate) fn short(text: &str) -> String {
    match text.char_indices().nth(80) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn names_are_kebab_case_without_underscores() {
        for name in ["a", "search", "web-search-2", &"a".repeat(63)] {
            assert!(kebab(name).is_ok(), "{name}");
        }
        for name in [
            "",
            "-a",
            "a-",
            "a--b",
            "2a",
            "Search",
            "web_search",
            "a.b",
            "é",
            &"a".repeat(64),
        ] {
            assert!(kebab(name).is_err(), "{name}");
        }
        assert_eq!(kebab("Web_Search").unwrap_err().help, "write `web-search`");
    }

    #[test]
    fn versions_follow_semver() {
        for text in ["0.1.0", "1.2.3-rc.1", "1.2.3+build.5", "1.2.3-a-b+c"] {
            assert!(version(text).is_ok(), "{text}");
        }
        for text in [
            "", "1", "1.2", "01.2.3", "1.2.3.4", "v1.2.3", "1.2.3-", "1.2.3+", "1.2.x", "1..2",
        ] {
            assert!(version(text).is_err(), "{text}");
        }
        assert_eq!(version("1.2").unwrap_err().help, "write `1.2.0`");
    }

    #[test]
    fn secrets_and_variables_have_plain_names() {
        assert!(secret_name("SEARCH_KEY-2").is_ok());
        assert!(secret_name("../etc/passwd").is_err());
        assert!(secret_name("").is_err());
        assert!(env_name("LOG_LEVEL").is_ok());
        for name in ["", "2A", "A=B", "A B", "é"] {
            assert!(env_name(name).is_err(), "{name}");
        }
    }
}
