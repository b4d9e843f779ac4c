//! Clients that hold connections and do nothing with them: what they must not do is stop others.

use anyhow::{Context, Result};
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// What such a client has sent before it falls asleep.
const KINDS: [(&str, &[u8]); 4] = [
    ("nothing at all", b""),
    ("half a head", b"POST /v1/tools/calculator/functions/evaluate/calls HTTP/1.1\r\nhost: 127.0.0.1\r\nx-slow: "),
    (
        "half a body",
        b"POST /v1/tools/calculator/functions/evaluate/calls HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n{\"expression\":",
    ),
    (
        "requests whose answers it does not read",
        b"GET /v1/openapi.json HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\nGET /v1/openapi.json HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n",
    ),
];

/// Connections that are open and sleep.
pub(super) struct Slow {
    sockets: Vec<TcpStream>,
}

impl Slow {
    /// Opens so many connections of each kind.
    pub(super) fn open(address: SocketAddr, each: usize) -> Result<Self> {
        let mut sockets = Vec::new();
        for (kind, sent) in KINDS {
            for _ in 0..each {
                let mut socket = TcpStream::connect(address).with_context(|| format!("a client that sends {kind}"))?;
                socket.set_nonblocking(true)?;
                // A host that has closed the connection already has done what is asked of it.
                let _ = socket.write(sent);
                sockets.push(socket);
            }
        }
        Ok(Self { sockets })
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.sockets.len()
    }

    /// Sends a byte on each, as a client does that means to look alive.
    pub(super) fn drip(&mut self) {
        for socket in &mut self.sockets {
            // Those that the host has closed are counted at the end.
            let _ = socket.write(b"a");
        }
    }

    /// How many of them the host has closed after so long.
    pub(super) fn closed_within(&mut self, time: Duration) -> usize {
        let start = Instant::now();
        loop {
            let closed = self.sockets.iter_mut().map(is_closed).filter(|closed| *closed).count();
            if closed == self.sockets.len() || start.elapsed() > time {
                return closed;
            }
            std::thread::sleep(Duration::from_millis(500));
        }
    }
}

/// Whether the other side has ended a connection; what it has sent before is read and thrown away.
fn is_closed(socket: &mut TcpStream) -> bool {
    let mut piece = [0; 64 * 1024];
    loop {
        match socket.read(&mut piece) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
            Err(_) => return true,
        }
    }
}
