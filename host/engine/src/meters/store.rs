//! A store whose methods are timed.

use crate::ports::clock::Clock;
use crate::ports::store::{
    Append, ApprovalFilter, AuditFilter, Backlog, Claim, Cut, ErrorFilter, Fence, Finish, Lane, LetterFilter, Likeness,
    NewRun, Resolution, RunFilter, Space, Store, StoreError, Taken, ToolChange, Verdict, methods,
};
use crate::records::{
    ApprovalRecord, AttemptRecord, AuditEntry, AuditHead, AuditRecord, BreakerRecord, ErrorRecord, JournalRecord,
    KeyRecord, LetterRecord, Page, RedriveRecord, RunRecord, StoredKey, ToolRecord,
};
use async_trait::async_trait;
use bytes::Bytes;
use fusebox_core::ids::{ApprovalId, Digest, LetterId, OwnerId, RedriveId, RunId};
use fusebox_core::time::Wall;
use metrics::{Histogram, histogram};
use std::sync::Arc;
use std::time::Duration;

/// A store around another one that times its methods: `fusebox_store_seconds`. Only a host that is watched has it, since it costs an
/// allocation for each call.
pub struct MeteredStore {
    inner: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    seconds: Seconds,
}

impl MeteredStore {
    /// Around a store, once a recorder is installed.
    #[must_use]
    pub fn new(inner: Arc<dyn Store>, clock: Arc<dyn Clock>) -> Self {
        Self {
            inner,
            clock,
            seconds: Seconds::new(),
        }
    }

    async fn timed<T>(&self, seconds: &Histogram, work: impl Future<Output = T>) -> T {
        let asked = self.clock.tick();
        let done = work.await;
        seconds.record(self.clock.tick().since(asked).as_secs_f64());
        done
    }
}

/// Times each method, by a histogram of its own.
macro_rules! time {
    ($(async fn $name:ident(&self $(, $arg:ident: $type:ty)*) -> $result:ty;)*) => {
        struct Seconds {
            $($name: Histogram,)*
        }

        impl Seconds {
            fn new() -> Self {
                Self {
                    $($name: histogram!("fusebox_store_seconds", "method" => stringify!($name)),)*
                }
            }
        }

        #[async_trait]
        impl Store for MeteredStore {
            $(async fn $name(&self $(, $arg: $type)*) -> Result<$result, StoreError> {
                self.timed(&self.seconds.$name, self.inner.$name($($arg),*)).await
            })*
        }
    };
}

methods!(time);
