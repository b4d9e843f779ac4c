//! Interfaces of other tools, imported by one component and exported by another.

use crate::forward::{forwarder, mirror};
use crate::support::{Answers, CallsOf, failed, load, run, snapshot_of};
use fusebox_core::policy::Limits;
use fusebox_engine::ports::sandbox::{Ask, AttemptEnd, Called, Component, Got, Limit, Target};
use std::sync::Arc;

const API: &str = "acme:mirror/api@1.0.0";

/// Functions over every kind of type that JSON has; each takes a list, as [`mirror`] wants it.
const MIRROR: &str = r"
package acme:mirror@1.0.0;

interface kinds {
  record point { x: f64, y-offset: option<s32>, tags: list<string> }
  variant shape { nothing, circle(point), named(string) }
  enum color { red, dark-green }
  flags rights { read, write-all }
}

interface api {
  use kinds.{point, shape, color, rights};
  numbers: func(v: list<tuple<u8, s8, u16, s16, u32, s32, u64, s64, f32, f64>>) -> list<tuple<u8, s8, u16, s16, u32, s32, u64, s64, f32, f64>>;
  texts: func(v: list<tuple<bool, char, string, list<u8>>>) -> list<tuple<bool, char, string, list<u8>>>;
  points: func(v: list<point>) -> list<point>;
  shapes: func(v: list<tuple<shape, color, rights>>) -> list<tuple<shape, color, rights>>;
  wrapped: func(v: list<tuple<option<option<u8>>, result<u8, string>, result>>) -> list<tuple<option<option<u8>>, result<u8, string>, result>>;
  succeed: func(v: list<shape>) -> result<list<shape>, color>;
  fail: func(v: list<shape>) -> result<color, list<shape>>;
  trap: func(v: list<u8>) -> list<u8>;
}
";

async fn pair() -> (Arc<dyn Component>, Arc<Answers>) {
    let callee = load(mirror(MIRROR, API)).await.unwrap();
    let caller = load(forwarder(MIRROR, &[API])).await.unwrap();
    (caller, Arc::new(Answers::new(CallsOf(callee))))
}

async fn end(caller: &Arc<dyn Component>, function: &str, v: &str, answers: &Arc<Answers>) -> AttemptEnd {
    let json = format!("{{\"v\":{v}}}");
    let effects = Arc::<Answers>::clone(answers);
    run(caller, function, &json, effects, Limits::default()).await.end
}

#[tokio::test]
async fn both_sides_have_equal_types_in_their_shapes() {
    let callee = load(mirror(MIRROR, API)).await.unwrap();
    let caller = load(forwarder(MIRROR, &[API])).await.unwrap();
    let [import] = &caller.shape().tools[..] else {
        panic!("one interface is imported: {:?}", caller.shape().tools)
    };
    assert_eq!(import.interface, API);
    assert_eq!(import.functions, callee.shape().functions);
    assert_eq!(import.functions.len(), 8);
    assert_eq!(callee.shape().tools, []);
}

#[tokio::test]
async fn values_of_every_type_cross_and_come_back() {
    let (caller, answers) = pair().await;
    let cases = [
        (
            "numbers",
            r#"[[255,-128,65535,-32768,4294967295,-2147483648,18446744073709551615,-9223372036854775808,0.1,-0.0],[0,0,0,0,0,0,0,0,"NaN","-Infinity"]]"#,
        ),
        (
            "texts",
            r#"[[true,"é","a \"quoted\" line\n","AP8="],[false,"🦀","",""]]"#,
        ),
        (
            "points",
            r#"[{"x":1.5,"y-offset":-3,"tags":["a","b"]},{"x":1e300,"y-offset":null,"tags":[]}]"#,
        ),
        (
            "shapes",
            r#"[["nothing","dark-green",[]],[{"circle":{"x":0.0,"y-offset":7,"tags":["t"]}},"red",["read","write-all"]],[{"named":"n"},"red",["write-all"]]]"#,
        ),
        (
            "wrapped",
            r#"[[null,{"ok":1},{"ok":null}],[{"some":null},{"err":"no"},{"err":null}],[{"some":3},{"ok":0},{"ok":null}]]"#,
        ),
        ("points", "[]"),
    ];
    for (function, v) in cases {
        let expected = AttemptEnd::Ok { json: v.to_owned() };
        assert_eq!(end(&caller, function, v, &answers).await, expected, "{function}");
    }
    let asked = answers.asked.lock().unwrap();
    let target = Target::Linked {
        interface: API.to_owned(),
        function: "numbers".to_owned(),
    };
    let input = format!("{{\"v\":{}}}", cases[0].1);
    assert_eq!(asked[0], Ask::Call { target, input });
    assert_eq!(asked.len(), cases.len());
}

#[tokio::test]
async fn an_error_of_the_tool_is_the_error_of_the_function() {
    let (caller, answers) = pair().await;
    let v = r#"[{"named":"x"},"nothing"]"#;
    let ok = AttemptEnd::Ok { json: v.to_owned() };
    assert_eq!(end(&caller, "succeed", v, &answers).await, ok);
    let err = AttemptEnd::Err {
        case: None,
        json: v.to_owned(),
    };
    assert_eq!(end(&caller, "fail", v, &answers).await, err);
}

/// What a caller comes to whose call ends so.
async fn after(function: &str, called: Called) -> fusebox_engine::ports::sandbox::AttemptReport {
    let caller = load(forwarder(MIRROR, &[API])).await.unwrap();
    let answers = Arc::new(Answers::always(Got::Call(called)));
    run(&caller, function, r#"{"v":[]}"#, answers, Limits::default()).await
}

fn call_failed() -> AttemptEnd {
    AttemptEnd::CallFailed
}

#[tokio::test]
async fn a_failed_call_ends_its_caller_with_a_readable_state() {
    let (caller, answers) = pair().await;
    let effects = Arc::<Answers>::clone(&answers);
    let report = run(&caller, "trap", r#"{"v":"YWJj"}"#, effects, Limits::default()).await;
    assert_eq!(report.end, call_failed());
    assert!(!report.backtrace.is_empty(), "it says where the caller stood");
    let snapshot = snapshot_of(report).await;
    // The state is the caller's, whose memory has the bytes of its argument, and not the callee's, which has a mark.
    let memory = snapshot
        .instances
        .iter()
        .flat_map(|instance| &instance.memories)
        .next()
        .unwrap();
    let page = &memory.stored[0];
    let packed = snapshot.pages.iter().find(|kept| kept.digest == page.digest).unwrap();
    let bytes = zstd::bulk::decompress(&packed.zstd, 65536).unwrap();
    assert_eq!(&bytes[4096..4099], b"abc");
    assert_eq!(bytes[64], 0);
}

#[tokio::test]
async fn every_failure_of_a_call_ends_its_caller_whatever_its_type_has_room_for() {
    for function in ["points", "succeed", "fail"] {
        let report = after(function, failed("upstream-failed", "transient", "503")).await;
        assert_eq!(report.end, call_failed(), "{function}");
    }
    let answered = Called::Err {
        case: Some("red".to_owned()),
        json: "\"red\"".to_owned(),
    };
    assert_eq!(
        after("points", answered).await.end,
        call_failed(),
        "its type has no err"
    );
    let caller = load(forwarder(MIRROR, &[API])).await.unwrap();
    let refused = Arc::new(Answers::always(Got::Refused("not granted".to_owned())));
    let report = run(&caller, "points", r#"{"v":[]}"#, refused, Limits::default()).await;
    assert_eq!(report.end, call_failed());
}

#[tokio::test]
async fn an_answer_of_another_type_is_never_lifted() {
    for (function, json) in [
        ("points", r#"[{"x":"one"}]"#),
        ("succeed", "null"),
        ("succeed", "[] []"),
        ("points", ""),
    ] {
        let report = after(function, Called::Ok(json.to_owned())).await;
        let AttemptEnd::Host { message } = report.end else {
            panic!("{json} was lifted: {:?}", report.end)
        };
        assert!(message.contains(API) && message.contains(function), "{message}");
    }
    let report = after(
        "succeed",
        Called::Err {
            case: None,
            json: "\"blue\"".to_owned(),
        },
    )
    .await;
    assert!(matches!(report.end, AttemptEnd::Host { .. }), "{:?}", report.end);
}

#[tokio::test]
async fn an_answer_takes_no_more_of_the_host_than_it_may() {
    let caller = load(forwarder(MIRROR, &[API])).await.unwrap();
    // Each byte of a list takes a whole value on the host.
    let bytes = "A".repeat(16_000);
    let answer = Called::Ok(format!(r#"[[true,"x","","{bytes}"]]"#));
    for (host_memory, fits) in [(10_000, false), (100_000, false), (4_000_000, true)] {
        let limits = Limits {
            host_memory,
            ..Limits::default()
        };
        let answers = Arc::new(Answers::always(Got::Call(answer.clone())));
        let end = run(&caller, "texts", r#"{"v":[]}"#, answers, limits).await.end;
        let refused = matches!(&end, AttemptEnd::Limit { limit, .. } if *limit == Limit::HostMemory);
        assert_eq!(
            (refused, matches!(end, AttemptEnd::Ok { .. })),
            (!fits, fits),
            "{host_memory}: {end:?}"
        );
    }
}

#[tokio::test]
async fn an_interface_with_a_resource_is_refused_with_the_reason() {
    let wasm = wat::parse_str(
        r#"(component
            (import "acme:db/store@1.0.0" (instance
              (export "session" (type $session (sub resource)))
              (export "open" (func (result (own $session))))))
            (core module $m (func (export "ping")))
            (core instance $i (instantiate $m))
            (func (export "ping") (canon lift (core func $i "ping"))))"#,
    );
    let Err(error) = load(wasm.unwrap()).await else {
        panic!("a resource cannot cross")
    };
    assert_eq!(error.code, "FB0504");
    assert!(error.message.contains("`session` is a resource"), "{}", error.message);
}
