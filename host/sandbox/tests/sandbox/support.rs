//! Guests, and what runs them.

use crate::play::{Play, START};
use fusebox_core::ids::Digest;
use fusebox_core::policy::Limits;
use fusebox_engine::guests::GuestRuntime;
use fusebox_engine::ports::sandbox::{
    AttemptEnd, AttemptReport, AttemptSpec, Component, Effects, Input, LoadError, Sandbox, Spelling,
};
use fusebox_engine::records::Snapshot;
use fusebox_sandbox::{CompileCommand, SandboxSettings, WasmSandbox};
use sha2::{Digest as _, Sha256};
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

/// Everything that can go wrong inside a guest, by one function each. Memory and globals have known values by then.
pub(crate) const BROKEN: &str = r#"
(component
  (core module $m
    (memory (export "memory") 2)
    (global $calls (mut i32) (i32.const 0))
    (global $half (mut f64) (f64.const 0.5))
    (table 4 funcref)
    (func $mark (param i32)
      (i32.store8 (i32.const 70000) (local.get 0))
      (global.set $calls (i32.add (global.get $calls) (i32.const 42))))
    (func $deep (param i32) (result i32)
      (i32.add (call $deep (i32.add (local.get 0) (i32.const 1))) (i32.const 1)))
    (func (export "fine") (result i32) (call $mark (i32.const 1)) (global.get $calls))
    (func $boom (export "trap") (result i32) (call $mark (i32.const 2)) unreachable)
    (func (export "divide") (result i32) (i32.div_u (i32.const 1) (i32.load (i32.const 0))))
    (func (export "outside") (result i32) (i32.load (i32.const 0x7fffffff)))
    (func (export "overflow") (result i32) (call $mark (i32.const 3)) (call $deep (i32.const 0)))
    (func (export "spin") (result i32) (call $mark (i32.const 4)) (loop $again (br $again)) unreachable)
    (func (export "bomb") (result i32)
      (loop $more
        (br_if $more (i32.ne (memory.grow (i32.const 16)) (i32.const -1))))
      unreachable)
    (func (export "tables") (result i32)
      (loop $more
        (br_if $more (i32.ne (table.grow (ref.null func) (i32.const 1000)) (i32.const -1))))
      unreachable)
    (func (export "grow-politely") (result i32) (memory.grow (i32.const 60000)))
    (func (export "fail") (result i32)
      (call $mark (i32.const 5))
      (i32.store8 (i32.const 16) (i32.const 1)) (i32.store8 (i32.const 20) (i32.const 1)) (i32.const 16))
    (func (export "large") (result i32)
      (memory.fill (i32.const 1024) (i32.const 120) (i32.const 100000))
      (i32.store (i32.const 8) (i32.const 1024)) (i32.store (i32.const 12) (i32.const 100000)) (i32.const 8))
    (func (export "nonsense") (result i32)
      (i32.store (i32.const 8) (i32.const 0x7ffffff0)) (i32.store (i32.const 12) (i32.const 1000)) (i32.const 8)))
  (core instance $i (instantiate $m))
  (alias core export $i "memory" (core memory $memory))
  (type $why (enum "empty" "broken")) (export $problem "problem" (type $why))
  (func (export "fine") (result u32) (canon lift (core func $i "fine")))
  (func (export "trap") (result u32) (canon lift (core func $i "trap")))
  (func (export "divide") (result u32) (canon lift (core func $i "divide")))
  (func (export "outside") (result u32) (canon lift (core func $i "outside")))
  (func (export "overflow") (result u32) (canon lift (core func $i "overflow")))
  (func (export "spin") (result u32) (canon lift (core func $i "spin")))
  (func (export "bomb") (result u32) (canon lift (core func $i "bomb")))
  (func (export "tables") (result u32) (canon lift (core func $i "tables")))
  (func (export "grow-politely") (result s32) (canon lift (core func $i "grow-politely")))
  (func (export "fail") (result (result u32 (error $problem))) (canon lift (core func $i "fail") (memory $memory)))
  (func (export "large") (result string) (canon lift (core func $i "large") (memory $memory)))
  (func (export "nonsense") (result string) (canon lift (core func $i "nonsense") (memory $memory))))
"#;

/// One sandbox for all tests that need nothing of their own; compiling happens in this process.
static SHARED: LazyLock<(TempDir, Arc<WasmSandbox>)> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    let sandbox = WasmSandbox::open_trusting(settings(folder.path())).unwrap();
    (folder, sandbox)
});

pub(crate) fn settings(folder: &Path) -> SandboxSettings {
    SandboxSettings {
        cache: folder.join("cache"),
        compiler: CompileCommand {
            program: child_program(),
            args: Vec::new(),
        },
        compile_memory: 2 << 30,
        compile_time: Duration::from_secs(300),
        pool: 16,
    }
}

/// The example of this crate that is nothing but a compiler; built together with its tests.
pub(crate) fn child_program() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let built = test.parent().unwrap().parent().unwrap();
    built.join("examples").join("compile_child")
}

pub(crate) fn sandbox() -> Arc<WasmSandbox> {
    Arc::clone(&SHARED.1)
}

pub(crate) fn digest_of(bytes: &[u8]) -> Digest {
    Digest(Sha256::digest(bytes).into())
}

pub(crate) async fn compile_in(sandbox: &WasmSandbox, text: &str) -> Result<Arc<dyn Component>, LoadError> {
    let wasm = wat::parse_str(text).unwrap();
    sandbox.compile(digest_of(&wasm), wasm.into()).await
}

pub(crate) async fn compile_wasm(wasm: Vec<u8>) -> Arc<dyn Component> {
    sandbox().compile(digest_of(&wasm), wasm.into()).await.unwrap()
}

pub(crate) async fn compile(text: &str) -> Arc<dyn Component> {
    compile_in(&sandbox(), text).await.unwrap()
}

/// The guests' runtime of the tests: two threads, like that of a small machine.
pub(crate) static GUESTS: LazyLock<GuestRuntime> = LazyLock::new(|| GuestRuntime::start(2).unwrap());

/// What an attempt is told, and what a test changes about it.
pub(crate) struct Trial {
    pub(crate) component: Arc<dyn Component>,
    pub(crate) function: String,
    pub(crate) json: String,
    pub(crate) limits: Limits,
    pub(crate) env: Vec<(String, String)>,
    pub(crate) seed: [u8; 32],
    pub(crate) timeout: Duration,
    pub(crate) cancel: CancellationToken,
    pub(crate) effects: Arc<dyn Effects>,
}

impl Trial {
    pub(crate) fn of(component: &Arc<dyn Component>, function: &str) -> Self {
        Self {
            component: Arc::clone(component),
            function: function.to_owned(),
            json: String::new(),
            limits: Limits::default(),
            env: Vec::new(),
            seed: [7; 32],
            timeout: Duration::from_secs(60),
            cancel: CancellationToken::new(),
            effects: Arc::new(Play::answering([])),
        }
    }

    /// Runs it where guests run.
    pub(crate) async fn run(self) -> AttemptReport {
        self.start().await.unwrap()
    }

    /// Runs it with an input that was decoded elsewhere.
    pub(crate) async fn run_with(self, input: Arc<dyn Input>) -> AttemptReport {
        self.spawn(input).await.unwrap()
    }

    pub(crate) fn start(self) -> tokio::task::JoinHandle<AttemptReport> {
        let input = self
            .component
            .decode(&self.function, &self.json, self.limits.host_memory)
            .unwrap();
        self.spawn(input)
    }

    fn spawn(self, input: Arc<dyn Input>) -> tokio::task::JoinHandle<AttemptReport> {
        let spec = AttemptSpec {
            wall: START,
            function: self.function,
            input,
            limits: Arc::new(self.limits),
            env: self.env.into(),
            seed: self.seed,
            timeout: self.timeout,
            cancel: self.cancel,
            effects: self.effects,
            spelling: Spelling::Kebab,
        };
        let component = self.component;
        GUESTS.spawn(async move { component.attempt(spec).await })
    }
}

pub(crate) async fn end_of(component: &Arc<dyn Component>, function: &str) -> AttemptEnd {
    Trial::of(component, function).run().await.end
}

pub(crate) fn ok(json: &str) -> AttemptEnd {
    AttemptEnd::Ok { json: json.to_owned() }
}

pub(crate) async fn snapshot_of(report: AttemptReport) -> Snapshot {
    report
        .remains
        .expect("a failed attempt leaves its store")
        .snapshot()
        .await
        .unwrap()
}

/// The byte of a memory in a snapshot; zero where its page was empty.
pub(crate) fn byte(snapshot: &Snapshot, at: usize) -> u8 {
    let memory = snapshot
        .instances
        .iter()
        .find_map(|instance| instance.memories.first())
        .unwrap();
    let page = memory.stored.iter().find(|page| page.index == (at / 65536) as u64);
    let Some(page) = page else { return 0 };
    let packed = snapshot.pages.iter().find(|kept| kept.digest == page.digest).unwrap();
    zstd::bulk::decompress(&packed.zstd, 65536).unwrap()[at % 65536]
}
