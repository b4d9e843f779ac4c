//! An agent's client: it starts the binary as desktop agents do, and keeps what it is told until somebody asks.

use crate::site::Site;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

/// No answer takes longer, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(40);

/// A client with its server.
pub(crate) struct Agent {
    child: Child,
    stdin: Option<ChildStdin>,
    told: Receiver<String>,
    /// What came and was not asked for yet.
    kept: Vec<Value>,
    next: u64,
    /// What each request says of the client; nothing in the days of `initialize`.
    about: Option<Value>,
}

impl Agent {
    /// A client that has started the server and said nothing.
    pub(crate) fn silent(site: &Site) -> Self {
        let mut command = site.command(&["serve", "--mcp", "stdio"]);
        let command = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (tell, told) = channel();
        thread::spawn(move || {
            for line in stdout.lines() {
                let Ok(line) = line else { return };
                if tell.send(line).is_err() {
                    return;
                }
            }
        });
        Self {
            stdin: child.stdin.take(),
            child,
            told,
            kept: Vec::new(),
            next: 1,
            about: None,
        }
    }

    /// A client of an older protocol, introduced.
    pub(crate) fn introduced(site: &Site) -> Self {
        let mut agent = Self::silent(site);
        let me = json!({
            "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": { "name": "test", "version": "1" },
        });
        agent.ask("initialize", me);
        agent.say(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }));
        agent
    }

    /// A client of protocol 2026-07-28, with or without the tasks extension.
    pub(crate) fn modern(site: &Site, tasks: bool) -> Self {
        let extensions = if tasks {
            json!({ "io.modelcontextprotocol/tasks": {} })
        } else {
            json!({})
        };
        let mut agent = Self::silent(site);
        agent.about = Some(json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientInfo": { "name": "test", "version": "1" },
            "io.modelcontextprotocol/clientCapabilities": { "extensions": extensions },
        }));
        agent
    }

    /// Writes a line as it is.
    pub(crate) fn write(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().unwrap();
        writeln!(stdin, "{line}").unwrap();
        stdin.flush().unwrap();
    }

    /// Sends a message.
    pub(crate) fn say(&mut self, message: &Value) {
        self.write(&message.to_string());
    }

    /// Sends a request, and does not wait for its answer.
    pub(crate) fn begin(&mut self, method: &str, mut params: Value) -> u64 {
        let id = self.next;
        self.next += 1;
        if let Some(Value::Object(about)) = &self.about {
            for (name, value) in about {
                params["_meta"][name] = value.clone();
            }
        }
        self.say(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }));
        id
    }

    /// The first message that fits, told already or still to come.
    #[track_caller]
    pub(crate) fn wait_for(&mut self, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
        if let Some(at) = self.kept.iter().position(&fits) {
            return self.kept.remove(at);
        }
        let until = Instant::now() + PATIENCE;
        loop {
            let line = match self.told.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(line) => line,
                Err(RecvTimeoutError::Timeout) => panic!("nothing came of {what}; there came {:?}", self.kept),
                Err(RecvTimeoutError::Disconnected) => {
                    panic!("the server ended before {what}; there came {:?}", self.kept)
                }
            };
            let message: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
            if fits(&message) {
                return message;
            }
            self.kept.push(message);
        }
    }

    /// The answer to a request.
    #[track_caller]
    pub(crate) fn answer(&mut self, id: u64) -> Value {
        self.wait_for(&format!("the answer to request {id}"), |message| message["id"] == id)
    }

    /// Sends a request and waits for its answer, error or not.
    #[track_caller]
    pub(crate) fn request(&mut self, method: &str, params: Value) -> Value {
        let id = self.begin(method, params);
        self.answer(id)
    }

    /// Sends a request and waits for its result.
    #[track_caller]
    pub(crate) fn ask(&mut self, method: &str, params: Value) -> Value {
        let answer = self.request(method, params);
        assert!(answer.get("error").is_none(), "{method} failed: {answer}");
        answer["result"].clone()
    }

    /// Calls a tool.
    #[track_caller]
    pub(crate) fn call(&mut self, tool: &str, arguments: &Value) -> Value {
        self.call_with(tool, arguments, json!({}))
    }

    /// Calls a tool with something in `_meta`.
    #[track_caller]
    pub(crate) fn call_with(&mut self, tool: &str, arguments: &Value, meta: Value) -> Value {
        self.ask(
            "tools/call",
            json!({ "name": tool, "arguments": arguments, "_meta": meta }),
        )
    }

    /// Names of the tools that are listed.
    #[track_caller]
    pub(crate) fn tools(&mut self) -> Vec<String> {
        let listed = self.ask("tools/list", json!({}));
        let tools = listed["tools"].as_array().unwrap();
        tools
            .iter()
            .map(|tool| tool["name"].as_str().unwrap().to_owned())
            .collect()
    }

    /// Says that nothing more is said.
    pub(crate) fn hang_up(&mut self) {
        self.stdin = None;
    }

    /// Waits for the end of the server.
    #[track_caller]
    pub(crate) fn end(&mut self) -> ExitStatus {
        self.hang_up();
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < until, "the server does not end");
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Whether the server has ended by itself.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // A test that failed leaves nothing behind.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The body of a failure, which stands in the text and in `_meta` alike.
#[track_caller]
pub(crate) fn failed(result: &Value) -> Value {
    assert_eq!(result["isError"], true, "{result}");
    assert!(result.get("structuredContent").is_none(), "{result}");
    let text = result["content"][0]["text"].as_str().unwrap();
    let body: Value = serde_json::from_str(text).unwrap();
    assert_eq!(body, result["_meta"]["fusebox/error"]);
    assert!(!text.contains("`fusebox "), "an agent has no shell: {text}");
    body
}
