//! Waiting, for guests: while nothing of what a guest waits for is ready, the next effect is let in. The end of the attempt ends a wait
//! with an error inside the guest, so that its state can be read where it stood.
//!
//! Streams need no such care: those that a guest of ours can hold never wait. What it prints and sends is taken at once, what it receives
//! is whole before it can see it, and stdin is closed.

use super::clock::Timers;
use crate::pump::Pump;
use crate::state::State;
use futures::FutureExt as _;
use wasmtime::Result;
use wasmtime::component::{HasData, Linker, Resource, ResourceTable};
use wasmtime_wasi::p2::DynPollable;
use wasmtime_wasi_io::bindings::wasi::io::poll::{self, Host, HostPollable};

/// Defines `wasi:io/poll`, over the one that is there.
pub(super) fn add_to_linker(linker: &mut Linker<State>) -> Result<()> {
    poll::add_to_linker::<State, Waits>(linker, |state| Wait {
        table: &mut state.table,
        pump: &mut state.pump,
        timers: &mut state.timers,
    })
}

struct Waits;

impl HasData for Waits {
    type Data<'a> = Wait<'a>;
}

struct Wait<'a> {
    table: &'a mut ResourceTable,
    pump: &'a mut Pump,
    timers: &'a mut Timers,
}

impl Wait<'_> {
    /// Which of them are ready now; none when the list is empty. Their futures are asked once: none of them ever wakes anybody.
    fn ready_now(&mut self, pollables: &[Resource<DynPollable>]) -> Result<Vec<u32>> {
        let borrowed = pollables.iter().map(|one| Resource::new_borrow(one.rep())).collect();
        let ready = Host::poll(&mut *self.table, borrowed).now_or_never();
        ready.unwrap_or_else(|| Ok(Vec::new()))
    }

    fn is_ready(&mut self, pollable: &Resource<DynPollable>) -> Result<bool> {
        let borrowed = Resource::new_borrow(pollable.rep());
        let ready = HostPollable::ready(&mut *self.table, borrowed).now_or_never();
        ready.unwrap_or(Ok(false))
    }
}

impl Host for Wait<'_> {
    async fn poll(&mut self, pollables: Vec<Resource<DynPollable>>) -> Result<Vec<u32>> {
        loop {
            let ready = self.ready_now(&pollables)?;
            if ready.is_empty() {
                self.pump.let_in().await?;
            // A guest that always has something ready must not shut the others out.
            } else if ready.len() == pollables.len() || !self.pump.not_yet().await? {
                return Ok(ready);
            }
        }
    }
}

impl HostPollable for Wait<'_> {
    async fn block(&mut self, pollable: Resource<DynPollable>) -> Result<()> {
        while !self.is_ready(&pollable)? {
            self.pump.let_in().await?;
        }
        Ok(())
    }

    async fn ready(&mut self, pollable: Resource<DynPollable>) -> Result<bool> {
        while !self.is_ready(&pollable)? {
            if !self.pump.not_yet().await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn drop(&mut self, pollable: Resource<DynPollable>) -> Result<()> {
        if let Some(timer) = self.timers.remove(&pollable.rep()) {
            self.pump.abandon(timer);
        }
        HostPollable::drop(&mut *self.table, pollable)
    }
}
