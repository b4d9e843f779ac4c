//! Calls, runs and what is asked of them.

use super::world::{World, request, tool};
use fusebox_core::role::{Role, Roles};
use fusebox_engine::ports::sandbox::AttemptEnd;
use serde_json::json;

const CALL: &str = "/v1/tools/answer/functions/run/calls";

#[tokio::test]
async fn a_call_is_answered_and_its_run_is_there() {
    let world = World::new().await;
    world.deploy_answer().await;
    let key = world.key("default", Roles::ALL).await;
    let reply = world.post(&key, CALL, "{}").await.is(200).json();
    assert_eq!(
        (&reply["output"], &reply["state"], &reply["stored"]),
        (&json!(42), &json!("succeeded"), &json!(false))
    );
    let path = format!("/v1/runs/{}", reply["run"].as_str().unwrap());
    let run = world.get(&key, &path).await.is(200);
    assert_eq!(
        (&run.json()["output"], &run.json()["principal"]),
        (&json!("42"), &json!("key:of-default"))
    );

    let mut again = request("GET", &path, &key, "");
    again.headers_mut().insert("if-none-match", run.headers["etag"].clone());
    assert_eq!(world.send(again).await.is(304).text, "");
    let events = world.get(&key, &format!("{path}/events")).await.is(200);
    assert!(
        events.text.contains("\"state\":\"succeeded\"") && events.text.contains("event: end"),
        "{}",
        events.text
    );
}

#[tokio::test]
async fn a_key_runs_once_and_a_caller_need_not_wait() {
    let world = World::new().await;
    world.deploy_answer().await;
    let key = world.key("default", Roles::ALL).await;
    let keyed = |body: &str| {
        let mut request = request("POST", CALL, &key, body);
        request
            .headers_mut()
            .insert("idempotency-key", "\"order-42\"".parse().unwrap());
        request
    };
    let first = world.send(keyed("{}")).await.is(200).json();
    let second = world.send(keyed("{}")).await.is(200).json();
    assert_eq!((&second["run"], &second["stored"]), (&first["run"], &json!(true)));
    world.send(keyed("{\"a\":1}")).await.problem(422, "key-reused");

    let mut detached = request("POST", CALL, &key, "{}");
    detached
        .headers_mut()
        .insert("prefer", "respond-async".parse().unwrap());
    let accepted = world.send(detached).await.is(202);
    assert_eq!(accepted.header("preference-applied"), "respond-async");
    let run = world.get(&key, accepted.header("location")).await.is(200).json();
    assert_eq!(run["state"], "accepted");
}

#[tokio::test]
async fn a_trace_goes_on_in_the_run() {
    let world = World::new().await;
    world.deploy_answer().await;
    let key = world.key("default", Roles::ALL).await;
    let mut traced = request("POST", CALL, &key, "{}");
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    traced.headers_mut().insert("traceparent", parent.parse().unwrap());
    let reply = world.send(traced).await.is(200).json();
    let run = world
        .get(&key, &format!("/v1/runs/{}", reply["run"].as_str().unwrap()))
        .await
        .json();
    assert_eq!(run["trace"], parent);
}

#[tokio::test]
async fn lists_come_in_pages() {
    let world = World::new().await;
    world.deploy_answer().await;
    let key = world.key("default", Roles::ALL).await;
    let mut made = Vec::new();
    for _ in 0..5 {
        made.push(world.post(&key, CALL, "{}").await.is(200).json()["run"].clone());
    }
    made.reverse();
    let (mut listed, mut after) = (Vec::new(), String::new());
    loop {
        let page = world
            .get(&key, &format!("/v1/runs?limit=2{after}"))
            .await
            .is(200)
            .json();
        let rows = page["items"].as_array().unwrap();
        assert!(rows.len() <= 2);
        listed.extend(rows.iter().map(|run| run["id"].clone()));
        let Some(next) = page["next"].as_str() else { break };
        after = format!("&after={next}");
    }
    made.sort_by_key(ToString::to_string);
    listed.sort_by_key(ToString::to_string);
    assert_eq!(listed, made, "each is listed once");
    world.get(&key, "/v1/runs?limit=0").await.problem(400, "bad-input");
    world.get(&key, "/v1/runs?after=run_1").await.problem(400, "bad-input");
    world.get(&key, "/v1/runs?colour=red").await.problem(400, "bad-input");
}

#[tokio::test]
async fn whatever_goes_wrong_is_a_problem() {
    let world = World::new().await;
    world.deploy_answer().await;
    let end = AttemptEnd::Err {
        case: Some("not-found".to_owned()),
        json: "{\"not-found\":7}".to_owned(),
    };
    world.deploy("default", tool("refuses"), end).await;
    let key = world.key("default", Roles::ALL).await;
    let failed = world.post(&key, "/v1/tools/refuses/functions/run/calls", "{}").await;
    let problem = failed.problem(422, "tool-failed").json();
    assert_eq!(
        (&problem["case"], &problem["error"]),
        (&json!("not-found"), &json!("{\"not-found\":7}"))
    );
    assert_eq!(
        problem["instance"],
        format!("/v1/runs/{}", problem["run"].as_str().unwrap())
    );

    world.post(&key, CALL, "[1]").await.problem(400, "bad-input");
    world
        .post(&key, "/v1/tools/none/functions/run/calls", "{}")
        .await
        .problem(404, "not-found");
    world.get(&key, "/v1/none").await.problem(404, "not-found");
    world.get(&key, "/v1/runs/run_1").await.problem(400, "bad-input");
    let put = world
        .send(request("PUT", "/v1/runs", &key, ""))
        .await
        .problem(405, "bad-input");
    assert!(put.header("allow").contains("GET"));
    let mut text = request("POST", CALL, &key, "{}");
    text.headers_mut().insert("content-type", "text/plain".parse().unwrap());
    world.send(text).await.problem(415, "bad-input");
    world.post(&key, "/v1/tools", "{}").await.problem(415, "bad-input");
    world
        .post(&key, "/v1/keys", "{\"name\":")
        .await
        .problem(400, "bad-input");
    world
        .post(&key, "/v1/keys", "{\"name\":\"a\",\"roles\":[\"root\"]}")
        .await
        .problem(400, "bad-input");
}

#[tokio::test]
async fn a_key_that_was_revoked_opens_nothing_more() {
    let world = World::new().await;
    let key = world.key("default", Roles::ALL).await;
    let made = world
        .post(
            &key,
            "/v1/keys",
            "{\"name\":\"ci\",\"roles\":[\"caller\"],\"expires\":\"90d\"}",
        )
        .await
        .is(201)
        .json();
    let token = made["token"].as_str().unwrap();
    world.get(token, "/v1/tools").await.is(200);
    let listed = world.get(&key, "/v1/keys").await.is(200);
    assert!(!listed.text.contains(token), "a token is told once");
    let path = format!("/v1/keys/{}", made["key"]["id"].as_str().unwrap());
    world.send(request("DELETE", &path, &key, "")).await.is(200);
    world.get(token, "/v1/tools").await.problem(401, "unauthenticated");
}

#[tokio::test]
async fn metrics_are_for_operators() {
    let world = World::new().await;
    let (operator, caller) = (world.key_of(Role::Operator).await, world.key_of(Role::Caller).await);
    assert_eq!(world.get(&operator, "/metrics").await.is(200).text, "fusebox_up 1\n");
    world.get(&caller, "/metrics").await.problem(403, "denied");
    world.get("", "/metrics").await.problem(401, "unauthenticated");
}

#[tokio::test]
async fn a_host_that_drains_is_not_ready_and_ends_what_follows_runs() {
    let world = World::new().await;
    world.deploy_answer().await;
    let key = world.key("default", Roles::ALL).await;
    assert_eq!(world.get("", "/healthz").await.is(200).text, "ok\n");
    world.get("", "/readyz").await.is(200);
    let mut detached = request("POST", CALL, &key, "{}");
    detached
        .headers_mut()
        .insert("prefer", "respond-async".parse().unwrap());
    let location = world.send(detached).await.is(202).header("location").to_owned();
    world.stop.cancel();
    let refused = world.get("", "/readyz").await.problem(503, "overloaded");
    assert_eq!(refused.header("retry-after"), "1");
    let events = world.get(&key, &format!("{location}/events")).await.is(200);
    assert!(events.text.contains("event: drain"), "{}", events.text);
}

#[tokio::test]
async fn each_role_is_let_do_what_is_its_own() {
    let world = World::new().await;
    world.deploy_answer().await;
    let (caller, operator) = (world.key_of(Role::Caller).await, world.key_of(Role::Operator).await);
    let other = world
        .post(&operator, "/v1/keys", "{\"name\":\"other\",\"roles\":[\"caller\"]}")
        .await;
    other.problem(403, "denied");
    let reply = world.post(&caller, CALL, "{}").await.is(200).json();
    let run = format!("/v1/runs/{}", reply["run"].as_str().unwrap());
    world.get(&caller, &run).await.is(200);
    world.get(&operator, &run).await.is(200);
    world.post(&operator, CALL, "{}").await.problem(403, "denied");
    for path in ["/v1/keys", "/v1/audit", "/v1/breakers", "/v1/errors", "/v1/redrives"] {
        world.get(&caller, path).await.problem(403, "denied");
        world.get(&operator, path).await.is(200);
    }
    world
        .send(request("DELETE", "/v1/tools/answer", &caller, ""))
        .await
        .problem(403, "denied");
}
