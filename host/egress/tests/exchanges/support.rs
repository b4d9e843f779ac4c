//! A transport that may reach loopback, requests, and servers that say exactly what they are told to.

use bytes::Bytes;
use fusebox_core::effect::{Lost, NotSent};
use fusebox_core::policy::Origin;
use fusebox_egress::{HttpTransport, NetworkSettings};
use fusebox_engine::ports::clock::SystemClock;
use fusebox_engine::ports::transport::{ExchangeError, Incoming, Outgoing, Transport};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

pub(crate) fn settings() -> NetworkSettings {
    let mut settings = NetworkSettings::new(Arc::new(SystemClock::new()));
    settings.allow = Arc::new(|_, address, _| address.is_loopback());
    settings
}

pub(crate) fn transport() -> HttpTransport {
    HttpTransport::new(settings()).unwrap()
}

pub(crate) fn origin(tls: bool, host: &str, port: u16) -> Origin {
    let host = host.to_owned();
    Origin { tls, host, port }
}

/// `GET path` of 127.0.0.1, with a query and a header that hold a secret.
pub(crate) fn get(port: u16, path: &str) -> Outgoing {
    Outgoing {
        origin: origin(false, "127.0.0.1", port),
        method: "GET".to_owned(),
        path: path.to_owned(),
        headers: vec![("authorization".to_owned(), b"Bearer search-secret".to_vec())],
        body: Bytes::new(),
        timeout: Duration::from_secs(5),
        max_response: 1 << 20,
    }
}

pub(crate) fn post(port: u16, path: &str, body: &str) -> Outgoing {
    Outgoing {
        method: "POST".to_owned(),
        body: Bytes::copy_from_slice(body.as_bytes()),
        ..get(port, path)
    }
}

/// How an exchange ended, its reason checked for what it must and must not say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Answer(u16, Vec<u8>),
    NotSent(NotSent),
    Lost(Lost),
    Denied(String),
}

pub(crate) async fn ends(transport: &HttpTransport, outgoing: Outgoing) -> End {
    let (method, host) = (outgoing.method.clone(), outgoing.origin.host.clone());
    let result: Result<Incoming, ExchangeError> = transport.exchange(outgoing).await;
    if let Err(error) = &result {
        let text = format!("{error} {error:?}");
        assert!(text.starts_with(&method) && text.contains(&host), "{text}");
        assert!(!text.contains("secret") && !text.contains('?'), "{text}");
    }
    match result {
        Ok(answer) => End::Answer(answer.status, answer.body.to_vec()),
        Err(ExchangeError::NotSent { kind, .. }) => End::NotSent(kind),
        Err(ExchangeError::Lost { kind, .. }) => End::Lost(kind),
        Err(ExchangeError::Denied { reason }) => End::Denied(reason),
    }
}

pub(crate) async fn listen() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

/// Reads up to the end of a request's head.
pub(crate) async fn read_head(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if stream.read(&mut byte).await.unwrap_or(0) == 0 {
            break;
        }
        bytes.push(byte[0]);
    }
    String::from_utf8(bytes).unwrap()
}

/// A server that answers the first request of its only connection with those bytes, and then closes it if told so.
pub(crate) async fn answers(bytes: impl Into<Vec<u8>>, close: bool) -> u16 {
    let (listener, port) = listen().await;
    let bytes = bytes.into();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        read_head(&mut stream).await;
        // The client may hang up on an answer that is too large.
        let _ = stream.write_all(&bytes).await;
        if !close {
            std::future::pending::<()>().await;
        }
    });
    port
}
