//! A response that a person knows of: as `curl -i` prints it, or as JSON.

use super::Failed;
use bytes::Bytes;
use fusebox_engine::requests::Response;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::Read;

/// No response that a guest could take is larger.
const LARGEST: u64 = 64 << 20;

/// Headers of one connection or of the framing of one message: what is written down here has neither.
const OF_THE_CONNECTION: [&str; 8] = [
    "connection",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "content-length",
];

const HELP: &str = "write it as `curl -i` prints it, from `HTTP/1.1 200 OK` on, or as JSON: {\"status\": 200, \"headers\": {}, \"body\": \"\"}";

/// Reads a response from a file; `-` is stdin.
///
/// # Errors
/// A file that cannot be read, or what of it is no response.
pub(super) fn read(file: &str) -> Result<Response, Failed> {
    let mut bytes = Vec::new();
    let read = if file == "-" {
        std::io::stdin().lock().take(LARGEST + 1).read_to_end(&mut bytes)
    } else {
        std::fs::File::open(file).and_then(|file| file.take(LARGEST + 1).read_to_end(&mut bytes))
    };
    let name = if file == "-" { "stdin" } else { file };
    read.map_err(|error| {
        Failed::file(
            format!("{name} cannot be read: {error}"),
            "after --response stands a file",
        )
    })?;
    if bytes.len() as u64 > LARGEST {
        return Err(Failed::file(format!("{name} is larger than 64 MiB"), HELP));
    }
    parse(&bytes).map_err(|what| Failed::file(format!("{name}: {what}"), HELP))
}

fn parse(bytes: &[u8]) -> Result<Response, String> {
    let response = if bytes.starts_with(b"HTTP/") {
        message(bytes)?
    } else if bytes.trim_ascii_start().starts_with(b"{") {
        json(bytes)?
    } else {
        return Err("it begins neither with `HTTP/` nor with `{`".to_owned());
    };
    if !(200..=599).contains(&response.status) {
        return Err(format!("{} is not a final HTTP status (200 to 599)", response.status));
    }
    Ok(response)
}

/// A message as RFC 9112 has it; line ends may be bare. Interim responses before it are passed over.
fn message(bytes: &[u8]) -> Result<Response, String> {
    let (head, body) = split(bytes).ok_or("no empty line ends its headers")?;
    let head = std::str::from_utf8(head).map_err(|_| "its headers are not UTF-8")?;
    let mut lines = head.lines();
    let status = lines.next().unwrap_or_default();
    let code = status.split(' ').nth(1).and_then(|code| code.parse().ok());
    let code: u16 = code.ok_or_else(|| format!("`{status}` is no status line"))?;
    if (100..200).contains(&code) && body.starts_with(b"HTTP/") {
        return message(body);
    }
    let mut headers = Vec::new();
    for line in lines {
        let (name, value) = line.split_once(':').ok_or_else(|| format!("`{line}` is no header"))?;
        if name.eq_ignore_ascii_case("content-length") && value.trim().parse() != Ok(body.len()) {
            return Err(format!(
                "its body has {} byte(s), and content-length says {}",
                body.len(),
                value.trim()
            ));
        }
        headers.extend(header(name, value.trim())?);
    }
    Ok(Response {
        status: code,
        headers,
        body: Bytes::copy_from_slice(body),
    })
}

/// Head and body, parted by the first empty line.
fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut start = 0;
    while let Some(length) = bytes[start..].iter().position(|byte| *byte == b'\n') {
        let line = &bytes[start..start + length];
        if matches!(line, b"" | b"\r") {
            return Some((&bytes[..start], &bytes[start + length + 1..]));
        }
        start += length + 1;
    }
    None
}

/// A header with its name in lower case; `None` for one that means the connection.
fn header(name: &str, value: &str) -> Result<Option<(String, Vec<u8>)>, String> {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || !name.bytes().all(token) {
        return Err(format!("`{name}` is no name of a header"));
    }
    if value.bytes().any(|byte| byte < b' ' && byte != b'\t' || byte == 0x7f) {
        return Err(format!("the value of `{name}` has control characters"));
    }
    let name = name.to_ascii_lowercase();
    Ok((!OF_THE_CONNECTION.contains(&name.as_str())).then(|| (name, value.as_bytes().to_vec())))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    status: u16,
    #[serde(default)]
    headers: BTreeMap<String, Values>,
    #[serde(default)]
    body: Value,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Values {
    One(String),
    Many(Vec<String>),
}

fn json(bytes: &[u8]) -> Result<Response, String> {
    let written: Written = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    let mut headers = Vec::new();
    for (name, values) in &written.headers {
        let values = match values {
            Values::One(value) => std::slice::from_ref(value),
            Values::Many(values) => values.as_slice(),
        };
        for value in values {
            headers.extend(header(name, value)?);
        }
    }
    let body = match written.body {
        Value::Null => Bytes::new(),
        Value::String(text) => Bytes::from(text),
        other => Bytes::from(other.to_string()),
    };
    Ok(Response {
        status: written.status,
        headers,
        body,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn named(response: &Response, name: &str) -> Option<String> {
        let found = response.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| String::from_utf8(value.clone()).unwrap())
    }

    #[test]
    fn what_curl_prints_is_a_response() {
        let text = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\nContent-Type: application/json\r\n\
            Transfer-Encoding: chunked\r\n\r\n{\"id\":7}\r\n\r\nx";
        let response = parse(text).unwrap();
        assert_eq!(response.status, 201);
        assert_eq!(named(&response, "content-type").as_deref(), Some("application/json"));
        assert_eq!(named(&response, "transfer-encoding"), None);
        assert_eq!(
            &response.body[..],
            b"{\"id\":7}\r\n\r\nx",
            "a body may have empty lines"
        );
        // HTTP/2 has no reason, and an editor leaves bare line ends.
        let response = parse(b"HTTP/2 204\nx-a: 1\nx-a: 2\n\n").unwrap();
        assert_eq!(
            (response.status, response.headers.len(), response.body.len()),
            (204, 2, 0)
        );
    }

    #[test]
    fn json_is_a_response() {
        let response =
            parse(br#"{"status":200,"headers":{"X-Id":["1","2"],"content-length":"9"},"body":{"b":1,"a":18446744073709551615}}"#)
                .unwrap();
        assert_eq!(named(&response, "x-id").as_deref(), Some("1"));
        assert_eq!(response.headers.len(), 2);
        assert_eq!(&response.body[..], br#"{"b":1,"a":18446744073709551615}"#);
        let text = parse(br#" {"status":200,"body":"as it is"}"#).unwrap();
        assert_eq!(&text.body[..], b"as it is");
        assert!(parse(br#"{"status":200}"#).unwrap().body.is_empty());
    }

    #[test]
    fn what_is_no_response_is_named() {
        for (text, what) in [
            ("", "begins neither"),
            ("OK", "begins neither"),
            ("HTTP/1.1 200 OK\r\nx: 1", "empty line"),
            ("HTTP/1.1 fine\r\n\r\n", "status line"),
            ("HTTP/1.1 100 Continue\r\n\r\n", "final HTTP status"),
            ("HTTP/1.1 700 Odd\r\n\r\n", "final HTTP status"),
            ("HTTP/1.1 200 OK\r\nno colon\r\n\r\n", "no header"),
            ("HTTP/1.1 200 OK\r\nbad name: 1\r\n\r\n", "no name of a header"),
            (
                "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nabc",
                "content-length says 5",
            ),
            ("{\"status\":\"200\"}", "invalid type"),
            ("{\"status\":200,\"headres\":{}}", "headres"),
            (
                "{\"status\":200,\"headers\":{\"a\":\"x\\r\\ny: z\"}}",
                "control characters",
            ),
            ("{\"status\":200", "EOF"),
        ] {
            let error = parse(text.as_bytes()).unwrap_err();
            assert!(error.contains(what), "{text:?}: {error}");
        }
    }
}
