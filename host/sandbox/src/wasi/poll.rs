//! Waiting, for guests: like the runtime's own, except that the end of the attempt ends it with an error inside the
//! guest, so that its state can be read where it stood.

use crate::deadline::Deadline;
use crate::state::State;
use wasmtime::Result;
use wasmtime::component::{HasData, Linker, Resource, ResourceTable};
use wasmtime_wasi::p2::DynPollable;
use wasmtime_wasi_io::bindings::wasi::io::poll::{self, Host, HostPollable};

/// Defines `wasi:io/poll`, over the one that is there.
pub(super) fn add_to_linker(linker: &mut Linker<State>) -> Result<()> {
    poll::add_to_linker::<State, Waits>(linker, |state| Wait {
        table: &mut state.table,
        deadline: &state.deadline,
    })
}

struct Waits;

impl HasData for Waits {
    type Data<'a> = Wait<'a>;
}

struct Wait<'a> {
    table: &'a mut ResourceTable,
    deadline: &'a Deadline,
}

impl Host for Wait<'_> {
    async fn poll(&mut self, pollables: Vec<Resource<DynPollable>>) -> Result<Vec<u32>> {
        tokio::select! {
            biased;
            ready = Host::poll(&mut *self.table, pollables) => ready,
            ended = self.deadline.passed() => Err(ended.into()),
        }
    }
}

impl HostPollable for Wait<'_> {
    async fn block(&mut self, pollable: Resource<DynPollable>) -> Result<()> {
        tokio::select! {
            biased;
            ready = HostPollable::block(&mut *self.table, pollable) => ready,
            ended = self.deadline.passed() => Err(ended.into()),
        }
    }

    async fn ready(&mut self, pollable: Resource<DynPollable>) -> Result<bool> {
        HostPollable::ready(&mut *self.table, pollable).await
    }

    fn drop(&mut self, pollable: Resource<DynPollable>) -> Result<()> {
        HostPollable::drop(&mut *self.table, pollable)
    }
}
