//! Letters of the example tools debugged: a whole host, its journal, and the replay of what it kept.

use crate::support::{BROKEN, GUESTS, sandbox};
use fusebox_core::failure::Class;
use fusebox_core::ids::LetterId;
use fusebox_core::policy::{
    Durability, FunctionPolicy, Idempotency, Limits, Origin, ServiceKind, ServicePolicy, ToolPolicy,
};
use fusebox_engine::debug::{Agreement, DebugReport};
use fusebox_engine::host::{Host, Ports, Settings};
use fusebox_engine::memory_store::MemoryStore;
use fusebox_engine::ports::authorizer::AllowAll;
use fusebox_engine::ports::clock::SystemClock;
use fusebox_engine::ports::entropy::OsEntropy;
use fusebox_engine::ports::fleet::Alone;
use fusebox_engine::ports::tracer::NoTracer;
use fusebox_engine::requests::{Call, Caller, Deploy};
use fusebox_engine::testing::fixed_ports::{FixedPolicies, FixedSecrets};
use fusebox_engine::testing::scripted_transport::{ScriptedTransport, status_with};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// A host with one example tool, and an upstream that fails from its `fails_from`-th request on.
struct Place {
    host: Arc<Host>,
    caller: Caller,
    transport: Arc<ScriptedTransport>,
    tool: &'static str,
}

impl Place {
    /// With one of the example tools.
    async fn of(tool: &'static str, fails_from: u32, durability: Durability) -> Self {
        let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/guests"));
        let path = folder.join(format!("{tool}.wasm"));
        let wasm = std::fs::read(&path);
        let wasm = wasm.unwrap_or_else(|error| panic!("{}: {error}; run `cargo xtask guests`", path.display()));
        Self::with(tool, wasm, fails_from, durability).await
    }

    async fn with(tool: &'static str, wasm: Vec<u8>, fails_from: u32, durability: Durability) -> Self {
        let transport = Arc::new(ScriptedTransport::answering(move |number, _| {
            status_with(
                if number < fails_from { 200 } else { 503 },
                "x-number",
                &number.to_string(),
            )
        }));
        let policies = FixedPolicies::default();
        let policy = policy(tool, durability);
        policies.set("", policy.clone());
        let ports = Ports {
            store: Arc::new(MemoryStore::new()),
            // Shared, so that each tool is compiled once for all tests.
            sandbox: sandbox(),
            fleet: Arc::new(Alone::default()),
            authorizer: Arc::new(AllowAll),
            clock: Arc::new(SystemClock::new()),
            entropy: Arc::new(OsEntropy),
            secrets: Arc::new(FixedSecrets::default()),
            transport: Arc::clone(&transport) as _,
            tracer: Arc::new(NoTracer),
            policies: Arc::new(policies),
            guests: GUESTS.clone(),
        };
        let host = Host::start(ports, Settings::default()).await.unwrap();
        let caller = Caller::local();
        let deploy = Deploy {
            wasm: wasm.into(),
            manifest: String::new(),
            source: "a test".to_owned(),
            policy,
            links: Vec::new(),
        };
        host.deploy(&caller, deploy).await.unwrap();
        Self {
            host,
            caller,
            transport,
            tool,
        }
    }

    async fn letter(&self, function: &str, input: &str) -> LetterId {
        let call = Call {
            tool: self.tool.to_owned(),
            function: function.to_owned(),
            input: input.to_owned(),
            key: None,
            wait: None,
            deadline: None,
            detach: false,
        };
        let failure = self.host.call(&self.caller, call).await.unwrap_err();
        failure.letter.clone().unwrap_or_else(|| panic!("no letter: {failure}"))
    }

    /// Debugs a letter twice: its code compiled, and read again.
    async fn debug(&self, letter: &LetterId) -> DebugReport {
        let sent = self.transport.sent().len();
        let report = self.host.debug(&self.caller, letter).await.unwrap();
        self.host.debug(&self.caller, letter).await.unwrap();
        assert_eq!(self.transport.sent().len(), sent, "a replay sends nothing");
        report
    }
}

fn policy(tool: &str, durability: Durability) -> ToolPolicy {
    let origin = Origin {
        tls: false,
        host: "svc.test".to_owned(),
        port: 80,
    };
    let mut function = FunctionPolicy {
        idempotency: Idempotency::Readonly,
        durability,
        timeout: Duration::from_secs(60),
        deadline: Duration::from_secs(300),
        ..FunctionPolicy::default()
    };
    function.retry.attempts = 1;
    // So that it becomes a letter.
    function.errors.insert("no-words".to_owned(), Class::Transient);
    let env = ["SEARCH_URL", "LLM_URL", "MAIL_URL", "LEDGER_URL"];
    ToolPolicy {
        name: tool.to_owned(),
        version: "1".to_owned(),
        default_function: function,
        services: vec![ServicePolicy::new("svc", ServiceKind::Http, vec![origin])],
        limits: Limits {
            memory: 256 << 20,
            ..Limits::default()
        },
        env: env.map(|name| (name.to_owned(), "http://svc.test".to_owned())).to_vec(),
        ..ToolPolicy::default()
    }
}

fn same(report: &DebugReport) {
    assert!(matches!(report.state, Agreement::Same { .. }), "{:?}", report.state);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trap_tells_where_and_with_what_in_hand() {
    let place = Place::of("faulty", 1, Durability::OnFailure).await;
    let letter = place.letter("trap", "{}").await;
    let report = place.debug(&letter).await;
    same(&report);
    assert_eq!(report.ended.as_deref(), Some("it trapped: unreachable"));
    let halt = report.halt.unwrap();
    let locations: Vec<_> = halt
        .stop
        .frames
        .iter()
        .filter_map(|frame| frame.frame.location.as_deref())
        .collect();
    assert!(
        locations.iter().any(|location| location.contains("faulty/src/")),
        "{locations:?}"
    );
    assert!(halt.stop.frames.iter().any(|frame| !frame.locals.is_empty()));
    assert!(!halt.pointed.is_empty());
    assert!(report.failed.is_none() && report.effects.is_empty());
    assert!(
        report
            .log
            .head
            .iter()
            .any(|line| line.err && line.text.contains("panicked")),
        "{:?}",
        report.log
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trap_after_a_failed_effect_tells_both() {
    let place = Place::of("faulty", 1, Durability::OnFailure).await;
    let letter = place
        .letter("unwrap-on-503", r#"{"upstream":"search","path":"/it/fails"}"#)
        .await;
    let report = place.debug(&letter).await;
    same(&report);
    let failed = report.failed.unwrap();
    assert_eq!((failed.seq, failed.answer.as_str(), failed.failed), (1, "503", true));
    assert_eq!(failed.asked.head, "GET http://svc.test/it/fails");
    assert_eq!(failed.got.unwrap().head, "503");
    assert!(report.halt.unwrap().stop.causes.contains(&"unreachable".to_owned()));
    let asking = report.asking.unwrap();
    assert!(
        asking
            .stop
            .causes
            .iter()
            .any(|cause| cause.contains("ended by its host"))
    );
    assert!(!asking.stop.frames.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn effects_are_gone_through_one_by_one_with_their_stacks() {
    let place = Place::of("faulty", 1, Durability::OnFailure).await;
    let letter = place
        .letter("heal-then-fail", r#"{"upstream":"search","path":"/again"}"#)
        .await;
    let debugging = place
        .host
        .debugging(&place.caller, &letter, Duration::from_secs(60))
        .await
        .unwrap();
    let report = debugging.report(true).await.unwrap();
    same(&report);
    assert!(report.ended.unwrap().contains("returned the error"));
    assert!(report.halt.is_none() && report.asking.is_some());
    let numbers: Vec<_> = report.effects.iter().map(|effect| effect.seq).collect();
    assert_eq!(numbers, [1, 2, 3]);
    assert!(report.effects.iter().all(|effect| !effect.stack.is_empty()));
    let (second, halt) = debugging.at(2).await.unwrap();
    assert_eq!((second.seq, second.answer.as_str()), (2, "503"));
    assert!(halt.is_some());
    let beyond = debugging.at(4).await.unwrap_err();
    assert!(
        beyond.message.contains("does not get to effect 4: it asked for 3"),
        "{beyond}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_journal_the_letter_is_told_and_nothing_is_replayed() {
    let place = Place::of("faulty", 1, Durability::None).await;
    let letter = place
        .letter("unwrap-on-503", r#"{"upstream":"search","path":"/it/fails"}"#)
        .await;
    let report = place.debug(&letter).await;
    assert!(report.not_replayed.unwrap().contains("no journal of them is kept"));
    assert!(!report.frames.is_empty());
    assert!(report.halt.is_none() && report.ended.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_overflow_is_shown_from_the_letter() {
    let wasm = wat::parse_str(BROKEN).unwrap();
    let place = Place::with("broken", wasm, 1, Durability::OnFailure).await;
    let letter = place.letter("overflow", "{}").await;
    let report = place.debug(&letter).await;
    assert!(report.not_replayed.unwrap().contains("overflowed"));
    assert!(!report.frames.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_that_overflows_its_own_stack_in_memory_is_replayed() {
    let place = Place::of("faulty", 1, Durability::OnFailure).await;
    let letter = place.letter("stack-overflow", "{}").await;
    let report = place.debug(&letter).await;
    same(&report);
    assert_eq!(report.halt.unwrap().stop.causes, ["memory-out-of-bounds"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_python_tool_is_debugged_too() {
    let place = Place::of("wordcount", 1, Durability::OnFailure).await;
    let letter = place.letter("count", r#"{"text":"..."}"#).await;
    let report = place.debug(&letter).await;
    same(&report);
    assert!(report.ended.unwrap().contains("returned the error `no-words`"));
    assert!(report.halt.is_none() && report.failed.is_none());
}
