//! Secrets that a request carried are struck out of its answer, before guest, letter or log can see an upstream repeat them.

use crate::ports::transport::Incoming;

/// Shorter secrets are left: to strike them out would spoil answers by chance, and tell what they are.
const SHORTEST: usize = 4;

/// The answer with every byte of those secrets replaced by a star; its length stays.
pub(super) fn mask(mut answer: Incoming, secrets: &[String]) -> Incoming {
    let mut secrets: Vec<_> = secrets.iter().map(|secret| secret.trim().as_bytes()).collect();
    secrets.retain(|secret| secret.len() >= SHORTEST);
    // One that contains another goes first, or its ends would be left.
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    for secret in secrets {
        for (_, value) in &mut answer.headers {
            strike(value, secret);
        }
        if let Some(first) = find(&answer.body, secret) {
            let mut body = answer.body.to_vec();
            strike(&mut body[first..], secret);
            answer.body = body.into();
        }
    }
    answer
}

fn strike(mut text: &mut [u8], secret: &[u8]) {
    while let Some(start) = find(text, secret) {
        let (struck, rest) = text[start..].split_at_mut(secret.len());
        struck.fill(b'*');
        text = rest;
    }
}

fn find(text: &[u8], secret: &[u8]) -> Option<usize> {
    text.windows(secret.len()).position(|window| window == secret)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(body: &str, secrets: &[&str]) -> String {
        let answer = Incoming {
            status: 200,
            headers: vec![("x-echo".to_owned(), body.as_bytes().to_vec())],
            body: body.to_owned().into(),
        };
        let secrets: Vec<_> = secrets.iter().map(|secret| (*secret).to_owned()).collect();
        let answer = mask(answer, &secrets);
        assert_eq!(answer.headers[0].1, answer.body);
        String::from_utf8_lossy(&answer.body).into_owned()
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
            ("the end: s3cret", &["s3cret\n"], "the end: ******"),
            ("nothing here", &["s3cret"], "nothing here"),
            ("", &["s3cret"], ""),
            ("a cat", &["a", ""], "a cat"),
        ] {
            assert_eq!(masked(body, secrets), expected);
        }
    }
}
