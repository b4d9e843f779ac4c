//! The forms in which an upstream may repeat a secret: as it is, in base64, in hexadecimal, escaped for an address, for JSON or for HTML.

use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use base64::engine::{DecodePaddingMode, Engine as _};
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// Shorter secrets are left: to strike them out would spoil answers by chance, and tell what they are.
const SHORTEST: usize = 4;

/// Shorter encoded forms are left for the same reason: so many characters of base64 occur by chance once in 6·10¹⁰ places.
const SHORTEST_ENCODED: usize = 6;

/// Characters of an address that need no escape (RFC 3986 §2.3).
const UNRESERVED: &str = "-._~";
/// Those that other encoders leave besides letters and digits: of components (ECMA-262 `encodeURIComponent`), of whole addresses
/// (`encodeURI`), and of forms (WHATWG URL, which writes a space as a plus).
const LEFT: [&str; 4] = [UNRESERVED, "-_.!~*'()", "-_.!~*'();/?:@&=+$,#", "*-._"];

/// Every form of those secrets that is long enough to be no accident, each once.
pub(super) fn of(secrets: &[String]) -> BTreeSet<Vec<u8>> {
    let mut forms = BTreeSet::new();
    for secret in secrets {
        let secret = secret.trim();
        add(&mut forms, secret);
        if let Some(pair) = credentials(secret) {
            add(&mut forms, &pair);
            if let Some((_, password)) = pair.split_once(':') {
                add(&mut forms, password);
            }
        }
    }
    forms
}

fn add(forms: &mut BTreeSet<Vec<u8>>, secret: &str) {
    if secret.len() < SHORTEST {
        return;
    }
    forms.insert(secret.as_bytes().to_vec());
    let encoded = in_base64(secret)
        .chain(in_hexadecimal(secret))
        .chain(in_addresses(secret))
        .chain(in_json(secret))
        .chain(in_html(secret));
    forms.extend(
        encoded
            .filter(|form| form.len() >= SHORTEST_ENCODED)
            .map(String::into_bytes),
    );
}

/// User and password, where the secret is those of Basic authentication in base64 (RFC 7617): an upstream sees them decoded.
fn credentials(secret: &str) -> Option<String> {
    let lenient = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let decoded = GeneralPurpose::new(&STANDARD, lenient).decode(secret).ok()?;
    let pair = String::from_utf8(decoded).ok()?;
    (pair.contains(':') && !pair.contains(char::is_control)).then_some(pair)
}

/// What a secret is in base64, wherever in the encoded text it begins: the characters that its own bytes alone decide. Two bits or four
/// at each end hang on the neighbours; they tell nothing.
fn in_base64(secret: &str) -> impl Iterator<Item = String> {
    let unpadded = GeneralPurposeConfig::new().with_encode_padding(false);
    let at = move |before: usize, alphabet| {
        let mut bytes = vec![0; before];
        bytes.extend_from_slice(secret.as_bytes());
        let text = GeneralPurpose::new(alphabet, unpadded).encode(&bytes);
        let (first, end) = ((before * 8).div_ceil(6), bytes.len() * 8 / 6);
        text[first..end].to_owned()
    };
    (0..3).flat_map(move |before| [&STANDARD, &URL_SAFE].map(|alphabet| at(before, alphabet)))
}

fn in_hexadecimal(secret: &str) -> impl Iterator<Item = String> {
    let lower = escaped(secret, |text, c| bytes_of(c, |byte| write!(text, "{byte:02x}")));
    let upper = lower.to_ascii_uppercase();
    [lower, upper].into_iter()
}

fn in_addresses(secret: &str) -> impl Iterator<Item = String> {
    let percent = move |left: &str, upper: bool, plus: bool| {
        escaped(secret, |text, c| match c {
            ' ' if plus => text.push('+'),
            c if c.is_ascii_alphanumeric() && !left.is_empty() || left.contains(c) => text.push(c),
            c if upper => bytes_of(c, |byte| write!(text, "%{byte:02X}")),
            c => bytes_of(c, |byte| write!(text, "%{byte:02x}")),
        })
    };
    // No character left at all: every byte is escaped.
    let left = LEFT.into_iter().chain([""]);
    left.flat_map(move |left| {
        [false, true]
            .into_iter()
            .flat_map(move |upper| [false, true].map(|plus| percent(left, upper, plus)))
    })
}

/// Strings of JSON (RFC 8259 §7): as few escapes as may be, or also of `/`, of what HTML gives a meaning, of all that is not ASCII.
fn in_json(secret: &str) -> impl Iterator<Item = String> {
    let quoted = move |slash: bool, html: bool, ascii: bool, upper: bool| {
        let unit = move |text: &mut String, unit: u16| match upper {
            true => write!(text, "\\u{unit:04X}"),
            false => write!(text, "\\u{unit:04x}"),
        };
        escaped(secret, |text, c| match c {
            '"' | '\\' => text.extend(['\\', c]),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            '/' if slash => text.push_str("\\/"),
            c if c.is_control() || (html && "<>&'".contains(c)) || (ascii && !c.is_ascii()) => {
                for half in c.encode_utf16(&mut [0; 2]) {
                    // Writing to a string cannot fail.
                    let _ = unit(text, *half);
                }
            }
            c => text.push(c),
        })
    };
    (0..16).map(move |which| quoted(which & 1 != 0, which & 2 != 0, which & 4 != 0, which & 8 != 0))
}

/// `&` and `<` as HTML demands it; what else is escaped differs from one encoder to the next.
fn in_html(secret: &str) -> impl Iterator<Item = String> {
    let quoted = move |greater: bool, quote: bool, apostrophe: &str| {
        escaped(secret, |text, c| match c {
            '&' => text.push_str("&amp;"),
            '<' => text.push_str("&lt;"),
            '>' if greater => text.push_str("&gt;"),
            '"' if quote => text.push_str("&quot;"),
            '\'' => text.push_str(apostrophe),
            c => text.push(c),
        })
    };
    ["&#39;", "&#x27;", "&apos;", "'"]
        .into_iter()
        .flat_map(move |apostrophe| (0..4).map(move |which| quoted(which & 1 != 0, which & 2 != 0, apostrophe)))
}

fn escaped(secret: &str, mut write: impl FnMut(&mut String, char)) -> String {
    secret.chars().fold(String::new(), |mut text, c| {
        write(&mut text, c);
        text
    })
}

fn bytes_of(c: char, mut write: impl FnMut(u8) -> std::fmt::Result) {
    for byte in c.encode_utf8(&mut [0; 4]).bytes() {
        // Writing to a string cannot fail.
        let _ = write(byte);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_without_special_characters_has_few_forms() {
        let forms = of(&["search-secret".to_owned()]);
        // Itself, three in base64, two in hexadecimal, two with every byte escaped.
        assert_eq!(forms.len(), 8, "{forms:?}");
    }

    #[test]
    fn forms_that_are_short_enough_to_be_an_accident_are_left() {
        assert!(of(&["abc".to_owned(), String::new(), " a \n".to_owned()]).is_empty());
        let short: Vec<_> = of(&["abcd".to_owned()]).into_iter().map(|form| form.len()).collect();
        assert!(short.iter().all(|length| *length == 4 || *length >= 8), "{short:?}");
    }

    #[test]
    fn what_is_no_user_and_password_is_not_taken_for_them() {
        assert_eq!(credentials("dXNlcjpwYXNz").as_deref(), Some("user:pass"));
        assert_eq!(credentials("dXNlcjpwYXM=").as_deref(), Some("user:pas"));
        assert_eq!(credentials("dXNlcg=="), None);
        assert_eq!(credentials("search-secret"), None);
    }
}
