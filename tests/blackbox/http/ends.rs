//! Ends: of a client's connection, of the host, and before it has begun.

use super::client::Served;
use crate::site::{Running, Site, eventually};
use fusebox_simulator::{Fault, Service};
use serde_json::json;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::thread;
use std::time::Duration;

const TRANSFER: &str = "/v1/tools/ledger/functions/transfer/calls";

/// Sends a transfer, and does not wait for the answer.
fn begin(served: &Served, key: &str) -> TcpStream {
    let address = served.url.trim_start_matches("http://");
    let body = json!({ "from-account": "alice", "to-account": "bob", "amount": 100 }).to_string();
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "POST {TRANSFER} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {key}\r\nidempotency-key: a\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    stream
}

#[test]
fn a_caller_that_hangs_up_cancels_nothing() {
    let site = Site::deployed(&["ledger"]);
    let served = Served::start(&site);
    let key = served.key(&["caller"]);
    site.fault(Service::Ledger, Fault::Delay(700), Some(1));
    let stream = begin(&served, &key);
    eventually("the transfer is in flight", || {
        site.requests(Service::Ledger).len() == 1
    });
    drop(stream);
    eventually("the run is over", || site.runs()[0]["state"] == "succeeded");
    assert_eq!(site.upstreams().ledger().transfers.len(), 1);
    served.end();
}

#[test]
fn a_drain_answers_what_is_in_flight() {
    let site = Site::deployed(&["ledger"]);
    let served = Served::start(&site);
    let key = served.key(&["caller"]);
    site.fault(Service::Ledger, Fault::Delay(1_000), Some(1));
    let mut stream = begin(&served, &key);
    eventually("the transfer is in flight", || {
        site.requests(Service::Ledger).len() == 1
    });
    let answer = thread::spawn(move || {
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    });
    let address = served.url.trim_start_matches("http://").to_owned();
    served.running.terminate();
    eventually("nobody new is let in", || TcpStream::connect(&address).is_err());
    let answer = answer.join().unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 200") && answer.contains("\"state\":\"succeeded\""),
        "{answer}"
    );
    served.running.wait().exits(0);
}

/// What a host opens for its database and its upstreams must not be what the system refuses when many clients come.
#[test]
fn a_host_takes_no_more_connections_than_its_open_files_leave_room_for() {
    let site = Site::new();
    let typed = site.command(&["serve", "--json", "--http", "127.0.0.1:0"]);
    let mut limited = Command::new("/bin/sh");
    limited
        .args(["-c", "ulimit -n 200 && ulimit -S -n 100 && exec \"$@\"", "sh"])
        .arg(typed.get_program())
        .args(typed.get_args())
        .env_clear()
        .envs(typed.get_envs().filter_map(|(name, value)| Some((name, value?))))
        .current_dir(site.folder());
    let running = Running::start(&mut limited, Duration::from_secs(60));
    eventually("the host serves", || running.printed().contains("serving"));
    running.terminate();
    let ran = running.wait().exits(0);
    ran.says("have 200 files and sockets open, so that it takes 150 connections and not 4096");
}

#[test]
fn a_host_that_cannot_listen_says_why() {
    let site = Site::new();
    let served = Served::start(&site);
    let address = served.url.trim_start_matches("http://").to_owned();
    site.fusebox(&["serve", "--http", &address])
        .exits(64)
        .says(&address)
        .says("port 0");
    site.fusebox(&["serve", "--http", "nonsense"])
        .exits(64)
        .says("nonsense");
    site.fusebox(&["serve", "--open-loopback=root"])
        .exits(64)
        .says("caller");
    site.fusebox(&["serve", "--tls-cert", "a.pem"])
        .exits(64)
        .says("--tls-key");
    served.end();
}
