//! The component called by the runtime alone: the engine has the settings that tools run with, everything else is the
//! least that works.

mod json;

use crate::component::{self, ADD, ECHO};
use anyhow::{Context as _, Result, bail};
use std::sync::Arc;
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, ComponentExportIndex, InstancePre, Linker, Type, Val};
use wasmtime::{Engine, ResourceLimiter, Store};

/// Bytes of memory that a guest may have.
const MEMORY: usize = 64 << 20;
/// Ticks of an engine whose epoch nobody moves: never reached.
const FOREVER: u64 = 1 << 30;

/// The component, ready for instances.
#[derive(Clone)]
pub struct Raw {
    inner: Arc<Inner>,
}

struct Inner {
    engine: Engine,
    pre: InstancePre<Limits>,
    add: ComponentExportIndex,
    echo: ComponentExportIndex,
    /// Of the parameter of [`ECHO`].
    record: Type,
}

/// What a store holds.
struct Limits;

impl ResourceLimiter for Limits {
    fn memory_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        Ok(desired <= MEMORY)
    }

    fn table_growing(&mut self, _: usize, _: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        Ok(true)
    }
}

impl Raw {
    /// Compiles the component into an engine that holds so many instances.
    ///
    /// # Errors
    /// The runtime's.
    pub fn new(pool: u32) -> Result<Self> {
        let engine = fusebox_sandbox::pooled_engine(pool)?;
        let component = Component::new(&engine, component::wasm()?)?;
        let add = component.get_export_index(None, ADD).context("the sum is missing")?;
        let Some((ComponentItem::ComponentFunc(function), echo)) = component.get_export(None, ECHO) else {
            bail!("the echo is missing");
        };
        let (_, record) = function.params().next().context("the echo has no parameter")?;
        let pre = Linker::new(&engine).instantiate_pre(&component)?;
        Ok(Self {
            inner: Arc::new(Inner {
                engine,
                pre,
                add,
                echo,
                record,
            }),
        })
    }

    fn store(&self) -> Store<Limits> {
        let mut store = Store::new(&self.inner.engine, Limits);
        store.limiter(|limits| limits);
        store.epoch_deadline_async_yield_and_update(FOREVER);
        store.set_epoch_deadline(FOREVER);
        store
    }

    /// A fresh instance and a typed call.
    ///
    /// # Errors
    /// The runtime's.
    pub async fn typed(&self) -> Result<i32> {
        let mut store = self.store();
        let instance = self.inner.pre.instantiate_async(&mut store).await?;
        let add = instance.get_typed_func::<(i32, i32), (i32,)>(&mut store, self.inner.add)?;
        Ok(add.call_async(&mut store, (1, 2)).await?.0)
    }

    /// A fresh instance and a call whose argument and result are JSON text.
    ///
    /// # Errors
    /// The runtime's, or that the text does not fit.
    pub async fn json(&self, arguments: &str) -> Result<String> {
        let arguments: serde_json::Value = serde_json::from_str(arguments)?;
        let argument = json::to_val(&self.inner.record, &arguments["r"])?;
        let mut store = self.store();
        let instance = self.inner.pre.instantiate_async(&mut store).await?;
        let echo = instance
            .get_func(&mut store, self.inner.echo)
            .context("the echo is gone")?;
        let mut results = [Val::Bool(false)];
        echo.call_async(&mut store, &[argument], &mut results).await?;
        Ok(json::from_val(&results[0])?.to_string())
    }
}
