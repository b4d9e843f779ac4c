//! Tools deployed, called and followed over HTTP.

use super::client::Served;
use crate::site::Site;
use fusebox_simulator::Service;
use serde_json::json;
use std::fs;

const EVALUATE: &str = "/v1/tools/calculator/functions/evaluate/calls";
const TRANSFER: &str = "/v1/tools/ledger/functions/transfer/calls";

/// Manifest and component as a form has them.
fn form(site: &Site, tool: &str) -> Vec<u8> {
    let part = |name: &str, file: &str| {
        format!("--edge\r\ncontent-disposition: form-data; name=\"{name}\"; filename=\"{file}\"\r\n\r\n").into_bytes()
    };
    let (manifest, component) = (format!("{tool}.toml"), format!("{tool}.wasm"));
    [
        part("manifest", &manifest),
        site.read(&manifest).into_bytes(),
        b"\r\n".to_vec(),
        part("component", &component),
        fs::read(site.path(&component)).unwrap(),
        b"\r\n--edge--\r\n".to_vec(),
    ]
    .concat()
}

#[test]
fn a_tool_is_deployed_and_called() {
    let site = Site::new();
    site.place("calculator", &[]);
    let served = Served::start(&site);
    let (deployer, caller) = (served.key(&["deployer"]), served.key(&["caller"]));
    let deploy = |key: &str| {
        let kind = [("content-type", "multipart/form-data; boundary=edge")];
        served.send("POST", key, "/v1/tools", &kind, &form(&site, "calculator"))
    };
    assert_eq!(deploy(&deployer).is(201).json()["items"][0]["new"], true);
    assert_eq!(deploy(&deployer).is(200).json()["items"][0]["new"], false);
    let reply = served
        .post(&caller, EVALUATE, &json!({ "expression": "6*7" }))
        .is(200)
        .json();
    assert_eq!((&reply["output"], &reply["state"]), (&json!(42.0), &json!("succeeded")));
    let wrong = served.post(&caller, EVALUATE, &json!({ "expression": 7 })).is(400);
    assert_eq!(
        (wrong.header("content-type"), &wrong.json()["code"]),
        ("application/problem+json", &json!("bad-input"))
    );
    served.get("fbx_1", "/v1/tools").is(401);
    served.end();
}

#[test]
fn a_manifest_that_is_wrong_is_told_with_its_lines() {
    let site = Site::new();
    site.place("calculator", &[("version = \"1.0.0\"", "version = \"one\"")]);
    let served = Served::start(&site);
    let deployer = served.key(&["deployer"]);
    let kind = [("content-type", "multipart/form-data; boundary=edge")];
    let refused = served
        .send("POST", &deployer, "/v1/tools", &kind, &form(&site, "calculator"))
        .is(422)
        .json();
    let finding = &refused["findings"][0];
    assert_eq!(
        (&finding["file"], &finding["severity"]),
        (&json!("calculator.toml"), &json!("error")),
        "{refused}"
    );
    assert_eq!(served.get(&deployer, "/v1/tools").is(200).json()["items"], json!([]));
    served.end();
}

#[test]
fn a_key_transfers_once_and_a_detached_call_is_followed_to_its_end() {
    let site = Site::deployed(&["ledger"]);
    let served = Served::start(&site);
    let key = served.key(&["caller", "operator"]);
    let transfer = json!({ "from-account": "alice", "to-account": "bob", "amount": 100 }).to_string();
    let send = |order: &str, prefer: &str| {
        let headers = [
            ("content-type", "application/json"),
            ("idempotency-key", order),
            ("prefer", prefer),
        ];
        served.send("POST", &key, TRANSFER, &headers, transfer.as_bytes())
    };
    let first = send("\"order-1\"", "wait=30").is(200);
    assert_eq!(
        (first.header("preference-applied"), &first.json()["stored"]),
        ("wait=30", &json!(false))
    );
    let again = send("order-1", "wait=30").is(200).json();
    assert_eq!((&again["stored"], &again["run"]), (&json!(true), &first.json()["run"]));

    let accepted = send("order-2", "respond-async").is(202);
    let run = accepted.header("location").to_owned();
    let events = served.get(&key, &format!("{run}/events")).is(200);
    assert_eq!(events.header("content-type"), "text/event-stream");
    assert!(
        events.text.contains("event: end") && events.text.contains("\"state\":\"succeeded\""),
        "{}",
        events.text
    );
    assert_eq!(served.get(&key, &run).is(200).json()["state"], "succeeded");
    assert_eq!(site.upstreams().ledger().transfers.len(), 2);
    served.end();
}

#[test]
fn a_letter_is_read_and_replayed() {
    let site = Site::deployed(&["search"]);
    let served = Served::start(&site);
    let key = served.key(&["caller", "operator"]);
    site.status(Service::Search, 500, None);
    let query = json!({ "text": "wasm" });
    let failed = served
        .post(&key, "/v1/tools/search/functions/query/calls", &query)
        .is(502)
        .json();
    let letter = format!("/v1/dead-letters/{}", failed["letter"].as_str().unwrap());
    let listed = served.get(&key, "/v1/dead-letters").is(200).json();
    assert_eq!(listed["items"][0]["id"], failed["letter"]);
    assert_eq!(served.get(&key, "/v1/dead-letters/stats").is(200).json()["open"], 1);
    assert!(
        served
            .get(&key, &format!("{letter}/outlook"))
            .is(200)
            .json()
            .is_object()
    );
    site.heal(Service::Search);
    let dry = served
        .post(&key, &format!("{letter}/replay"), &json!({ "dry-run": true }))
        .is(200)
        .json();
    assert!(dry["next"].is_string(), "{dry}");
    let breakers = served.get(&key, "/v1/breakers").is(200).json();
    for breaker in breakers["items"].as_array().unwrap() {
        let path = format!(
            "/v1/breakers/{}/close",
            breaker["key"].as_str().unwrap().replace('/', "%2F")
        );
        served.post(&key, &path, &json!({})).is(200);
    }
    let replayed = served
        .post(&key, &format!("{letter}/replay"), &json!({}))
        .is(200)
        .json();
    assert_eq!(replayed["state"], "succeeded");
    served.end();
}
