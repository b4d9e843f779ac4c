//! A guest's request, made into the one that is sent: its origin found, its headers cleaned, secrets added.

use crate::ports::sandbox::GuestRequest;
use crate::ports::secrets::{SecretError, Secrets};
use fusebox_core::ids::Digest;
use fusebox_core::policy::{HeaderPart, Origin, ServicePolicy};
use sha2::{Digest as _, Sha256};

/// Headers that belong to one connection (RFC 9110 §7.6.1) or that the transport writes itself.
const NOT_FORWARDED: [&str; 12] = [
    "connection",
    "content-length",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "expect",
];

/// The origin that an authority means: lower-case host without brackets, port by the scheme when there is none.
/// `None` for user information, an empty host, or a port that is none.
pub(super) fn origin(tls: bool, authority: &str) -> Option<Origin> {
    if authority.contains('@') {
        return None;
    }
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']')?;
            match rest.strip_prefix(':') {
                Some(port) => (host, Some(port)),
                None if rest.is_empty() => (host, None),
                None => return None,
            }
        }
        None => match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    let port = match port {
        Some(text) if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) => text.parse().ok()?,
        Some(_) => return None,
        None if tls => 443,
        None => 80,
    };
    (!host.is_empty()).then(|| Origin {
        tls,
        host: host.to_ascii_lowercase(),
        port,
    })
}

/// Digest of a request as the guest made it, every part with its length before it.
pub(super) fn digest(request: &GuestRequest) -> Digest {
    let mut hash = Sha256::new();
    let mut part = |bytes: &[u8]| {
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    };
    part(&[u8::from(request.tls)]);
    part(request.authority.as_bytes());
    part(request.method.as_bytes());
    part(request.path.as_bytes());
    for (name, value) in &request.headers {
        part(name.as_bytes());
        part(value);
    }
    part(&request.body);
    Digest(hash.finalize().into())
}

/// Headers that are sent, in order.
type Headers = Vec<(String, Vec<u8>)>;

/// The headers to send: the guest's, without those of the connection and those that the service sets, then the service's. And the
/// secrets in them.
///
/// # Errors
/// A secret that is not to be had. Nothing is sent then.
pub(super) fn headers(
    guest: &[(String, Vec<u8>)],
    service: &ServicePolicy,
    origin: &Origin,
    key: Option<Digest>,
    secrets: &dyn Secrets,
) -> Result<(Headers, Vec<String>), SecretError> {
    let key_header = service
        .idempotency_header
        .as_ref()
        .map(|header| header.name.to_ascii_lowercase());
    let set_by_host = |name: &str| {
        NOT_FORWARDED.contains(&name)
            || key_header.as_deref() == Some(name)
            || service.headers.iter().any(|header| header.name == name)
    };
    let mut headers: Vec<_> = guest.iter().filter(|(name, _)| !set_by_host(name)).cloned().collect();
    let mut carried = Vec::new();
    for header in &service.headers {
        let mut value = Vec::new();
        for part in &header.value {
            match part {
                HeaderPart::Text(text) => value.extend_from_slice(text.as_bytes()),
                HeaderPart::Secret(name) => {
                    let secret = secrets.reveal(name, origin)?;
                    value.extend_from_slice(secret.as_bytes());
                    carried.push(secret);
                }
            }
        }
        headers.push((header.name.clone(), value));
    }
    if let (Some(name), Some(Digest(key))) = (key_header, key) {
        headers.push((name, hex(&key).into_bytes()));
    }
    if !carried.is_empty() {
        // In an answer that is packed nobody finds a secret that the upstream repeats.
        for (_, value) in headers.iter_mut().filter(|(name, _)| name == "accept-encoding") {
            *value = b"identity".to_vec();
        }
    }
    Ok((headers, carried))
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            // Writing to a string cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use fusebox_core::policy::{HeaderPolicy, IdempotencyHeader, ServiceKind};
    use std::time::Duration;

    struct OneSecret;
    impl Secrets for OneSecret {
        fn reveal(&self, name: &str, origin: &Origin) -> Result<String, SecretError> {
            match name {
                "KEY" => Ok("s3cret".to_owned()),
                _ => Err(SecretError::Missing {
                    name: name.to_owned(),
                    host: origin.host.clone(),
                }),
            }
        }
    }

    fn at(host: &str, port: u16, tls: bool) -> Option<Origin> {
        Some(Origin {
            tls,
            host: host.to_owned(),
            port,
        })
    }

    #[test]
    fn authorities_are_read_exactly() {
        for (tls, authority, expected) in [
            (true, "API.Example.com", at("api.example.com", 443, true)),
            (false, "127.0.0.1:8801", at("127.0.0.1", 8801, false)),
            (false, "[::1]:80", at("::1", 80, false)),
            (true, "[::1]", at("::1", 443, true)),
            (true, "good.com@evil.com", None),
            (true, "good.com:443@evil.com", None),
            (true, "good.com:+443", None),
            (true, "good.com:", None),
            (true, "good.com:99999", None),
            (true, "[::1]x", None),
            (true, "", None),
        ] {
            assert_eq!(origin(tls, authority), expected, "{authority}");
        }
    }

    #[test]
    fn the_host_s_headers_replace_the_guest_s_and_connection_headers_go() {
        let mut service = ServicePolicy::new("bank", ServiceKind::Http, Vec::new());
        service.headers = vec![HeaderPolicy {
            name: "authorization".to_owned(),
            value: vec![
                HeaderPart::Text("Bearer ".to_owned()),
                HeaderPart::Secret("KEY".to_owned()),
            ],
        }];
        service.idempotency_header = Some(IdempotencyHeader {
            name: "Idempotency-Key".to_owned(),
            lifetime: Duration::from_secs(86_400),
        });
        let guest: Vec<(String, Vec<u8>)> = [
            "authorization",
            "idempotency-key",
            "transfer-encoding",
            "accept",
            "accept-encoding",
        ]
        .map(|name| (name.to_owned(), b"guest".to_vec()))
        .to_vec();
        let origin = origin(true, "bank.example").unwrap();
        let (sent, secrets) = headers(&guest, &service, &origin, Some(Digest([0xab; 32])), &OneSecret).unwrap();
        assert_eq!(secrets, ["s3cret"]);
        assert_eq!(
            sent,
            [
                ("accept".to_owned(), b"guest".to_vec()),
                ("accept-encoding".to_owned(), b"identity".to_vec()),
                ("authorization".to_owned(), b"Bearer s3cret".to_vec()),
                ("idempotency-key".to_owned(), "ab".repeat(32).into_bytes()),
            ]
        );
        service.headers[0].value = vec![HeaderPart::Secret("OTHER".to_owned())];
        assert!(headers(&guest, &service, &origin, None, &OneSecret).is_err());
    }

    #[test]
    fn moving_a_byte_between_parts_changes_the_digest() {
        let request = |path: &str, body: &'static str| GuestRequest {
            tls: true,
            authority: "a".to_owned(),
            method: "POST".to_owned(),
            path: path.to_owned(),
            headers: Vec::new(),
            body: body.into(),
        };
        assert_ne!(digest(&request("/a", "b")), digest(&request("/", "ab")));
        assert_eq!(digest(&request("/a", "b")), digest(&request("/a", "b")));
    }
}
