//! Connections are kept, and one that the upstream closed costs nobody a failure and nothing a repetition.

use crate::support::{End, ends, get, listen, post, read_head, settings, transport};
use fusebox_core::effect::Lost;
use fusebox_egress::HttpTransport;
use fusebox_simulator::{Fault, Service, Simulator};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::AsyncWriteExt;

const QUERY: &str = "/v1/query?q=retry&limit=1";
const EMPTY: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

fn connections(simulator: &Simulator) -> Vec<u64> {
    simulator
        .requests(None)
        .iter()
        .map(|request| request.connection)
        .collect()
}

#[tokio::test]
async fn one_connection_serves_many_exchanges() {
    let simulator = Simulator::start(0).await.unwrap();
    let transport = transport();
    for _ in 0..5 {
        assert!(matches!(
            ends(&transport, get(simulator.ports().search, QUERY)).await,
            End::Answer(200, _)
        ));
    }
    assert_eq!(connections(&simulator), [1; 5]);
}

#[tokio::test]
async fn exchanges_at_the_same_time_do_not_wait_for_each_other() {
    let simulator = Simulator::start(0).await.unwrap();
    simulator
        .fault(Service::Search, Fault::Delay(200), Some(3))
        .await
        .unwrap();
    let transport = transport();
    let one = || ends(&transport, get(simulator.ports().search, QUERY));
    let all = tokio::time::timeout(
        Duration::from_millis(550),
        futures::future::join_all([one(), one(), one()]),
    );
    assert_eq!(all.await.unwrap().len(), 3);
    let mut used = connections(&simulator);
    used.sort_unstable();
    assert_eq!(used, [1, 2, 3]);
}

#[tokio::test]
async fn a_connection_that_the_upstream_closed_while_idle_is_replaced() {
    let simulator = Simulator::start(0).await.unwrap();
    let transport = transport();
    let mail = r#"{"from":"alice","to":"bob","amount":1}"#;
    for round in 1..=3 {
        let end = ends(&transport, post(simulator.ports().ledger, "/v1/transfers", mail)).await;
        assert!(matches!(end, End::Answer(201, _)), "{end:?}");
        assert_eq!(simulator.ledger().transfers.len(), round);
        simulator.fault(Service::Ledger, Fault::Refuse, None).await.unwrap();
        simulator.clear_faults(None).await.unwrap();
    }
    assert_eq!(connections(&simulator), [1, 2, 3]);
}

/// A server that closes each connection right after its first answer, without a word about it.
#[tokio::test]
async fn a_close_that_races_with_the_next_request_repeats_nothing_that_was_sent() {
    let (listener, port) = listen().await;
    let served = Arc::new(AtomicUsize::new(0));
    let count = served.clone();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            if !read_head(&mut stream).await.is_empty() {
                count.fetch_add(1, Ordering::SeqCst);
                stream.write_all(EMPTY).await.unwrap();
            }
        }
    });
    let transport = transport();
    let mut answered = 0;
    for _ in 0..50 {
        match ends(&transport, get(port, "/")).await {
            End::Answer(200, _) => answered += 1,
            End::Lost(Lost::Reset) => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(served.load(Ordering::SeqCst), answered);
    assert!(answered >= 25, "{answered}");
}

#[tokio::test]
async fn an_upstream_that_closes_instead_of_answering_on_a_kept_connection_gets_nothing_again() {
    let (listener, port) = listen().await;
    let (seen, mut requests) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        for connection in 1.. {
            let (mut stream, _) = listener.accept().await.unwrap();
            let seen = seen.clone();
            tokio::spawn(async move {
                read_head(&mut stream).await;
                seen.send(connection).unwrap();
                stream.write_all(EMPTY).await.unwrap();
                read_head(&mut stream).await;
                seen.send(connection).unwrap();
            });
        }
    });
    let transport = transport();
    assert_eq!(ends(&transport, get(port, "/")).await, End::Answer(200, Vec::new()));
    assert_eq!(ends(&transport, get(port, "/")).await, End::Lost(Lost::Reset));
    assert_eq!((requests.recv().await, requests.recv().await), (Some(1), Some(1)));
    assert!(requests.try_recv().is_err(), "it was sent once more");
}

#[tokio::test]
async fn a_connection_after_a_failed_exchange_is_closed() {
    let simulator = Simulator::start(0).await.unwrap();
    simulator
        .fault(Service::Search, Fault::Delay(300), Some(1))
        .await
        .unwrap();
    let transport = transport();
    let mut hurried = get(simulator.ports().search, QUERY);
    hurried.timeout = Duration::from_millis(100);
    assert_eq!(ends(&transport, hurried).await, End::Lost(Lost::Timeout));
    assert!(matches!(
        ends(&transport, get(simulator.ports().search, QUERY)).await,
        End::Answer(200, _)
    ));
    assert_eq!(connections(&simulator), [1, 2]);
}

#[tokio::test]
async fn idle_connections_are_kept_for_their_time_and_in_their_number() {
    let simulator = Simulator::start(0).await.unwrap();
    let mut short = settings();
    short.keep_idle = Duration::from_millis(50);
    let mut none = settings();
    none.max_idle = 0;
    for (settings, pause) in [(short, Duration::from_millis(80)), (none, Duration::ZERO)] {
        let transport = HttpTransport::new(settings.clone()).unwrap();
        let before = simulator.requests(None).len();
        for _ in 0..2 {
            assert!(matches!(
                ends(&transport, get(simulator.ports().search, QUERY)).await,
                End::Answer(200, _)
            ));
            settings.clock.sleep(pause).await;
        }
        let used = &connections(&simulator)[before..];
        assert_ne!(used[0], used[1]);
    }
}
