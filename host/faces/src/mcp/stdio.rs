//! MCP over the two ends of a pipe: a JSON message on each line, and nothing else.

use super::Mcp;
use super::server::Connection;
use fusebox_engine::requests::Caller;
use rmcp::model::{ClientJsonRpcMessage, ClientNotification, ClientRequest, ErrorData, JsonRpcMessage, RequestId};
use rmcp::service::{RoleServer, RxJsonRpcMessage, ServiceExt, TxJsonRpcMessage};
use rmcp::transport::Transport;
use std::collections::HashSet;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use tokio::sync::{Notify, mpsc, oneshot};

/// A longer line is refused.
const LONGEST_LINE: usize = 16 << 20;

/// Lines and messages that wait for the other side.
const WAITING: usize = 16;

/// The two ends. They are read and written by threads of their own: a client that neither writes nor reads keeps no shutdown waiting.
pub struct Stdio {
    lines: mpsc::Receiver<Line>,
    messages: mpsc::Sender<Message>,
    answered: Arc<Answered>,
    begun: bool,
    ended: bool,
}

enum Line {
    Text(Vec<u8>),
    TooLong,
}

struct Message {
    text: Vec<u8>,
    written: oneshot::Sender<io::Result<()>>,
}

/// Requests that are not answered yet: the pipe is kept open for their answers when the client has said everything.
#[derive(Default)]
struct Answered {
    open: Mutex<HashSet<RequestId>>,
    changed: Notify,
}

impl Answered {
    fn asked(&self, id: RequestId) {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).insert(id);
    }

    fn answered(&self, id: &RequestId) {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
        self.changed.notify_one();
    }

    async fn all(&self) {
        while !self.open.lock().unwrap_or_else(PoisonError::into_inner).is_empty() {
            self.changed.notified().await;
        }
    }
}

impl Stdio {
    /// Starts to read and to write.
    ///
    /// # Errors
    /// That the system refuses threads.
    pub fn start(read: impl Read + Send + 'static, write: impl Write + Send + 'static) -> io::Result<Self> {
        let (lines_in, lines) = mpsc::channel(WAITING);
        let (messages, messages_out) = mpsc::channel(WAITING);
        thread::Builder::new()
            .name("mcp-in".to_owned())
            .spawn(move || read_lines(BufReader::new(read), &lines_in))?;
        thread::Builder::new()
            .name("mcp-out".to_owned())
            .spawn(move || write_messages(write, messages_out))?;
        Ok(Self {
            lines,
            messages,
            answered: Arc::default(),
            begun: false,
            ended: false,
        })
    }

    /// A message of the client, or what it is told about a line that is none.
    fn take(&mut self, line: Line) -> Result<Option<ClientJsonRpcMessage>, Box<TxJsonRpcMessage<RoleServer>>> {
        let text = match line {
            Line::Text(text) => text,
            Line::TooLong => {
                let what = format!("a message has at most {LONGEST_LINE} bytes");
                return Err(wrong(ErrorData::invalid_request(what, None), None));
            }
        };
        if text.iter().all(u8::is_ascii_whitespace) {
            return Ok(None);
        }
        let value: serde_json::Value = serde_json::from_slice(&text)
            .map_err(|error| wrong(ErrorData::parse_error(error.to_string(), None), None))?;
        let id = value.get("id").and_then(|id| serde_json::from_value(id.clone()).ok());
        let message = serde_json::from_value(value).map_err(|_| {
            wrong(
                ErrorData::invalid_request("this is no message of JSON-RPC 2.0", None),
                id,
            )
        })?;
        match &message {
            ClientJsonRpcMessage::Request(request) => {
                self.begun = true;
                if !matches!(request.request, ClientRequest::SubscriptionsListenRequest(_)) {
                    self.answered.asked(request.id.clone());
                }
            }
            ClientJsonRpcMessage::Notification(notification) => {
                if let ClientNotification::CancelledNotification(cancelled) = &notification.notification
                    && let Some(id) = &cancelled.params.request_id
                {
                    self.answered.answered(id);
                }
                // Before anything was asked a notification has nothing to tell.
                if !self.begun {
                    return Ok(None);
                }
            }
            _ => {}
        }
        Ok(Some(message))
    }
}

/// What a client is told about a line that is no message.
fn wrong(error: ErrorData, id: Option<RequestId>) -> Box<TxJsonRpcMessage<RoleServer>> {
    Box::new(JsonRpcMessage::error(error, id))
}

/// Reads lines until the end; one that is too long is skipped.
fn read_lines(mut read: impl BufRead, lines: &mpsc::Sender<Line>) {
    loop {
        let mut text = Vec::new();
        let longest = u64::try_from(LONGEST_LINE).unwrap_or(u64::MAX);
        let line = match read.by_ref().take(longest + 1).read_until(b'\n', &mut text) {
            Ok(0) => return,
            Ok(_) if text.len() > LONGEST_LINE && text.last() != Some(&b'\n') => match read.skip_until(b'\n') {
                Ok(_) => Line::TooLong,
                Err(error) => return tracing::warn!(%error, "the client's messages cannot be read"),
            },
            Ok(_) => Line::Text(text),
            Err(error) => return tracing::warn!(%error, "the client's messages cannot be read"),
        };
        if lines.blocking_send(line).is_err() {
            return;
        }
    }
}

fn write_messages(mut write: impl Write, mut messages: mpsc::Receiver<Message>) {
    while let Some(Message { text, written }) = messages.blocking_recv() {
        let result = write.write_all(&text).and_then(|()| write.flush());
        // Whoever sent it may not wait any longer.
        let _ = written.send(result);
    }
}

/// Sends a message.
fn send(
    messages: &mpsc::Sender<Message>,
    message: &TxJsonRpcMessage<RoleServer>,
) -> impl Future<Output = io::Result<()>> + Send + use<> {
    let text = serde_json::to_vec(message).map(|mut text| {
        text.push(b'\n');
        text
    });
    let messages = messages.clone();
    async move {
        let gone = || io::Error::from(io::ErrorKind::BrokenPipe);
        let (written, done) = oneshot::channel();
        let message = Message { text: text?, written };
        messages.send(message).await.map_err(|_| gone())?;
        done.await.map_err(|_| gone())?
    }
}

impl Transport<RoleServer> for Stdio {
    type Error = io::Error;

    fn send(&mut self, message: TxJsonRpcMessage<RoleServer>) -> impl Future<Output = io::Result<()>> + Send + 'static {
        let id = match &message {
            JsonRpcMessage::Response(response) => Some(response.id.clone()),
            JsonRpcMessage::Error(error) => error.id.clone(),
            _ => None,
        };
        let (sending, answered) = (send(&self.messages, &message), Arc::clone(&self.answered));
        async move {
            let sent = sending.await;
            if let Some(id) = id {
                answered.answered(&id);
            }
            sent
        }
    }

    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleServer>> {
        while !self.ended {
            let Some(line) = self.lines.recv().await else {
                self.ended = true;
                break;
            };
            match self.take(line) {
                Ok(Some(message)) => return Some(message),
                Ok(None) => {}
                Err(wrong) => {
                    let sending = send(&self.messages, &wrong);
                    // The loop that receives may be interrupted here; the message goes out all the same.
                    tokio::spawn(async move {
                        if let Err(error) = sending.await {
                            tracing::debug!(%error, "the client does not hear that a message is wrong");
                        }
                    });
                }
            }
        }
        self.answered.all().await;
        None
    }

    async fn close(&mut self) -> io::Result<()> {
        self.lines.close();
        Ok(())
    }
}

impl Mcp {
    /// Serves one client at the other end of a pipe, until it has said everything and got every answer, or the face closes.
    pub async fn serve(&self, stdio: Stdio, caller: Caller) {
        let connection = Connection::new(self.clone(), Some(caller));
        let served = connection.serve_with_ct(stdio, self.0.closing.child_token()).await;
        let quit = match served {
            Ok(running) => running.waiting().await.map(|_| ()).map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        if let Err(error) = quit {
            tracing::info!(error, "the client has gone");
        }
    }
}
