//! What a serving host tells those who watch it: metrics, traces, log lines.

pub(crate) mod collector;

use crate::http::client::Served;
use crate::site::Site;
use collector::Collector;
use fusebox_simulator::Service;
use serde_json::{Value, json};
use std::io::Write;
use std::process::{Command, Stdio};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLER: &str = "b7ad6b7169203331";
const ASK: &str = "/v1/tools/assistant/functions/ask/calls";
const QUERY: &str = "/v1/tools/search/functions/query/calls";

/// Calls a function in the trace of its caller.
#[track_caller]
fn call(served: &Served, path: &str, input: &Value) -> Value {
    let parent = format!("00-{TRACE}-{CALLER}-01");
    let headers = [("content-type", "application/json"), ("traceparent", &*parent)];
    let answer = served.send("POST", "", path, &headers, input.to_string().as_bytes());
    answer.is(200).json()
}

#[test]
fn one_trace_goes_from_the_caller_through_calls_attempts_and_effects_to_upstreams() {
    let collector = Collector::start();
    let site = Site::with(&format!("[otlp]\nendpoint = \"{}\"\n", collector.url));
    ["search", "calculator", "email", "assistant"]
        .iter()
        .for_each(|tool| site.deploy(tool));
    let served = Served::start(&site);
    site.status(Service::Search, 503, Some(1));
    call(&served, ASK, &json!({ "question": "search wasm" }));
    served.end();

    let spans: Vec<_> = collector
        .spans()
        .into_iter()
        .filter(|span| span.trace == TRACE)
        .collect();
    let named = |name: &str| spans.iter().filter(|span| span.name == name).collect::<Vec<_>>();
    let outer: Vec<_> = named("call").into_iter().filter(|span| span.parent == CALLER).collect();
    let [outer] = *outer else {
        panic!("one call has the caller's span as its parent: {spans:#?}");
    };
    assert_eq!(
        (outer.text("fusebox.tool"), outer.text("fusebox.function")),
        ("assistant", "ask")
    );
    assert!(!outer.text("fusebox.run").is_empty());
    let parent = |span: &collector::Span| {
        spans
            .iter()
            .find(|other| other.id == span.parent)
            .map(|other| &*other.name)
    };
    for attempt in named("attempt") {
        assert_eq!(parent(attempt), Some("call"), "{attempt:#?}");
    }
    for effect in named("effect") {
        assert_eq!(parent(effect), Some("attempt"), "{effect:#?}");
    }
    // The tool that was called: its call is below the effect that made it, and was attempted twice.
    let nested: Vec<_> = named("call")
        .into_iter()
        .filter(|span| parent(span) == Some("effect"))
        .collect();
    let search = nested.iter().find(|span| span.text("fusebox.tool") == "search");
    let search = search.unwrap_or_else(|| panic!("the search is in the trace: {spans:#?}"));
    let attempts: Vec<_> = named("attempt")
        .into_iter()
        .filter(|span| span.parent == search.id)
        .collect();
    assert_eq!(attempts.len(), 2, "{spans:#?}");
    assert!(
        attempts
            .iter()
            .any(|span| span.text("fusebox.class") == "transient" && span.failed)
    );

    // Each request says whose it is: that of an effect's span.
    for request in [site.requests(Service::Search), site.requests(Service::Llm)].concat() {
        let sent = &request.headers["traceparent"];
        let of = spans.iter().find(|span| *sent == format!("00-{TRACE}-{}-01", span.id));
        let of = of.unwrap_or_else(|| panic!("{sent} is a span of the trace: {spans:#?}"));
        assert_eq!(
            (of.name.as_str(), of.text("http.request.method")),
            ("effect", &*request.method)
        );
        assert!(!of.text("url.path").contains('?'), "{of:#?}");
    }
}

#[test]
fn without_a_collector_the_context_is_handed_on_and_a_dead_one_keeps_nobody_waiting() {
    let handed_on = format!("00-{TRACE}-{CALLER}-01");
    let site = Site::deployed(&["search"]);
    let served = Served::start(&site);
    call(&served, QUERY, &json!({ "text": "wasm" }));
    served.end();
    assert_eq!(site.requests(Service::Search)[0].headers["traceparent"], handed_on);

    let site = Site::with("[otlp]\nendpoint = \"http://127.0.0.1:9\"\n");
    site.deploy("search");
    let served = Served::start(&site);
    for _ in 0..3 {
        call(&served, QUERY, &json!({ "text": "wasm" }));
    }
    served.end();
    assert_eq!(site.requests(Service::Search).len(), 3);
}

#[test]
fn metrics_have_bounded_labels_and_are_what_promtool_expects() {
    let site = Site::deployed(&["search", "faulty"]);
    let served = Served::start(&site);
    call(&served, QUERY, &json!({ "text": "a-very-peculiar-text" }));
    site.status(Service::Search, 503, None);
    let asked = json!({ "upstream": "search", "path": "/v1/query?q=a" });
    served.post("", "/v1/tools/faulty/functions/unwrap-on-503/calls", &asked);
    served
        .post("", "/v1/tools/no-such-tool-anywhere/functions/f/calls", &json!({}))
        .is(404);
    let metrics = served.get("", "/metrics").is(200).text;
    for line in [
        "fusebox_calls_total{tool=\"search\",function=\"query\",outcome=\"ok\"} 1",
        "fusebox_attempts_total{tool=\"search\",function=\"query\",class=\"ok\"} 1",
        "fusebox_call_seconds_count{tool=\"search\",function=\"query\"} 1",
        "fusebox_refusals_total{code=\"not-found\"} 1",
        "fusebox_approvals_waiting 0",
    ] {
        assert!(metrics.lines().any(|known| known == line), "{line}\n{metrics}");
    }
    let letters = metrics
        .lines()
        .filter(|line| line.starts_with("fusebox_letters_enqueued_total"));
    assert!(letters.clone().any(|line| line.ends_with(" 1")), "{metrics}");
    for unbounded in [
        "no-such-tool-anywhere",
        "a-very-peculiar-text",
        "loopback",
        "run_",
        "default",
    ] {
        assert!(!metrics.contains(unbounded), "{unbounded}\n{metrics}");
    }
    served.end();
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("`promtool` is needed: apt-get install --no-install-recommends prometheus");
    promtool.stdin.take().unwrap().write_all(metrics.as_bytes()).unwrap();
    let checked = promtool.wait_with_output().unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
}

#[test]
fn lines_of_a_call_tell_which_call_it_is() {
    let site = Site::with("log-format = \"json\"\nlog = \"info\"\n");
    site.deploy("search");
    let served = Served::start(&site);
    site.status(Service::Search, 503, None);
    let parent = format!("00-{TRACE}-{CALLER}-01");
    let headers = [("content-type", "application/json"), ("traceparent", &*parent)];
    // The breaker opens, which is said within the call.
    for _ in 0..6 {
        served.send("POST", "", QUERY, &headers, br#"{"text":"wasm"}"#);
    }
    served.running.terminate();
    let ran = served.running.wait().exits(0);
    let lines: Vec<Value> = ran
        .stderr
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect();
    let of_calls: Vec<_> = lines
        .iter()
        .filter(|line| {
            line["message"]
                .as_str()
                .is_some_and(|said| said.starts_with("the breaker changed"))
        })
        .collect();
    assert!(!of_calls.is_empty(), "{}", ran.shown());
    for line in of_calls {
        assert_eq!(
            (&line["tool"], &line["function"], &line["trace"]),
            (&json!("search"), &json!("query"), &json!(TRACE))
        );
        assert!(
            line["run"].as_str().is_some_and(|run| run.starts_with("run_")),
            "{line}"
        );
    }
}
