//! MCP over streamable HTTP: with and without sessions, whose they are, and what a hang-up means.

use super::agent::failed;
use crate::site::{Site, eventually};
use fusebox_simulator::{Fault, Service};
use serde_json::{Value, json};
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// What the host says.
const LOG: &str = "serve.log";

/// A serving host.
struct Serving {
    child: Child,
    address: String,
}

impl Serving {
    fn start(site: &Site, arguments: &[&str]) -> Self {
        let all = [&["serve", "--json", "--http", "127.0.0.1:0"], arguments].concat();
        let mut child = site
            .command(&all)
            .stdout(Stdio::piped())
            .stderr(File::create(site.path(LOG)).unwrap())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap())
            .read_line(&mut line)
            .unwrap();
        let said: Value = serde_json::from_str(&line).unwrap();
        let url = said["http"].as_str().unwrap_or_else(|| panic!("no address in {said}"));
        Self {
            address: url.trim_start_matches("http://").to_owned(),
            child,
        }
    }

    /// Sends a message, and leaves the connection open.
    fn begin(&self, message: &Value, headers: &[(&str, &str)]) -> TcpStream {
        self.send("POST", &message.to_string(), headers)
    }

    fn send(&self, method: &str, body: &str, headers: &[(&str, &str)]) -> TcpStream {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(40))).unwrap();
        let mut head = format!(
            "{method} /mcp HTTP/1.1\r\nhost: {}\r\nconnection: close\r\ncontent-type: application/json\r\n\
             accept: application/json, text/event-stream\r\ncontent-length: {}\r\n",
            self.address,
            body.len()
        );
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        stream.write_all(format!("{head}\r\n{body}").as_bytes()).unwrap();
        stream
    }

    /// Sends a message: status, head, and the last message of the answer.
    fn post(&self, message: &Value, headers: &[(&str, &str)]) -> (u16, String, Value) {
        let mut text = String::new();
        self.begin(message, headers).read_to_string(&mut text).unwrap();
        let (head, body) = text
            .split_once("\r\n\r\n")
            .unwrap_or_else(|| panic!("no answer: {text}"));
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        // A message stands on a line of its own, as JSON or as an event.
        let mut messages = body
            .lines()
            .filter_map(|line| serde_json::from_str(line.strip_prefix("data: ").unwrap_or(line)).ok());
        (
            status,
            head.to_ascii_lowercase(),
            messages.rfind(Value::is_object).unwrap_or_default(),
        )
    }

    /// Begins a session: the headers of its requests.
    fn session(&self, key: &str) -> Vec<(String, String)> {
        let me = json!({ "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": { "name": "t", "version": "1" } });
        let initialize = json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": me });
        let (status, head, told) = self.post(&initialize, &[("authorization", key)]);
        assert_eq!(
            (status, told["result"]["protocolVersion"].as_str()),
            (200, Some("2025-06-18")),
            "{told}"
        );
        let id = head
            .lines()
            .find_map(|line| line.strip_prefix("mcp-session-id: "))
            .unwrap()
            .to_owned();
        [
            ("mcp-session-id", id),
            ("mcp-protocol-version", "2025-06-18".to_owned()),
            ("authorization", key.to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .to_vec()
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // A test that failed leaves nothing behind.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn of(headers: &[(String, String)]) -> Vec<(&str, &str)> {
    headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect()
}

/// A call of protocol 2026-07-28, and its headers.
fn modern<'a>(tool: &'a str, arguments: &Value, key: &'a str) -> (Value, [(&'a str, &'a str); 4]) {
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": { "name": "t", "version": "1" },
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let params = json!({ "name": tool, "arguments": arguments, "_meta": meta });
    let message = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params });
    let headers = [
        ("mcp-protocol-version", "2026-07-28"),
        ("mcp-method", "tools/call"),
        ("mcp-name", tool),
        ("authorization", key),
    ];
    (message, headers)
}

fn call(id: u32, tool: &str, arguments: &Value) -> Value {
    let params = json!({ "name": tool, "arguments": arguments });
    json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params })
}

/// A key of that name, as a header has it.
#[track_caller]
fn key(site: &Site, name: &str) -> String {
    let made = site
        .fusebox(&["keys", "create", name, "--role", "caller", "--json"])
        .exits(0)
        .json();
    format!(
        "Bearer {}",
        made["token"].as_str().unwrap_or_else(|| panic!("no token: {made}"))
    )
}

#[test]
fn a_client_with_a_session_and_one_without_call_the_same_tools() {
    let site = Site::deployed(&["calculator"]);
    let ann = key(&site, "ann");
    let serving = Serving::start(&site, &[]);
    let session = serving.session(&ann);
    let arguments = json!({ "expression": "6*7" });
    let (status, _, old) = serving.post(&call(1, "calculator_evaluate", &arguments), &of(&session));
    assert_eq!(
        (status, &old["result"]["structuredContent"]),
        (200, &json!({ "result": 42.0 })),
        "{old}"
    );
    let (message, headers) = modern("calculator_evaluate", &arguments, &ann);
    let (status, head, new) = serving.post(&message, &headers);
    assert_eq!(
        (status, &new["result"]["structuredContent"]),
        (200, &json!({ "result": 42.0 })),
        "{new}"
    );
    assert!(!head.contains("mcp-session-id"), "there are no sessions any more");
    let (message, headers) = modern("calculator_no-such", &arguments, &ann);
    assert_eq!(serving.post(&message, &headers).2["error"]["code"], -32602);
}

#[test]
fn a_handshake_is_no_method_of_the_version_without_sessions_and_malformed_in_those_with_them() {
    let site = Site::deployed(&["calculator"]);
    let ann = key(&site, "ann");
    let serving = Serving::start(&site, &[]);
    let (mut message, mut headers) = modern("", &json!({}), &ann);
    message["method"] = json!("initialize");
    headers[1].1 = "initialize";
    let (status, _, told) = serving.post(&message, &[headers[0], headers[1], headers[3]]);
    assert_eq!((status, &told["error"]["code"]), (404, &json!(-32601)), "{told}");
    let session = serving.session(&ann);
    let again = json!({ "jsonrpc": "2.0", "id": 2, "method": "initialize", "params": { "capabilities": {} } });
    let (status, _, told) = serving.post(&again, &of(&session));
    assert_eq!((status, &told["error"]["code"]), (200, &json!(-32602)), "{told}");
}

#[test]
fn nobody_is_let_in_without_a_key_and_no_page_of_another_site() {
    let site = Site::deployed(&["calculator"]);
    let ann = key(&site, "ann");
    let serving = Serving::start(&site, &[]);
    let (message, headers) = modern("calculator_evaluate", &json!({ "expression": "1" }), &ann);
    assert_eq!(serving.post(&message, &headers[..3]).0, 401);
    let page = [&headers[..], &[("origin", "http://evil.example")]].concat();
    assert_eq!(serving.post(&message, &page).0, 403);
    assert_eq!(serving.post(&message, &headers).0, 200);
}

#[test]
fn a_session_is_of_no_use_to_anybody_else() {
    let site = Site::deployed(&["calculator"]);
    let (ann, bob) = (key(&site, "ann"), key(&site, "bob"));
    let serving = Serving::start(&site, &[]);
    let mut session = serving.session(&ann);
    let message = call(1, "calculator_evaluate", &json!({ "expression": "1" }));
    session[2].1 = bob;
    assert_eq!(serving.post(&message, &of(&session)).0, 404);
    session[2].1 = ann;
    assert_eq!(serving.post(&message, &of(&session)).0, 200);
    session[0].1 = "no-such-session".to_owned();
    assert_eq!(serving.post(&message, &of(&session)).0, 404);
}

#[test]
fn a_session_that_its_client_ends_is_over() {
    let site = Site::deployed(&["calculator"]);
    let ann = key(&site, "ann");
    let serving = Serving::start(&site, &[]);
    let session = serving.session(&ann);
    let mut answer = String::new();
    serving
        .send("DELETE", "", &of(&session))
        .read_to_string(&mut answer)
        .unwrap();
    assert!(answer.starts_with("HTTP/1.1 204 "), "{answer}");
    let message = call(1, "calculator_evaluate", &json!({ "expression": "1" }));
    assert_eq!(serving.post(&message, &of(&session)).0, 404);
}

#[test]
fn closing_the_stream_cancels_since_2026_and_before_it_cancels_nothing() {
    let site = Site::deployed(&["search"]);
    let ann = key(&site, "ann");
    let serving = Serving::start(&site, &[]);
    site.fault(Service::Search, Fault::Delay(1_500), None);
    let state = |count: usize| {
        let runs = site.runs();
        (runs.len() == count).then(|| runs[0]["state"].as_str().unwrap().to_owned())
    };

    let (message, headers) = modern("search_query", &json!({ "text": "new" }), &ann);
    let stream = serving.begin(&message, &headers);
    eventually("the search is in flight", || site.requests(Service::Search).len() == 1);
    stream.shutdown(Shutdown::Both).unwrap();
    eventually("the run is cancelled", || state(1).as_deref() == Some("cancelled"));

    let session = serving.session(&ann);
    let stream = serving.begin(&call(1, "search_query", &json!({ "text": "old" })), &of(&session));
    eventually("the search is in flight", || site.requests(Service::Search).len() == 2);
    stream.shutdown(Shutdown::Both).unwrap();
    eventually("the run succeeds", || state(2).as_deref() == Some("succeeded"));
    // Clients cannot fill the log by hanging up.
    assert_eq!(site.read(LOG), "");
}

#[test]
fn a_notification_cancels_within_its_session() {
    let site = Site::deployed(&["search"]);
    let (ann, bob) = (key(&site, "ann"), key(&site, "bob"));
    let serving = Serving::start(&site, &[]);
    site.fault(Service::Search, Fault::Delay(2_000), None);
    let (session, other) = (serving.session(&ann), serving.session(&bob));
    let cancelled = json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": 1 } });
    let stream = serving.begin(&call(1, "search_query", &json!({ "text": "wasm" })), &of(&session));
    eventually("the search is in flight", || site.requests(Service::Search).len() == 1);
    assert_eq!(serving.post(&cancelled, &of(&other)).0, 202);
    assert_eq!(serving.post(&cancelled, &of(&session)).0, 202);
    eventually("the run is cancelled", || {
        site.runs()
            .first()
            .is_some_and(|run| run["state"] == "cancelled" && run["principal"] == "key:ann")
    });
    drop(stream);
}

#[test]
fn runs_belong_to_the_key_that_made_them() {
    let site = Site::deployed(&["search"]);
    let (ann, bob) = (key(&site, "ann"), key(&site, "bob"));
    let serving = Serving::start(&site, &[]);
    let (message, headers) = modern("search_query", &json!({ "text": "wasm" }), &ann);
    let result = serving.post(&message, &headers).2["result"].clone();
    let run = result["_meta"]["fusebox/run"].clone();
    let asked = json!({ "run": run });
    let (message, headers) = modern("fusebox_result", &asked, &ann);
    // A run that may start over is written down soon after it has been answered.
    let mut mine = Value::Null;
    eventually("the run is written down", || {
        mine = serving.post(&message, &headers).2["result"].clone();
        mine["isError"] == false
    });
    assert_eq!(mine["structuredContent"], result["structuredContent"], "{mine}");
    let (message, headers) = modern("fusebox_result", &asked, &bob);
    assert_eq!(
        failed(&serving.post(&message, &headers).2["result"])["code"],
        "not-found"
    );
}

#[test]
fn a_signal_hands_over_what_a_client_waits_for_and_cancels_nothing() {
    let site = Site::deployed(&["email"]);
    let ann = key(&site, "ann");
    let mut serving = Serving::start(&site, &[]);
    site.fault(Service::Mail, Fault::Delay(1_500), Some(1));
    let mail = json!({ "to": "ann@example.com", "subject": "Hello", "body": "May I?" });
    let (message, headers) = modern("email_send", &mail, &ann);
    let mut stream = serving.begin(&message, &headers);
    eventually("the mail is in flight", || site.requests(Service::Mail).len() == 1);
    let pid = serving.child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    eventually("the server ends", || serving.child.try_wait().unwrap().is_some());
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let state = site.runs()[0]["state"].clone();
    assert!(state != "cancelled" && state != "in-doubt", "{state}: {answer}");
    assert_eq!(site.upstreams().mails().len(), 1);
}
