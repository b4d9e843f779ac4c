//! Whatever an upstream does is told apart: answered, not sent, or lost.

use crate::support::{End, answers, ends, get, listen, post, transport};
use fusebox_core::effect::{Lost, NotSent};
use fusebox_engine::ports::transport::Transport;
use fusebox_simulator::{Fault, ResetAt, Service, Simulator};
use std::time::Duration;
use tokio::net::{TcpSocket, TcpStream};

const QUERY: &str = "/v1/query?q=retry&limit=1";
const TRANSFER: &str = r#"{"from":"alice","to":"bob","amount":10}"#;

async fn simulator() -> Simulator {
    Simulator::start(0).await.unwrap()
}

#[tokio::test]
async fn an_answer_arrives_whole() {
    let simulator = simulator().await;
    let mut request = post(simulator.ports().ledger, "/v1/transfers", TRANSFER);
    request.headers.push(("idempotency-key".to_owned(), b"k1".to_vec()));
    let answer = transport().exchange(request).await.unwrap();
    assert_eq!(answer.status, 201);
    assert!(answer.body.starts_with(br#"{"id":"transfer-1""#));
    assert!(
        answer
            .headers
            .contains(&("content-type".to_owned(), b"application/json".to_vec()))
    );
    let recorded = &simulator.requests(None)[0];
    assert_eq!(recorded.body, TRANSFER);
    assert_eq!(recorded.keys, ["k1"]);
    assert_eq!(
        recorded.headers["host"],
        format!("127.0.0.1:{}", simulator.ports().ledger)
    );
    assert_eq!(recorded.headers["content-length"], TRANSFER.len().to_string());
}

#[tokio::test]
async fn an_error_status_is_an_answer() {
    let simulator = simulator().await;
    for status in [404, 429, 500, 503] {
        let fault = Fault::Status {
            status,
            retry_after: Some("2".to_owned()),
            body: None,
        };
        simulator.fault(Service::Search, fault, Some(1)).await.unwrap();
        let answer = transport()
            .exchange(get(simulator.ports().search, QUERY))
            .await
            .unwrap();
        assert_eq!(answer.status, status);
        assert!(answer.headers.contains(&("retry-after".to_owned(), b"2".to_vec())));
    }
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_is_not_followed() {
    let (elsewhere, other) = listen().await;
    let port = answers(
        format!("HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:{other}/\r\ncontent-length: 0\r\n\r\n"),
        true,
    )
    .await;
    let answer = transport().exchange(get(port, "/")).await.unwrap();
    assert_eq!(answer.status, 302);
    assert!(answer.headers.iter().any(|(name, _)| name == "location"));
    assert!(
        tokio::time::timeout(Duration::from_millis(50), elsewhere.accept())
            .await
            .is_err()
    );
}

#[tokio::test]
async fn a_refused_connection_is_not_sent() {
    let simulator = simulator().await;
    simulator.fault(Service::Search, Fault::Refuse, None).await.unwrap();
    let end = ends(&transport(), get(simulator.ports().search, QUERY)).await;
    assert_eq!(end, End::NotSent(NotSent::Refused));
    assert!(simulator.requests(None).is_empty());
}

#[tokio::test]
async fn a_connection_that_nobody_accepts_in_time_is_not_sent() {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    // The backlog is filled, so that the next connection waits for ever.
    let mut waiting = Vec::new();
    while let Ok(stream) = tokio::time::timeout(Duration::from_millis(200), TcpStream::connect(address)).await {
        waiting.push(stream.unwrap());
    }
    let mut request = get(address.port(), QUERY);
    request.timeout = Duration::from_millis(200);
    assert_eq!(ends(&transport(), request).await, End::NotSent(NotSent::ConnectTimeout));
}

#[tokio::test]
async fn a_reset_after_the_request_was_written_is_lost() {
    let simulator = simulator().await;
    for (fault, executed) in [(Fault::Reset(ResetAt::BeforeAnswer), 0), (Fault::ExecuteThenReset, 1)] {
        simulator.fault(Service::Ledger, fault, Some(1)).await.unwrap();
        let end = ends(&transport(), post(simulator.ports().ledger, "/v1/transfers", TRANSFER)).await;
        assert_eq!(end, End::Lost(Lost::Reset));
        assert_eq!(simulator.ledger().transfers.len(), executed);
    }
    assert_eq!(simulator.requests(None).len(), 2, "nothing is repeated");
}

#[tokio::test]
async fn case_29_part_of_a_response_delivered_then_reset_is_unknown() {
    let simulator = simulator().await;
    simulator
        .fault(Service::Ledger, Fault::Reset(ResetAt::MidBody), Some(1))
        .await
        .unwrap();
    let end = ends(&transport(), post(simulator.ports().ledger, "/v1/transfers", TRANSFER)).await;
    assert_eq!(end, End::Lost(Lost::Reset));
    assert_eq!(simulator.ledger().transfers.len(), 1);
    assert_eq!(simulator.requests(None).len(), 1, "nothing is repeated");
}

#[tokio::test]
async fn a_silent_upstream_is_lost_at_the_timeout() {
    let simulator = simulator().await;
    simulator.fault(Service::Search, Fault::Hang, Some(1)).await.unwrap();
    let mut request = get(simulator.ports().search, QUERY);
    request.timeout = Duration::from_millis(150);
    assert_eq!(ends(&transport(), request).await, End::Lost(Lost::Timeout));
    assert_eq!(simulator.requests(None).len(), 1);
}

#[tokio::test]
async fn the_timeout_covers_the_last_byte() {
    let simulator = simulator().await;
    simulator
        .fault(Service::Search, Fault::Trickle(2), Some(2))
        .await
        .unwrap();
    let request = get(simulator.ports().search, QUERY);
    assert!(matches!(ends(&transport(), request.clone()).await, End::Answer(200, _)));
    let hurried = fusebox_engine::ports::transport::Outgoing {
        timeout: Duration::from_millis(100),
        ..request
    };
    assert_eq!(ends(&transport(), hurried).await, End::Lost(Lost::Timeout));
}

#[tokio::test]
async fn a_late_answer_within_the_timeout_is_an_answer() {
    let simulator = simulator().await;
    simulator
        .fault(Service::Search, Fault::Delay(100), Some(1))
        .await
        .unwrap();
    let end = ends(&transport(), get(simulator.ports().search, QUERY)).await;
    assert!(matches!(end, End::Answer(200, _)));
}

#[tokio::test]
async fn a_lying_content_length_is_lost() {
    let simulator = simulator().await;
    simulator
        .fault(Service::Search, Fault::LieLength(10), Some(1))
        .await
        .unwrap();
    let end = ends(&transport(), get(simulator.ports().search, QUERY)).await;
    assert_eq!(end, End::Lost(Lost::Reset));
    let two = "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab";
    let end = ends(&transport(), get(answers(two, true).await, "/")).await;
    assert_eq!(end, End::Lost(Lost::Malformed));
}

#[tokio::test]
async fn a_body_over_its_limit_is_lost_whether_it_says_so_or_not() {
    let chunked = |count: usize| {
        format!(
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{count:x}\r\n{}\r\n0\r\n\r\n",
            "a".repeat(count)
        )
    };
    let declared = |count: usize| {
        format!(
            "HTTP/1.1 200 OK\r\ncontent-length: {count}\r\n\r\n{}",
            "a".repeat(count)
        )
    };
    let until_closed = |count: usize| format!("HTTP/1.1 200 OK\r\n\r\n{}", "a".repeat(count));
    for answer in [&chunked as &dyn Fn(usize) -> String, &declared, &until_closed] {
        for (count, expected) in [
            (100, End::Answer(200, vec![b'a'; 100])),
            (101, End::Lost(Lost::Malformed)),
            (300_000, End::Lost(Lost::Malformed)),
        ] {
            let mut request = get(answers(answer(count), true).await, "/");
            request.max_response = 100;
            assert_eq!(ends(&transport(), request).await, expected, "{count}");
        }
    }
    // A length is believed at once: the body never comes.
    let mut request = get(
        answers("HTTP/1.1 200 OK\r\ncontent-length: 18446744073709551614\r\n\r\n", false).await,
        "/",
    );
    request.max_response = 100;
    assert_eq!(ends(&transport(), request).await, End::Lost(Lost::Malformed));
}

#[tokio::test]
async fn a_head_request_has_the_length_and_not_the_body() {
    let mut request = get(
        answers("HTTP/1.1 200 OK\r\ncontent-length: 5000\r\n\r\n", false).await,
        "/",
    );
    request.method = "HEAD".to_owned();
    request.max_response = 100;
    let answer = transport().exchange(request).await.unwrap();
    assert_eq!(answer.headers, [("content-length".to_owned(), b"5000".to_vec())]);
    assert!(answer.body.is_empty());
}

#[tokio::test]
async fn heads_are_bounded_in_number_and_size() {
    let many = |count: usize| {
        let headers: String = (0..count).map(|n| format!("x-{n}: y\r\n")).collect();
        format!("HTTP/1.1 200 OK\r\n{headers}content-length: 0\r\n\r\n")
    };
    let long = |size: usize| {
        format!(
            "HTTP/1.1 200 OK\r\nx: {}\r\ncontent-length: 0\r\n\r\n",
            "y".repeat(size)
        )
    };
    for (answer, expected) in [
        (many(100), End::Answer(200, Vec::new())),
        (many(200), End::Lost(Lost::Malformed)),
        (many(100_000), End::Lost(Lost::Malformed)),
        (long(60_000), End::Answer(200, Vec::new())),
        (long(70_000), End::Lost(Lost::Malformed)),
        (long(10_000_000), End::Lost(Lost::Malformed)),
    ] {
        let size = answer.len();
        let end = ends(&transport(), get(answers(answer, true).await, "/")).await;
        assert_eq!(end, expected, "{size} bytes");
    }
}

#[tokio::test]
async fn what_is_no_http_is_lost() {
    for answer in [
        "SSH-2.0-OpenSSH\r\n\r\n",
        "HTTP/1.1 abc OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
    ] {
        let end = ends(&transport(), get(answers(answer, false).await, "/")).await;
        assert_eq!(end, End::Lost(Lost::Malformed), "{answer:?}");
    }
    let end = ends(&transport(), get(answers("", true).await, "/")).await;
    assert_eq!(end, End::Lost(Lost::Reset));
}

#[tokio::test]
async fn a_request_that_would_smuggle_another_is_denied() {
    let (listener, port) = listen().await;
    let mut request = get(port, "/");
    request
        .headers
        .push(("transfer-encoding".to_owned(), b"chunked".to_vec()));
    let End::Denied(reason) = ends(&transport(), request).await else {
        panic!("it went out")
    };
    assert!(reason.contains("transfer-encoding"), "{reason}");
    assert!(
        tokio::time::timeout(Duration::from_millis(50), listener.accept())
            .await
            .is_err()
    );
}
