//! The upstreams and their faults over real sockets.

use crate::client::{Ended, exchange, get, post};
use fusebox_simulator::{Fault, RateLimit, ResetAt, Service, Simulator};
use serde_json::{Value, json};

const SEARCH: [(&str, &str); 1] = [("authorization", "Bearer search-secret")];
const MAIL: [(&str, &str); 1] = [("authorization", "Bearer mail-secret")];

async fn simulator() -> Simulator {
    Simulator::start(0).await.unwrap()
}

fn transfer(amount: u64) -> Value {
    json!({"from": "alice", "to": "bob", "amount": amount})
}

#[tokio::test]
async fn search_answers_whoever_has_the_token() {
    let simulator = simulator().await;
    let port = simulator.ports().search;
    let answer = get(port, "/v1/query?q=retry+budget&limit=1", &SEARCH).await.unwrap();
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json()["results"][0]["title"], "Retries and backoff");
    assert_eq!(answer.json()["results"].as_array().unwrap().len(), 1);
    assert_eq!(get(port, "/v1/query?q=x", &[]).await.unwrap().status, 401);
    assert_eq!(get(port, "/v1/query", &SEARCH).await.unwrap().status, 400);
    assert_eq!(get(port, "/other", &SEARCH).await.unwrap().status, 404);
    let recorded = simulator.requests(Some(Service::Search));
    assert_eq!(recorded.len(), 4);
    assert_eq!(recorded[0].headers["authorization"], "Bearer search-secret");
    assert!(recorded[0].answer.as_ref().unwrap().executed);
    assert!(!recorded[1].answer.as_ref().unwrap().executed);
}

#[tokio::test]
async fn chat_says_the_same_to_the_same() {
    let simulator = simulator().await;
    let port = simulator.ports().llm;
    let body = json!({"model": "m", "messages": [{"role": "system", "content": "be brief"}, {"role": "user", "content": "hi"}]});
    let token = [("authorization", "Bearer llm-secret")];
    let first = post(port, "/v1/chat/completions", &token, &body).await.unwrap();
    let second = post(port, "/v1/chat/completions", &token, &body).await.unwrap();
    assert_eq!(first.status, 200);
    assert_eq!(first.body, second.body);
    assert_eq!(
        first.json()["choices"][0]["message"]["content"],
        "You asked: hi (instructed: be brief)"
    );
    let wrong = post(
        port,
        "/v1/chat/completions",
        &token,
        &json!({"model": "m", "messages": []}),
    )
    .await
    .unwrap();
    assert_eq!(
        (wrong.status, wrong.json()["error"]["type"].clone()),
        (400, json!("invalid_request_error"))
    );
}

#[tokio::test]
async fn each_accepted_request_is_one_mail() {
    let simulator = simulator().await;
    let port = simulator.ports().mail;
    let mail = json!({"to": "a@b.example", "subject": "s", "body": "b"});
    for _ in 0..2 {
        assert_eq!(post(port, "/v1/messages", &MAIL, &mail).await.unwrap().status, 202);
    }
    let nobody = json!({"to": "nobody", "subject": "s", "body": "b"});
    assert_eq!(post(port, "/v1/messages", &MAIL, &nobody).await.unwrap().status, 422);
    assert_eq!(simulator.mails().len(), 2);
    assert_eq!(simulator.mails()[1].request, 2);
}

#[tokio::test]
async fn the_ledger_executes_a_key_once() {
    let simulator = simulator().await;
    let port = simulator.ports().ledger;
    let key = [("Idempotency-Key", "k1")];
    let first = post(port, "/v1/transfers", &key, &transfer(10)).await.unwrap();
    let again = post(port, "/v1/transfers", &key, &transfer(10)).await.unwrap();
    assert_eq!((first.status, again.status), (201, 201));
    assert_eq!(first.body, again.body);
    assert_eq!(first.json()["balance-from"], 990);
    assert_eq!(
        post(port, "/v1/transfers", &key, &transfer(11)).await.unwrap().status,
        422
    );
    assert_eq!(
        post(port, "/v1/transfers", &[], &transfer(5000)).await.unwrap().status,
        409
    );
    assert_eq!(get(port, "/v1/accounts/bob", &[]).await.unwrap().json()["balance"], 510);
    assert_eq!(get(port, "/v1/accounts/zoe", &[]).await.unwrap().status, 404);
    let ledger = simulator.ledger();
    assert_eq!(ledger.transfers.len(), 1);
    assert_eq!((ledger.per_key["k1"].requests, ledger.per_key["k1"].executed), (3, 1));
    assert_eq!(simulator.requests(Some(Service::Ledger))[0].keys, ["k1"]);
}

#[tokio::test]
async fn over_the_limit_is_429_with_retry_after() {
    let simulator = simulator().await;
    let limit = RateLimit {
        requests: 2,
        per_ms: 1500,
    };
    simulator.rate_limit(Service::Search, Some(limit));
    let port = simulator.ports().search;
    for expected in [200, 200, 429] {
        let answer = get(port, "/v1/query?q=retry", &SEARCH).await.unwrap();
        assert_eq!(answer.status, expected);
        if expected == 429 {
            let wait: u64 = answer.header("retry-after").unwrap().parse().unwrap();
            assert!((1..=2).contains(&wait));
        }
    }
    simulator.rate_limit(Service::Search, None);
    assert_eq!(get(port, "/v1/query?q=retry", &SEARCH).await.unwrap().status, 200);
}

#[tokio::test]
async fn statuses_are_scripted_and_counted() {
    let simulator = simulator().await;
    let fault = Fault::Status {
        status: 503,
        retry_after: Some("2".to_owned()),
        body: Some("busy".to_owned()),
    };
    simulator.fault(Service::Search, fault, Some(1)).await.unwrap();
    let port = simulator.ports().search;
    let answer = get(port, "/v1/query?q=retry", &SEARCH).await.unwrap();
    assert_eq!(
        (answer.status, answer.header("retry-after"), answer.body.as_slice()),
        (503, Some("2"), &b"busy"[..])
    );
    assert_eq!(get(port, "/v1/query?q=retry", &SEARCH).await.unwrap().status, 200);
    let script = Fault::ExecuteThenStatus(504);
    simulator.fault(Service::Mail, script, Some(1)).await.unwrap();
    let mail = json!({"to": "a@b.example", "subject": "s", "body": "b"});
    assert_eq!(
        post(simulator.ports().mail, "/v1/messages", &MAIL, &mail)
            .await
            .unwrap()
            .status,
        504
    );
    assert_eq!(simulator.mails().len(), 1);
}

#[tokio::test]
async fn resets_are_resets_and_tell_what_was_done() {
    let simulator = simulator().await;
    let port = simulator.ports().ledger;
    for (fault, done) in [
        (Fault::Reset(ResetAt::BeforeAnswer), 0),
        (Fault::ExecuteThenReset, 1),
        (Fault::Reset(ResetAt::MidBody), 2),
    ] {
        simulator.fault(Service::Ledger, fault.clone(), Some(1)).await.unwrap();
        let ended = post(port, "/v1/transfers", &[], &transfer(1)).await.unwrap_err();
        match (&fault, ended) {
            (Fault::Reset(ResetAt::MidBody), Ended::Reset(part)) => {
                let text = String::from_utf8(part).unwrap();
                assert!(
                    text.starts_with("HTTP/1.1 201") && text.contains(r#"{"id""#) && !text.ends_with('}'),
                    "{text}"
                );
            }
            (_, Ended::Reset(part)) => assert_eq!(part, b""),
            (fault, ended) => panic!("{fault:?} ended as {ended:?}"),
        }
        assert_eq!(simulator.ledger().transfers.len(), done, "{fault:?}");
    }
}

#[tokio::test]
async fn a_lying_length_ends_early_and_a_trickle_arrives_whole() {
    let simulator = simulator().await;
    let port = simulator.ports().search;
    simulator
        .fault(Service::Search, Fault::LieLength(10), Some(1))
        .await
        .unwrap();
    let ended = get(port, "/v1/query?q=retry", &SEARCH).await.unwrap_err();
    assert!(matches!(ended, Ended::Short { missing: 10 }), "{ended:?}");
    simulator
        .fault(Service::Search, Fault::Trickle(1), Some(1))
        .await
        .unwrap();
    let answer = get(port, "/v1/query?q=retry&limit=1", &SEARCH).await.unwrap();
    assert_eq!(answer.json()["results"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_refusing_port_is_closed_until_it_is_cleared() {
    let simulator = simulator().await;
    let port = simulator.ports().search;
    assert!(simulator.fault(Service::Search, Fault::Refuse, Some(1)).await.is_err());
    for _ in 0..3 {
        simulator.fault(Service::Search, Fault::Refuse, None).await.unwrap();
        let ended = get(port, "/v1/query?q=retry", &SEARCH).await.unwrap_err();
        assert!(matches!(ended, Ended::Refused), "{ended:?}");
        simulator.clear_faults(Some(Service::Search)).await.unwrap();
        assert_eq!(get(port, "/v1/query?q=retry", &SEARCH).await.unwrap().status, 200);
    }
}

#[tokio::test]
async fn a_hanging_service_does_nothing_until_the_client_gives_up() {
    let simulator = simulator().await;
    simulator.fault(Service::Ledger, Fault::Hang, Some(1)).await.unwrap();
    let port = simulator.ports().ledger;
    let order = transfer(1);
    let answer = post(port, "/v1/transfers", &[], &order);
    let patience = std::time::Duration::from_millis(200);
    assert!(tokio::time::timeout(patience, answer).await.is_err());
    assert_eq!(simulator.ledger().transfers.len(), 0);
    assert_eq!(simulator.requests(None).len(), 1);
}

#[tokio::test]
async fn a_body_that_lies_about_itself_is_no_request() {
    let simulator = simulator().await;
    let text = b"POST /v1/transfers HTTP/1.1\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n";
    let answer = exchange(simulator.ports().ledger, text).await.unwrap();
    assert_eq!(answer.status, 400);
    let chunked = b"POST /v1/transfers HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{\"fro\r\n27\r\nm\":\"alice\",\"to\":\"bob\",\"amount\":   1   }\r\n0\r\n\r\n";
    assert_eq!(exchange(simulator.ports().ledger, chunked).await.unwrap().status, 201);
}

#[tokio::test]
async fn the_admin_api_orders_and_tells() {
    let simulator = simulator().await;
    let ports = simulator.ports();
    let order = json!({"service": "search", "fault": {"status": 500}, "times": 1});
    assert_eq!(post(ports.admin, "/faults", &[], &order).await.unwrap().status, 204);
    assert_eq!(
        get(ports.search, "/v1/query?q=retry", &SEARCH).await.unwrap().status,
        500
    );
    let requests = get(ports.admin, "/requests?service=search", &[]).await.unwrap().json();
    assert_eq!(requests[0]["path"], "/v1/query?q=retry");
    assert_eq!(
        requests[0]["answer"],
        json!({"status": 500, "executed": false, "fault": {"status": 500}})
    );
    let limit = b"PUT /rate-limit HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 48\r\n\r\n{\"service\":\"search\",\"requests\":1,\"per-ms\":60000}";
    assert_eq!(exchange(ports.admin, limit).await.unwrap().status, 204);
    assert_eq!(
        get(ports.search, "/v1/query?q=retry", &SEARCH).await.unwrap().status,
        200
    );
    assert_eq!(
        get(ports.search, "/v1/query?q=retry", &SEARCH).await.unwrap().status,
        429
    );
    assert_eq!(
        post(ports.admin, "/reset", &[], &Value::Null).await.unwrap().status,
        204
    );
    assert_eq!(get(ports.admin, "/requests", &[]).await.unwrap().json(), json!([]));
    assert_eq!(
        get(ports.admin, "/ledger", &[]).await.unwrap().json()["balances"]["alice"],
        1000
    );
    assert_eq!(get(ports.admin, "/mails", &[]).await.unwrap().json(), json!([]));
    let clear = b"DELETE /faults?service=mail HTTP/1.1\r\nhost: x\r\n\r\n";
    assert_eq!(exchange(ports.admin, clear).await.unwrap().status, 204);
    let unknown = json!({"service": "bank", "fault": {"status": 500}});
    assert_eq!(post(ports.admin, "/faults", &[], &unknown).await.unwrap().status, 422);
}
