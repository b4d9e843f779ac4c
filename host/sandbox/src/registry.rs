//! Components that somebody holds: asked for again, they are shared instead of loaded twice.

use crate::component::WasmComponent;
use fusebox_core::ids::Digest;
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock, Weak};

/// Loaded components by digest.
#[derive(Default)]
pub(crate) struct Registry {
    components: RwLock<HashMap<Digest, Weak<WasmComponent>>>,
}

impl Registry {
    /// The component, if somebody still holds it.
    pub(crate) fn get(&self, digest: Digest) -> Option<Arc<WasmComponent>> {
        let components = self.components.read().unwrap_or_else(PoisonError::into_inner);
        components.get(&digest).and_then(Weak::upgrade)
    }

    /// Shares a component; where two were loaded at once, the first is the one that stays.
    pub(crate) fn insert(&self, digest: Digest, component: Arc<WasmComponent>) -> Arc<WasmComponent> {
        let mut components = self.components.write().unwrap_or_else(PoisonError::into_inner);
        components.retain(|_, known| known.strong_count() > 0);
        if let Some(first) = components.get(&digest).and_then(Weak::upgrade) {
            return first;
        }
        components.insert(digest, Arc::downgrade(&component));
        component
    }
}
