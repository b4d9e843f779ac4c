//! The model with tools: plans made of words, scripts, and the rules of the API.

use crate::client::{Answer, exchange, get, post};
use fusebox_simulator::{Fault, ScriptedMessage, Service, Simulator};
use serde_json::{Value, json};

const TOKEN: [(&str, &str); 1] = [("authorization", "Bearer llm-secret")];

fn tool(name: &str, properties: Value) -> Value {
    let required: Vec<_> = properties.as_object().unwrap().keys().cloned().collect();
    let parameters = json!({"type": "object", "properties": properties, "required": required});
    json!({"type": "function", "function": {"name": name, "description": "d", "parameters": parameters}})
}

fn tools() -> Value {
    let text = json!({"type": "string"});
    json!([
        tool("calculator_evaluate", json!({"expression": text})),
        tool("email_send", json!({"to": text, "subject": text, "body": text})),
        tool("search_query", json!({"text": text})),
    ])
}

async fn ask(simulator: &Simulator, body: &Value) -> Answer {
    post(simulator.ports().llm, "/v1/chat/completions", &TOKEN, body)
        .await
        .unwrap()
}

fn user(text: &str) -> Vec<Value> {
    vec![json!({"role": "user", "content": text})]
}

/// The message of an answer to a conversation with all tools.
async fn say(simulator: &Simulator, messages: &[Value]) -> Value {
    let answer = ask(
        simulator,
        &json!({"model": "m", "messages": messages, "tools": tools()}),
    )
    .await;
    assert_eq!(answer.status, 200, "{}", answer.json());
    let choice = &answer.json()["choices"][0];
    let called = choice["message"].get("tool_calls").is_some();
    assert_eq!(choice["finish_reason"], if called { "tool_calls" } else { "stop" });
    choice["message"].clone()
}

/// Goes through a conversation; each function returns `outcome`. The calls, and the last text.
async fn converse(simulator: &Simulator, prompt: &str, outcome: &str) -> (Vec<(String, Value)>, String) {
    let mut messages = user(prompt);
    let mut calls = Vec::new();
    loop {
        let message = say(simulator, &messages).await;
        messages.push(message.clone());
        let Some(asked) = message["tool_calls"].as_array() else {
            return (calls, message["content"].as_str().unwrap().to_owned());
        };
        for call in asked {
            let arguments = call["function"]["arguments"].as_str().unwrap();
            let name = call["function"]["name"].as_str().unwrap().to_owned();
            calls.push((name, serde_json::from_str(arguments).unwrap()));
            messages.push(json!({"role": "tool", "tool_call_id": call["id"], "content": outcome}));
        }
    }
}

#[tokio::test]
async fn a_plan_is_made_of_the_words_of_the_user() {
    let simulator = Simulator::start(0).await.unwrap();
    let prompt = "Search for circuit breakers, then compute 2 * 21 then mail ann@example.com the news.";
    let (calls, text) = converse(&simulator, prompt, "42").await;
    let expected = [
        ("search_query".to_owned(), json!({"text": "circuit breakers"})),
        ("calculator_evaluate".to_owned(), json!({"expression": "2 * 21"})),
        (
            "email_send".to_owned(),
            json!({"to": "ann@example.com", "subject": "the news", "body": "42\n42"}),
        ),
    ];
    assert_eq!(calls, expected);
    assert_eq!(text, "Done.\nsearch_query: 42\ncalculator_evaluate: 42\nemail_send: 42");
    let again = converse(&simulator, prompt, "42").await;
    assert_eq!(again, (calls, text), "the same words, the same plan");
    assert_eq!(simulator.requests(Some(Service::Llm)).len(), 8);
}

#[tokio::test]
async fn a_content_of_parts_is_as_good_as_a_text() {
    let simulator = Simulator::start(0).await.unwrap();
    let parts = json!([{"type": "text", "text": "search "}, {"type": "text", "text": "x"}]);
    let asked = say(&simulator, &[json!({"role": "user", "content": parts})]).await;
    assert_eq!(asked["tool_calls"][0]["function"]["name"], "search_query");
}

#[tokio::test]
async fn an_error_ends_the_plan_and_is_said() {
    let simulator = Simulator::start(0).await.unwrap();
    let outcome = r#"{"error":"a person declined"}"#;
    let (calls, text) = converse(&simulator, "mail ann@example.com then compute 1 + 1", outcome).await;
    assert_eq!(calls.len(), 1);
    assert_eq!(text, format!("Not everything was done. email_send: {outcome}"));
}

#[tokio::test]
async fn words_without_a_step_are_answered_with_text() {
    let simulator = Simulator::start(0).await.unwrap();
    assert_eq!(
        say(&simulator, &user("how are you?")).await["content"],
        "You asked: how are you?"
    );
    let body = json!({"model": "m", "messages": user("search x")});
    let answer = ask(&simulator, &body).await.json();
    assert_eq!(
        answer["choices"][0]["message"],
        json!({"role": "assistant", "content": "You asked: search x"})
    );
}

#[tokio::test]
async fn the_choice_of_tools_is_honoured() {
    let simulator = Simulator::start(0).await.unwrap();
    let called = async |prompt: &str, choice: Value| {
        let body = json!({"model": "m", "messages": user(prompt), "tools": tools(), "tool_choice": choice});
        let answer = ask(&simulator, &body).await.json();
        answer["choices"][0]["message"]["tool_calls"][0]["function"]["name"].clone()
    };
    let search = json!({"type": "function", "function": {"name": "search_query"}});
    assert_eq!(called("search x", json!("auto")).await, "search_query");
    assert_eq!(called("search x", json!("none")).await, Value::Null);
    assert_eq!(called("hello", json!("required")).await, "calculator_evaluate");
    assert_eq!(called("search x", json!("required")).await, "search_query");
    assert_eq!(called("compute 1", search).await, "search_query");
}

#[tokio::test]
async fn a_script_says_what_comes_next_and_a_fault_uses_none_of_it_up() {
    let simulator = Simulator::start(0).await.unwrap();
    let bad = json!({"to": "all@example.com", "subject": "s", "body": "b"});
    let script = vec![
        ScriptedMessage::call("email_send", bad.clone()),
        ScriptedMessage::call("email_send", json!("{not json")),
        ScriptedMessage::text("I am done."),
    ];
    simulator.script_llm(script).unwrap();
    let fault = Fault::Status {
        status: 503,
        retry_after: None,
        body: None,
    };
    simulator.fault(Service::Llm, fault, Some(1)).await.unwrap();
    let body = json!({"model": "m", "messages": user("hello"), "tools": tools()});
    assert_eq!(ask(&simulator, &body).await.status, 503);
    let first = say(&simulator, &user("hello")).await;
    let arguments = first["tool_calls"][0]["function"]["arguments"].as_str().unwrap();
    assert_eq!(serde_json::from_str::<Value>(arguments).unwrap(), bad);
    assert_eq!(first["content"], Value::Null);
    let second = say(&simulator, &user("hello")).await;
    assert_eq!(second["tool_calls"][0]["function"]["arguments"], "{not json");
    assert_eq!(say(&simulator, &user("hello")).await["content"], "I am done.");
    assert_eq!(say(&simulator, &user("hello")).await["content"], "You asked: hello");
    assert!(simulator.script_llm(vec![ScriptedMessage::default()]).is_err());
}

#[tokio::test]
async fn the_admin_api_takes_a_script_and_a_reset_forgets_it() {
    let simulator = Simulator::start(0).await.unwrap();
    let admin = simulator.ports().admin;
    let put = async |body: Value| {
        let body = body.to_string();
        let head = format!(
            "PUT /llm/script HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        exchange(admin, head.as_bytes()).await.unwrap().status
    };
    let script = json!([{"tool_calls": [{"name": "email_send", "arguments": {}}]}, {"content": "two"}]);
    assert_eq!(put(script).await, 204);
    assert_eq!(
        say(&simulator, &user("hi")).await["tool_calls"][0]["function"]["name"],
        "email_send"
    );
    assert_eq!(put(json!([{}])).await, 400);
    assert_eq!(put(json!([{"text": "unknown"}])).await, 422);
    assert_eq!(say(&simulator, &user("hi")).await["content"], "two");
    assert_eq!(put(json!([{"content": "three"}])).await, 204);
    assert_eq!(post(admin, "/reset", &[], &Value::Null).await.unwrap().status, 204);
    assert_eq!(say(&simulator, &user("hi")).await["content"], "You asked: hi");
    assert_eq!(
        get(admin, "/requests?service=llm", &[])
            .await
            .unwrap()
            .json()
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test]
async fn what_the_api_would_refuse_is_refused() {
    let simulator = Simulator::start(0).await.unwrap();
    let call = json!({"role": "assistant", "content": null, "tool_calls": [{"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}]});
    let told = |id: &str| json!({"role": "tool", "tool_call_id": id, "content": "1"});
    let hello = &user("hello")[0];
    let wrong = [
        (json!([hello, call]), json!([]), json!("auto"), "`a` has none"),
        (json!([hello, call, hello]), json!([]), json!("auto"), "`a` has none"),
        (json!([hello, call, told("b")]), json!([]), json!("auto"), "answers `b`"),
        (json!([hello, told("a")]), json!([]), json!("auto"), "answers `a`"),
        (
            json!([{"role": "assistant", "content": null}]),
            json!([]),
            json!("auto"),
            "no content",
        ),
        (
            json!([hello]),
            json!([tool("no.dots", json!({}))]),
            json!("auto"),
            "`no.dots`",
        ),
        (
            json!([hello]),
            json!([tool("f", json!({})), tool("f", json!({}))]),
            json!("auto"),
            "two tools",
        ),
        (json!([hello]), json!([]), json!("required"), "only allowed"),
        (json!([hello]), tools(), json!("sometimes"), "sometimes"),
        (
            json!([hello]),
            tools(),
            json!({"type": "function", "function": {"name": "g"}}),
            "`g`",
        ),
    ];
    for (messages, tools, choice, why) in wrong {
        let body = json!({"model": "m", "messages": messages, "tools": tools, "tool_choice": choice});
        let answer = ask(&simulator, &body).await;
        assert_eq!(answer.status, 400, "{why}");
        let message = answer.json()["error"]["message"].as_str().unwrap().to_owned();
        assert!(message.contains(why), "{message}");
    }
    let right = json!({"model": "m", "messages": [hello, call, told("a")]});
    assert_eq!(ask(&simulator, &right).await.status, 200);
}
