//! Addresses are checked once, before anything is connected to, and connected to as checked.

use crate::support::{End, ends, get, listen, settings};
use async_trait::async_trait;
use fusebox_core::effect::NotSent;
use fusebox_egress::{HttpTransport, NetworkSettings, Resolver};
use fusebox_engine::ports::clock::SystemClock;
use std::io;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;

/// Gives the answers of its script, one for each question.
struct Scripted {
    answers: Mutex<Vec<Vec<IpAddr>>>,
    asked: AtomicUsize,
}

impl Scripted {
    fn new(answers: &[&[&str]]) -> Arc<Self> {
        let parsed = |texts: &&[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
        let answers = answers.iter().rev().map(parsed).collect();
        let answers = Mutex::new(answers);
        let asked = AtomicUsize::new(0);
        Arc::new(Self { answers, asked })
    }
}

#[async_trait]
impl Resolver for Scripted {
    async fn lookup(&self, _name: &str) -> io::Result<Vec<IpAddr>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let next = self.answers.lock().unwrap().pop();
        next.ok_or_else(|| io::Error::other("asked too often"))
    }
}

fn guarded(resolver: Arc<Scripted>) -> HttpTransport {
    let settings = NetworkSettings::new(Arc::new(SystemClock::new()));
    HttpTransport::with_resolver(settings, resolver).unwrap()
}

async fn untouched(listener: &TcpListener) -> bool {
    let accepted = tokio::time::timeout(Duration::from_millis(50), listener.accept()).await;
    accepted.is_err()
}

#[tokio::test]
async fn loopback_is_denied_in_every_spelling_and_never_connected_to() {
    let (listener, port) = listen().await;
    for host in [
        "127.0.0.1",
        "localhost",
        "::1",
        "::ffff:127.0.0.1",
        "::127.0.0.1",
        "64:ff9b::127.0.0.1",
        "2002:7f00:1::",
        "0.0.0.0",
        "::",
        // The C library reads these as addresses.
        "127.1",
        "0x7f.1",
        "2130706433",
        "0177.0.0.1",
    ] {
        let mut request = get(port, "/?key=secret");
        request.origin.host = host.to_owned();
        let transport = HttpTransport::new(NetworkSettings::new(Arc::new(SystemClock::new()))).unwrap();
        match ends(&transport, request).await {
            End::Denied(reason) => assert!(reason.contains("`network.allow` in fusebox.toml"), "{reason}"),
            // A resolver that does not know the old spellings is right, too.
            End::NotSent(NotSent::Dns) => assert!(!host.contains(':') && host != "127.0.0.1" && host != "localhost"),
            other => panic!("{host}: {other:?}"),
        }
    }
    assert!(untouched(&listener).await);
}

#[tokio::test]
async fn a_name_of_a_private_address_is_denied_with_the_rule_and_the_key() {
    let transport = guarded(Scripted::new(&[&["169.254.169.254"]]));
    let mut request = get(80, "/latest/meta-data?x=secret");
    request.origin.host = "metadata.attacker.example".to_owned();
    let End::Denied(reason) = ends(&transport, request).await else {
        panic!("it was let through")
    };
    assert_eq!(
        reason,
        "GET http://metadata.attacker.example/latest/meta-data is denied: metadata.attacker.example is 169.254.169.254, \
         which is link-local (169.254.0.0/16); if that is meant, add \"metadata.attacker.example:80\" to `network.allow` in fusebox.toml"
    );
}

#[tokio::test]
async fn a_name_that_nobody_has_is_not_sent() {
    for answers in [&[][..], &[&[][..]]] {
        let transport = guarded(Scripted::new(answers));
        let mut request = get(80, "/");
        request.origin.host = "nobody.example".to_owned();
        assert_eq!(ends(&transport, request).await, End::NotSent(NotSent::Dns));
    }
}

/// A resolver that never answers.
struct Silent;

#[async_trait]
impl Resolver for Silent {
    async fn lookup(&self, _name: &str) -> io::Result<Vec<IpAddr>> {
        std::future::pending().await
    }
}

#[tokio::test]
async fn the_timeout_covers_the_lookup() {
    let transport = HttpTransport::with_resolver(settings(), Arc::new(Silent)).unwrap();
    let mut request = get(80, "/");
    request.origin.host = "slow.example".to_owned();
    request.timeout = Duration::from_millis(50);
    assert_eq!(ends(&transport, request).await, End::NotSent(NotSent::Dns));
}

#[tokio::test]
async fn one_private_address_among_public_ones_denies_all() {
    let (listener, port) = listen().await;
    let transport = guarded(Scripted::new(&[&["203.1.113.1", "127.0.0.1"]]));
    let mut request = get(port, "/");
    request.origin.host = "mixed.example".to_owned();
    assert!(matches!(ends(&transport, request).await, End::Denied(_)));
    assert!(untouched(&listener).await);
}

#[tokio::test]
async fn a_name_is_asked_once_and_connected_to_as_checked() {
    let (listener, port) = listen().await;
    // Whoever asked a second time would be sent to the metadata service.
    let resolver = Scripted::new(&[&["127.0.0.1"], &["169.254.169.254"]]);
    let transport = HttpTransport::with_resolver(settings(), resolver.clone()).unwrap();
    let mut request = get(port, "/");
    request.origin.host = "rebinding.example".to_owned();
    request.timeout = Duration::from_millis(300);
    let exchange = tokio::spawn(async move { ends(&transport, request).await });
    let (stream, _) = listener.accept().await.unwrap();
    assert_eq!(resolver.asked.load(Ordering::SeqCst), 1);
    drop(stream);
    exchange.await.unwrap();
    assert_eq!(resolver.asked.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn the_next_address_is_tried_when_one_refuses() {
    let (listener, port) = listen().await;
    // Nobody listens on 127.0.0.2, since the listener is bound to 127.0.0.1 alone.
    let resolver = Scripted::new(&[&["127.0.0.2", "127.0.0.1"]]);
    let transport = HttpTransport::with_resolver(settings(), resolver).unwrap();
    let mut request = get(port, "/");
    request.origin.host = "two.example".to_owned();
    request.timeout = Duration::from_millis(300);
    let exchange = tokio::spawn(async move { ends(&transport, request).await });
    let accepted = tokio::time::timeout(Duration::from_secs(1), listener.accept()).await;
    assert!(accepted.is_ok());
    exchange.await.unwrap();
}

#[tokio::test]
async fn a_kept_connection_is_not_used_for_a_name_that_moved() {
    let (first, port) = listen().await;
    let serve = tokio::spawn(async move {
        let (mut stream, _) = first.accept().await.unwrap();
        for _ in 0..2 {
            if crate::support::read_head(&mut stream).await.is_empty() {
                return;
            }
            use tokio::io::AsyncWriteExt as _;
            stream
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
                .await
                .unwrap();
        }
        panic!("the old address was used again");
    });
    let resolver = Scripted::new(&[&["127.0.0.1"], &["127.0.0.2"], &["10.0.0.1"]]);
    let transport = HttpTransport::with_resolver(settings(), resolver).unwrap();
    let mut request = get(port, "/");
    request.origin.host = "moves.example".to_owned();
    assert_eq!(ends(&transport, request.clone()).await, End::Answer(200, Vec::new()));
    assert_eq!(ends(&transport, request.clone()).await, End::NotSent(NotSent::Refused));
    assert!(matches!(ends(&transport, request).await, End::Denied(_)));
    drop(transport);
    serve.await.unwrap();
}
