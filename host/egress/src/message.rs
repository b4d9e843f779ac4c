//! Requests and answers between the engine's words and hyper's, each within its bounds.

use crate::deadline::Deadline;
use bytes::{Bytes, BytesMut};
use fusebox_core::effect::Lost;
use fusebox_core::policy::Origin;
use fusebox_engine::ports::transport::{Incoming, Outgoing};
use http::header::{HOST, HeaderMap, HeaderName, HeaderValue};
use http::uri::PathAndQuery;
use http::{Method, Request, Response, Uri};
use http_body_util::{BodyExt, Full};
use hyper::body::Body as _;
use std::error::Error;
use std::fmt;
use std::io::ErrorKind;

/// Most headers of an answer.
pub(crate) const MAX_HEADERS: usize = 128;
/// Most bytes of an answer's head.
pub(crate) const MAX_HEAD: u32 = 64 * 1024;

/// Headers that describe one connection or frame one message: they are this crate's own to set, and a guest that
/// could set them could smuggle a second request.
const FRAMING: [&str; 10] = [
    "connection",
    "content-length",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Method, origin and path, as errors name a request: without the query, which may hold a secret.
pub(crate) struct Place<'a>(pub(crate) &'a Outgoing);

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Outgoing {
            origin, method, path, ..
        } = self.0;
        let scheme = if origin.tls { "https" } else { "http" };
        let path = path.split('?').next().unwrap_or_default();
        write!(
            f,
            "{} {scheme}://{}{}",
            method.escape_debug(),
            authority(origin),
            path.escape_debug()
        )
    }
}

/// Host and port as in a URL; the scheme's own port is left out.
fn authority(origin: &Origin) -> String {
    let Origin { tls, host, port } = origin;
    let host = if host.contains(':') {
        format!("[{host}]")
    } else {
        host.clone()
    };
    match (tls, port) {
        (true, 443) | (false, 80) => host,
        _ => format!("{host}:{port}"),
    }
}

/// A request that keeps HTTP's grammar.
pub(crate) struct Message {
    method: Method,
    authority: String,
    path: PathAndQuery,
    headers: HeaderMap,
    body: Bytes,
}

impl Message {
    /// # Errors
    /// What breaks the grammar. Never quotes a header's value.
    pub(crate) fn new(outgoing: &Outgoing) -> Result<Self, String> {
        let method = Method::from_bytes(outgoing.method.as_bytes()).map_err(|_| "its method is no HTTP token")?;
        if method == Method::CONNECT {
            return Err("CONNECT is not sent: a tunnel cannot be watched".to_owned());
        }
        if !outgoing.path.starts_with('/') || outgoing.path.contains('#') {
            return Err("its path does not start with `/`, or has a `#`".to_owned());
        }
        let path = PathAndQuery::try_from(outgoing.path.as_str())
            .map_err(|_| "its path has characters that belong escaped")?;
        let mut headers = HeaderMap::with_capacity(outgoing.headers.len());
        for (name, value) in &outgoing.headers {
            let unfit = |why: &str| format!("its header `{}` {why}", name.escape_debug());
            if FRAMING.contains(&name.to_ascii_lowercase().as_str()) {
                return Err(unfit("is the host's own to set"));
            }
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| unfit("is no HTTP token"))?;
            let mut value = HeaderValue::from_bytes(value).map_err(|_| unfit("has control characters in its value"))?;
            // Any header may hold a secret: none is shown, and HTTP/2 keeps none in its tables.
            value.set_sensitive(true);
            headers.append(name, value);
        }
        Ok(Self {
            method,
            authority: authority(&outgoing.origin),
            path,
            headers,
            body: outgoing.body.clone(),
        })
    }

    /// In origin form for HTTP/1.1, with an authority for HTTP/2.
    ///
    /// # Errors
    /// The origin's host cannot stand in a URL.
    pub(crate) fn request(&self, h2: bool) -> Result<Request<Full<Bytes>>, http::Error> {
        let mut request = Request::new(Full::new(self.body.clone()));
        *request.method_mut() = self.method.clone();
        *request.headers_mut() = self.headers.clone();
        *request.uri_mut() = if h2 {
            *request.version_mut() = http::Version::HTTP_2;
            let uri = Uri::builder().scheme("https").authority(self.authority.as_str());
            uri.path_and_query(self.path.clone()).build()?
        } else {
            request
                .headers_mut()
                .insert(HOST, HeaderValue::from_str(&self.authority)?);
            Uri::from(self.path.clone())
        };
        Ok(request)
    }
}

/// Reads an answer whole.
///
/// # Errors
/// It broke off, came too late, or is larger than it may be.
pub(crate) async fn read(
    response: Response<hyper::body::Incoming>,
    max: u64,
    deadline: &Deadline,
) -> Result<Incoming, (Lost, String)> {
    let (head, mut body) = response.into_parts();
    let size: usize = head
        .headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + 4)
        .sum();
    if head.headers.len() > MAX_HEADERS || size > MAX_HEAD as usize {
        let why = format!("its head is larger than {MAX_HEADERS} headers or {MAX_HEAD} bytes");
        return Err((Lost::Malformed, why));
    }
    let too_large = || {
        (
            Lost::Malformed,
            format!("its body is larger than {max} bytes; see `max-response` of the service"),
        )
    };
    if body.size_hint().lower() > max {
        return Err(too_large());
    }
    let mut whole = BytesMut::new();
    loop {
        let next = deadline.bound(body.frame()).await;
        let Some(next) = next else {
            return Err((
                Lost::Timeout,
                format!("the time was over after {} bytes of its body", whole.len()),
            ));
        };
        match next {
            None => break,
            Some(Err(error)) => {
                let why = format!(
                    "its answer broke off after {} bytes of the body: {}",
                    whole.len(),
                    chain(&error)
                );
                return Err((lost(&error), why));
            }
            Some(Ok(frame)) => {
                let Ok(data) = frame.into_data() else { continue };
                if (whole.len() + data.len()) as u64 > max {
                    return Err(too_large());
                }
                whole.extend_from_slice(&data);
            }
        }
    }
    let headers = head
        .headers
        .iter()
        .filter(|(name, _)| name.as_str() == "content-length" || !FRAMING.contains(&name.as_str()))
        .map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()))
        .collect();
    Ok(Incoming {
        status: head.status.as_u16(),
        headers,
        body: whole.freeze(),
    })
}

/// What broke an answer: its grammar, or its connection.
pub(crate) fn lost(error: &hyper::Error) -> Lost {
    let mut source = error.source();
    while let Some(cause) = source {
        let kind = cause.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
        if matches!(kind, Some(ErrorKind::InvalidData | ErrorKind::InvalidInput)) {
            return Lost::Malformed;
        }
        source = cause.source();
    }
    if error.is_parse() { Lost::Malformed } else { Lost::Reset }
}

/// An error with its causes. hyper's and rustls' say nothing of what a message holds.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn outgoing(method: &str, path: &str, headers: &[(&str, &[u8])]) -> Outgoing {
        Outgoing {
            origin: Origin {
                tls: true,
                host: "api.example".to_owned(),
                port: 443,
            },
            method: method.to_owned(),
            path: path.to_owned(),
            headers: headers
                .iter()
                .map(|(name, value)| ((*name).to_owned(), value.to_vec()))
                .collect(),
            body: Bytes::new(),
            timeout: Duration::from_secs(1),
            max_response: 1,
        }
    }

    #[test]
    fn what_would_break_the_framing_is_refused_without_its_value() {
        for (method, path, headers) in [
            ("GET", "/", &[("transfer-encoding", &b"hunter2"[..])][..]),
            ("GET", "/", &[("Content-Length", b"hunter2")]),
            ("GET", "/", &[("host", b"hunter2")]),
            ("GET", "/", &[("x", b"hunter2\r\nhost: evil")]),
            ("GET", "/", &[("x y", b"hunter2")]),
            ("GET /x", "/", &[]),
            ("CONNECT", "/", &[]),
            ("", "/", &[]),
            ("GET", "", &[]),
            ("GET", "//x#hunter2", &[]),
            ("GET", "http://evil/", &[]),
            ("GET", "/a b", &[]),
            ("GET", "/a\r\nx: y", &[]),
        ] {
            let reason = Message::new(&outgoing(method, path, headers)).err();
            let reason = reason.unwrap_or_else(|| panic!("{method} {path} {headers:?} is let through"));
            assert!(!reason.contains("hunter2"), "{reason}");
        }
    }

    #[test]
    fn the_authority_is_told_in_the_way_of_each_version() {
        let mut outgoing = outgoing("GET", "/p?q=1", &[("x", b"1"), ("x", b"2")]);
        let message = Message::new(&outgoing).unwrap();
        let h1 = message.request(false).unwrap();
        assert_eq!(
            (h1.uri().to_string().as_str(), h1.headers()[HOST].as_bytes()),
            ("/p?q=1", &b"api.example"[..])
        );
        assert_eq!(h1.headers().get_all("x").iter().count(), 2);
        let h2 = message.request(true).unwrap();
        assert_eq!(
            (h2.uri().to_string().as_str(), h2.headers().get(HOST)),
            ("https://api.example/p?q=1", None)
        );
        outgoing.origin = Origin {
            tls: false,
            host: "::1".to_owned(),
            port: 8801,
        };
        let h1 = Message::new(&outgoing).unwrap().request(false).unwrap();
        assert_eq!(h1.headers()[HOST].as_bytes(), b"[::1]:8801");
        assert_eq!(Place(&outgoing).to_string(), "GET http://[::1]:8801/p");
    }
}
