//! The socket itself: clients that are slow, many, or gone, TLS, and the end.

use super::world::World;
use crate::http::{Authentication, Server, Tls, Trouble};
use axum::Router;
use axum::routing::get;
use fusebox_core::role::Roles;
use fusebox_engine::ports::clock::SystemClock;
use fusebox_manifest::{HostFile, ListenSettings};
use futures::StreamExt as _;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const PATIENCE: Duration = Duration::from_secs(30);

struct Socket {
    address: SocketAddr,
    stop: CancellationToken,
    serving: JoinHandle<std::io::Result<()>>,
}

impl Socket {
    async fn start(router: Router, change: impl FnOnce(&mut ListenSettings)) -> Self {
        let mut settings = HostFile::default().listen;
        change(&mut settings);
        let clock = Arc::new(SystemClock::new());
        let server = Server::bind("127.0.0.1:0", None, &settings, clock).await.unwrap();
        Self::serve(server, router)
    }

    fn serve(server: Server, router: Router) -> Self {
        let (address, stop) = (server.address(), CancellationToken::new());
        let serving = tokio::spawn(server.serve(router, stop.clone(), PATIENCE));
        Self { address, stop, serving }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// One request on a connection of its own; empty when the connection was closed instead.
    async fn ask(&self, head: &str) -> String {
        let mut stream = self.connect().await;
        let request = format!("{head}\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n");
        let _ = stream.write_all(request.as_bytes()).await;
        read(&mut stream).await
    }
}

/// Everything until the other side closes.
async fn read(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
    // A reset is an end too.
    drop(read.expect("the connection is closed in the end"));
    String::from_utf8_lossy(&answer).into_owned()
}

async fn face() -> Router {
    let open = Authentication {
        open_loopback: Some(Roles::CALLER),
        oidc: None,
    };
    World::with(open, |_| {}).await.face
}

#[tokio::test]
async fn a_request_is_answered_over_the_socket() {
    let socket = Socket::start(face().await, |_| {}).await;
    let answer = socket.ask("GET /v1/tools HTTP/1.1").await;
    assert!(
        answer.starts_with("HTTP/1.1 200") && answer.ends_with("{\"items\":[]}"),
        "{answer}"
    );
}

#[tokio::test]
async fn there_are_as_many_connections_as_allowed_and_the_next_is_closed_at_once() {
    let socket = Socket::start(face().await, |settings| settings.connections = 2).await;
    let (mut one, mut two) = (socket.connect().await, socket.connect().await);
    // Both are accepted once both are answered.
    for stream in [&mut one, &mut two] {
        stream
            .write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n")
            .await
            .unwrap();
        let mut first = [0; 12];
        stream.read_exact(&mut first).await.unwrap();
        assert_eq!(&first, b"HTTP/1.1 200");
    }
    assert_eq!(socket.ask("GET /healthz HTTP/1.1").await, "");
    drop(one);
    let mut answer = String::new();
    while answer.is_empty() {
        answer = socket.ask("GET /healthz HTTP/1.1").await;
    }
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn slow_and_half_open_clients_make_room_for_others() {
    let socket = Socket::start(face().await, |settings| {
        settings.connections = 16;
        settings.head_time = Duration::from_millis(200);
    })
    .await;
    let mut slow = Vec::new();
    for number in 0..16 {
        let mut stream = socket.connect().await;
        // Some say nothing at all, the others never end their head.
        if number % 2 == 0 {
            stream.write_all(b"GET /healthz HTTP/1.1\r\nx-slow: ").await.unwrap();
        }
        slow.push(stream);
    }
    let mut answer = String::new();
    while answer.is_empty() {
        for stream in slow.iter_mut().step_by(2) {
            let _ = stream.write_all(b"x").await;
        }
        answer = socket.ask("GET /healthz HTTP/1.1").await;
    }
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    for mut stream in slow {
        assert!(
            !read(&mut stream).await.contains(" 200 "),
            "a request that was not sent was answered"
        );
    }
}

#[tokio::test]
async fn bodies_that_are_on_their_way_hold_no_places() {
    let open = Authentication {
        open_loopback: Some(Roles::CALLER),
        oidc: None,
    };
    let face = World::with(open, |limits| limits.requests = 8).await.face;
    let socket = Socket::start(face, |_| {}).await;
    let mut slow = Vec::new();
    for length in [1_000, 1_000_000] {
        for _ in 0..16 {
            let mut stream = socket.connect().await;
            let head = format!(
                "POST /v1/tools/a/functions/b/calls HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
                 connection: close\r\ncontent-length: {length}\r\n\r\n{{"
            );
            stream.write_all(head.as_bytes()).await.unwrap();
            slow.push(stream);
        }
    }
    // A quarter of the places is for large ones.
    let large = futures::stream::iter(slow.split_off(16));
    let mut answers = large
        .map(|mut stream| async move { read(&mut stream).await })
        .buffer_unordered(16);
    for _ in 0..14 {
        let answer = answers.next().await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    }
    for _ in 0..100 {
        let answer = socket.ask("GET /v1/tools HTTP/1.1").await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
}

#[tokio::test]
async fn heads_are_bounded() {
    let socket = Socket::start(face().await, |_| {}).await;
    let long = format!("GET /healthz HTTP/1.1\r\nx-long: {}", "x".repeat(64 << 10));
    let answer = socket.ask(&long).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431"), "{answer}");
    let many: String = (0..200).map(|number| format!("\r\nx-{number}: 1")).collect();
    let answer = socket.ask(&format!("GET /healthz HTTP/1.1{many}")).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431"), "{answer}");
}

#[tokio::test]
async fn what_is_in_flight_is_answered_before_the_end() {
    let (begun, go_on) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let (reached, released) = (Arc::clone(&begun), Arc::clone(&go_on));
    let handler = move || async move {
        reached.add_permits(1);
        drop(released.acquire().await);
        "done"
    };
    let socket = Socket::start(Router::new().route("/", get(handler)), |_| {}).await;
    let mut waiting = socket.connect().await;
    waiting
        .write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .await
        .unwrap();
    drop(begun.acquire().await);
    socket.stop.cancel();
    // Nobody new is let in from now on.
    while TcpStream::connect(socket.address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    go_on.add_permits(1);
    let answer = read(&mut waiting).await;
    assert!(answer.ends_with("done"), "{answer}");
    tokio::time::timeout(PATIENCE, socket.serving)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn clients_keep_threads_of_the_face_busy_and_no_others() {
    let handler = async || std::thread::current().name().unwrap_or_default().to_owned();
    let settings = HostFile::default().listen;
    let server = Server::bind("127.0.0.1:0", None, &settings, Arc::new(SystemClock::new()));
    let server = server.await.unwrap();
    let (address, stop) = (server.address(), CancellationToken::new());
    let router = Router::new().route("/", get(handler));
    let serving = server.serve_apart(router, stop.clone(), PATIENCE).unwrap();
    let socket = Socket {
        address,
        stop,
        serving: tokio::spawn(serving),
    };
    let answer = socket.ask("GET / HTTP/1.1").await;
    assert!(answer.ends_with("\r\n\r\nfusebox-http"), "{answer}");
    socket.stop.cancel();
    tokio::time::timeout(PATIENCE, socket.serving)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn tls_is_spoken_with_the_certificate_that_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let tls = Tls {
        certificate: folder.path().join("cert.pem"),
        key: folder.path().join("key.pem"),
    };
    std::fs::write(&tls.certificate, made.cert.pem()).unwrap();
    std::fs::write(&tls.key, made.signing_key.serialize_pem()).unwrap();
    let settings = HostFile::default().listen;
    let clock = Arc::new(SystemClock::new());
    let server = Server::bind("127.0.0.1:0", Some(&tls), &settings, Arc::clone(&clock) as _)
        .await
        .unwrap();
    assert!(server.url().starts_with("https://127.0.0.1:"));
    let socket = Socket::serve(server, face().await);

    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_file(&tls.certificate).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let client = reqwest::Client::builder()
        .tls_backend_preconfigured(config)
        .build()
        .unwrap();
    let url = format!("https://localhost:{}/healthz", socket.address.port());
    let answer = client.get(url).send().await.unwrap();
    assert_eq!(
        (answer.status().as_u16(), answer.text().await.unwrap().as_str()),
        (200, "ok\n")
    );

    let wrong = Tls {
        certificate: tls.key.clone(),
        key: tls.key,
    };
    let refused = Server::bind("127.0.0.1:0", Some(&wrong), &settings, clock).await;
    assert!(matches!(refused.err(), Some(Trouble::Tls { .. })));
}

#[tokio::test]
async fn an_address_that_is_taken_is_named() {
    let socket = Socket::start(face().await, |_| {}).await;
    let settings = HostFile::default().listen;
    let again = Server::bind(
        &socket.address.to_string(),
        None,
        &settings,
        Arc::new(SystemClock::new()),
    )
    .await;
    let Some(trouble @ Trouble::Address { .. }) = again.err() else {
        panic!("two servers on one port");
    };
    assert!(trouble.to_string().contains(&socket.address.to_string()), "{trouble}");
}
