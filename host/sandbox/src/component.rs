//! The port's component: decodes, describes, and runs attempts.

use crate::attempt;
use crate::engine::Variant;
use crate::loaded::Loaded;
use crate::sandbox::Shared;
use crate::schema;
use crate::values::Arguments;
use fusebox_core::component::ComponentShape;
use fusebox_core::ids::Digest;
use fusebox_engine::ports::sandbox::{
    AttemptEnd, AttemptReport, AttemptSpec, Component, ComponentFacts, Input, Schemas,
};
use fusebox_engine::records::Log;
use futures::future::BoxFuture;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::OnceCell;

/// A loaded component.
pub(crate) struct WasmComponent {
    digest: Digest,
    plain: Arc<Loaded>,
    /// Its code that counts fuel, once an attempt asks for it.
    fueled: OnceCell<Arc<Loaded>>,
    shared: Arc<Shared>,
}

impl WasmComponent {
    pub(crate) fn new(digest: Digest, plain: Loaded, shared: Arc<Shared>) -> Self {
        Self {
            digest,
            plain: Arc::new(plain),
            fueled: OnceCell::new(),
            shared,
        }
    }

    async fn fueled(&self) -> Result<&Arc<Loaded>, AttemptEnd> {
        let load = || async {
            self.shared
                .loaded(self.digest, None, Variant::Fueled)
                .await
                .map(Arc::new)
        };
        self.fueled
            .get_or_try_init(load)
            .await
            .map_err(|error| AttemptEnd::Host {
                message: format!("`limits.fuel` needs code that counts fuel: {error}"),
            })
    }
}

impl Component for WasmComponent {
    fn shape(&self) -> &ComponentShape {
        &self.plain.surface.shape
    }

    fn facts(&self) -> &ComponentFacts {
        &self.plain.facts
    }

    fn decode(&self, function: &str, json: &str, host_memory: u64) -> Result<Arc<dyn Input>, String> {
        let callables = &self.plain.surface.callables;
        let callable = callables
            .get(function)
            .ok_or_else(|| format!("the component has no function `{function}`"))?;
        let arguments = Arguments::decode(Arc::clone(callable), json, host_memory)?;
        Ok(Arc::new(arguments))
    }

    fn schemas(&self, function: &str, params: &BTreeMap<String, String>) -> Option<Schemas> {
        let callable = self.plain.surface.callables.get(function)?;
        Some(schema::schemas(callable, params))
    }

    fn attempt(&self, spec: AttemptSpec) -> BoxFuture<'_, AttemptReport> {
        Box::pin(async move {
            let loaded = match spec.limits.fuel {
                None => Ok(&self.plain),
                Some(_) => self.fueled().await,
            };
            match loaded {
                Ok(loaded) => attempt::run(Arc::clone(loaded), spec, self.shared.clock).await,
                Err(end) => AttemptReport {
                    end,
                    backtrace: Vec::new(),
                    log: Log::default(),
                    remains: None,
                },
            }
        })
    }
}
