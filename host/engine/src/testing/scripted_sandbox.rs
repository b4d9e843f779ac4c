//! A sandbox whose components are closures, so that the pipeline is tested without a runtime for guests.

use crate::ports::sandbox::{
    AttemptEnd, AttemptReport, AttemptSpec, Component, ComponentFacts, Input, LoadError, Remains, Sandbox, Schemas,
};
use crate::records::{Log, Snapshot};
use crate::requests::digest_of;
use async_trait::async_trait;
use bytes::Bytes;
use fusebox_core::component::{ComponentShape, FunctionShape};
use fusebox_core::ids::Digest;
use futures::future::BoxFuture;
use std::any::Any;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// What a scripted function does in one attempt; attempts are counted from 1 over the component's life.
pub type Script = Arc<dyn Fn(u32, AttemptSpec) -> BoxFuture<'static, AttemptEnd> + Send + Sync>;

/// A sandbox that runs scripts; the bytes of a "component" are the name of a script.
#[derive(Default)]
pub struct ScriptedSandbox {
    scripts: Mutex<BTreeMap<String, Script>>,
    loaded: Mutex<BTreeMap<Digest, Arc<ScriptedComponent>>>,
}

impl ScriptedSandbox {
    /// Registers a script under the bytes that stand for its component.
    pub fn script<F>(&self, bytes: &str, script: F)
    where
        F: Fn(u32, AttemptSpec) -> BoxFuture<'static, AttemptEnd> + Send + Sync + 'static,
    {
        let mut scripts = self.scripts.lock().unwrap_or_else(PoisonError::into_inner);
        scripts.insert(bytes.to_owned(), Arc::new(script));
    }

    /// How many attempts the component of those bytes has seen.
    #[must_use]
    pub fn attempts(&self, bytes: &str) -> u32 {
        let loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        loaded
            .get(&digest_of(bytes.as_bytes()))
            .map_or(0, |component| component.attempts.load(Ordering::SeqCst))
    }
}

#[async_trait]
impl Sandbox for ScriptedSandbox {
    async fn cached(&self, digest: Digest) -> Option<Arc<dyn Component>> {
        let loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        loaded
            .get(&digest)
            .map(|component| Arc::clone(component) as Arc<dyn Component>)
    }

    async fn compile(&self, digest: Digest, wasm: Bytes) -> Result<Arc<dyn Component>, LoadError> {
        let name = String::from_utf8_lossy(&wasm).into_owned();
        let scripts = self.scripts.lock().unwrap_or_else(PoisonError::into_inner);
        let script = scripts.get(&name).cloned().ok_or_else(|| LoadError {
            code: "FB0501",
            message: format!("no script is registered for `{name}`"),
        })?;
        let component = Arc::new(ScriptedComponent::new(script, wasm.len() as u64));
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        loaded.insert(digest, Arc::clone(&component));
        Ok(component)
    }

    fn coredump(&self, _snapshot: &Snapshot, _pages: &dyn Fn(Digest) -> Option<Bytes>) -> Result<Vec<u8>, String> {
        Err("a script has no memory".to_owned())
    }
}

/// A component with the one function `run`, which takes any JSON object.
struct ScriptedComponent {
    script: Script,
    attempts: AtomicU32,
    shape: ComponentShape,
    facts: ComponentFacts,
}

impl ScriptedComponent {
    fn new(script: Script, size: u64) -> Self {
        Self {
            script,
            attempts: AtomicU32::new(0),
            shape: ComponentShape {
                functions: vec![FunctionShape {
                    name: "run".to_owned(),
                    interface: None,
                    params: Vec::new(),
                    result: None,
                    error_cases: None,
                }],
                ..ComponentShape::default()
            },
            facts: ComponentFacts {
                size,
                weight: 1,
                ..ComponentFacts::default()
            },
        }
    }
}

/// Input as its JSON value, so that spelling does not matter to the fingerprint.
struct ScriptedInput(serde_json::Value);

impl Input for ScriptedInput {
    fn fingerprint(&self) -> Digest {
        digest_of(self.0.to_string().as_bytes())
    }

    fn json(&self) -> Result<String, String> {
        Ok(self.0.to_string())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// Remains whose snapshot tells nothing but that it was taken.
struct ScriptedRemains;

impl Remains for ScriptedRemains {
    fn snapshot(self: Box<Self>) -> BoxFuture<'static, Result<Snapshot, String>> {
        Box::pin(async {
            Ok(Snapshot {
                runtime: "scripted".to_owned(),
                ..Snapshot::default()
            })
        })
    }
}

impl Component for ScriptedComponent {
    fn shape(&self) -> &ComponentShape {
        &self.shape
    }

    fn facts(&self) -> &ComponentFacts {
        &self.facts
    }

    fn decode(&self, _function: &str, json: &str, _host_memory: u64) -> Result<Arc<dyn Input>, String> {
        let text = if json.is_empty() { "{}" } else { json };
        let value: serde_json::Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
        if value.is_object() {
            Ok(Arc::new(ScriptedInput(value)))
        } else {
            Err("arguments are a JSON object with a property for each parameter".to_owned())
        }
    }

    fn schemas(&self, _function: &str, _params: &BTreeMap<String, String>) -> Option<Schemas> {
        None
    }

    fn attempt(&self, spec: AttemptSpec) -> BoxFuture<'_, AttemptReport> {
        let number = self.attempts.fetch_add(1, Ordering::SeqCst) + 1;
        let timeout = spec.timeout;
        let cancel = spec.cancel.clone();
        let run = (self.script)(number, spec);
        Box::pin(async move {
            let end = tokio::select! {
                end = run => end,
                () = cancel.cancelled() => AttemptEnd::Cancelled,
                () = clocked(timeout) => AttemptEnd::Timeout,
            };
            let remains =
                (!matches!(end, AttemptEnd::Ok { .. })).then(|| Box::new(ScriptedRemains) as Box<dyn Remains>);
            AttemptReport {
                end,
                backtrace: Vec::new(),
                log: Log::default(),
                remains,
            }
        })
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "scripts live on tokio's paused clock, as the fake clock does"
)]
async fn clocked(timeout: std::time::Duration) {
    tokio::time::sleep(timeout).await;
}
