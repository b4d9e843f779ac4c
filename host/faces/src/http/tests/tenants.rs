//! Two tenants: whatever route one of them takes, nothing of the other's is there.

use super::world::{Answer, World, owner, request, tool};
use crate::http::document;
use fusebox_core::policy::Approval;
use fusebox_core::role::Roles;
use fusebox_engine::ports::sandbox::AttemptEnd;
use fusebox_engine::requests::{Caller, Redrive};
use serde_json::{Value, json};

/// A tenant that has one of everything, and the ids by the names that paths have for them.
struct Rich {
    world: World,
    ids: Vec<(&'static str, String)>,
}

impl Rich {
    async fn new() -> Self {
        let world = World::new().await;
        world.deploy_answer().await;
        let trap = AttemptEnd::Trap {
            trap: "unreachable".to_owned(),
        };
        world.deploy("default", tool("broken"), trap).await;
        let mut asks = tool("asks");
        asks.default_function.approval = Approval::Required;
        world
            .deploy("default", asks, AttemptEnd::Ok { json: "1".to_owned() })
            .await;
        let key = world.key("default", Roles::ALL).await;
        let failed = world
            .post(&key, "/v1/tools/broken/functions/run/calls", "{}")
            .await
            .json();
        let waits = world
            .post(&key, "/v1/tools/asks/functions/run/calls", "{}")
            .await
            .json();
        let redrive = world.host.redrive(&Caller::local(), Redrive::default()).await.unwrap();
        let digest = world.host.tools(&Caller::local()).await.unwrap()[0].component;
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let ids = vec![
            ("tool", "broken".to_owned()),
            ("function", "run".to_owned()),
            ("digest", digest.to_string()),
            ("run", text(&failed["run"])),
            ("letter", text(&failed["letter"])),
            ("approval", text(&waits["approval"])),
            ("redrive", redrive.id.to_string()),
            ("key", "tool%3Abroken".to_owned()),
        ];
        Self { world, ids }
    }

    fn path(&self, path: &str) -> String {
        self.ids.iter().fold(path.to_owned(), |path, (name, id)| {
            path.replace(&format!("{{{name}}}"), id)
        })
    }
}

/// A body that the operation takes.
fn body(path: &str) -> &'static str {
    match path {
        _ if path.ends_with("/resolve") => r#"{"as":"close-failed"}"#,
        _ if path.ends_with("/purge") => r#"{"ids":[]}"#,
        "/v1/keys" => r#"{"name":"a","roles":["caller"]}"#,
        _ => "{}",
    }
}

/// Every operation of the description: method and path.
fn operations() -> Vec<(String, String)> {
    let described: Value = serde_json::from_str(&document()).unwrap();
    let paths = described["paths"].as_object().unwrap().clone();
    let each = |(path, item): (String, Value)| {
        let methods: Vec<_> = item.as_object().unwrap().keys().cloned().collect();
        methods
            .into_iter()
            .map(move |method| (method.to_uppercase(), path.clone()))
    };
    paths.into_iter().flat_map(each).collect()
}

async fn ask(rich: &Rich, key: &str, method: &str, path: &str) -> Answer {
    let body = if method == "GET" { "" } else { body(path) };
    rich.world.send(request(method, &rich.path(path), key, body)).await
}

/// Fails unless an answer of JSON is as the description says.
fn is_described(described: &Value, path: &str, answer: &Answer) {
    let kind = answer.header("content-type");
    if !kind.ends_with("json") {
        return;
    }
    let answers = &described["paths"][path]["get"]["responses"];
    let status = answer.status.as_str();
    let response = answers.get(status).unwrap_or(&answers["default"]);
    let mut schema = response["content"][kind]["schema"].clone();
    assert!(!schema.is_null(), "{path}: {status} {kind} is not described");
    // References lead into the whole document.
    schema["components"] = described["components"].clone();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let errors: Vec<_> = validator
        .iter_errors(&answer.json())
        .map(|error| format!("{}: {error}", error.instance_path))
        .collect();
    assert!(errors.is_empty(), "{path}: {status}: {errors:#?}\n{}", answer.text);
}

/// What the owner sees of it all.
async fn state(rich: &Rich) -> Value {
    let (host, caller) = (&rich.world.host, owner("default"));
    json!({
        "tools": host.tools(&caller).await.unwrap(),
        "runs": host.runs(&caller, &Default::default()).await.unwrap(),
        "letters": host.letters(&caller, &Default::default()).await.unwrap(),
        "approvals": host.approvals(&caller, &Default::default()).await.unwrap(),
        "redrives": host.redrives(&caller).await.unwrap(),
        "breakers": host.breakers(&caller).await.unwrap(),
        "errors": host.errors(&caller, &Default::default()).await.unwrap(),
        "audit": host.audit(&caller, &Default::default()).await.unwrap(),
    })
}

#[tokio::test]
async fn no_operation_reaches_what_another_tenant_has() {
    let rich = Rich::new().await;
    let stranger = rich.world.key("other", Roles::ALL).await;
    let before = state(&rich).await;
    let mut swept = 0;
    for (method, path) in operations() {
        let answer = ask(&rich, &stranger, &method, &path).await;
        let shown = format!("{method} {path}: {} {}", answer.status, answer.text);
        if path.contains('{') {
            assert_eq!(answer.status.as_u16(), 404, "{shown}");
        } else {
            // Lists of the stranger's own, which has nothing, and what it may do to its own.
            assert!(matches!(answer.status.as_u16(), 200 | 201 | 415), "{shown}");
            for (name, id) in rich.ids.iter().filter(|(name, _)| *name != "function") {
                assert!(!answer.text.contains(id.as_str()), "{name}: {shown}");
            }
        }
        swept += 1;
    }
    assert!(swept >= 40, "{swept}");
    assert_eq!(state(&rich).await, before, "a stranger changed something");
}

#[tokio::test]
async fn the_owner_finds_each_of_them() {
    let rich = Rich::new().await;
    let key = rich.world.key("default", Roles::ALL).await;
    let described: Value = serde_json::from_str(&document()).unwrap();
    for (method, path) in operations().into_iter().filter(|(method, _)| method == "GET") {
        let answer = ask(&rich, &key, &method, &path).await;
        // What a script has is found, and has no memory, no policy and no component of its own to tell of.
        assert_ne!(answer.status.as_u16(), 401, "{path}");
        let scripted = ["/memory", "/coredump", "/policy", "/debug"];
        if !scripted.iter().any(|end| path.ends_with(end)) {
            assert_eq!(answer.status.as_u16(), 200, "{path}: {}", answer.text);
        }
        is_described(&described, &path, &answer);
    }
}
