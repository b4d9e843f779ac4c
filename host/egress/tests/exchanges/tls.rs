//! TLS: verified against the name, never weakened, and HTTP/2 where the upstream speaks it.

use crate::support::{End, ends, get, listen, origin, settings};
use fusebox_core::effect::NotSent;
use fusebox_egress::{EgressError, HttpTransport};
use fusebox_engine::ports::transport::Outgoing;
use http_body_util::{BodyExt, Full};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use std::convert::Infallible;
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio_rustls::TlsAcceptor;

/// A certificate authority, and the file that the operator would name.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    file: tempfile::NamedTempFile,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
            .distinguished_name
            .push(DnType::CommonName, "Fusebox test authority");
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(issuer.pem().as_bytes()).unwrap();
        Self { issuer, file }
    }

    fn transport(&self) -> HttpTransport {
        let mut settings = settings();
        settings.extra_roots = Some(self.file.path().to_owned());
        HttpTransport::new(settings).unwrap()
    }

    fn acceptor(&self, change: impl FnOnce(&mut CertificateParams), alpn: &[&[u8]]) -> TlsAcceptor {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
        change(&mut params);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        acceptor(certificate, &key, alpn)
    }
}

fn acceptor(certificate: rcgen::Certificate, key: &KeyPair, alpn: &[&[u8]]) -> TlsAcceptor {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    TlsAcceptor::from(Arc::new(config))
}

/// What a server saw.
#[derive(Default)]
struct Seen {
    connections: AtomicUsize,
    requests: AtomicUsize,
}

/// Answers every request with its version, its authority and the name that the client asked for by SNI.
async fn serve(acceptor: TlsAcceptor) -> (u16, Arc<Seen>) {
    let (listener, port) = listen().await;
    let seen = Arc::new(Seen::default());
    let shared = seen.clone();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let (acceptor, seen) = (acceptor.clone(), shared.clone());
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else {
                    return;
                };
                seen.connections.fetch_add(1, Ordering::SeqCst);
                let name = stream.get_ref().1.server_name().map(str::to_owned);
                let answer = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
                    seen.requests.fetch_add(1, Ordering::SeqCst);
                    let authority = request.uri().authority().map(ToString::to_string);
                    let host = request
                        .headers()
                        .get("host")
                        .map(|host| host.to_str().unwrap().to_owned());
                    let text = format!("{:?} {} {name:?}", request.version(), authority.or(host).unwrap());
                    async move {
                        request.into_body().collect().await.unwrap();
                        Ok::<_, Infallible>(hyper::Response::new(Full::<bytes::Bytes>::from(text)))
                    }
                });
                let builder = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
                // The client hangs up when its test is over.
                let _ = builder.serve_connection(TokioIo::new(stream), answer).await;
            });
        }
    });
    (port, seen)
}

fn https(host: &str, port: u16) -> Outgoing {
    Outgoing {
        origin: origin(true, host, port),
        ..get(port, "/p?key=secret")
    }
}

fn text(end: End) -> String {
    match end {
        End::Answer(200, body) => String::from_utf8(body).unwrap(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_trusted_certificate_of_the_right_name_is_accepted() {
    let authority = Authority::new();
    let (port, _) = serve(authority.acceptor(|_| (), &[])).await;
    let transport = authority.transport();
    let answer = text(ends(&transport, https("localhost", port)).await);
    assert_eq!(answer, format!("HTTP/1.1 localhost:{port} Some(\"localhost\")"));
    // An address is no name: it is verified, and SNI does not carry it.
    let answer = text(ends(&transport, https("127.0.0.1", port)).await);
    assert_eq!(answer, format!("HTTP/1.1 127.0.0.1:{port} None"));
}

#[tokio::test]
async fn http2_is_spoken_where_the_upstream_does_and_shares_one_connection() {
    let authority = Authority::new();
    let (port, seen) = serve(authority.acceptor(|_| (), &[b"h2", b"http/1.1"])).await;
    let transport = authority.transport();
    let one = || async { text(ends(&transport, https("localhost", port)).await) };
    assert_eq!(one().await, format!("HTTP/2.0 localhost:{port} Some(\"localhost\")"));
    let many = futures::future::join_all((0..20).map(|_| one())).await;
    assert_eq!(many.len(), 20);
    assert_eq!(seen.requests.load(Ordering::SeqCst), 21);
    assert_eq!(seen.connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn http1_is_spoken_where_the_upstream_prefers_it() {
    let authority = Authority::new();
    let (port, seen) = serve(authority.acceptor(|_| (), &[b"http/1.1"])).await;
    let transport = authority.transport();
    for _ in 0..3 {
        assert!(text(ends(&transport, https("localhost", port)).await).starts_with("HTTP/1.1"));
    }
    assert_eq!(seen.connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_certificate_that_proves_nothing_is_refused_before_a_byte_is_sent() {
    let authority = Authority::new();
    let stranger = Authority::new();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let self_signed = acceptor(params.self_signed(&key).unwrap(), &key, &[]);
    let other_name = |params: &mut CertificateParams| {
        params.subject_alt_names = CertificateParams::new(vec!["other.example".to_owned()])
            .unwrap()
            .subject_alt_names;
    };
    for (what, acceptor) in [
        ("a wrong name", authority.acceptor(other_name, &[])),
        (
            "expired",
            authority.acceptor(|params| params.not_after = date_time_ymd(2020, 1, 1), &[]),
        ),
        (
            "not yet valid",
            authority.acceptor(|params| params.not_before = date_time_ymd(3000, 1, 1), &[]),
        ),
        ("another authority", stranger.acceptor(|_| (), &[])),
        ("self-signed", self_signed),
    ] {
        let (port, seen) = serve(acceptor).await;
        let end = ends(&authority.transport(), https("localhost", port)).await;
        assert_eq!(end, End::NotSent(NotSent::Tls), "{what}");
        assert_eq!(seen.requests.load(Ordering::SeqCst), 0, "{what}");
    }
}

#[tokio::test]
async fn there_is_no_fallback_to_plain_text() {
    let (listener, port) = listen().await;
    let spoken = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut bytes = vec![0; 4096];
        let count = stream.read(&mut bytes).await.unwrap();
        bytes.truncate(count);
        drop(stream);
        let again = tokio::time::timeout(Duration::from_millis(100), listener.accept()).await;
        (bytes, again.is_ok())
    });
    let authority = Authority::new();
    let end = ends(&authority.transport(), https("localhost", port)).await;
    assert_eq!(end, End::NotSent(NotSent::Tls));
    let (bytes, again) = spoken.await.unwrap();
    assert_eq!(bytes[0], 0x16, "a TLS handshake");
    assert!(!bytes.windows(6).any(|six| six == b"secret"));
    assert!(!again);
}

#[tokio::test]
async fn a_handshake_that_never_ends_is_not_sent() {
    let (_listener, port) = listen().await;
    let authority = Authority::new();
    let mut request = https("localhost", port);
    request.timeout = Duration::from_millis(150);
    let end = ends(&authority.transport(), request).await;
    assert_eq!(end, End::NotSent(NotSent::ConnectTimeout));
}

#[test]
fn extra_roots_that_are_none_are_an_error_that_names_the_file() {
    let empty = tempfile::NamedTempFile::new().unwrap();
    let mut broken = tempfile::NamedTempFile::new().unwrap();
    broken
        .write_all(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
        .unwrap();
    for path in [
        empty.path().to_owned(),
        broken.path().to_owned(),
        "/no/such/file.pem".into(),
    ] {
        let mut settings = settings();
        settings.extra_roots = Some(path.clone());
        match HttpTransport::new(settings).err() {
            Some(EgressError::Roots { path: named, .. }) => assert_eq!(named, path),
            other => panic!("{other:?}"),
        }
    }
}
