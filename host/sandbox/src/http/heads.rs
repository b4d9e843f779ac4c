//! What a guest writes beside bodies: header fields, and methods, hosts and paths of requests. The host holds them in the table of resources,
//! which knows nothing of sizes; so they are counted as they are written, and anew when the sum seems too large, since some may be gone.

use super::Exchange;
use crate::limits::{Charge, HostMemory};
use crate::state::State;
use http::header::HeaderMap;
use std::sync::Arc;
use wasmtime::component::{Linker, Resource, ResourceTable};
use wasmtime::{Result, StoreContextMut};
use wasmtime_wasi_http::p2::HeaderResult;
use wasmtime_wasi_http::p2::bindings::http::types::{HeaderError, HostFields, HostOutgoingRequest as _, Method};
use wasmtime_wasi_http::p2::types::HostOutgoingRequest;
use wasmtime_wasi_http::{FieldMap, WasiHttpView as _};

/// Bytes that a field takes besides its name and its value.
const FIELD: usize = 72;
/// Which part of the host's memory heads may take before they are counted anew, and again when they have doubled: one of so many. What is gone
/// by then is counted for no longer.
const RECOUNT_SHARE: u64 = 64;

type Store<'a> = StoreContextMut<'a, State>;
type Fields = Resource<FieldMap>;
type Request = Resource<HostOutgoingRequest>;

/// Defines the functions by which heads grow, over those that are there.
pub(super) fn add_to_linker(linker: &mut Linker<State>) -> Result<()> {
    let mut types = linker.instance(super::TYPES)?;
    types.func_wrap(
        "[static]fields.from-list",
        |mut store: Store<'_>, (entries,): (Vec<(String, Vec<u8>)>,)| {
            let state = store.data_mut();
            state.wrote(
                entries
                    .iter()
                    .map(|(name, value)| name.len() + value.len() + FIELD)
                    .sum(),
            )?;
            told(state.http().from_list(entries))
        },
    )?;
    types.func_wrap(
        "[method]fields.set",
        |mut store: Store<'_>, (fields, name, values): (Fields, String, Vec<Vec<u8>>)| {
            let state = store.data_mut();
            state.wrote(name.len() + values.iter().map(|value| value.len() + FIELD).sum::<usize>())?;
            told(HostFields::set(&mut state.http(), fields, name, values))
        },
    )?;
    types.func_wrap(
        "[method]fields.append",
        |mut store: Store<'_>, (fields, name, value): (Fields, String, Vec<u8>)| {
            let state = store.data_mut();
            state.wrote(name.len() + value.len() + FIELD)?;
            told(state.http().append(fields, name, value))
        },
    )?;
    types.func_wrap("[method]fields.clone", |mut store: Store<'_>, (fields,): (Fields,)| {
        let state = store.data_mut();
        let size = size_of_fields(state.table.get(&fields)?);
        state.wrote(size)?;
        Ok((HostFields::clone(&mut state.http(), fields)?,))
    })?;
    requests(linker)
}

fn requests(linker: &mut Linker<State>) -> Result<()> {
    let mut types = linker.instance(super::TYPES)?;
    types.func_wrap(
        "[method]outgoing-request.set-method",
        |mut store: Store<'_>, (request, method): (Request, Method)| {
            let state = store.data_mut();
            state.wrote(size_of_method(&method))?;
            Ok((state.http().set_method(request, method)?,))
        },
    )?;
    types.func_wrap(
        "[method]outgoing-request.set-path-with-query",
        |mut store: Store<'_>, (request, path): (Request, Option<String>)| {
            let state = store.data_mut();
            state.wrote(path.as_ref().map_or(0, String::len))?;
            Ok((state.http().set_path_with_query(request, path)?,))
        },
    )?;
    types.func_wrap(
        "[method]outgoing-request.set-authority",
        |mut store: Store<'_>, (request, authority): (Request, Option<String>)| {
            let state = store.data_mut();
            state.wrote(authority.as_ref().map_or(0, String::len))?;
            Ok((state.http().set_authority(request, authority)?,))
        },
    )
}

/// A result as the guest sees it.
fn told<T>(result: HeaderResult<T>) -> Result<(Result<T, HeaderError>,)> {
    Ok((match result {
        Ok(value) => Ok(value),
        Err(error) => Err(error.downcast()?),
    },))
}

/// What heads take of the host's memory.
pub(crate) struct Heads {
    held: Charge,
    /// When they seem to take more than this, they are counted anew.
    recount_at: u64,
}

impl Heads {
    pub(crate) fn new(memory: &Arc<HostMemory>) -> Self {
        Self {
            held: memory.nothing(),
            recount_at: memory.allowed() / RECOUNT_SHARE,
        }
    }
}

impl State {
    /// The guest writes so many bytes of heads.
    fn wrote(&mut self, bytes: usize) -> Result<()> {
        let bytes = bytes as u64;
        let heads = &mut self.heads;
        if heads.held.bytes().saturating_add(bytes) > heads.recount_at || self.host_memory.left() < bytes {
            let held = size_of_heads(&mut self.table);
            heads.held.release();
            heads.held.grow(held)?;
            let usual = self.host_memory.allowed() / RECOUNT_SHARE;
            heads.recount_at = usual.max(held.saturating_mul(2));
        }
        heads.held.grow(bytes)?;
        Ok(())
    }
}

/// All heads that the table holds now.
fn size_of_heads(table: &mut ResourceTable) -> u64 {
    let size = |entry: &(dyn std::any::Any + Send)| {
        if let Some(fields) = entry.downcast_ref::<FieldMap>() {
            size_of_fields(fields)
        } else if let Some(request) = entry.downcast_ref::<HostOutgoingRequest>() {
            let texts = [&request.authority, &request.path_with_query];
            let texts = texts.map(|text| text.as_ref().map_or(0, String::len));
            size_of_method(&request.method) + texts.iter().sum::<usize>() + size_of_fields(&request.headers)
        } else {
            entry.downcast_ref().map_or(0, Exchange::size_of_head)
        }
    };
    table.iter_mut().map(|entry| size(entry) as u64).sum()
}

fn size_of_fields(fields: &HeaderMap) -> usize {
    fields
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + FIELD)
        .sum()
}

fn size_of_method(method: &Method) -> usize {
    match method {
        Method::Other(name) => name.len(),
        _ => 0,
    }
}
