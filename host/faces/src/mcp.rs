//! MCP, the face for agents: every deployed function that the caller may call is a tool. By stdio and by streamable HTTP.

mod answers;
mod calling;
mod catalogue;
mod changes;
mod http;
mod pending;
mod progress;
mod result_tool;
mod server;
mod spelling;
mod stdio;
mod tasks;

pub use stdio::Stdio;

use catalogue::{Catalogue, Entries};
use fusebox_core::failure::Failure;
use fusebox_engine::host::Host;
use fusebox_engine::ports::clock::Clock;
use fusebox_engine::requests::Caller;
use pending::Pending;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// The face for agents of one host; clones share everything.
#[derive(Clone)]
pub struct Mcp(Arc<Shared>);

struct Shared {
    host: Arc<Host>,
    clock: Arc<dyn Clock>,
    catalogue: Catalogue,
    /// Calls whose callers were told to ask later.
    pending: Pending,
    /// Cancelled when the face closes: a connection that ends then was not hung up by its client.
    closing: CancellationToken,
}

impl Mcp {
    /// A face of that host.
    #[must_use]
    pub fn new(host: Arc<Host>, clock: Arc<dyn Clock>) -> Self {
        Self(Arc::new(Shared {
            catalogue: Catalogue::default(),
            pending: Pending::default(),
            closing: CancellationToken::new(),
            host,
            clock,
        }))
    }

    /// Ends every connection; what was called goes on, or is handed over by the host as it drains.
    pub fn close(&self) {
        self.0.closing.cancel();
    }
}

impl Shared {
    /// The tools that the caller may call, by name.
    async fn entries(&self, caller: &Caller) -> Result<Arc<Entries>, Box<Failure>> {
        self.catalogue.entries(&self.host, self.clock.as_ref(), caller).await
    }
}
