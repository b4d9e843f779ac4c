//! Tokens of API keys: `fbx_`, the key's id, and a secret of 256 random bits that is kept as its SHA-256 alone.

use crate::ports::entropy::Entropy;
use crate::requests::digest_of;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fusebox_core::ids::Digest;
use subtle::ConstantTimeEq as _;

const PREFIX: &str = "fbx_";
/// Crockford's base 32, in lower case, as ids have it.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const ID: usize = 12;
/// 32 bytes in base 64.
const SECRET: usize = 43;
/// A principal that is a key: no other begins so.
const PRINCIPAL: &str = "key:";
/// Bytes of a name at most.
const NAME: usize = 64;

/// A token that was just made, to be shown once.
pub(crate) struct Made {
    pub(crate) id: String,
    pub(crate) token: String,
    pub(crate) secret: Digest,
}

/// A new token.
pub(crate) fn make(entropy: &dyn Entropy) -> Made {
    let mut bits = entropy.id();
    let mut id = String::with_capacity(ID);
    for _ in 0..ID {
        id.push(char::from(ALPHABET[(bits & 31) as usize]));
        bits >>= 5;
    }
    let mut secret = [0; 32];
    entropy.fill(&mut secret);
    let secret = URL_SAFE_NO_PAD.encode(secret);
    Made {
        token: format!("{PREFIX}{id}_{secret}"),
        secret: digest_of(secret.as_bytes()),
        id,
    }
}

/// A token as somebody sent it. Neither printed nor kept.
pub(crate) struct Token<'t> {
    pub(crate) id: &'t str,
    secret: &'t str,
}

impl<'t> Token<'t> {
    /// Its parts; `None` when it has not the form of a token.
    pub(crate) fn parse(text: &'t str) -> Option<Self> {
        let rest = text.strip_prefix(PREFIX)?;
        let (id, rest) = rest.split_at_checked(ID)?;
        let secret = rest.strip_prefix('_')?;
        let well_formed = id.bytes().all(|byte| ALPHABET.contains(&byte)) && secret.len() == SECRET;
        well_formed.then_some(Self { id, secret })
    }

    /// Whether its secret is the one that was kept; takes as long whatever differs.
    pub(crate) fn opens(&self, kept: &Digest) -> bool {
        digest_of(self.secret.as_bytes()).0.ct_eq(&kept.0).into()
    }
}

/// The principal of whoever has a key of that name.
pub(crate) fn principal(name: &str) -> String {
    format!("{PRINCIPAL}{name}")
}

/// What is wrong with the name of a key or a tenant; it stands in rules, logs and addresses.
pub(crate) fn bad_name(name: &str) -> Option<&'static str> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let fits = (1..=NAME).contains(&name.len()) && name.bytes().all(plain);
    (!fits).then_some("1 to 64 letters, digits, `-`, `_` and `.`")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::ports::entropy::OsEntropy;

    #[test]
    fn a_token_opens_its_own_key_and_no_other() {
        let (one, other) = (make(&OsEntropy), make(&OsEntropy));
        let token = Token::parse(&one.token).unwrap();
        assert_eq!(token.id, one.id);
        assert!(token.opens(&one.secret) && !token.opens(&other.secret));
        assert_eq!(one.token.len(), PREFIX.len() + ID + 1 + SECRET);
        assert!(!one.token.contains(&one.secret.to_string()[7..]));
    }

    #[test]
    fn what_has_not_the_form_of_a_token_is_none() {
        let token = make(&OsEntropy).token;
        for broken in [
            "",
            "fbx_",
            &token[..token.len() - 1],
            &format!("{token}x"),
            &token.replace("fbx_", "FBX_"),
            &format!("fbx_{}", "é".repeat(30)),
            &format!("fbx_il{}", &token[6..]),
        ] {
            assert!(Token::parse(broken).is_none(), "{broken}");
        }
    }

    #[test]
    fn names_are_plain() {
        for good in ["ci", "a", "Claude-desktop_1.2", &"x".repeat(NAME)] {
            assert_eq!(bad_name(good), None, "{good}");
        }
        for bad in ["", "a:b", "a b", "é", "a\n", "a/b", &"x".repeat(NAME + 1)] {
            assert!(bad_name(bad).is_some(), "{bad}");
        }
    }
}
