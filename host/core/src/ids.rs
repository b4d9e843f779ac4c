//! Names of runs, letters and contents: sortable by creation, typed, and safe to put into a path or a URL.

use crate::time::Wall;
use std::fmt;
use std::str::FromStr;

/// Crockford's base 32, in lower case: no `i`, `l`, `o`, `u`, so that an id survives being read aloud.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// An id that was not written by Fusebox.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not {expected}")]
pub struct BadId {
    /// What was given.
    pub text: String,
    /// The form that was expected, with an example.
    pub expected: &'static str,
}

fn base32(mut value: u128) -> [u8; 26] {
    let mut out = [b'0'; 26];
    for slot in out.iter_mut().rev() {
        *slot = ALPHABET[(value & 31) as usize];
        value >>= 5;
    }
    out
}

/// 48 bits of milliseconds, then 80 bits of entropy: the layout of a ULID (<https://github.com/ulid/spec>).
fn ulid(now: Wall, entropy: u128) -> u128 {
    let millis = u128::from(u64::try_from(now.0).unwrap_or(0) & 0xffff_ffff_ffff);
    (millis << 80) | (entropy & ((1 << 80) - 1))
}

macro_rules! id {
    ($name:ident, $prefix:literal, $doc:literal, $expected:literal) => {
        #[doc = $doc]
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// A new id made at `now`; ids of one millisecond are told apart by 80 bits of `entropy`.
            #[must_use]
            pub fn new(now: Wall, entropy: u128) -> Self {
                let mut text = String::with_capacity($prefix.len() + 26);
                text.push_str($prefix);
                text.extend(base32(ulid(now, entropy)).iter().map(|&b| char::from(b)));
                Self(text)
            }

            /// When it was made, as far as the id tells: to the millisecond.
            #[must_use]
            pub fn made(&self) -> Wall {
                let time = self.0.bytes().skip($prefix.len()).take(10);
                let digit = |byte| ALPHABET.iter().position(|known| *known == byte).unwrap_or(0);
                Wall(time.fold(0, |sum, byte| sum << 5 | i64::try_from(digit(byte)).unwrap_or(0)))
            }

            /// The id as it is shown and stored.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = BadId;
            fn from_str(text: &str) -> Result<Self, BadId> {
                let rest = text.strip_prefix($prefix).unwrap_or("");
                if rest.len() == 26 && rest.bytes().all(|b| ALPHABET.contains(&b)) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(BadId {
                        text: text.to_owned(),
                        expected: $expected,
                    })
                }
            }
        }
    };
}

id!(
    RunId,
    "run_",
    "One run: one accepted call of one function.",
    "a run id such as run_01jd4m9q7gk0v3x8w2h5t6y1ze"
);
id!(
    LetterId,
    "ltr_",
    "One dead letter.",
    "a letter id such as ltr_01jd4m9q7gk0v3x8w2h5t6y1ze"
);
id!(
    ApprovalId,
    "apr_",
    "One question to a person: may this call be made?",
    "an approval id such as apr_01jd4m9q7gk0v3x8w2h5t6y1ze"
);
id!(
    RedriveId,
    "rdv_",
    "One bulk replay of letters.",
    "a redrive id such as rdv_01jd4m9q7gk0v3x8w2h5t6y1ze"
);
id!(
    OwnerId,
    "own_",
    "One host process while it owns runs; every write of an owner is fenced by it and its epoch.",
    "an owner id such as own_01jd4m9q7gk0v3x8w2h5t6y1ze"
);

/// SHA-256 of some content: a component, a page of memory, a canonical value.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub [u8; 32]);

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sha256:")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Digest {
    type Err = BadId;
    fn from_str(text: &str) -> Result<Self, BadId> {
        let bad = || BadId {
            text: text.to_owned(),
            expected: "a digest of the form sha256: and 64 hex digits",
        };
        let hex = text.strip_prefix("sha256:").ok_or_else(bad)?;
        if hex.len() != 64 || !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(bad());
        }
        let mut out = [0; 32];
        for (slot, pair) in out.iter_mut().zip(hex.as_bytes().chunks_exact(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| bad())?;
            *slot = u8::from_str_radix(pair, 16).map_err(|_| bad())?;
        }
        Ok(Self(out))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn ids_sort_by_creation_and_survive_a_round_trip() {
        let early = RunId::new(Wall(1_700_000_000_000), u128::MAX);
        let late = RunId::new(Wall(1_700_000_000_001), 0);
        assert!(early < late);
        assert_eq!(early.as_str().parse::<RunId>().unwrap(), early);
        assert_ne!(RunId::new(Wall(1), 1), RunId::new(Wall(1), 2));
        assert_eq!(late.made(), Wall(1_700_000_000_001));
    }

    #[test]
    fn an_id_of_another_kind_or_alphabet_is_refused() {
        let letter = LetterId::new(Wall(7), 7);
        assert!(letter.as_str().parse::<RunId>().is_err());
        assert!("run_../../../../etc/passwd00000".parse::<RunId>().is_err());
        assert!("run_".parse::<RunId>().is_err());
    }

    #[test]
    fn a_digest_survives_a_round_trip() {
        let digest = Digest([0xa5; 32]);
        assert_eq!(digest.to_string().parse::<Digest>().unwrap(), digest);
        assert!("sha256:a5".parse::<Digest>().is_err());
        assert!(format!("sha256:{}", "+5".repeat(32)).parse::<Digest>().is_err());
    }
}
