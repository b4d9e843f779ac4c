//! `fusebox:host`: what guests ask, and what they get for each answer. The guest hands on every function of every interface.

use crate::forward::forwarder;
use crate::support::{Answers, failed, load, run};
use fusebox_core::policy::Limits;
use fusebox_engine::ports::sandbox::{
    Ask, AttemptEnd, AttemptReport, Called, Component, Got, Offered, Scope, StateAsk, Target, Told,
};
use std::sync::Arc;
use wit_component::WitPrinter;
use wit_parser::Resolve;

const INTERFACES: [&str; 5] = ["approval", "context", "log", "state", "tools"];

/// A guest that was built with that version of the package.
async fn guest(version: &str) -> Arc<dyn Component> {
    let mut resolve = Resolve::default();
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit");
    let (package, _) = resolve.push_dir(folder).unwrap();
    let mut printer = WitPrinter::default();
    printer.print(&resolve, package, &[]).unwrap();
    let text = printer.output.to_string().replace("@0.1.0", &format!("@{version}"));
    let interfaces: Vec<_> = INTERFACES
        .iter()
        .map(|name| format!("fusebox:host/{name}@{version}"))
        .collect();
    let interfaces: Vec<_> = interfaces.iter().map(String::as_str).collect();
    load(forwarder(&text, &interfaces)).await.unwrap()
}

async fn report(function: &str, json: &str, answers: Answers) -> (AttemptReport, Vec<Ask>) {
    let answers = Arc::new(answers);
    let effects = Arc::<Answers>::clone(&answers);
    let report = run(&guest("0.1.0").await, function, json, effects, Limits::default()).await;
    let asked = answers.asked.lock().unwrap().clone();
    (report, asked)
}

/// How a function ends for an answer, and what it asked.
async fn ended(function: &str, json: &str, got: Got) -> (AttemptEnd, Vec<Ask>) {
    let (report, asked) = report(function, json, Answers::always(got)).await;
    (report.end, asked)
}

fn ok(json: &str) -> AttemptEnd {
    AttemptEnd::Ok { json: json.to_owned() }
}

fn err(case: &str, json: &str) -> AttemptEnd {
    AttemptEnd::Err {
        case: Some(case.to_owned()),
        json: json.to_owned(),
    }
}

fn refused() -> Got {
    Got::Refused("not granted".to_owned())
}

#[tokio::test]
async fn a_guest_of_any_version_of_the_track_gets_the_one_that_there_is() {
    for version in ["0.1.0", "0.1.1", "0.1.12"] {
        let component = guest(version).await;
        assert_eq!(component.shape().missing_imports, Vec::<String>::new());
        assert_eq!(component.shape().tools, []);
        let answers = Arc::new(Answers::always(Got::Value(None)));
        let report = run(
            &component,
            "delete",
            r#"{"scope":"run","key":"k"}"#,
            answers,
            Limits::default(),
        )
        .await;
        assert_eq!(report.end, ok("null"), "{version}");
    }
}

#[tokio::test]
async fn what_the_host_has_not_or_has_otherwise_is_refused_by_name() {
    let importing = |function: &str| {
        let text = format!(
            r#"(component
                (import "fusebox:host/log@0.1.9" (instance (export {function})))
                (core module $m (func (export "ping")))
                (core instance $i (instantiate $m))
                (func (export "ping") (canon lift (core func $i "ping"))))"#
        );
        load(wat::parse_str(text).unwrap())
    };
    assert!(importing(r#""info" (func (param "message" string))"#).await.is_ok());
    for (function, name) in [
        (r#""trace" (func (param "message" string))"#, "trace"),
        (r#""info" (func (param "message" string) (result u32))"#, "info"),
    ] {
        let Err(error) = importing(function).await else {
            panic!("{name} is not there")
        };
        assert_eq!(error.code, "FB0504");
        let named = error.message.contains("fusebox:host/log") && error.message.contains(name);
        assert!(named, "{}", error.message);
    }
}

#[tokio::test]
async fn the_context_tells_the_run() {
    let told = Told {
        run: "run_1".to_owned(),
        attempt: 3,
        key: Some("order-17".to_owned()),
        left_ms: 1_500,
        replay: true,
        principal: "ann".to_owned(),
    };
    let (end, asked) = ended("context.get", "", Got::Context(told)).await;
    let json = r#"{"run":"run_1","attempt":3,"idempotency-key":"order-17","time-left-ms":1500,"replay":true,"principal":"ann"}"#;
    assert_eq!(end, ok(json));
    assert_eq!(asked, [Ask::Context]);
}

#[tokio::test]
async fn keys_are_read_and_written() {
    let state = |scope, ask| [Ask::State { scope, ask }];
    let key = || "k".to_owned();
    let (end, asked) = ended(
        "state.get",
        r#"{"scope":"tool","key":"k"}"#,
        Got::Value(Some("ab".into())),
    )
    .await;
    assert_eq!(end, ok("\"YWI=\""));
    assert_eq!(asked, state(Scope::Tool, StateAsk::Get { key: key() }));
    let (end, _) = ended("state.get", r#"{"scope":"run","key":"k"}"#, Got::Value(None)).await;
    assert_eq!(end, ok("null"));

    let (end, asked) = ended("set", r#"{"scope":"run","key":"k","value":"YWI="}"#, Got::Value(None)).await;
    let value = Some("ab".into());
    assert_eq!(end, ok("null"));
    assert_eq!(asked, state(Scope::Run, StateAsk::Set { key: key(), value }));
    let (_, asked) = ended("delete", r#"{"scope":"run","key":"k"}"#, Got::Value(None)).await;
    assert_eq!(
        asked,
        state(
            Scope::Run,
            StateAsk::Set {
                key: key(),
                value: None
            }
        )
    );

    let keys = Got::Keys(vec!["a1".to_owned(), "a2".to_owned()]);
    let (end, asked) = ended("list-keys", r#"{"scope":"tool","prefix":"a"}"#, keys).await;
    assert_eq!(end, ok(r#"["a1","a2"]"#));
    let prefix = "a".to_owned();
    assert_eq!(asked, state(Scope::Tool, StateAsk::List { prefix }));

    for (function, json) in [
        ("state.get", r#"{"scope":"tool","key":""}"#),
        ("set", r#"{"scope":"tool","key":"","value":""}"#),
        ("delete", r#"{"scope":"tool","key":""}"#),
        ("list-keys", r#"{"scope":"tool","prefix":""}"#),
    ] {
        let (end, _) = ended(function, json, refused()).await;
        assert_eq!(end, err("refused", r#"{"refused":"not granted"}"#), "{function}");
    }
}

#[tokio::test]
async fn tools_are_listed_and_described() {
    let offered = Offered {
        tool: "search".to_owned(),
        function: "query".to_owned(),
        description: "Searches".to_owned(),
    };
    let (end, asked) = ended("list", "", Got::Tools(vec![offered])).await;
    assert_eq!(
        end,
        ok(r#"[{"tool":"search","function":"query","description":"Searches"}]"#)
    );
    assert_eq!(asked, [Ask::Tools]);
    assert_eq!(ended("list", "", refused()).await.0, ok("[]"));

    let arguments = r#"{"tool":"search","function":"query"}"#;
    // Schemas stay the text that they are: their order means something to a model.
    let described = r#"{"description":"d","input":{"type":"object","b":1,"a":2},"output":{"type":"object"}}"#;
    let (end, asked) = ended("describe", arguments, Got::Described(Some(described.to_owned()))).await;
    let json =
        r#"{"description":"d","input":"{\"type\":\"object\",\"b\":1,\"a\":2}","output":"{\"type\":\"object\"}"}"#;
    assert_eq!(end, ok(json));
    let (tool, function) = ("search".to_owned(), "query".to_owned());
    assert_eq!(asked, [Ask::Describe { tool, function }]);
    for output in ["", r#","output":null"#] {
        let described = format!(r#"{{"description":"d","input":{{}}{output}}}"#);
        let (end, _) = ended("describe", arguments, Got::Described(Some(described))).await;
        assert_eq!(end, ok(r#"{"description":"d","input":"{}","output":null}"#));
    }
    for nothing in [Got::Described(None), refused()] {
        assert_eq!(ended("describe", arguments, nothing).await.0, ok("null"));
    }
}

#[tokio::test]
async fn each_end_of_a_call_has_its_form() {
    let arguments = r#"{"tool":"search","function":"query","input-json":"{\"text\":\"x\"}"}"#;
    let (end, asked) = ended("call", arguments, Got::Call(Called::Ok("[1]".to_owned()))).await;
    assert_eq!(end, ok("\"[1]\""));
    let target = Target::Named {
        tool: "search".to_owned(),
        function: "query".to_owned(),
    };
    let input = r#"{"text":"x"}"#.to_owned();
    assert_eq!(asked, [Ask::Call { target, input }]);

    let answered = Called::Err {
        case: Some("rejected".to_owned()),
        json: r#"{"rejected":"no"}"#.to_owned(),
    };
    let json = r#"{"answered":{"case":"rejected","error-json":"{\"rejected\":\"no\"}"}}"#;
    assert_eq!(
        ended("call", arguments, Got::Call(answered)).await.0,
        err("answered", json)
    );

    let mut transient = failed("upstream-failed", "transient", "503 from search");
    if let Called::Failed { retry_after_ms, .. } = &mut transient {
        *retry_after_ms = Some(2_000);
    }
    let json = r#"{"failed":{"code":"upstream-failed","class":"transient","message":"503 from search","retry-after-ms":2000}}"#;
    assert_eq!(
        ended("call", arguments, Got::Call(transient)).await.0,
        err("failed", json)
    );
    let json = r#"{"failed":{"code":"denied","class":"control","message":"not granted","retry-after-ms":null}}"#;
    assert_eq!(ended("call", arguments, refused()).await.0, err("failed", json));
}

#[tokio::test]
async fn a_person_agrees_declines_or_is_not_asked() {
    let arguments = r#"{"question":"Send?","details-json":"{\"to\":\"ann\"}"}"#;
    let (end, asked) = ended("request", arguments, Got::Approval(Ok(()))).await;
    assert_eq!(end, ok("null"));
    let (question, details) = ("Send?".to_owned(), r#"{"to":"ann"}"#.to_owned());
    assert_eq!(asked, [Ask::Approval { question, details }]);
    let (end, _) = ended("request", arguments, Got::Approval(Err("not today".to_owned()))).await;
    assert_eq!(end, err("declined", r#"{"declined":"not today"}"#));
    assert_eq!(
        ended("request", arguments, refused()).await.0,
        err("refused", r#"{"refused":"not granted"}"#)
    );
    let (end, asked) = ended(
        "request",
        r#"{"question":"Send?","details-json":"{to: ann}"}"#,
        refused(),
    )
    .await;
    assert!(
        matches!(&end, AttemptEnd::Err { case: Some(case), json } if case == "refused" && json.contains("no JSON")),
        "{end:?}"
    );
    assert_eq!(asked, [], "nobody was asked");
}

#[tokio::test]
async fn the_log_has_levels_and_is_silent_while_the_journal_is_served() {
    let levels = [
        ("debug", false, "debug: "),
        ("info", false, ""),
        ("warn", true, ""),
        ("error", true, "error: "),
    ];
    for (level, on_stderr, before) in levels {
        let (report, asked) = report(level, r#"{"message":"one\ntwo\r\n"}"#, Answers::new(|_| None)).await;
        assert_eq!(report.end, ok("null"));
        let lines: Vec<_> = report
            .log
            .head
            .iter()
            .map(|line| (line.err, line.text.clone()))
            .collect();
        let expected = ["one", "two"].map(|line| (on_stderr, format!("{before}{line}")));
        assert_eq!(lines, expected, "{level}");
        assert_eq!(asked, [], "it is no effect");
    }
    let mut served = Answers::new(|_| None);
    served.live = false;
    let (report, _) = report("info", r#"{"message":"said before"}"#, served).await;
    assert_eq!(report.log.head, []);
}

#[tokio::test]
async fn an_attempt_that_is_stopped_while_it_waits_ends_so_with_its_state() {
    for (function, json) in [
        ("call", r#"{"tool":"t","function":"f","input-json":"{}"}"#),
        ("request", r#"{"question":"q","details-json":"{}"}"#),
        ("context.get", ""),
    ] {
        let (report, _) = report(function, json, Answers::new(|_| None)).await;
        assert_eq!(report.end, AttemptEnd::Stopped, "{function}");
        crate::support::snapshot_of(report).await;
    }
}

#[tokio::test]
async fn an_answer_to_something_else_is_the_hosts_fault() {
    for (function, json, wrong) in [
        ("context.get", "", Got::Timer),
        ("state.get", r#"{"scope":"run","key":"k"}"#, Got::Keys(Vec::new())),
        ("set", r#"{"scope":"run","key":"k","value":""}"#, Got::Keys(Vec::new())),
        ("list", "", Got::Value(None)),
        (
            "describe",
            r#"{"tool":"t","function":"f"}"#,
            Got::Described(Some("{".to_owned())),
        ),
        (
            "call",
            r#"{"tool":"t","function":"f","input-json":"{}"}"#,
            Got::Value(None),
        ),
        ("request", r#"{"question":"q","details-json":"{}"}"#, Got::Value(None)),
    ] {
        let (end, _) = ended(function, json, wrong).await;
        assert!(matches!(end, AttemptEnd::Host { .. }), "{function}: {end:?}");
    }
}
