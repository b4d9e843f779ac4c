//! What runs guests, and answers what they ask.

use async_trait::async_trait;
use fusebox_core::ids::Digest;
use fusebox_core::policy::Limits;
use fusebox_core::time::Wall;
use fusebox_engine::guests::GuestRuntime;
use fusebox_engine::ports::sandbox::{
    Ask, AttemptReport, AttemptSpec, Called, Component, Delivery, Effects, Got, LoadError, Moment, Sandbox as _,
    Spelling, Stopped,
};
use fusebox_engine::records::Snapshot;
use fusebox_sandbox::{CompileCommand, SandboxSettings, WasmSandbox};
use sha2::{Digest as _, Sha256};
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

/// One sandbox for all tests; compiling happens in this process.
static SANDBOX: LazyLock<(TempDir, Arc<WasmSandbox>)> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    let settings = SandboxSettings {
        cache: folder.path().join("cache"),
        compiler: CompileCommand {
            program: PathBuf::new(),
            args: Vec::new(),
        },
        compile_memory: 2 << 30,
        compile_time: Duration::from_secs(300),
        pool: 16,
    };
    let sandbox = WasmSandbox::open_trusting(settings).unwrap();
    (folder, sandbox)
});

static GUESTS: LazyLock<GuestRuntime> = LazyLock::new(|| GuestRuntime::start(2).unwrap());

pub(crate) async fn load(wasm: Vec<u8>) -> Result<Arc<dyn Component>, LoadError> {
    let digest = Digest(Sha256::digest(&wasm).into());
    SANDBOX.1.compile(digest, wasm.into()).await
}

/// Runs one attempt of a function.
pub(crate) async fn run(
    component: &Arc<dyn Component>,
    function: &str,
    json: &str,
    effects: Arc<dyn Effects>,
    limits: Limits,
) -> AttemptReport {
    let component = Arc::clone(component);
    let spec = AttemptSpec {
        function: function.to_owned(),
        input: component.decode(function, json, 64 << 20).unwrap(),
        limits: Arc::new(limits),
        env: [("OPENAI_URL", "http://llm.test"), ("OPENAI_MODEL", "m")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        seed: [7; 32],
        wall: Wall(1_767_225_600_000),
        timeout: Duration::from_secs(60),
        cancel: CancellationToken::new(),
        effects,
        spelling: Spelling::Kebab,
    };
    GUESTS
        .spawn(async move { component.attempt(spec).await })
        .await
        .unwrap()
}

/// Whoever answers a guest: notes what it asks, and answers in the order of asking.
pub(crate) struct Answers {
    pub(crate) asked: Mutex<Vec<Ask>>,
    waiting: Mutex<VecDeque<(u32, Ask)>>,
    answer: Box<dyn Answer>,
    pub(crate) live: bool,
}

/// What a guest gets for what it asks; `None` ends the attempt.
#[async_trait]
pub(crate) trait Answer: Send + Sync {
    async fn to(&self, ask: Ask) -> Option<Got>;
}

#[async_trait]
impl<F: Fn(Ask) -> Option<Got> + Send + Sync> Answer for F {
    async fn to(&self, ask: Ask) -> Option<Got> {
        self(ask)
    }
}

impl Answers {
    pub(crate) fn new(answer: impl Answer + 'static) -> Self {
        Self {
            asked: Mutex::default(),
            waiting: Mutex::default(),
            answer: Box::new(answer),
            live: true,
        }
    }

    /// Always the same.
    pub(crate) fn always(got: Got) -> Self {
        Self::new(move |_| Some(got.clone()))
    }
}

#[async_trait]
impl Effects for Answers {
    fn begin(&self, ask: Ask) -> Result<u32, Stopped> {
        let mut asked = self.asked.lock().unwrap();
        asked.push(ask.clone());
        let seq = u32::try_from(asked.len()).unwrap();
        self.waiting.lock().unwrap().push_back((seq, ask));
        Ok(seq)
    }

    async fn next(&self) -> Result<Delivery, Stopped> {
        let next = self.waiting.lock().unwrap().pop_front();
        let (seq, ask) = next.ok_or(Stopped)?;
        let got = self.answer.to(ask).await.ok_or(Stopped)?;
        let at = Moment::default();
        Ok(Delivery { seq, got, at })
    }

    fn is_live(&self) -> bool {
        self.live
    }
}

/// Answers calls of an interface by calling the component that exports it.
pub(crate) struct CallsOf(pub(crate) Arc<dyn Component>);

#[async_trait]
impl Answer for CallsOf {
    async fn to(&self, ask: Ask) -> Option<Got> {
        use fusebox_engine::ports::sandbox::AttemptEnd as End;
        let Ask::Call {
            target: fusebox_engine::ports::sandbox::Target::Linked { function, .. },
            input,
        } = ask
        else {
            return None;
        };
        let nobody = Arc::new(Answers::new(|_| None));
        let report = run(&self.0, &function, &input, nobody, Limits::default()).await;
        Some(Got::Call(match report.end {
            End::Ok { json } => Called::Ok(json),
            End::Err { case, json } => Called::Err { case, json },
            other => failed("fault", "fault", &format!("{other:?}")),
        }))
    }
}

pub(crate) fn failed(code: &str, class: &str, message: &str) -> Called {
    Called::Failed {
        code: code.to_owned(),
        class: class.to_owned(),
        message: message.to_owned(),
        retry_after_ms: None,
    }
}

pub(crate) async fn snapshot_of(report: AttemptReport) -> Snapshot {
    let remains = report.remains.expect("a failed attempt leaves its store");
    remains.snapshot().await.unwrap()
}
