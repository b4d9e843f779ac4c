//! The least that an agent says to an MCP server on its standard input and output (protocol 2025-06-18): JSON-RPC, one message a line.

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

/// An answer that takes longer does not come.
const PATIENCE: Duration = Duration::from_secs(120);

/// An agent with its server, which it ends when it is dropped.
pub(super) struct Agent {
    server: Child,
    to: Option<ChildStdin>,
    from: Receiver<String>,
    asked: u64,
}

impl Agent {
    /// Starts the server.
    ///
    /// # Errors
    /// A program that cannot be started.
    pub(super) fn start(command: &mut Command) -> Result<Self> {
        let mut server = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("the server cannot be started")?;
        let to = server.stdin.take();
        let out = server.stdout.take().context("the server has no output")?;
        let (say, from) = channel();
        thread::spawn(move || {
            // It ends when either side does.
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                if say.send(line).is_err() {
                    return;
                }
            }
        });
        Ok(Self {
            server,
            to,
            from,
            asked: 0,
        })
    }

    /// Opens the conversation.
    ///
    /// # Errors
    /// As [`Self::ask`].
    pub(super) fn greet(&mut self) -> Result<()> {
        let client = json!({ "name": "readme", "version": "1.0.0" });
        self.ask(
            "initialize",
            json!({ "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": client }),
        )?;
        self.send(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }))
    }

    /// The answer to a request.
    ///
    /// # Errors
    /// An error for an answer, none in time, or a server that is gone.
    pub(super) fn ask(&mut self, method: &str, params: Value) -> Result<Value> {
        self.asked += 1;
        self.send(&json!({ "jsonrpc": "2.0", "id": self.asked, "method": method, "params": params }))?;
        loop {
            let line = self
                .from
                .recv_timeout(PATIENCE)
                .with_context(|| format!("the server does not answer {method}"))?;
            let mut message: Value =
                serde_json::from_str(&line).with_context(|| format!("the server wrote what is no message: {line}"))?;
            if message["id"] != self.asked {
                continue;
            }
            if !message["error"].is_null() {
                bail!("the server answers {method} with {}", message["error"]);
            }
            return Ok(message["result"].take());
        }
    }

    /// Ends the conversation as agents do, by closing the server's input.
    ///
    /// # Errors
    /// A server that ends with a failure.
    pub(super) fn stop(mut self) -> Result<()> {
        self.to = None;
        let status = self.server.wait().context("the server cannot be waited for")?;
        if !status.success() {
            bail!("the server ended with {status}");
        }
        Ok(())
    }

    fn send(&mut self, message: &Value) -> Result<()> {
        let to = self.to.as_mut().context("the server has no input")?;
        writeln!(to, "{message}").context("the server is gone")
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // One that has ended already cannot be killed, which is all right.
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}
