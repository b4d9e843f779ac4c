//! The example agents, with a model that follows a script.

use crate::support::{Answer, Answers, failed, load, run};
use async_trait::async_trait;
use fusebox_core::policy::Limits;
use fusebox_engine::ports::sandbox::{Ask, AttemptEnd, Called, Component, Got, Offered, Scope, StateAsk, Target};
use fusebox_engine::ports::transport::Incoming;
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::{Arc, Mutex};

async fn example(name: &str) -> Arc<dyn Component> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../target/guests/{name}.wasm"));
    let wasm =
        std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}; run `cargo xtask guests`", path.display()));
    load(wasm).await.unwrap()
}

/// A model that says one message after the other and then only "ok", and tools that answer by their names.
#[derive(Default)]
struct World {
    said: Mutex<VecDeque<Value>>,
    /// What each call of a tool comes to, in turn; a text that names the function when there is none left.
    called: Mutex<VecDeque<Called>>,
}

#[async_trait]
impl Answer for World {
    async fn to(&self, ask: Ask) -> Option<Got> {
        Some(match ask {
            Ask::Http(request) => {
                assert_eq!(
                    (request.method.as_str(), request.path.as_str()),
                    ("POST", "/v1/chat/completions")
                );
                let message = self.said.lock().unwrap().pop_front();
                let message = message.unwrap_or_else(|| json!({"role": "assistant", "content": "ok"}));
                let body = json!({"choices": [{"index": 0, "message": message}]});
                Got::Http(Ok(Incoming {
                    status: 200,
                    headers: Vec::new(),
                    body: body.to_string().into(),
                }))
            }
            Ask::Call { target, .. } => {
                let next = self.called.lock().unwrap().pop_front();
                let (Target::Named { function, .. } | Target::Linked { function, .. }) = target;
                let usual = || match function.as_str() {
                    "evaluate" => Called::Ok("42.0".to_owned()),
                    other => Called::Ok(format!("{other:?}")),
                };
                Got::Call(next.unwrap_or_else(usual))
            }
            Ask::Tools => Got::Tools(vec![offered("email", "send"), offered("web-search", "query")]),
            Ask::Describe { .. } => {
                let described = r#"{"description":"d","input":{"type":"object","properties":{}},"output":null}"#;
                Got::Described(Some(described.to_owned()))
            }
            other => panic!("nobody asks {other:?}"),
        })
    }
}

fn offered(tool: &str, function: &str) -> Offered {
    Offered {
        tool: tool.to_owned(),
        function: function.to_owned(),
        description: String::new(),
    }
}

fn calls(functions: &[&str]) -> Value {
    let call = |name: &&str| json!({"id": format!("id-{name}"), "type": "function", "function": {"name": name, "arguments": "{\"a\":1}"}});
    let calls: Vec<_> = functions.iter().map(call).collect();
    json!({"role": "assistant", "content": null, "tool_calls": calls})
}

async fn ask(said: &[Value], called: &[Called]) -> (AttemptEnd, Vec<Ask>) {
    let world = World {
        said: Mutex::new(said.iter().cloned().collect()),
        called: Mutex::new(called.iter().cloned().collect()),
    };
    let answers = Arc::new(Answers::new(world));
    let effects = Arc::<Answers>::clone(&answers);
    let report = run(
        &example("assistant").await,
        "ask",
        r#"{"question":"q"}"#,
        effects,
        Limits::default(),
    )
    .await;
    let asked = answers.asked.lock().unwrap().clone();
    (report.end, asked)
}

fn bodies(asked: &[Ask]) -> Vec<Value> {
    let body = |ask: &Ask| match ask {
        Ask::Http(request) => Some(serde_json::from_slice(&request.body).unwrap()),
        _ => None,
    };
    asked.iter().filter_map(body).collect()
}

fn answered(end: &AttemptEnd) -> Value {
    let AttemptEnd::Ok { json } = end else {
        panic!("{end:?}")
    };
    serde_json::from_str(json).unwrap()
}

#[tokio::test]
async fn an_assistant_offers_its_tools_and_tells_the_model_what_came_of_each_call() {
    let (end, asked) = ask(&[calls(&["web-search_query", "email_send"]), calls(&["no_such"])], &[]).await;
    let answer = answered(&end);
    assert_eq!(answer["text"], "ok");
    let outcomes: Vec<_> = answer["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| step["outcome"].clone())
        .collect();
    assert_eq!(
        outcomes,
        [
            "\"query\"",
            "\"send\"",
            "{\"error\":\"there is no function `no_such`\"}"
        ]
    );

    let bodies = bodies(&asked);
    assert_eq!(bodies.len(), 3);
    let names: Vec<_> = bodies[0]["tools"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tool| tool["function"]["name"].clone())
        .collect();
    assert_eq!(names, ["email_send", "web-search_query"]);
    assert_eq!(bodies[0]["tools"][0]["function"]["parameters"]["type"], "object");
    let messages = bodies[2]["messages"].as_array().unwrap();
    let roles: Vec<_> = messages.iter().map(|message| message["role"].clone()).collect();
    assert_eq!(
        roles,
        ["system", "user", "assistant", "tool", "tool", "assistant", "tool"]
    );
    assert_eq!(
        messages[2],
        calls(&["web-search_query", "email_send"]),
        "the model's own message, as it was"
    );
    assert_eq!(
        messages[3],
        json!({"role": "tool", "tool_call_id": "id-web-search_query", "content": "\"query\""})
    );
    let target = Target::Named {
        tool: "web-search".to_owned(),
        function: "query".to_owned(),
    };
    assert!(asked.contains(&Ask::Call {
        target,
        input: "{\"a\":1}".to_owned()
    }));
}

#[tokio::test]
async fn an_assistant_tells_the_model_what_it_can_deal_with_and_gives_up_on_the_rest() {
    let wish = [calls(&["email_send"])];
    let rejected = Called::Err {
        case: Some("rejected".to_owned()),
        json: r#"{"rejected":"no"}"#.to_owned(),
    };
    for (called, told) in [
        (rejected, json!({"error": {"rejected": "no"}})),
        (
            failed("declined", "control", "ann said no"),
            json!({"error": "ann said no", "code": "declined"}),
        ),
        (
            failed("bad-input", "caller", "`to` is missing"),
            json!({"error": "`to` is missing", "code": "bad-input"}),
        ),
    ] {
        let (end, _) = ask(&wish, &[called]).await;
        let outcome = answered(&end)["steps"][0]["outcome"].as_str().unwrap().to_owned();
        assert_eq!(serde_json::from_str::<Value>(&outcome).unwrap(), told);
    }
    let (end, asked) = ask(&wish, &[failed("upstream-failed", "transient", "503")]).await;
    let AttemptEnd::Err { case, json } = end else {
        panic!("{end:?}")
    };
    assert_eq!(case.as_deref(), Some("tool-failed"));
    let failure = json!({"tool-failed": {"function": "email_send", "code": "upstream-failed", "message": "503"}});
    assert_eq!(serde_json::from_str::<Value>(&json).unwrap(), failure);
    assert_eq!(bodies(&asked).len(), 1, "the model is not asked again");
}

#[tokio::test]
async fn an_assistant_ends_after_sixteen_turns() {
    let (end, asked) = ask(&vec![calls(&["email_send"]); 20], &[]).await;
    assert!(
        matches!(&end, AttemptEnd::Err { json, .. } if json == r#"{"too-many-turns":16}"#),
        "{end:?}"
    );
    assert_eq!(bodies(&asked).len(), 16);
}

#[tokio::test]
async fn a_pipeline_takes_thirty_steps_of_three_kinds() {
    let pipeline = example("pipeline").await;
    let [import] = &pipeline.shape().tools[..] else {
        panic!("one interface is imported")
    };
    assert_eq!(import.interface, "example:calculator/calculator@1.0.0");
    assert_eq!(import.functions, example("calculator").await.shape().functions);

    let answers = Arc::new(Answers::new(World::default()));
    let effects = Arc::<Answers>::clone(&answers);
    let end = run(&pipeline, "run", r#"{"label":"l"}"#, effects, Limits::default())
        .await
        .end;
    let results = answered(&end);
    let results = results.as_array().unwrap();
    assert_eq!(results.len(), 30);
    assert_eq!(results[..4], ["42", "ok", "\"query\"", "ok"]);
    let asked = answers.asked.lock().unwrap();
    assert_eq!(asked.len(), 30, "each step is one effect");
    for (ask, step) in asked.iter().zip(1..) {
        let fits = match ask {
            Ask::Http(_) => step % 2 == 0,
            Ask::Call {
                target: Target::Linked { .. },
                ..
            } => step % 4 == 1,
            Ask::Call {
                target: Target::Named { .. },
                ..
            } => step % 4 == 3,
            _ => false,
        };
        assert!(fits, "step {step}: {ask:?}");
    }
}

#[tokio::test]
async fn a_pipeline_stops_where_a_step_fails() {
    let failing = |at: usize| {
        let mut called = vec![Called::Ok("1".to_owned()); at];
        called.push(failed("upstream-failed", "transient", "503"));
        Arc::new(Answers::new(World {
            called: Mutex::new(called.into()),
            ..World::default()
        }))
    };
    let pipeline = example("pipeline").await;
    // The fifteenth call is the typed one of step 29.
    let end = run(&pipeline, "run", r#"{"label":"l"}"#, failing(14), Limits::default())
        .await
        .end;
    assert_eq!(end, AttemptEnd::CallFailed);
    // The fourteenth is the one by name, of step 27.
    let end = run(&pipeline, "run", r#"{"label":"l"}"#, failing(13), Limits::default())
        .await
        .end;
    assert!(
        matches!(&end, AttemptEnd::Err { case: Some(case), .. } if case == "tool-failed"),
        "{end:?}"
    );
}

#[tokio::test]
async fn a_notebook_in_javascript_keeps_its_notes_in_the_hosts_store() {
    let notebook = example("notebook").await;
    let kept = Arc::new(Mutex::new(BTreeMap::new()));
    let store = Arc::clone(&kept);
    let answers = Arc::new(Answers::new(move |ask| {
        let Ask::State {
            scope: Scope::Tool,
            ask,
        } = ask
        else {
            panic!("nobody asks {ask:?}")
        };
        let mut store = store.lock().unwrap();
        Some(match ask {
            StateAsk::Get { key } => Got::Value(store.get(&key).cloned()),
            StateAsk::Set { key, .. } if key.len() > 20 => Got::Refused("the key is too long".to_owned()),
            StateAsk::Set { key, value } => {
                store.insert(key, value.unwrap());
                Got::Value(None)
            }
            StateAsk::List { prefix } => {
                Got::Keys(store.keys().filter(|key| key.starts_with(&prefix)).cloned().collect())
            }
        })
    }));
    let call = async |function: &str, json: Value| {
        let effects = Arc::<Answers>::clone(&answers);
        run(&notebook, function, &json.to_string(), effects, Limits::default()).await
    };
    let note = json!({"name": "één", "text": "Größe: 100 %\n🦀"});
    let report = call("keep", json!({ "note": note })).await;
    assert_eq!(
        report.end,
        AttemptEnd::Ok {
            json: "null".to_owned()
        }
    );
    assert_eq!(report.log.head[0].text, "kept \"één\", 15 characters");
    assert_eq!(kept.lock().unwrap()["note/één"], "Größe: 100 %\n🦀".as_bytes());
    assert_eq!(answered(&call("recall", json!({"name": "één"})).await.end), note);
    assert_eq!(
        answered(&call("names", json!({"prefix": ""})).await.end),
        json!(["één"])
    );
    assert_eq!(answered(&call("names", json!({"prefix": "x"})).await.end), json!([]));

    let error = |end: AttemptEnd| match end {
        AttemptEnd::Err { json, .. } => serde_json::from_str::<Value>(&json).unwrap(),
        other => panic!("{other:?}"),
    };
    assert_eq!(
        error(call("recall", json!({"name": "x"})).await.end),
        json!({"unknown": "x"})
    );
    let long = json!({"note": {"name": "a name that is very long", "text": ""}});
    assert_eq!(
        error(call("keep", long).await.end),
        json!({"refused": "the key is too long"})
    );
}
