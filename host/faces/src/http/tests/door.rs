//! Who is let in, and how much at once.

use super::world::{World, request, tool};
use crate::http::Authentication;
use axum::body::Body;
use fusebox_core::policy::RateLimit;
use fusebox_core::role::{Role, Roles};
use std::time::Duration;

fn open() -> Authentication {
    Authentication {
        open_loopback: Some(Roles::CALLER),
        oidc: None,
    }
}

#[tokio::test]
async fn nobody_is_let_in_without_a_key() {
    let world = World::new().await;
    let refused = world.get("", "/v1/tools").await.problem(401, "unauthenticated");
    assert!(refused.header("www-authenticate").starts_with("Bearer"));
    let wrong = format!("fbx_{}_{}", "0".repeat(12), "A".repeat(43));
    for key in ["fbx_1", "a.b.c", &wrong] {
        world.get(key, "/v1/tools").await.problem(401, "unauthenticated");
    }
}

#[tokio::test]
async fn this_machine_is_let_in_where_that_was_allowed_and_nobody_else() {
    let world = World::with(open(), |_| {}).await;
    world.get("", "/v1/tools").await.is(200);
    world.get("fbx_1", "/v1/tools").await.problem(401, "unauthenticated");
    let elsewhere = world
        .send_from([10, 0, 0, 1], request("GET", "/v1/tools", "", ""))
        .await;
    elsewhere.problem(401, "unauthenticated");
    let mut forwarded = request("GET", "/v1/tools", "", "");
    forwarded
        .headers_mut()
        .insert("x-forwarded-for", "10.0.0.1".parse().unwrap());
    world.send(forwarded).await.problem(401, "unauthenticated");
}

#[tokio::test]
async fn a_page_of_somebody_else_is_not_let_in() {
    let world = World::with(open(), |_| {}).await;
    for path in ["/v1/tools", "/healthz", "/v1/openapi.json", "/none"] {
        let mut rebound = request("GET", path, "", "");
        rebound.headers_mut().insert("host", "evil.example".parse().unwrap());
        world.send(rebound).await.problem(421, "denied");
    }
    let mut foreign = request("GET", "/v1/tools", "", "");
    foreign
        .headers_mut()
        .insert("origin", "https://evil.example".parse().unwrap());
    world.send(foreign).await.problem(403, "denied");
}

#[tokio::test]
async fn bodies_are_bounded() {
    let world = World::with(open(), |limits| limits.body = 16).await;
    world.deploy_answer().await;
    let call = "/v1/tools/answer/functions/run/calls";
    world.post("", call, "{}").await.is(200);
    world
        .post("", call, &format!("{{\"a\":\"{}\"}}", "x".repeat(32)))
        .await
        .problem(413, "bad-input");
}

#[tokio::test]
async fn large_bodies_are_read_for_those_who_may_deploy() {
    let world = World::with(open(), |limits| {
        limits.body = 16;
        limits.upload = 64;
    })
    .await;
    let deployer = world.key_of(Role::Deployer).await;
    let body = "x".repeat(32);
    world.post("", "/v1/tools", &body).await.problem(403, "denied");
    world
        .post(&deployer, "/v1/tools", &body)
        .await
        .problem(415, "bad-input");
    world
        .post(&deployer, "/v1/tools", &body.repeat(3))
        .await
        .problem(413, "bad-input");
}

#[tokio::test]
async fn a_body_that_does_not_come_is_given_up() {
    let world = World::with(open(), |limits| limits.body_time = Duration::from_millis(20)).await;
    let mut slow = request("POST", "/v1/tools/answer/functions/run/calls", "", "{}");
    *slow.body_mut() = Body::from_stream(futures::stream::pending::<Result<bytes::Bytes, std::io::Error>>());
    world.send(slow).await.problem(408, "bad-input");
}

#[tokio::test]
async fn more_than_the_rate_is_refused_with_the_time_to_wait() {
    let limit = RateLimit {
        requests: 3,
        per: Duration::from_secs(3600),
    };
    let world = World::with(open(), |limits| limits.rate = Some(limit)).await;
    let other = world.key("default", Roles::ALL).await;
    for _ in 0..3 {
        world.get("", "/v1/tools").await.is(200);
    }
    let refused = world.get("", "/v1/tools").await.problem(429, "overloaded");
    let wait: u64 = refused.header("retry-after").parse().unwrap();
    assert!((1..=3600).contains(&wait), "{wait}");
    world.get(&other, "/v1/tools").await.is(200);
    world.get("", "/healthz").await.is(200);
}

#[tokio::test]
async fn wrong_keys_of_one_address_are_looked_up_so_often_and_no_more() {
    let world = World::new().await;
    let (seen, unseen) = (world.key_of(Role::Caller).await, world.key_of(Role::Caller).await);
    world.get(&seen, "/v1/tools").await.is(200);
    let wrong = format!("fbx_{}_{}", "0".repeat(12), "A".repeat(43));
    // The bucket fills itself meanwhile, so it is not said after how many.
    loop {
        let refused = world.get(&wrong, "/v1/tools").await;
        if refused.status == 401 {
            continue;
        }
        let refused = refused.problem(429, "overloaded");
        assert!((1..=3).contains(&refused.header("retry-after").parse::<u64>().unwrap()));
        // Nothing is looked up any more, right or wrong, but what was right before.
        if world.get(&unseen, "/v1/tools").await.status == 429 {
            break;
        }
    }
    world.get(&seen, "/v1/tools").await.is(200);
    let elsewhere = request("GET", "/v1/tools", &unseen, "");
    world.send_from([10, 0, 0, 1], elsewhere).await.is(200);
}

#[tokio::test]
async fn a_full_host_refuses_at_once() {
    let world = World::with(open(), |limits| limits.requests = 1).await;
    world
        .deploy_script("default", tool("answer"), std::future::pending)
        .await;
    let held = request("POST", "/v1/tools/answer/functions/run/calls", "", "{}");
    let world = std::sync::Arc::new(world);
    let holding = std::sync::Arc::clone(&world);
    let holding = tokio::spawn(async move { holding.send(held).await });
    while world.get("", "/v1/tools").await.status == 200 {
        tokio::task::yield_now().await;
    }
    let refused = world.get("", "/v1/tools").await.problem(503, "overloaded");
    assert_eq!(refused.header("retry-after"), "1");
    world.get("", "/healthz").await.is(200);
    holding.abort();
    let _ = holding.await;
    world.get("", "/v1/tools").await.is(200);
}
