//! The example tools, in Rust, Python and JavaScript: each is failed, and served from its journal it reaches the same memory and globals, in
//! the same engine and in one that compiled it anew.

use crate::effects::answer;
use crate::play::{Play, Reply};
use crate::support::{Trial, digest_of, settings, snapshot_of};
use fusebox_engine::ports::sandbox::{Ask, AttemptEnd, Called, Component, Got, Offered, Sandbox as _};
use fusebox_engine::records::Snapshot;
use fusebox_sandbox::WasmSandbox;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// A call that fails, at the latest when its last effect does.
struct Failing {
    tool: &'static str,
    function: &'static str,
    json: &'static str,
    /// How many it has.
    effects: usize,
}

const fn failing(tool: &'static str, function: &'static str, json: &'static str, effects: usize) -> Failing {
    Failing {
        tool,
        function,
        json,
        effects,
    }
}

const FAILING: &[Failing] = &[
    failing("calculator", "evaluate", r#"{"expression":"1 / 0"}"#, 0),
    failing("search", "query", r#"{"text":"a stitch in time"}"#, 1),
    failing("llm", "complete", r#"{"prompt":"Why is the sky blue?"}"#, 1),
    failing(
        "email",
        "send",
        r#"{"to":"ann@example.com","subject":"Hello","body":"How are you?"}"#,
        1,
    ),
    failing(
        "ledger",
        "transfer",
        r#"{"from-account":"alice","to-account":"bob","amount":100}"#,
        1,
    ),
    failing("ledger", "balance", r#"{"account":"alice"}"#, 1),
    failing("faulty", "trap", "{}", 0),
    failing("faulty", "error", r#"{"kind":"unmapped"}"#, 0),
    failing("faulty", "invalid-utf8", "{}", 0),
    failing("faulty", "exit", r#"{"code":3}"#, 0),
    failing("faulty", "stack-overflow", "{}", 0),
    failing("faulty", "unwrap-on-503", r#"{"upstream":"search","path":"/fails"}"#, 1),
    failing(
        "faulty",
        "heal-then-fail",
        r#"{"upstream":"search","path":"/fails"}"#,
        3,
    ),
    failing(
        "faulty",
        "fallback",
        r#"{"first":"search","first-path":"/fails","second":"llm","second-path":"/fails"}"#,
        2,
    ),
    failing(
        "faulty",
        "trap-in-flight",
        r#"{"upstream":"mail","path":"/messages","body":"{}"}"#,
        2,
    ),
    failing(
        "faulty",
        "lying-content-length",
        r#"{"upstream":"mail","path":"/messages"}"#,
        0,
    ),
    failing("assistant", "ask", r#"{"question":"Who was it?"}"#, 3),
    failing("pipeline", "run", r#"{"label":"nightly"}"#, 28),
    failing("notebook", "recall", r#"{"name":"groceries"}"#, 1),
    failing("wordcount", "count", r#"{"text":"..."}"#, 0),
    failing("slugify", "slug", r#"{"text":"..."}"#, 0),
];

const RUST: &[&str] = &[
    "assistant",
    "calculator",
    "email",
    "faulty",
    "ledger",
    "llm",
    "pipeline",
    "search",
];
const PYTHON: &[&str] = &["wordcount"];
const JAVASCRIPT: &[&str] = &["notebook", "slugify"];

/// Where `cargo xtask guests` puts them.
fn folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/guests"))
}

fn component(tool: &str) -> Vec<u8> {
    let path = folder().join(format!("{tool}.wasm"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}; run `cargo xtask guests`", path.display()))
}

/// A world in which everything goes well, but for the last of so many effects and for what is meant to fail.
fn failing_at(last: usize) -> Play {
    let asked = AtomicUsize::new(0);
    Play::new(move |ask| {
        let fails = asked.fetch_add(1, Ordering::SeqCst) + 1 == last;
        let got = match ask {
            Ask::Http(request) if fails || request.path == "/fails" => Got::Http(answer(503, "come back later")),
            Ask::Http(_) => Got::Http(answer(
                200,
                r#"{"choices":[{"message":{"role":"assistant","content":"ok"}}]}"#,
            )),
            Ask::Timer { after } => return Reply::Give(*after, Got::Timer),
            Ask::Call { .. } if fails => Got::Call(Called::Failed {
                code: "upstream-failed".to_owned(),
                class: "transient".to_owned(),
                message: "come back later".to_owned(),
                retry_after_ms: Some(250),
            }),
            Ask::Call { .. } => Got::Call(Called::Ok("49".to_owned())),
            Ask::Tools => Got::Tools(vec![Offered {
                tool: "search".to_owned(),
                function: "query".to_owned(),
                description: "Searches the web".to_owned(),
            }]),
            Ask::Describe { .. } => Got::Described(Some(
                r#"{"description":"Searches the web","input":{"type":"object"},"output":null}"#.to_owned(),
            )),
            Ask::State { .. } => Got::Value(None),
            other => panic!("no example asks {other:?}"),
        };
        Reply::Give(Duration::from_millis(2), got)
    })
}

async fn fail(component: &Arc<dyn Component>, call: &Failing, play: &Arc<Play>) -> (AttemptEnd, Snapshot) {
    let mut trial = Trial::of(component, call.function);
    trial.json = call.json.to_owned();
    trial.limits.memory = 256 << 20;
    trial.timeout = Duration::from_secs(120);
    let variables = [
        "SEARCH_URL",
        "LLM_URL",
        "LLM_MODEL",
        "OPENAI_URL",
        "OPENAI_MODEL",
        "MAIL_URL",
        "LEDGER_URL",
    ];
    trial.env = variables
        .map(|name| (name.to_owned(), "http://svc.test".to_owned()))
        .to_vec();
    trial.effects = Arc::<Play>::clone(play);
    let report = trial.run().await;
    let end = report.end.clone();
    assert!(
        !matches!(end, AttemptEnd::Ok { .. }),
        "{}.{}: {end:?}",
        call.tool,
        call.function
    );
    (end, snapshot_of(report).await)
}

async fn load(sandbox: &WasmSandbox, wasm: &[u8]) -> Arc<dyn Component> {
    sandbox.compile(digest_of(wasm), wasm.to_vec().into()).await.unwrap()
}

/// Fails each call of these tools, live and then twice from the journal.
async fn reach_the_same_state_again(tools: &[&str]) {
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let open = |folder: &tempfile::TempDir| WasmSandbox::open_trusting(settings(folder.path())).unwrap();
    let [first, second] = folders.each_ref().map(open);
    for tool in tools {
        let wasm = component(tool);
        let (here, anew) = tokio::join!(load(&first, &wasm), load(&second, &wasm));
        for call in FAILING.iter().filter(|call| call.tool == *tool) {
            let live = Arc::new(failing_at(call.effects));
            let (end, state) = fail(&here, call, &live).await;
            let journal = live.journal();
            assert_eq!(journal.asked.len(), call.effects, "{tool}.{}", call.function);
            for engine in [&here, &anew] {
                let served = Arc::new(Play::hanging().serving(journal.clone()));
                let (again, same) = fail(engine, call, &served).await;
                assert_eq!(again, end, "{tool}.{}", call.function);
                assert_eq!(same.instances, state.instances, "{tool}.{}", call.function);
                assert_eq!(
                    (same.trap, same.resources),
                    (state.trap.clone(), state.resources.clone())
                );
                assert!(served.diverged().is_empty());
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tools_in_rust_reach_the_same_state_again() {
    reach_the_same_state_again(RUST).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tools_in_python_reach_the_same_state_again() {
    reach_the_same_state_again(PYTHON).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tools_in_javascript_reach_the_same_state_again() {
    reach_the_same_state_again(JAVASCRIPT).await;
}

#[test]
fn every_example_is_among_them() {
    let built = std::fs::read_dir(folder()).expect("run `cargo xtask guests`");
    for entry in built {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let Some(tool) = name.strip_suffix(".wasm") else {
            continue;
        };
        let tested = [RUST, PYTHON, JAVASCRIPT].concat().contains(&tool);
        assert!(
            tested && FAILING.iter().any(|call| call.tool == tool),
            "{tool} has no call that fails"
        );
    }
}
