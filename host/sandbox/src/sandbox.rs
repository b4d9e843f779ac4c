//! The port's sandbox: compiles components, keeps their code, and hands out what is loaded.

use crate::cache::{About, Cache, Entry, Which};
use crate::compile::{self, Compiler};
use crate::component::WasmComponent;
use crate::coredump;
use crate::engine::{Engines, Variant};
use crate::epoch;
use crate::fault;
use crate::layout::Layout;
use crate::loaded::{Host, Loaded, Unloadable};
use crate::registry::Registry;
use crate::settings::SandboxSettings;
use async_trait::async_trait;
use bytes::Bytes;
use fusebox_core::ids::Digest;
use fusebox_engine::ports::clock::SystemClock;
use fusebox_engine::ports::debugger::Debugger;
use fusebox_engine::ports::sandbox::{Component, LoadError, Pool, Sandbox};
use fusebox_engine::records::Snapshot;
use sha2::{Digest as _, Sha256};
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Runs WebAssembly components.
pub struct WasmSandbox {
    shared: Arc<Shared>,
    registry: Registry,
}

/// What loading needs, shared with the components that may need their code in another variant.
pub(crate) struct Shared {
    pub(crate) clock: SystemClock,
    host: Arc<Host>,
    cache: Cache,
    compiler: Compiler,
    /// One compilation at a time: each may take all the memory that one is allowed.
    turn: Semaphore,
}

impl WasmSandbox {
    /// Opens the cache and starts the engines; components are compiled in child processes of the caller's runtime.
    ///
    /// # Errors
    /// `FB0508` when the cache cannot be trusted, `FB0509` when the machine refuses an engine, or outside a runtime.
    pub fn open(settings: SandboxSettings) -> Result<Arc<Self>, LoadError> {
        let compiler = Compiler::child(&settings)?;
        Self::with_compiler(&settings, compiler)
    }

    /// The same, except that components are compiled in this process: for tests and benchmarks, whose components are
    /// their own.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_trusting(settings: SandboxSettings) -> Result<Arc<Self>, LoadError> {
        Self::with_compiler(&settings, Compiler::Here)
    }

    fn with_compiler(settings: &SandboxSettings, compiler: Compiler) -> Result<Arc<Self>, LoadError> {
        let cache = Cache::open(&settings.cache)?;
        let engines = Engines::new(settings.pool).map_err(|error| fault::host(format!("{error:#}")))?;
        let ticking = [&engines.pooled, &engines.on_demand, &engines.fueled, &engines.debug];
        epoch::start(ticking.map(|runtime| runtime.engine.weak()).to_vec()).map_err(fault::host)?;
        let host = Host::new(engines).map_err(|error| fault::host(format!("{error:#}")))?;
        Ok(Arc::new(Self {
            shared: Arc::new(Shared {
                clock: SystemClock::new(),
                host: Arc::new(host),
                cache,
                compiler,
                turn: Semaphore::new(1),
            }),
            registry: Registry::default(),
        }))
    }

    /// What loading needs.
    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    fn share(&self, digest: Digest, loaded: Loaded) -> Arc<dyn Component> {
        let component = Arc::new(WasmComponent::new(digest, loaded, Arc::clone(&self.shared)));
        self.registry.insert(digest, component)
    }
}

impl Shared {
    /// Code of a component from the cache, or compiled from `wasm` or from the component that the cache kept.
    ///
    /// # Errors
    /// [`LoadError`] with its code.
    pub(crate) async fn loaded(
        self: &Arc<Self>,
        digest: Digest,
        wasm: Option<&Bytes>,
        variant: Variant,
    ) -> Result<Loaded, LoadError> {
        let _turn = self.turn.acquire().await.map_err(fault::host)?;
        if let Some(loaded) = self.cached(digest, variant).await {
            return loaded;
        }
        let wasm = match wasm {
            Some(wasm) => wasm.clone(),
            None => self.kept(digest)?,
        };
        let code = self.compiler.compile(&wasm, variant).await?;
        let layout = Layout::of(&wasm).map_err(fault::broken)?;
        let size = wasm.len() as u64;
        let about = About { size, layout };
        let this = Arc::clone(self);
        blocking(move || {
            let config = this.host.engines.fingerprint(variant);
            let which = Which {
                digest,
                config: &config,
                variant,
            };
            let entry = Entry { about, code };
            this.cache.put(which, &entry);
            this.cache.put_component(digest, &wasm);
            Loaded::from_code(&this.host, variant, entry).map_err(|error| match error {
                Unloadable::Code(error) => fault::host(format!("the runtime does not take the code: {error:#}")),
                Unloadable::Component(error) => error,
            })
        })
        .await
    }

    /// Code from the cache; `None` when there is none, or none that the runtime takes.
    async fn cached(self: &Arc<Self>, digest: Digest, variant: Variant) -> Option<Result<Loaded, LoadError>> {
        let this = Arc::clone(self);
        let read = move || {
            let config = this.host.engines.fingerprint(variant);
            let which = Which {
                digest,
                config: &config,
                variant,
            };
            let entry = this.cache.get(which)?;
            match Loaded::from_code(&this.host, variant, entry) {
                Ok(loaded) => Some(Ok(loaded)),
                Err(Unloadable::Component(error)) => Some(Err(error)),
                Err(Unloadable::Code(error)) => {
                    tracing::warn!(component = %digest, error = %error.root_cause(), "compiled code is not taken");
                    this.cache.drop_entry(which);
                    None
                }
            }
        };
        tokio::task::spawn_blocking(read)
            .await
            .unwrap_or_else(|failed| Some(Err(fault::host(failed))))
    }

    fn kept(&self, digest: Digest) -> Result<Bytes, LoadError> {
        let wasm = self.cache.component(digest).filter(|wasm| digest_of(wasm) == digest);
        wasm.map(Bytes::from)
            .ok_or_else(|| fault::host(format!("component {digest} is not kept any more; deploy it again")))
    }
}

#[async_trait]
impl Sandbox for WasmSandbox {
    async fn cached(&self, digest: Digest) -> Option<Arc<dyn Component>> {
        if let Some(component) = self.registry.get(digest) {
            return Some(component);
        }
        let loaded = self.shared.cached(digest, Variant::Plain).await?.ok()?;
        Some(self.share(digest, loaded))
    }

    async fn compile(&self, digest: Digest, wasm: Bytes) -> Result<Arc<dyn Component>, LoadError> {
        compile::check_head(&wasm)?;
        if digest_of(&wasm) != digest {
            return Err(fault::broken(format!("its content is not that of {digest}")));
        }
        if let Some(component) = self.registry.get(digest) {
            return Ok(component);
        }
        let loaded = self.shared.loaded(digest, Some(&wasm), Variant::Plain).await?;
        Ok(self.share(digest, loaded))
    }

    fn coredump(&self, snapshot: &Snapshot, pages: &dyn Fn(Digest) -> Option<Bytes>) -> Result<Vec<u8>, String> {
        coredump::coredump(snapshot, pages)
    }

    fn pool(&self) -> Option<Pool> {
        self.shared.host.engines.pool()
    }

    fn debugger(&self) -> Option<&dyn Debugger> {
        Some(self)
    }
}

pub(crate) fn digest_of(bytes: &[u8]) -> Digest {
    Digest(Sha256::digest(bytes).into())
}

/// Runs work that may take long off the runtime's threads.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, LoadError> + Send + 'static,
) -> Result<T, LoadError> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|failed| Err(fault::host(failed)))
}
