//! A client that tells how exactly an exchange ended.
#![allow(clippy::unwrap_used, clippy::panic)]

use serde_json::Value;
use std::io::ErrorKind;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: Vec<u8>,
}

/// How an exchange without a whole answer ended.
#[derive(Debug)]
pub(crate) enum Ended {
    Refused,
    /// With what had arrived.
    Reset(Vec<u8>),
    Short {
        missing: usize,
    },
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(own, _)| *own == name).map(|(_, value)| value)
    }
}

pub(crate) async fn get(port: u16, path: &str, headers: &[(&str, &str)]) -> Result<Answer, Ended> {
    exchange(port, head("GET", path, headers, "").as_bytes()).await
}

pub(crate) async fn post(port: u16, path: &str, headers: &[(&str, &str)], body: &Value) -> Result<Answer, Ended> {
    exchange(port, head("POST", path, headers, &body.to_string()).as_bytes()).await
}

fn head(method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> String {
    let headers: String = headers
        .iter()
        .map(|(name, value)| format!("{name}: {value}\r\n"))
        .collect();
    let length = body.len();
    format!(
        "{method} {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n{headers}content-length: {length}\r\n\r\n{body}"
    )
}

/// Sends those bytes on a connection of their own and reads one answer.
pub(crate) async fn exchange(port: u16, request: &[u8]) -> Result<Answer, Ended> {
    let mut stream = match TcpStream::connect(("127.0.0.1", port)).await {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => return Err(Ended::Refused),
        other => other.unwrap(),
    };
    stream.write_all(request).await.unwrap();
    let mut bytes = Vec::new();
    loop {
        if let Some(answer) = whole(&bytes) {
            return Ok(answer);
        }
        let mut piece = [0; 4096];
        match stream.read(&mut piece).await {
            Ok(0) => {
                return Err(Ended::Short {
                    missing: missing(&bytes),
                });
            }
            Ok(count) => bytes.extend_from_slice(&piece[..count]),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return Err(Ended::Reset(bytes)),
            Err(error) => panic!("{error}"),
        }
    }
}

fn parts(bytes: &[u8]) -> Option<(String, usize, Vec<u8>)> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .map_or(0, |length| length.parse().unwrap());
    Some((head, length, bytes[end + 4..].to_vec()))
}

fn missing(bytes: &[u8]) -> usize {
    parts(bytes).map_or(usize::MAX, |(_, length, body)| length - body.len())
}

fn whole(bytes: &[u8]) -> Option<Answer> {
    let (head, length, body) = parts(bytes)?;
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (body.len() >= length).then_some(Answer { status, head, body })
}
