//! The way out: what the engine is asked, and what the guest sees of it.

use crate::support::{Answers, Trial, compile_wasm, ok};
use fusebox_core::effect::{Lost, NotSent};
use fusebox_engine::ports::clock::{Clock as _, SystemClock};
use fusebox_engine::ports::sandbox::{AttemptEnd, Component, EffectError};
use fusebox_engine::ports::transport::Incoming;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// Number of an error code of `wasi:http`.
const INTERNAL_ERROR: u64 = 1038;

/// A guest that imports WASI under that version of 0.2.
pub(crate) async fn asking(version: &str) -> Arc<dyn Component> {
    let wit = include_str!("asking.wit").replace("VERSION", version);
    let mut resolve = Resolve::default();
    let package = resolve.push_str("asking.wit", &wit).unwrap();
    let world = resolve.select_world(&[package], Some("guest")).unwrap();
    let mut module = wat::parse_str(include_str!("asking.wat").replace("VERSION", version)).unwrap();
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
    let mut encoder = ComponentEncoder::default().module(&module).unwrap().validate(true);
    compile_wasm(encoder.encode().unwrap()).await
}

fn answer(status: u16, body: &str) -> Result<Incoming, EffectError> {
    Ok(Incoming {
        status,
        headers: vec![("content-type".to_owned(), b"text/plain".to_vec())],
        body: body.to_owned().into(),
    })
}

async fn ask(answers: Answers, size: u32) -> (AttemptEnd, Arc<Answers>) {
    let answers = Arc::new(answers);
    let mut trial = Trial::of(&asking("0.2.0").await, "ask");
    trial.json = format!(r#"{{"size":{size}}}"#);
    trial.effects = Arc::<Answers>::clone(&answers);
    (trial.run().await.end, answers)
}

#[tokio::test]
async fn guests_of_every_patch_of_0_2_get_out() {
    for version in ["0.2.0", "0.2.6", "0.2.9", "0.2.12"] {
        let mut trial = Trial::of(&asking(version).await, "ask");
        trial.json = r#"{"size":0}"#.to_owned();
        trial.effects = Arc::new(Answers::with("/step", answer(201, "hello")));
        assert_eq!(trial.run().await.end, ok(&(201 | (5 << 16)).to_string()), "{version}");
    }
}

#[tokio::test]
async fn a_request_is_whole_and_as_the_guest_made_it() {
    let (end, answers) = ask(Answers::with("/step", answer(200, "")), 10_000).await;
    assert_eq!(end, ok("200"));
    let seen = answers.seen.lock().unwrap();
    let request = &seen[0];
    assert_eq!(request.body.len(), 10_000);
    assert_eq!((request.tls, request.authority.as_str()), (false, "svc.test"));
    assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/step"));
    assert_eq!(request.headers, []);
}

#[tokio::test]
async fn an_answer_is_one_chunk() {
    let (end, _) = ask(Answers::with("/step", answer(200, &"x".repeat(50_000))), 0).await;
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
        let (end, _) = ask(Answers::with("/step", Err(error.clone())), 0).await;
        assert_eq!(end, ok(&(1000 + code).to_string()), "{error:?}");
    }
}

#[tokio::test]
async fn a_panic_of_the_host_is_an_error_of_the_exchange() {
    let (end, _) = ask(
        Answers {
            panic: true,
            ..Answers::default()
        },
        0,
    )
    .await;
    assert_eq!(end, ok(&INTERNAL_ERROR.to_string()));
}

#[tokio::test]
async fn bodies_that_the_host_may_not_hold_are_refused() {
    let answers = Arc::new(Answers::with("/step", answer(200, &"x".repeat(50_000))));
    for (size, code) in [(60_000, 17), (0, 28)] {
        let mut trial = Trial::of(&asking("0.2.0").await, "ask");
        trial.json = format!(r#"{{"size":{size}}}"#);
        trial.limits.host_memory = 40_000;
        trial.effects = Arc::<Answers>::clone(&answers);
        assert_eq!(trial.run().await.end, ok(&(1000 + code).to_string()), "{size}");
    }
    assert_eq!(
        answers.seen.lock().unwrap().len(),
        1,
        "the large request was never sent"
    );
}

#[tokio::test]
async fn an_effect_goes_on_when_its_instance_is_gone() {
    let answers = Answers {
        delay: Duration::from_millis(300),
        ..Answers::default()
    };
    let done = Arc::clone(&answers.done);
    let mut trial = Trial::of(&asking("0.2.0").await, "ask");
    trial.json = r#"{"size":0}"#.to_owned();
    trial.timeout = Duration::from_millis(50);
    trial.effects = Arc::new(answers);
    let report = trial.run().await;
    assert_eq!(report.end, AttemptEnd::Timeout);
    drop(report);
    for _ in 0..100 {
        if done.load(Ordering::SeqCst) == 1 {
            return;
        }
        SystemClock::new().sleep(Duration::from_millis(50)).await;
    }
    panic!("the effect was dropped with its instance");
}
