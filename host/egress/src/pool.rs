//! Connections that wait for the next exchange with the same origin at the same checked address.

use crate::connect::Connection;
use fusebox_core::policy::Origin;
use fusebox_core::time::Tick;
use fusebox_engine::ports::clock::Clock;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Which exchanges may use a connection. The address is part of it: a name that now resolves elsewhere, or to an
/// address that was refused, finds nothing here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) origin: Origin,
    pub(crate) address: IpAddr,
}

struct Idle {
    key: Key,
    connection: Connection,
    since: Tick,
}

/// The connections, the one used last at the end.
pub(crate) struct Pool {
    idle: Mutex<Vec<Idle>>,
    clock: Arc<dyn Clock>,
    keep: Duration,
    max: usize,
}

impl Pool {
    /// Keeps at most `max` connections, each for `keep` after its last use.
    pub(crate) fn new(clock: Arc<dyn Clock>, keep: Duration, max: usize) -> Self {
        Self {
            idle: Mutex::default(),
            clock,
            keep,
            max,
        }
    }

    /// The connections that are still good. Nothing under the lock can leave them half changed.
    fn idle(&self) -> MutexGuard<'_, Vec<Idle>> {
        let now = self.clock.tick();
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|each| each.connection.is_ready() && now.since(each.since) < self.keep);
        idle
    }

    /// A connection for an exchange; one that can be shared stays.
    pub(crate) fn take(&self, key: &Key) -> Option<Connection> {
        let mut idle = self.idle();
        let found = idle.iter().rposition(|each| each.key == *key)?;
        if let Some(shared) = idle[found].connection.share() {
            idle[found].since = self.clock.tick();
            return Some(shared);
        }
        Some(idle.remove(found).connection)
    }

    /// Keeps a connection for later; the one that waited longest gives way.
    pub(crate) fn put(&self, key: Key, connection: Connection) {
        let since = self.clock.tick();
        let mut idle = self.idle();
        if self.max == 0 {
            return;
        }
        if idle.len() >= self.max {
            idle.remove(0);
        }
        idle.push(Idle { key, connection, since });
    }
}
