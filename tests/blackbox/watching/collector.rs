//! A collector of traces: takes OTLP over HTTP and keeps what it is sent.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use prost::Message as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// A collector on a port of its own.
pub(crate) struct Collector {
    /// Its address.
    pub(crate) url: String,
    bodies: Arc<Mutex<Vec<Vec<u8>>>>,
}

/// A span as it was sent, ids in hexadecimal.
#[derive(Clone, Debug)]
pub(crate) struct Span {
    pub(crate) name: String,
    pub(crate) trace: String,
    pub(crate) id: String,
    pub(crate) parent: String,
    pub(crate) failed: bool,
    texts: Vec<(String, String)>,
}

impl Span {
    /// An attribute that is a text; empty when there is none.
    pub(crate) fn text(&self, key: &str) -> &str {
        let found = self.texts.iter().find(|(name, _)| name == key);
        found.map_or("", |(_, value)| value)
    }
}

impl Collector {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let bodies: Arc<Mutex<Vec<Vec<u8>>>> = Arc::default();
        let to = Arc::clone(&bodies);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let to = Arc::clone(&to);
                thread::spawn(move || serve(stream, &to));
            }
        });
        Self { url, bodies }
    }

    /// Everything that it was sent, as it came.
    pub(crate) fn bodies(&self) -> Vec<Vec<u8>> {
        self.bodies.lock().unwrap().clone()
    }

    /// Every span so far.
    pub(crate) fn spans(&self) -> Vec<Span> {
        let bodies = self.bodies.lock().unwrap();
        let requests = bodies
            .iter()
            .map(|body| ExportTraceServiceRequest::decode(&body[..]).unwrap());
        let resources = requests.flat_map(|request| request.resource_spans);
        let spans = resources
            .flat_map(|resource| resource.scope_spans)
            .flat_map(|scope| scope.spans);
        spans.map(span).collect()
    }
}

fn span(sent: opentelemetry_proto::tonic::trace::v1::Span) -> Span {
    let texts = sent
        .attributes
        .into_iter()
        .filter_map(|attribute| match attribute.value?.value? {
            Value::StringValue(text) => Some((attribute.key, text)),
            _ => None,
        });
    Span {
        name: sent.name,
        trace: hex(&sent.trace_id),
        id: hex(&sent.span_id),
        parent: hex(&sent.parent_span_id),
        failed: sent.status.is_some_and(|status| status.code == 2),
        texts: texts.collect(),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Takes requests of one connection until it is closed.
fn serve(stream: TcpStream, to: &Mutex<Vec<Vec<u8>>>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut writer = stream;
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            let line = line.trim_end().to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        to.lock().unwrap().push(body);
        writer
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
            .unwrap();
    }
}
