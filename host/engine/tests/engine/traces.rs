//! Whose trace a call is part of: handed on to upstreams, kept with the run, and no part of what a journal is held to.

use crate::world::*;
use fusebox_core::effect::NotSent;
use fusebox_core::policy::{HeaderPart, HeaderPolicy, Idempotency, ServicePolicy};
use fusebox_core::trace::TraceContext;
use fusebox_engine::ports::transport::Outgoing;
use fusebox_engine::requests::Caller;
use fusebox_engine::testing::scripted_transport::{not_sent, status};

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const STATE: &str = "congo=t61rcWkgMzE,rojo=00f067aa0ba902b7";
const OTHER: &str = "00-11111111111111111111111111111111-2222222222222222-00";

fn from(parent: &str, state: Option<&str>) -> Caller {
    Caller {
        trace: Some(TraceContext::of_headers(parent, state).unwrap()),
        ..Caller::local()
    }
}

/// What of a trace an upstream was told.
fn told(sent: &Outgoing) -> Vec<(&str, &str)> {
    let headers = sent.headers.iter().filter(|(name, _)| name.starts_with("trace"));
    headers
        .map(|(name, value)| (name.as_str(), std::str::from_utf8(value).unwrap()))
        .collect()
}

fn with(name: &str, headers: &[(&str, &str)]) -> ServicePolicy {
    let header = |(name, value): &(&str, &str)| HeaderPolicy {
        name: (*name).to_owned(),
        value: vec![HeaderPart::Text((*value).to_owned())],
    };
    ServicePolicy {
        headers: headers.iter().map(header).collect(),
        ..service(name)
    }
}

#[tokio::test(start_paused = true)]
async fn both_headers_are_handed_on_unless_the_manifest_says_others() {
    let world = World::answering(|_, _| status(200)).await;
    let cases: [(&str, &[(&str, &str)]); 3] = [
        ("plain", &[]),
        ("state", &[("tracestate", "own=1")]),
        ("both", &[("traceparent", OTHER), ("tracestate", "own=1")]),
    ];
    for (name, headers) in cases {
        let policy = tool(name, Idempotency::Readonly, 1, vec![with(name, headers)]);
        world.deploy(policy, asks("GET", name)).await;
        world.host.call(&from(PARENT, Some(STATE)), call(name)).await.unwrap();
    }
    world.host.call(&from(PARENT, None), call("plain")).await.unwrap();
    world.call("plain").await.unwrap();
    let sent = world.transport.sent();
    let sent: Vec<_> = sent.iter().map(told).collect();
    assert_eq!(sent[0], [("traceparent", PARENT), ("tracestate", STATE)]);
    assert_eq!(sent[1], [("tracestate", "own=1"), ("traceparent", PARENT)]);
    assert_eq!(sent[2], [("traceparent", OTHER), ("tracestate", "own=1")]);
    assert_eq!(sent[3], [("traceparent", PARENT)]);
    assert!(sent[4].is_empty(), "{:?}", sent[4]);
}

#[tokio::test(start_paused = true)]
async fn a_replay_in_another_trace_is_the_same_run_and_served_what_the_journal_holds() {
    for headers in [&[][..], &[("traceparent", OTHER), ("tracestate", "own=1")]] {
        let world = World::answering(|number, _| match number {
            2 => not_sent(NotSent::Refused),
            _ => status(200),
        })
        .await;
        let policy = tool(
            "pay",
            Idempotency::NonIdempotent,
            1,
            vec![with("bank", headers), with("mail", headers)],
        );
        let script = |_, spec: fusebox_engine::ports::sandbox::AttemptSpec| async move {
            for service in ["bank", "mail"] {
                match request(spec.effects.as_ref(), "POST", service).await {
                    Ok(answer) if answer.status < 400 => {}
                    _ => return err(),
                }
            }
            ok()
        };
        world.deploy(policy, script).await;
        world
            .host
            .call(&from(PARENT, Some(STATE)), call("pay"))
            .await
            .unwrap_err();
        let letter = world.letter().await;
        assert_eq!(
            letter.run.trace,
            from(PARENT, Some(STATE)).trace,
            "it is kept with the run"
        );
        world.host.replay(&from(OTHER, None), replay_of(&letter)).await.unwrap();
        assert_eq!(world.times("POST bank /x?q=1"), 1, "{:?}", world.sent());
        let sent = world.transport.sent();
        assert_eq!(
            told(&sent[2]),
            told(&sent[1]),
            "whoever goes on with it goes on in its trace"
        );
    }
}
