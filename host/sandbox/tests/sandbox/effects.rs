//! The way out: what the engine is asked, and what the guest sees of it.

use crate::play::Play;
use crate::support::{Trial, compile_wasm, ok};
use fusebox_core::effect::{Lost, NotSent};
use fusebox_engine::ports::sandbox::{AttemptEnd, Component, EffectError, Limit};
use fusebox_engine::ports::transport::Incoming;
use std::sync::Arc;
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// A guest that imports WASI under that version of 0.2, and does one thing after the other.
pub(crate) async fn asking(version: &str) -> Arc<dyn Component> {
    compile_wasm(guest("guest", include_str!("asking.wat"), version)).await
}

/// One that has several things under way at once.
pub(crate) async fn weaving(version: &str) -> Arc<dyn Component> {
    compile_wasm(guest("weaver", include_str!("weaving.wat"), version)).await
}

pub(crate) fn guest(world: &str, module: &str, version: &str) -> Vec<u8> {
    let wit = include_str!("asking.wit").replace("VERSION", version);
    let mut resolve = Resolve::default();
    let package = resolve.push_str("asking.wit", &wit).unwrap();
    let world = resolve.select_world(&[package], Some(world)).unwrap();
    let mut module = wat::parse_str(module.replace("VERSION", version)).unwrap();
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
    let mut encoder = ComponentEncoder::default().module(&module).unwrap().validate(true);
    encoder.encode().unwrap()
}

pub(crate) fn answer(status: u16, body: &str) -> Result<Incoming, EffectError> {
    Ok(Incoming {
        status,
        headers: vec![("content-type".to_owned(), b"text/plain".to_vec())],
        body: body.to_owned().into(),
    })
}

async fn ask(play: Play, size: u32) -> (AttemptEnd, Arc<Play>) {
    let play = Arc::new(play);
    let mut trial = Trial::of(&asking("0.2.0").await, "ask");
    trial.json = format!(r#"{{"size":{size}}}"#);
    trial.effects = Arc::<Play>::clone(&play);
    (trial.run().await.end, play)
}

#[tokio::test]
async fn guests_of_every_patch_of_0_2_get_out() {
    for version in ["0.2.0", "0.2.6", "0.2.9", "0.2.12"] {
        let mut trial = Trial::of(&asking(version).await, "ask");
        trial.json = r#"{"size":0}"#.to_owned();
        trial.effects = Arc::new(Play::answering([("/step", answer(201, "hello"))]));
        assert_eq!(trial.run().await.end, ok(&(201 | (5 << 16)).to_string()), "{version}");
    }
}

#[tokio::test]
async fn a_request_is_whole_and_as_the_guest_made_it() {
    let (end, play) = ask(Play::answering([("/step", answer(200, ""))]), 10_000).await;
    assert_eq!(end, ok("200"));
    let request = &play.requests()[0];
    assert_eq!(request.body.len(), 10_000);
    assert_eq!((request.tls, request.authority.as_str()), (false, "svc.test"));
    assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/step"));
    assert_eq!(request.headers, []);
}

#[tokio::test]
async fn an_answer_is_one_chunk() {
    let (end, _) = ask(Play::answering([("/step", answer(200, &"x".repeat(50_000)))]), 0).await;
    assert_eq!(end, ok(&(200 | (50_000_u64 << 16)).to_string()));
}

#[tokio::test]
async fn each_failure_has_its_error_code() {
    let codes = [
        (EffectError::Denied, 15),
        (EffectError::NotSent(NotSent::Dns), 1),
        (EffectError::NotSent(NotSent::Refused), 6),
        (EffectError::NotSent(NotSent::ConnectTimeout), 8),
        (EffectError::NotSent(NotSent::Tls), 12),
        (EffectError::NotSent(NotSent::BreakerOpen), 3),
        (EffectError::NotSent(NotSent::RateLimited), 11),
        (EffectError::Lost(Lost::Reset), 7),
        (EffectError::Lost(Lost::Timeout), 33),
        (EffectError::Lost(Lost::Malformed), 35),
        (EffectError::Ended, 38),
    ];
    for (error, code) in codes {
        let (end, _) = ask(Play::answering([("/step", Err(error.clone()))]), 0).await;
        assert_eq!(end, ok(&(1000 + code).to_string()), "{error:?}");
    }
}

#[tokio::test]
async fn bodies_that_the_host_may_not_hold_end_the_attempt_at_the_limit() {
    let play = Arc::new(Play::answering([("/step", answer(200, &"x".repeat(50_000)))]));
    for size in [60_000, 0] {
        let mut trial = Trial::of(&asking("0.2.0").await, "ask");
        trial.json = format!(r#"{{"size":{size}}}"#);
        trial.limits.host_memory = 40_000;
        trial.effects = Arc::<Play>::clone(&play);
        let report = trial.run().await;
        assert!(
            matches!(&report.end, AttemptEnd::Limit { limit: Limit::HostMemory, message } if message.contains("40000")),
            "{size}: {:?}",
            report.end
        );
        assert!(!report.backtrace.is_empty(), "the guest is stopped where it stood");
    }
    assert_eq!(play.requests().len(), 1, "the large request was never begun");
}
