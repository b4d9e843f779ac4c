//! Encryption at rest: what a call carried is sealed with XChaCha20-Poly1305 where a key is configured
//! (<https://datatracker.ietf.org/doc/html/draft-irtf-cfrg-xchacha-03>). A random nonce of 192 bits for each value may be drawn without
//! counting; the associated data names the row, so that no value can be moved to another.

use crate::rows::{Unreadable, decode, encode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use fusebox_engine::ports::entropy::{Entropy, OsEntropy};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::borrow::Cow;
use std::fmt;

const NONCE: usize = 24;

/// Which row a value belongs to.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    /// The kind of row.
    pub(crate) what: &'static str,
    pub(crate) tenant: &'a str,
    /// What tells it from the other rows of its tenant.
    pub(crate) key: &'a str,
}

impl<'a> Place<'a> {
    pub(crate) fn new(what: &'static str, tenant: &'a str, key: &'a str) -> Self {
        Self { what, tenant, key }
    }

    /// Every part behind its length, so that no two places are one.
    fn associated(&self) -> Vec<u8> {
        let mut out = b"fusebox row 1".to_vec();
        for part in [self.what, self.tenant, self.key] {
            out.extend((part.len() as u64).to_le_bytes());
            out.extend_from_slice(part.as_bytes());
        }
        out
    }

    fn unreadable(&self, reason: &str) -> Unreadable {
        Unreadable {
            row: self.to_string(),
            reason: reason.to_owned(),
        }
    }
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.what, self.key)
    }
}

/// Seals values and opens them; without a key it passes them on.
pub(crate) struct Vault(Option<XChaCha20Poly1305>);

impl Vault {
    pub(crate) fn new(key: Option<&[u8; 32]>) -> Self {
        Self(key.map(|key| XChaCha20Poly1305::new(key.into())))
    }

    pub(crate) fn has_key(&self) -> bool {
        self.0.is_some()
    }

    /// The value as it is stored: nonce and ciphertext.
    pub(crate) fn seal<'v>(&self, place: Place<'_>, plain: &'v [u8]) -> Result<Cow<'v, [u8]>, Unreadable> {
        let Some(cipher) = &self.0 else {
            return Ok(Cow::Borrowed(plain));
        };
        let mut nonce = [0; NONCE];
        OsEntropy.fill(&mut nonce);
        let aad = place.associated();
        let payload = Payload { msg: plain, aad: &aad };
        let sealed = cipher.encrypt(&XNonce::from(nonce), payload);
        let sealed = sealed.map_err(|_| place.unreadable("it is too long to be encrypted"))?;
        Ok(Cow::Owned([&nonce[..], &sealed].concat()))
    }

    /// The value that was sealed there.
    pub(crate) fn open<'v>(&self, place: Place<'_>, stored: &'v [u8]) -> Result<Cow<'v, [u8]>, Unreadable> {
        let Some(cipher) = &self.0 else {
            return Ok(Cow::Borrowed(stored));
        };
        let broken =
            || place.unreadable("it does not open with the key: it was changed, moved, or sealed with another one");
        let (nonce, sealed) = stored.split_first_chunk::<NONCE>().ok_or_else(broken)?;
        let aad = place.associated();
        let payload = Payload { msg: sealed, aad: &aad };
        let plain = cipher.decrypt(&XNonce::from(*nonce), payload);
        plain.map(Cow::Owned).map_err(|_| broken())
    }

    /// The body of a row: the record's JSON, sealed and in base 64 where there is a key.
    pub(crate) fn encode<T: Serialize>(&self, place: Place<'_>, record: &T) -> Result<String, Unreadable> {
        let body = encode(&place.to_string(), record)?;
        if !self.has_key() {
            return Ok(body);
        }
        Ok(BASE64.encode(self.seal(place, body.as_bytes())?))
    }

    /// The record of a body.
    pub(crate) fn decode<T: DeserializeOwned>(&self, place: Place<'_>, body: &[u8]) -> Result<T, Unreadable> {
        if !self.has_key() {
            return decode(&place.to_string(), body);
        }
        let sealed = BASE64.decode(body);
        let sealed = sealed.map_err(|_| place.unreadable("it is not encrypted, though its database is"))?;
        decode(&place.to_string(), &self.open(place, &sealed)?)
    }
}
