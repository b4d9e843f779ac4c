//! What surrounds an instance: its own memory, the clock, the network.

use crate::exports::example::faulty::faults::Failure;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};
use wasip2::sockets::instance_network::instance_network;
use wasip2::sockets::network::{IpAddressFamily, IpSocketAddress, Ipv4SocketAddress};
use wasip2::sockets::tcp_create_socket::create_tcp_socket;

/// Calls of this instance so far.
static CALLS: AtomicU64 = AtomicU64::new(0);

pub(crate) fn stateful() -> u64 {
    CALLS.fetch_add(1, Ordering::Relaxed) + 1
}

/// Milliseconds since 1970; 0 for a clock that is set before.
pub(crate) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

pub(crate) fn open_socket() -> Result<(), Failure> {
    let refused = |code| Failure::Unmapped(format!("no socket: {code:?}"));
    let socket = create_tcp_socket(IpAddressFamily::Ipv4).map_err(refused)?;
    let loopback = IpSocketAddress::Ipv4(Ipv4SocketAddress {
        port: 80,
        address: (127, 0, 0, 1),
    });
    socket.start_connect(&instance_network(), loopback).map_err(refused)?;
    socket.subscribe().block();
    socket.finish_connect().map_err(refused).map(drop)
}
