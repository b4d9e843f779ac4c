//! The egress boundary: hosts, secrets, rate limits, bulkheads, evidence.

use crate::world::*;
use fusebox_core::effect::{Lost, NotSent};
use fusebox_core::failure::{Class, Code};
use fusebox_core::policy::{HeaderPart, HeaderPolicy, Idempotency, RateLimit};
use fusebox_engine::host::Settings;
use fusebox_engine::memory_store::MemoryStore;
use fusebox_engine::ports::clock::Clock as _;
use fusebox_engine::ports::sandbox::{AttemptEnd, EffectError};
use fusebox_engine::ports::store::ErrorFilter;
use fusebox_engine::ports::transport::{ExchangeError, Incoming};
use fusebox_engine::requests::{Call, Caller};
use fusebox_engine::testing::fake_clock::FakeClock;
use fusebox_engine::testing::faulty_store::FaultyStore;
use fusebox_engine::testing::scripted_transport::{ScriptedTransport, lost, not_sent, status};
use std::sync::Arc;
use std::time::Duration;

#[tokio::test(start_paused = true)]
async fn only_hosts_of_declared_services_are_reached_and_the_guest_is_told_so() {
    let world = World::answering(|_, _| status(200)).await;
    world
        .deploy(
            tool("spy", Idempotency::Readonly, 1, vec![service("a")]),
            |_, spec| async move {
                assert_eq!(
                    request(spec.effects.as_ref(), "GET", "evil").await,
                    Err(EffectError::Denied)
                );
                err()
            },
        )
        .await;
    let failure = world.call("spy").await.unwrap_err();
    assert_eq!((failure.code, failure.class), (Code::Denied, Class::Control));
    assert!(
        failure.chain[0].contains("`evil.test` is not a host of any service of `spy`"),
        "{:?}",
        failure.chain
    );
    assert!(world.transport.sent().is_empty());
}

#[tokio::test(start_paused = true)]
async fn secrets_are_added_at_the_boundary_and_a_missing_one_sends_nothing() {
    let header = |secret: &str| HeaderPolicy {
        name: "authorization".to_owned(),
        value: vec![
            HeaderPart::Text("Bearer ".to_owned()),
            HeaderPart::Secret(secret.to_owned()),
        ],
    };
    let (mut good, mut bad) = (service("good"), service("bad"));
    good.headers = vec![header("KEY")];
    bad.headers = vec![header("NOWHERE")];
    let world = World::answering(|_, _| status(200)).await;
    world
        .deploy(tool("good", Idempotency::Readonly, 1, vec![good]), asks("GET", "good"))
        .await;
    world
        .deploy(tool("bad", Idempotency::Readonly, 1, vec![bad]), asks("GET", "bad"))
        .await;
    world.call("good").await.unwrap();
    let failure = world.call("bad").await.unwrap_err();
    assert!(
        failure.chain[0].contains("secret `NOWHERE` is not set"),
        "{:?}",
        failure.chain
    );
    let sent = world.transport.sent();
    assert_eq!(sent.len(), 1);
    assert_eq!(
        sent[0].headers,
        [("authorization".to_owned(), b"Bearer s3cret".to_vec())]
    );
    assert!(!format!("{failure:?}").contains("s3cret"));
}

#[tokio::test(start_paused = true)]
async fn a_rate_limit_is_waited_for_in_turn_and_refuses_what_it_cannot_meet_in_time() {
    let world = World::answering(|_, _| status(200)).await;
    let mut limited = service("a");
    limited.rate_limit = Some(RateLimit {
        requests: 1,
        per: Duration::from_secs(20),
    });
    world
        .deploy(tool("find", Idempotency::Readonly, 3, vec![limited]), asks("GET", "a"))
        .await;
    let (first, second, third) = tokio::join!(world.call("find"), world.call("find"), world.call("find"));
    assert!(first.is_ok() && second.is_ok());
    // The third would be admitted after 40 s, and its attempt has 30 s; that is no failure of the service.
    let failure = third.unwrap_err();
    assert_eq!((failure.code, failure.class), (Code::UpstreamFailed, Class::NotSent));
    assert_eq!(world.transport.sent().len(), 2);
    assert_eq!(world.clock.tick().since(Default::default()).as_secs(), 20);
    assert_eq!(world.breaker("find/a").await, "closed");
}

#[tokio::test(start_paused = true)]
async fn a_service_takes_no_more_exchanges_at_once_than_its_policy_says() {
    let world = World::with(ScriptedTransport::new(|_, _| {
        Box::pin(async {
            sleep(1).await;
            status(200)
        })
    }))
    .await;
    let mut narrow = service("a");
    narrow.concurrency = 2;
    world
        .deploy(tool("find", Idempotency::Readonly, 1, vec![narrow]), asks("GET", "a"))
        .await;
    let calls = (0..6).map(|_| world.call("find"));
    assert!(futures::future::join_all(calls).await.iter().all(Result::is_ok));
    assert_eq!(world.clock.tick().since(Default::default()).as_secs(), 3);
}

#[tokio::test(start_paused = true)]
async fn case_29_a_request_without_a_whole_answer_is_unknown_and_one_not_sent_is_not() {
    for (answer, class) in [
        (lost(Lost::Reset), Class::Unknown),
        (lost(Lost::Timeout), Class::Unknown),
        (not_sent(NotSent::Refused), Class::NotSent),
    ] {
        let world = World::answering(move |_, _| answer.clone()).await;
        world
            .deploy(
                tool("find", Idempotency::Readonly, 1, vec![service("a")]),
                asks("GET", "a"),
            )
            .await;
        assert_eq!(world.call("find").await.unwrap_err().class, class);
    }
}

#[tokio::test(start_paused = true)]
async fn case_65_two_posts_in_flight_when_the_guest_traps_are_waited_for_and_the_unknown_one_is_in_doubt() {
    let world = World::with(ScriptedTransport::new(|number, _| {
        Box::pin(async move {
            sleep(10).await;
            if number == 1 { status(200) } else { lost(Lost::Reset) }
        })
    }))
    .await;
    world
        .deploy(
            tool("pay", Idempotency::NonIdempotent, 5, vec![service("bank")]),
            |_, spec| async move {
                for _ in 0..2 {
                    let effects = Arc::clone(&spec.effects);
                    tokio::spawn(async move { request(effects.as_ref(), "POST", "bank").await });
                }
                sleep(1).await;
                trap()
            },
        )
        .await;
    let failure = world.call("pay").await.unwrap_err();
    assert_eq!((failure.code, failure.class), (Code::InDoubt, Class::InDoubt));
    assert_eq!(world.clock.tick().since(Default::default()).as_secs(), 10);
    let letter = world.letter().await;
    assert_eq!((letter.kind.as_str(), letter.expires), ("in-doubt", None));
    assert_eq!(letter.run.in_doubt, [2]);
    let answers: Vec<_> = letter.run.attempts[0]
        .effects
        .iter()
        .map(|effect| effect.answer.as_str())
        .collect();
    assert_eq!(answers, ["200", "lost: reset"]);
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_times_out_waits_for_its_effect_and_is_unknown() {
    let world = World::with(ScriptedTransport::new(|_, _| {
        Box::pin(async {
            sleep(20).await;
            status(200)
        })
    }))
    .await;
    let mut policy = tool("find", Idempotency::Readonly, 1, vec![service("a")]);
    policy.default_function.timeout = Duration::from_secs(5);
    world.deploy(policy, asks("GET", "a")).await;
    assert_eq!(world.call("find").await.unwrap_err().class, Class::Unknown);
    assert_eq!(world.clock.tick().since(Default::default()).as_secs(), 20);
    assert_eq!(world.letter().await.run.attempts[0].effects[0].answer, "200");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_after_the_attempt_has_ended() {
    let world = World::answering(|_, _| status(200)).await;
    let mut limited = service("a");
    limited.rate_limit = Some(RateLimit {
        requests: 1,
        per: Duration::from_secs(10),
    });
    world
        .deploy(
            tool("find", Idempotency::NonIdempotent, 1, vec![limited]),
            |_, spec| async move {
                let first = request(spec.effects.as_ref(), "POST", "a").await;
                assert!(first.is_ok());
                let late = Arc::clone(&spec.effects);
                tokio::spawn(async move { request(late.as_ref(), "POST", "a").await });
                let later = Arc::clone(&spec.effects);
                tokio::spawn(async move {
                    sleep(30).await;
                    assert_eq!(request(later.as_ref(), "POST", "a").await, Err(EffectError::Ended));
                });
                sleep(1).await;
                AttemptEnd::Ok { json: "1".to_owned() }
            },
        )
        .await;
    let reply = world.call("find").await.unwrap();
    assert!(reply.in_doubt.is_empty());
    assert_eq!(world.clock.tick().since(Default::default()).as_secs(), 1);
    world.pass(Duration::from_secs(60)).await;
    assert_eq!(world.transport.sent().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_that_the_manifest_takes_for_an_outage_is_told_once_and_becomes_no_letter() {
    let refused = |number: u32| match number {
        1 => Err(ExchangeError::Denied {
            reason: "10.0.0.1 is a private address".to_owned(),
        }),
        _ => status(200),
    };
    let mut keyless = service("bad");
    keyless.headers = vec![HeaderPolicy {
        name: "authorization".to_owned(),
        value: vec![HeaderPart::Secret("NOWHERE".to_owned())],
    }];
    let table = [
        (service("a"), "evil", "not a host of any service"),
        (keyless, "bad", "secret `NOWHERE` is not set"),
        (service("inside"), "inside", "10.0.0.1 is a private address"),
    ];
    for (service, asked, cause) in table {
        let world = World::answering(move |number, _| refused(number)).await;
        let mut policy = tool("find", Idempotency::Idempotent, 5, vec![service]);
        let errors = &mut policy.default_function.errors;
        errors.insert("unavailable".to_owned(), Class::Transient);
        world
            .deploy(policy, move |_, spec| async move {
                request(spec.effects.as_ref(), "GET", asked).await.unwrap_err();
                AttemptEnd::Err {
                    case: Some("unavailable".to_owned()),
                    json: "\"unavailable\"".to_owned(),
                }
            })
            .await;
        let failure = world.call("find").await.unwrap_err();
        assert_eq!(
            (failure.class, failure.code),
            (Class::Control, Code::Denied),
            "{failure:#?}"
        );
        assert!(failure.message.contains(cause), "{}", failure.message);
        assert_eq!(
            (failure.letter, world.clock.tick().0),
            (None, 0),
            "one attempt, no backoff"
        );
        world.host.drain().await;
        let errors = world
            .host
            .errors(&Caller::local(), &ErrorFilter::default())
            .await
            .unwrap();
        assert_eq!(errors.len(), 1);
        assert!(errors[0].failure.message.contains(cause));
    }
}

/// A service that never answers, as the transport tells it.
fn hanging() -> ScriptedTransport {
    ScriptedTransport::new(|_, request| {
        Box::pin(async move {
            sleep(request.timeout.as_secs()).await;
            lost(Lost::Timeout)
        })
    })
}

#[tokio::test(start_paused = true)]
async fn an_exchange_ends_with_the_least_of_what_service_attempt_and_deadline_leave_it() {
    for (service_s, attempt_s, deadline_s, least, whose) in [
        (3, 30, 60, 3, "3.0 s is the service's `timeout`"),
        (30, 5, 60, 5, "5.0 s was left of the attempt's `timeout`"),
        (30, 60, 1, 1, "1.0 s was left of the run's deadline"),
    ] {
        let world = World::with(hanging()).await;
        let mut policy = tool("find", Idempotency::Readonly, 1, vec![service("a")]);
        policy.services[0].timeout = Duration::from_secs(service_s);
        policy.default_function.timeout = Duration::from_secs(attempt_s);
        // A guest that goes on after it was told: its effect was in flight when its time was over all the same.
        world
            .deploy(policy, |_, spec| async move {
                let answer = request(spec.effects.as_ref(), "GET", "a").await;
                assert!(answer.is_err());
                sleep(10).await;
                err()
            })
            .await;
        let call = Call {
            deadline: Some(Duration::from_secs(deadline_s)),
            ..call("find")
        };
        let start = world.clock.tick();
        let failure = world.host.call(&Caller::local(), call).await.unwrap_err();
        assert_eq!(failure.class, Class::Unknown, "{failure:#?}");
        assert!(failure.chain.iter().any(|cause| cause.contains(whose)), "{failure:#?}");
        assert_eq!(world.transport.sent()[0].timeout, Duration::from_secs(least));
        assert!(world.clock.tick().since(start) <= Duration::from_secs(least + 10));
        if least == deadline_s {
            assert_eq!(world.clock.tick().since(start), Duration::from_secs(1));
            assert!(
                failure.message.contains("did not end before its deadline"),
                "{failure:#?}"
            );
            assert!(
                failure.message.contains("lost: timeout when the deadline was over"),
                "{failure:#?}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn case_16_an_exchange_that_panics_is_unknown_and_releases_its_place_and_its_permit() {
    let world = World::with(ScriptedTransport::new(|number, _| {
        Box::pin(async move {
            assert!(number > 1, "a defect of the transport");
            status(200)
        })
    }))
    .await;
    let mut narrow = service("mail");
    narrow.concurrency = 1;
    world
        .deploy(
            tool("send", Idempotency::NonIdempotent, 1, vec![narrow]),
            asks("POST", "mail"),
        )
        .await;
    assert_eq!(world.call("send").await.unwrap_err().code, Code::InDoubt);
    assert_eq!(world.letter().await.run.attempts[0].effects[0].answer, "unknown");
    world.call("send").await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_the_upstream_repeats_reaches_neither_guest_nor_letter() {
    let world = World::answering(|number, request| {
        let (_, authorization) = request
            .headers
            .iter()
            .find(|(name, _)| name == "authorization")
            .unwrap();
        assert_eq!(authorization, b"Bearer s3cret");
        Ok(Incoming {
            status: if number == 1 { 200 } else { 503 },
            headers: vec![("x-echo".to_owned(), authorization.clone())],
            body: [b"you sent ", authorization.as_slice()].concat().into(),
        })
    })
    .await;
    let mut upstream = service("a");
    upstream.headers = vec![HeaderPolicy {
        name: "authorization".to_owned(),
        value: vec![
            HeaderPart::Text("Bearer ".to_owned()),
            HeaderPart::Secret("KEY".to_owned()),
        ],
    }];
    world
        .deploy(
            tool("tell", Idempotency::Readonly, 1, vec![upstream]),
            |_, spec| async move {
                let answer = request(spec.effects.as_ref(), "GET", "a").await.unwrap();
                let seen = [&answer.headers[0].1[..], &answer.body].map(String::from_utf8_lossy);
                let json = serde_json::json!(seen);
                match answer.status {
                    200 => AttemptEnd::Ok { json: json.to_string() },
                    _ => AttemptEnd::Err {
                        case: None,
                        json: json.to_string(),
                    },
                }
            },
        )
        .await;
    let told = world.call("tell").await.unwrap().output;
    assert_eq!(told, r#"["Bearer ******","you sent Bearer ******"]"#);
    world.call("tell").await.unwrap_err();
    let letter = serde_json::to_string(&world.letter().await).unwrap();
    assert!(
        letter.contains("Bearer ******") && !letter.contains("s3cret"),
        "{letter}"
    );
}

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_for_an_attempt_that_ended_while_the_store_was_asked() {
    let clock = Arc::new(FakeClock::new());
    let store = Arc::new(MemoryStore::with_clock(Arc::clone(&clock) as _));
    let transport = ScriptedTransport::answering(|number, _| status(if number == 1 { 503 } else { 200 }));
    let healthy = World::on(store, clock, transport, Settings::default()).await;
    let mut upstream = service("a");
    upstream.breaker.failure_threshold = Some(1);
    let mut policy = tool("find", Idempotency::Readonly, 1, vec![upstream]);
    policy.default_function.timeout = Duration::from_secs(5);
    healthy.deploy(policy, asks("GET", "a")).await;
    // The breaker opens in time; some looks at it later the store becomes slow, and that it probes is stored late.
    let late = FaultyStore::slow_from(Arc::clone(&healthy.store), 12, Duration::from_secs(20));
    let world = healthy.another(Arc::new(late), 2).await;
    world.call("find").await.unwrap_err();
    world.pass(Duration::from_secs(20)).await;
    assert_eq!(world.call("find").await.unwrap_err().class, Class::NotSent);
    assert_eq!(world.transport.sent().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn callers_with_short_deadlines_open_no_breaker() {
    let world = World::with(ScriptedTransport::new(|_, request| {
        Box::pin(async move {
            sleep(request.timeout.as_secs()).await;
            lost(Lost::Timeout)
        })
    }))
    .await;
    world
        .deploy(
            tool("find", Idempotency::Readonly, 1, vec![service("a")]),
            asks("GET", "a"),
        )
        .await;
    for (deadline, state) in [(2, "closed"), (40, "open")] {
        for _ in 0..5 {
            let call = Call {
                deadline: Some(Duration::from_secs(deadline)),
                ..call("find")
            };
            let failure = world.host.call(&Caller::local(), call).await.unwrap_err();
            assert_eq!(failure.class, Class::Unknown);
        }
        assert_eq!(world.breaker("find/a").await, state, "{deadline} s");
    }
}

#[tokio::test(start_paused = true)]
async fn a_guest_that_asks_for_much_and_ends_does_not_use_up_the_rate_limit_of_others() {
    let world = World::answering(|_, _| status(200)).await;
    let mut upstream = service("a");
    upstream.shared = true;
    upstream.rate_limit = Some(RateLimit {
        requests: 1,
        per: Duration::from_secs(10),
    });
    world
        .deploy(
            tool("flood", Idempotency::Readonly, 1, vec![upstream.clone()]),
            |_, spec| async move {
                let requests = (0..3).map(|_| request(spec.effects.as_ref(), "GET", "a"));
                tokio::select! {
                    _ = futures::future::join_all(requests) => err(),
                    () = sleep(1) => ok(),
                }
            },
        )
        .await;
    world
        .deploy(tool("find", Idempotency::Readonly, 1, vec![upstream]), asks("GET", "a"))
        .await;
    let start = world.clock.tick();
    world.call("flood").await.unwrap();
    world.call("find").await.unwrap();
    let took = world.clock.tick().since(start);
    assert!(
        (Duration::from_secs(10)..Duration::from_secs(12)).contains(&took),
        "{took:?}"
    );
    assert_eq!(world.transport.sent().len(), 2);
}
