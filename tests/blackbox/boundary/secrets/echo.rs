//! An upstream that repeats the credentials that it was sent, in headers and body, as they are and encoded; the chunks of its body end in
//! the middle of them.

use super::planted::repeated;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// An upstream on a port of its own.
pub(super) struct Echo {
    pub(super) url: String,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Echo {
    /// One that answers 503 where the path says `fail`, 200 elsewhere.
    pub(super) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen: Arc<Mutex<Vec<String>>> = Arc::default();
        let to = Arc::clone(&seen);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let to = Arc::clone(&to);
                thread::spawn(move || answer(stream, &to));
            }
        });
        Self { url, seen }
    }

    /// The credentials of every request so far.
    pub(super) fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

/// Answers one request, and closes.
fn answer(mut stream: TcpStream, seen: &Mutex<Vec<String>>) {
    stream.set_nodelay(true).unwrap();
    let mut lines = BufReader::new(stream.try_clone().unwrap())
        .lines()
        .map_while(Result::ok);
    let fails = lines.next().is_some_and(|line| line.contains("fail"));
    let mut sent = String::new();
    for line in lines.take_while(|line| !line.is_empty()) {
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("authorization")
        {
            sent = value.trim().to_owned();
        }
    }
    let credential = sent.split_once(' ').map_or("", |(_, credential)| credential).to_owned();
    seen.lock().unwrap().push(sent.clone());
    let mut said = vec![sent];
    said.extend(repeated(&credential));
    if let Some(pair) = STANDARD
        .decode(&credential)
        .ok()
        .and_then(|it| String::from_utf8(it).ok())
    {
        said.extend(repeated(&pair));
        said.extend(repeated(pair.split(':').next_back().unwrap()));
    }
    let mut head = format!(
        "HTTP/1.1 {}\r\ntransfer-encoding: chunked\r\nconnection: close\r\n",
        if fails { "503 Unavailable" } else { "200 OK" }
    );
    for (number, text) in said.iter().enumerate() {
        head.push_str(&format!("x-said-{number}: {text}\r\n"));
    }
    let body = format!("you said: {}", said.join(" and "));
    // Whoever hangs up in between needs no answer.
    let _ = stream.write_all(format!("{head}\r\n").as_bytes());
    for piece in body.as_bytes().chunks(7) {
        let chunk = [format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat();
        let _ = stream.write_all(&chunk);
    }
    let _ = stream.write_all(b"0\r\n\r\n");
}
