//! A failed attempt that leaves so much memory behind, for its snapshot.

use crate::boundary::sandbox;
use anyhow::{Context as _, Result, anyhow, ensure};
use async_trait::async_trait;
use fusebox_core::policy::Limits;
use fusebox_core::time::Wall;
use fusebox_engine::ports::sandbox::{AttemptSpec, Component, Effects, Remains, Sandbox as _, Spelling};
use fusebox_engine::requests::digest_of;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Pages of a mebibyte.
const PER_MEBIBYTE: u32 = 16;

/// Grows its memory by so many pages and fills them, then traps. Half of what it writes is zero and half is as good as random: no
/// two pages are equal, and they compress about as memory does.
const TEXT: &str = r#"
(component
  (core module $m
    (memory 1)
    (func (export "scribble") (param $pages i32) (local $at i32) (local $end i32) (local $next i32)
      (drop (memory.grow (local.get $pages)))
      (local.set $at (i32.const 65536))
      (local.set $end (i32.mul (memory.size) (i32.const 65536)))
      (loop $more
        (local.set $next (i32.add (i32.mul (local.get $next) (i32.const 1664525)) (i32.const 1013904223)))
        (i32.store (local.get $at) (local.get $next))
        (local.set $at (i32.add (local.get $at) (i32.const 8)))
        (br_if $more (i32.lt_u (local.get $at) (local.get $end))))
      unreachable))
  (core instance $i (instantiate $m))
  (func (export "scribble") (param "pages" u32) (canon lift (core func $i "scribble"))))
"#;

/// The component, compiled.
pub struct Scribbler {
    component: Arc<dyn Component>,
}

impl Scribbler {
    /// Compiles it; `folder` is for compiled code.
    ///
    /// # Errors
    /// The sandbox's.
    pub async fn start(folder: &Path) -> Result<Self> {
        let wasm = wat::parse_str(TEXT)?;
        let component = sandbox(folder)?.compile(digest_of(&wasm), wasm.into()).await?;
        Ok(Self { component })
    }

    /// What is left of an attempt that has written so many mebibytes.
    ///
    /// # Errors
    /// That the attempt did not come that far.
    pub async fn scribble(&self, mebibytes: u32) -> Result<Left> {
        let pages = mebibytes * PER_MEBIBYTE;
        let limits = Limits::default();
        let input = self
            .component
            .decode("scribble", &format!(r#"{{"pages":{pages}}}"#), limits.host_memory);
        let spec = AttemptSpec {
            function: "scribble".to_owned(),
            input: input.map_err(|what| anyhow!(what))?,
            limits: Arc::new(limits),
            env: Arc::new([]),
            seed: [0; 32],
            wall: Wall(0),
            timeout: Duration::from_secs(30),
            cancel: CancellationToken::new(),
            effects: Arc::new(Nothing),
            spelling: Spelling::Kebab,
        };
        let report = self.component.attempt(spec).await;
        let remains = report
            .remains
            .with_context(|| format!("nothing is left: {:?}", report.end))?;
        Ok(Left { remains, pages })
    }
}

/// A store that trapped.
pub struct Left {
    remains: Box<dyn Remains>,
    /// Pages that were written.
    pages: u32,
}

impl Left {
    /// Reads the memory, digests each page and compresses it.
    ///
    /// # Errors
    /// Why there is no snapshot, or not all of it.
    pub async fn snapshot(self) -> Result<()> {
        let snapshot = self.remains.snapshot().await.map_err(|why| anyhow!(why))?;
        let kept = snapshot.pages.len();
        ensure!(kept == self.pages as usize, "{kept} pages of {} were kept", self.pages);
        Ok(())
    }
}

/// As many bytes as the attempt writes, none of them zero: memory that is there.
#[must_use]
pub fn memory(mebibytes: u32) -> Vec<u8> {
    vec![1; (mebibytes as usize) << 20]
}

/// The outside of a component that never looks there.
struct Nothing;

#[async_trait]
impl Effects for Nothing {}
