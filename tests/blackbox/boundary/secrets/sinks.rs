//! Everything that somebody can read of a host: what commands print, what it answers over HTTP and MCP, its log, metrics, traces, files.

use crate::http::client::Served;
use crate::site::{Site, eventually};
use crate::watching::collector::Collector;
use serde_json::{Value, json};
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// What was read, by where.
pub(super) type Sinks = Vec<(String, Vec<u8>)>;

/// Lives through everything that a host has something to say about, and reads all of it.
pub(super) fn of(site: &Site, collector: &Collector, key: &str, foreign: &str) -> Sinks {
    let mut sinks = Sinks::new();
    let letter = typed(site, key, &mut sinks);
    let served = Served::start(site);
    let client = Client {
        address: served.url.trim_start_matches("http://"),
        key,
    };
    eventually("the alert was posted, and that failed", || {
        served.running.said().contains("could not be posted")
    });
    let ids = called(&client, &letter, &mut sinks);
    agent(&client, &mut sinks);
    refused(&client, foreign, &mut sinks);
    swept(&client, &ids, &mut sinks);
    for words in [
        &["tools"][..],
        &["runs"],
        &["dlq", "show", &letter],
        &["debug", &letter],
    ] {
        let variables = [("FUSEBOX_KEY", key), ("RUST_LOG", super::LOG)];
        let ran = site.fusebox_with(&variables, &[words, &["--host", &served.url]].concat());
        let ran = ran.exits(0);
        sinks.push((
            format!("{words:?} from elsewhere"),
            (ran.stdout + &ran.stderr).into_bytes(),
        ));
    }
    served.running.terminate();
    let ran = served.running.wait().exits(0);
    assert!(
        ran.stderr.contains("\"level\":\"TRACE\""),
        "the log tells all that it may"
    );
    sinks.push(("the log".to_owned(), (ran.stdout + &ran.stderr).into_bytes()));
    assert!(!collector.spans().is_empty(), "there are traces");
    sinks.extend(collector.bodies().into_iter().map(|body| ("traces".to_owned(), body)));
    sinks.extend(files(site));
    sinks
}

/// What commands print; the letter of a tool that panicked with the answer of its upstream.
fn typed(site: &Site, key: &str, sinks: &mut Sinks) -> String {
    let mut run = |words: &[&str], code| {
        let ran = site.fusebox_with(&[("RUST_LOG", super::LOG), ("FUSEBOX_KEY", key)], words);
        let ran = ran.exits(code);
        sinks.push((format!("{words:?}"), (ran.stdout.clone() + &ran.stderr).into_bytes()));
        ran
    };
    for (upstream, function) in [("search", "faulty.request"), ("llm", "faulty.request")] {
        let input = json!({ "upstream": upstream, "method": "GET", "path": "/v1/query", "body": null });
        let body = run(&["call", function, &input.to_string(), "--json"], 0).json();
        let body = body["output"]["body"].as_str().unwrap().to_owned();
        assert!(body.starts_with("you said: ") && body.contains("****"), "{body}");
    }
    // Its failures are to be seen by all who ask, not by the first alone.
    run(&["breakers", "disable", "faulty/search"], 0);
    let input = json!({ "upstream": "search", "path": "/fail" }).to_string();
    let letter = run(&["call", "faulty.unwrap-on-503", &input, "--json"], 13).letter();
    let export = [
        "dlq",
        "export",
        &letter,
        "--to",
        "letter.json",
        "--coredump",
        "letter.core",
    ];
    let commands: [&[&str]; 17] = [
        &export,
        &["dlq", "show", &letter],
        &["dlq", "show", &letter, "--json"],
        &["dlq", "purge", &letter, "--dry-run"],
        &["debug", &letter],
        &["debug", &letter, "--effects"],
        &["debug", &letter, "--json"],
        &["runs", "--json"],
        &["errors", "--json"],
        &["tools", "show", "faulty", "--json"],
        &["policy", "explain", "faulty.request"],
        &["config", "show", "--json"],
        &["secrets", "list", "--json"],
        &["keys", "list", "--json"],
        &["audit", "list", "--json"],
        &["breakers", "--json"],
        &["doctor"],
    ];
    for words in commands {
        run(words, 0);
    }
    assert!(site.read("letter.json").contains("you said: "));
    letter
}

/// A client that keeps every byte that it is answered.
struct Client<'a> {
    address: &'a str,
    key: &'a str,
}

impl Client<'_> {
    fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Vec<u8> {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let mut head = format!(
            "{method} {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n",
            self.address,
            body.len()
        );
        for (name, value) in [("authorization", &*format!("Bearer {}", self.key))]
            .iter()
            .chain(headers)
        {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        stream.write_all(format!("{head}\r\n{body}").as_bytes()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        assert!(answer.starts_with(b"HTTP/1.1 "), "{method} {path} is answered");
        answer
    }
}

/// The JSON of an answer.
fn body(answer: &[u8]) -> Value {
    let text = String::from_utf8_lossy(answer);
    let (_, body) = text.split_once("\r\n\r\n").unwrap();
    serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// Calls over HTTP; what stands for each parameter of the paths.
fn called(client: &Client<'_>, letter: &str, sinks: &mut Sinks) -> Vec<(&'static str, String)> {
    let call = |function: &str, input: &Value| {
        let path = format!("/v1/tools/faulty/functions/{function}/calls");
        client.send("POST", &path, &[("idempotency-key", "\"a-key\"")], &input.to_string())
    };
    let asked = json!({ "upstream": "search", "method": "GET", "path": "/v1/query", "body": null });
    let answered = call("request", &asked);
    let failed = call("unwrap-on-503", &json!({ "upstream": "search", "path": "/fail" }));
    let run = body(&answered)["run"].as_str().unwrap().to_owned();
    let fails = body(&failed)["run"].as_str().unwrap().to_owned();
    for (what, answer) in [("a call", answered), ("a call that failed", failed)] {
        sinks.push((what.to_owned(), answer));
    }
    let digest = body(&client.send("GET", "/v1/tools/faulty", &[], ""))["tool"]["component"]
        .as_str()
        .unwrap()
        .to_owned();
    vec![
        ("tool", "faulty".to_owned()),
        ("function", "request".to_owned()),
        ("digest", digest),
        ("run", run),
        ("run", fails),
        ("letter", letter.to_owned()),
        ("approval", "apr_00000000000000000000000000".to_owned()),
        ("redrive", "rdv_00000000000000000000000000".to_owned()),
    ]
}

/// What an agent is told.
fn agent(client: &Client<'_>, sinks: &mut Sinks) {
    let mut say = |method: &str, name: &str, params: Value| {
        let message = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let mut message = message;
        message["params"]["_meta"] = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientInfo": { "name": "t", "version": "1" },
            "io.modelcontextprotocol/clientCapabilities": { "extensions": { "io.modelcontextprotocol/tasks": {} } },
        });
        let headers = [
            ("accept", "application/json, text/event-stream"),
            ("mcp-protocol-version", "2026-07-28"),
            ("mcp-method", method),
            ("mcp-name", name),
        ];
        let answer = client.send("POST", "/mcp", &headers, &message.to_string());
        let text = String::from_utf8_lossy(&answer).into_owned();
        sinks.push((format!("MCP {method} {name}"), answer));
        text
    };
    let listed = say("tools/list", "", json!({}));
    assert!(listed.contains("faulty_request"), "{listed}");
    let failing = json!({ "upstream": "search", "path": "/fail" });
    let failed = say(
        "tools/call",
        "faulty_unwrap-on-503",
        json!({ "name": "faulty_unwrap-on-503", "arguments": failing }),
    );
    assert!(failed.contains("isError"), "{failed}");
    // What may not start over is a task.
    let asked = json!({ "upstream": "llm", "method": "GET", "path": "/v1/query", "body": null });
    let task = say(
        "tools/call",
        "faulty_request",
        json!({ "name": "faulty_request", "arguments": asked }),
    );
    let id = task.split("\"taskId\":\"").nth(1).unwrap_or_else(|| panic!("{task}"));
    let id = id.split('"').next().unwrap().to_owned();
    let mut told = String::new();
    eventually("the task is over", || {
        told = say("tasks/get", &id, json!({ "taskId": id }));
        assert!(told.contains("\"status\""), "{told}");
        told.contains("\"status\":\"completed\"")
    });
    assert!(told.contains("you said: "), "{told}");
    say(
        "tools/call",
        "nothing_here",
        json!({ "name": "nothing_here", "arguments": {} }),
    );
}

/// Whom it lets not in, it tells nothing of what they showed.
fn refused(client: &Client<'_>, foreign: &str, sinks: &mut Sinks) {
    let nearly = format!("{}x", &client.key[..client.key.len() - 1]);
    for key in [foreign, &nearly] {
        for path in ["/v1/runs", "/mcp", "/v1/tools/faulty/functions/request/calls"] {
            let other = Client { key, ..*client };
            let answer = other.send("POST", path, &[], "{}");
            let text = String::from_utf8_lossy(&answer);
            assert!(!text.starts_with("HTTP/1.1 2"), "{text}");
            sinks.push((format!("{path} with a wrong key"), answer));
        }
    }
}

/// Everything that can be read over HTTP, as its own description lists it.
fn swept(client: &Client<'_>, ids: &[(&str, String)], sinks: &mut Sinks) {
    let described = client.send("GET", "/v1/openapi.json", &[], "");
    let paths = body(&described)["paths"].as_object().unwrap().clone();
    let mut all: Vec<String> = ["/metrics", "/readyz", "/healthz", "/v1/openapi.json"]
        .map(str::to_owned)
        .to_vec();
    for (path, methods) in &paths {
        if methods.get("get").is_some() {
            // A path is read once for each id that may stand in it.
            let runs = ids
                .iter()
                .filter(|(name, _)| path.contains("{run}") == (*name == "run"));
            for (_, run) in runs.take(if path.contains("{run}") { 2 } else { 1 }) {
                let path = path.replace("{run}", run);
                let path = ids
                    .iter()
                    .fold(path, |path, (name, id)| path.replace(&format!("{{{name}}}"), id));
                assert!(!path.contains('{'), "something stands for every parameter of {path}");
                let memory = if path.ends_with("/memory") {
                    "?instance=1&memory=0&offset=0&length=1048576"
                } else {
                    ""
                };
                all.push(path + memory);
            }
        }
    }
    assert!(all.len() > 25, "{all:?}");
    for path in all {
        let answer = client.send("GET", &path, &[], "");
        let status = String::from_utf8_lossy(&answer[9..12]).into_owned();
        let absent = path.contains("_0000") || path.ends_with("/dead-letter");
        assert!(
            status == "200" || absent,
            "{path}: {}",
            String::from_utf8_lossy(&answer)
        );
        sinks.push((path, answer));
    }
}

/// Every file of a site, those apart that are there to hold a value.
fn files(site: &Site) -> Sinks {
    let mut found = Sinks::new();
    let mut folders = vec![site.folder().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let path = entry.path();
            let name = entry.file_name().into_string().unwrap();
            if path.is_dir() {
                folders.push(path);
            } else if !["secrets.toml", "database.key", "fusebox.toml"].contains(&&*name) {
                found.push((name, fs::read(&path).unwrap()));
            }
        }
    }
    for name in ["fusebox.db", "letter.json", "letter.core"] {
        assert!(found.iter().any(|(file, _)| file == name), "{name} is there");
    }
    found
}
