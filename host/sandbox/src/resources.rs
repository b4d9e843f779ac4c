//! Host resources that a guest has open, by kind.

use crate::http::Exchange;
use crate::http::body::OutgoingBody;
use crate::wasi::clock::Timer;
use std::any::Any;
use std::collections::BTreeMap;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, DynPollable, Network, TcpSocket, UdpSocket};
use wasmtime_wasi_http::FieldMap;
use wasmtime_wasi_http::p2::body::HostIncomingBody;
use wasmtime_wasi_http::p2::types::{HostIncomingResponse, HostOutgoingRequest};

/// What is open: `outgoing-request ×2`, in the order of their names.
pub(crate) fn open(table: &mut ResourceTable) -> Vec<String> {
    let mut kinds = BTreeMap::new();
    for entry in table.iter_mut() {
        if let Some(kind) = kind(entry) {
            *kinds.entry(kind).or_insert(0_u32) += 1;
        }
    }
    kinds
        .into_iter()
        .map(|(kind, count)| format!("{kind} ×{count}"))
        .collect()
}

/// The name in WIT; `None` for what the host keeps for itself.
fn kind(entry: &(dyn Any + Send)) -> Option<&'static str> {
    let kinds: [(bool, &str); 11] = [
        (entry.is::<HostOutgoingRequest>(), "outgoing-request"),
        (entry.is::<Exchange>(), "future-incoming-response"),
        (entry.is::<HostIncomingResponse>(), "incoming-response"),
        (entry.is::<HostIncomingBody>(), "incoming-body"),
        (entry.is::<OutgoingBody>(), "outgoing-body"),
        (entry.is::<FieldMap>(), "fields"),
        (entry.is::<DynInputStream>(), "input-stream"),
        (entry.is::<DynOutputStream>(), "output-stream"),
        (entry.is::<DynPollable>(), "pollable"),
        (entry.is::<TcpSocket>() || entry.is::<UdpSocket>(), "socket"),
        (entry.is::<Network>(), "network"),
    ];
    let named = kinds.into_iter().find_map(|(is, name)| is.then_some(name));
    let own = entry.is::<Timer>();
    named.or((!own).then_some("other"))
}
