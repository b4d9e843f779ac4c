//! What is listed: names, schemas that results fit, hints that are true, and changes that are told.

use super::agent::Agent;
use crate::site::Site;
use serde_json::{Value, json};

#[track_caller]
fn tool(agent: &mut Agent, name: &str) -> Value {
    let listed = agent.ask("tools/list", json!({}));
    let found = listed["tools"]
        .as_array()
        .unwrap()
        .iter()
        .find(|tool| tool["name"] == name);
    found.unwrap_or_else(|| panic!("no {name} in {listed}")).clone()
}

#[test]
fn a_function_is_a_tool_with_the_words_of_its_manifest() {
    let site = Site::deployed(&["search", "ledger", "email", "calculator"]);
    let mut agent = Agent::introduced(&site);
    let names = agent.tools();
    assert!(names.is_sorted(), "{names:?}");
    for name in [
        "calculator_evaluate",
        "email_send",
        "fusebox_result",
        "ledger_balance",
        "ledger_transfer",
        "search_query",
    ] {
        assert!(names.contains(&name.to_owned()), "{name} is not in {names:?}");
    }
    let transfer = tool(&mut agent, "ledger_transfer");
    assert_eq!(transfer["description"], "Moves an amount from one account to another");
    let properties = &transfer["inputSchema"]["properties"];
    assert_eq!(properties["from_account"]["description"], "The account that pays");
    let hints = |tool: &Value| {
        let hints = &tool["annotations"];
        ["readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint"]
            .map(|hint| hints[hint].as_bool().unwrap())
    };
    assert_eq!(hints(&transfer), [false, true, false, true]);
    assert_eq!(hints(&tool(&mut agent, "email_send")), [false, true, false, true]);
    assert_eq!(hints(&tool(&mut agent, "search_query")), [true, false, true, true]);
    assert_eq!(
        hints(&tool(&mut agent, "calculator_evaluate")),
        [true, false, true, false]
    );
    assert_eq!(hints(&tool(&mut agent, "fusebox_result")), [true, false, true, false]);
    for verb in ["approve", "deny", "deploy", "replay", "resolve"] {
        assert!(!names.iter().any(|name| name.contains(verb)), "{verb}");
    }
}

#[test]
fn results_fit_the_schemas_that_are_listed() {
    let site = Site::deployed(&["search", "ledger"]);
    let mut agent = Agent::introduced(&site);
    for (name, arguments) in [
        ("search_query", json!({ "text": "wasm" })),
        ("ledger_balance", json!({ "account": "alice" })),
    ] {
        let schema = tool(&mut agent, name)["outputSchema"].clone();
        let result = agent.call(name, &arguments);
        assert_eq!(result["isError"], false, "{result}");
        let structured = &result["structuredContent"];
        let validator = jsonschema::validator_for(&schema).unwrap();
        assert!(validator.is_valid(structured), "{structured} does not fit {schema}");
        let text: Value = serde_json::from_str(result["content"][0]["text"].as_str().unwrap()).unwrap();
        assert_eq!(text, *structured, "the text is the same JSON");
    }
}

#[test]
fn another_name_in_the_manifest_is_the_name_of_the_tool() {
    let site = Site::new();
    site.deploy_with(
        "search",
        &[("[functions.query]\n", "[functions.query]\nas = \"web_search\"\n")],
    );
    let mut agent = Agent::introduced(&site);
    assert_eq!(agent.tools(), ["fusebox_result", "web_search"]);
    assert_eq!(agent.call("web_search", &json!({ "text": "wasm" }))["isError"], false);
}

#[test]
fn a_deploy_and_a_switch_are_told_to_who_listens() {
    let site = Site::deployed(&["calculator"]);
    let mut old = Agent::introduced(&site);
    let mut new = Agent::modern(&site, false);
    let listens = new.begin(
        "subscriptions/listen",
        json!({ "notifications": { "toolsListChanged": true } }),
    );
    new.wait_for("the acknowledgement", |message| {
        message["method"] == "notifications/subscriptions/acknowledged"
    });
    assert_eq!(old.tools(), ["calculator_evaluate", "fusebox_result"]);
    let changed = |message: &Value| message["method"] == "notifications/tools/list_changed";
    // Both look once a second; a change before their first look would be none.
    std::thread::sleep(std::time::Duration::from_millis(1_500));
    for (command, listed) in [
        (["tools", "disable", "calculator"], vec!["fusebox_result"]),
        (
            ["tools", "enable", "calculator"],
            vec!["calculator_evaluate", "fusebox_result"],
        ),
    ] {
        site.fusebox(&command).exits(0);
        old.wait_for("the older client's notice", changed);
        let told = new.wait_for("the newer client's notice", changed);
        assert_eq!(
            told["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"],
            listens
        );
        assert_eq!(old.tools(), listed);
    }
    site.deploy("search");
    old.wait_for("the notice of a deploy", changed);
    assert!(old.tools().contains(&"search_query".to_owned()));
}
