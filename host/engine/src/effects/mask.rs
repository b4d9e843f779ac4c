//! Secrets that a request carried are struck out of its answer, before guest, letter or log can see an upstream repeat them: as they are,
//! and in the forms that upstreams quote them in.

mod forms;

use crate::ports::transport::Incoming;
use aho_corasick::{AhoCorasick, AhoCorasickKind, BuildError};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

/// The mask of the secrets that a service's requests carry, made again only when one of them changes.
#[derive(Default)]
pub(crate) struct Masks(Mutex<Option<Arc<Mask>>>);

impl Masks {
    /// The mask of those secrets; `None` where there is nothing to strike out.
    ///
    /// # Errors
    /// Secrets too long to be looked for. Nothing may be sent then.
    pub(super) fn of(&self, secrets: Vec<String>) -> Result<Option<Arc<Mask>>, BuildError> {
        if secrets.is_empty() {
            return Ok(None);
        }
        let mut made = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &*made {
            Some(mask) if mask.secrets == secrets => Ok(Some(Arc::clone(mask))),
            _ => Ok(Some(Arc::clone(made.insert(Arc::new(Mask::new(secrets)?))))),
        }
    }
}

/// Finds some secrets in every form of theirs.
pub(super) struct Mask {
    secrets: Vec<String>,
    forms: AhoCorasick,
}

impl Mask {
    fn new(secrets: Vec<String>) -> Result<Self, BuildError> {
        // A table for every byte would be faster, and take megabytes for the many forms of a long token.
        let forms = AhoCorasick::builder()
            .kind(Some(AhoCorasickKind::ContiguousNFA))
            .build(forms::of(&secrets))?;
        Ok(Self { secrets, forms })
    }

    /// The answer with every byte of those secrets replaced by a star; its length stays. It is whole, so that none hides where the pieces
    /// join in which it came.
    pub(super) fn over(&self, mut answer: Incoming) -> Incoming {
        for (name, value) in &mut answer.headers {
            for range in self.found(name.as_bytes()) {
                name.replace_range(range.clone(), &"*".repeat(range.len()));
            }
            let found = self.found(value);
            strike(value, found);
        }
        let found = self.found(&answer.body);
        if !found.is_empty() {
            let mut body = answer.body.to_vec();
            strike(&mut body, found);
            answer.body = body.into();
        }
        answer
    }

    /// Where the text holds a form. Forms that overlap are found each, or the ends of one would be left.
    fn found(&self, text: &[u8]) -> Vec<Range<usize>> {
        let found = self.forms.find_overlapping_iter(text);
        found.map(|found| found.range()).collect()
    }
}

fn strike(text: &mut [u8], found: Vec<Range<usize>>) {
    for range in found {
        text[range].fill(b'*');
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use base64::Engine as _;
    use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};

    fn masked(text: &str, secrets: &[&str]) -> String {
        let answer = Incoming {
            status: 200,
            headers: vec![(text.to_owned(), text.as_bytes().to_vec())],
            body: text.to_owned().into(),
        };
        let secrets: Vec<_> = secrets.iter().map(|secret| (*secret).to_owned()).collect();
        let mask = Masks::default().of(secrets).unwrap().unwrap();
        let answer = mask.over(answer);
        assert_eq!(answer.headers[0].1, answer.body);
        assert_eq!(answer.headers[0].0.as_bytes(), answer.body);
        assert_eq!(answer.body.len(), text.len());
        String::from_utf8(answer.body.to_vec()).unwrap()
    }

    #[test]
    fn every_secret_is_struck_out_wherever_it_stands() {
        for (body, secrets, expected) in [
            ("Bearer s3cret!", &["s3cret"][..], "Bearer ******!"),
            ("s3crets3cret s3cre", &["s3cret"], "************ s3cre"),
            (
                "a s3cret-long b s3cret",
                &["s3cret", "s3cret-long"],
                "a *********** b ******",
            ),
            ("one-two-three", &["one-two", "two-three"], "*************"),
            ("aaaaa aaa", &["aaaa"], "***** aaa"),
            ("the end: s3cret", &["s3cret\n"], "the end: ******"),
            ("nothing here", &["s3cret"], "nothing here"),
            ("", &["s3cret"], ""),
            ("a cat", &["a", ""], "a cat"),
            ("héllo wörld", &["wörld"], "héllo ******"),
        ] {
            assert_eq!(masked(body, secrets), expected);
        }
    }

    #[test]
    fn every_encoded_form_is_struck_out() {
        let secret = r#"p4s?>s/"wörd\&~"#;
        for text in [
            "7034733f3e732f2277c3b672645c267e",
            "7034733F3E732F2277C3B672645C267E",
            "p4s%3F%3Es%2F%22w%C3%B6rd%5C%26~",
            "p4s%3f%3es%2f%22w%c3%b6rd%5c%26~",
            "p4s%3F%3Es%2F%22w%C3%B6rd%5C%26%7E",
            "p4s?%3Es/%22w%C3%B6rd%5C&~",
            "%70%34%73%3F%3E%73%2F%22%77%C3%B6%72%64%5C%26%7E",
            r#"p4s?>s/\"wörd\\&~"#,
            r#"p4s?>s\/\"wörd\\&~"#,
            r#"p4s?>s/\"w\u00f6rd\\&~"#,
            r#"p4s?\u003es/\"w\u00f6rd\\\u0026~"#,
            r#"p4s?\u003Es\/\"w\u00F6rd\\\u0026~"#,
            r"p4s?&gt;s/&quot;wörd\&amp;~",
            r"p4s?>s/&quot;wörd\&amp;~",
            r#"p4s?&gt;s/"wörd\&amp;~"#,
        ] {
            let before_and_after = format!("<<{text}>>");
            let expected = format!("<<{}>>", "*".repeat(text.len()));
            assert_eq!(masked(&before_and_after, &[secret]), expected, "{text}");
        }
    }

    #[test]
    fn base64_is_struck_out_wherever_the_secret_begins_in_it() {
        let secret = "p4s?>s/~~~??>>w0rd";
        for before in ["", "u", "us", "user:", "user:x", "user:xy", "a long user:"] {
            for after in ["", "\n", "!!", "and more"] {
                for engine in [&STANDARD, &STANDARD_NO_PAD, &URL_SAFE, &URL_SAFE_NO_PAD] {
                    let text = engine.encode(format!("{before}{secret}{after}"));
                    let left = masked(&text, &[secret]);
                    let struck = left.matches('*').count();
                    // All but the characters at either end that its neighbours have a part in.
                    assert!(struck >= secret.len() * 8 / 6 - 1, "{text}: {left}");
                    let around = left.replace('*', "").len();
                    assert!(around <= (before.len() + after.len() + 4) * 4 / 3 + 4, "{text}: {left}");
                }
            }
        }
    }

    #[test]
    fn the_password_of_basic_authentication_is_a_secret_too() {
        let basic = STANDARD.encode("user:hunter22");
        assert_eq!(
            masked("user:hunter22 has hunter22", &[&basic]),
            "************* has ********"
        );
        assert_eq!(masked(&basic, &["hunter22"]).matches('*').count(), 10);
    }

    #[test]
    fn innocent_text_stays_when_a_secret_is_short() {
        // `YWJj` is `abc`, and `6162` is `ab`: each occurs in much that is no secret.
        for text in ["YWJjZA YWJj 61626364xyz 6162", "JhYm Fi YWI"] {
            assert_eq!(masked(text, &["abc", "ab"]), text);
        }
        assert_eq!(masked("YWJj ZGVm", &["abcd"]), "YWJj ZGVm");
    }

    #[test]
    fn a_mask_is_made_once_until_a_secret_changes() {
        let masks = Masks::default();
        let of = |secret: &str| masks.of(vec![secret.to_owned()]).unwrap().unwrap();
        let first = of("s3cret");
        assert!(Arc::ptr_eq(&first, &of("s3cret")));
        let changed = of("another");
        assert!(!Arc::ptr_eq(&first, &changed));
        assert!(masks.of(Vec::new()).unwrap().is_none());
    }
}
