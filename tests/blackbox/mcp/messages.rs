//! The protocol itself: handshakes, malformed messages, what is not offered, and the end of a pipe.

use super::agent::Agent;
use crate::site::{Site, eventually};
use serde_json::json;

#[test]
fn the_handshake_tells_the_truth_about_what_is_offered() {
    let site = Site::new();
    let mut agent = Agent::silent(&site);
    for version in ["2025-06-18", "2025-11-25"] {
        let mut agent = Agent::silent(&site);
        let me =
            json!({ "protocolVersion": version, "capabilities": {}, "clientInfo": { "name": "t", "version": "1" } });
        assert_eq!(agent.ask("initialize", me)["protocolVersion"], version);
    }
    let me =
        json!({ "protocolVersion": "1999-01-01", "capabilities": {}, "clientInfo": { "name": "t", "version": "1" } });
    let told = agent.ask("initialize", me);
    assert_eq!(
        told["protocolVersion"], "2025-11-25",
        "a version that is unknown gets the newest with a handshake"
    );
    assert_eq!(told["serverInfo"]["name"], "fusebox");
    let offered: Vec<_> = told["capabilities"].as_object().unwrap().keys().collect();
    assert_eq!(offered, ["extensions", "tools"]);
    for method in [
        "resources/list",
        "prompts/list",
        "logging/setLevel",
        "completion/complete",
        "no/such",
    ] {
        let params = json!({ "level": "info", "ref": { "type": "ref/prompt", "name": "x" }, "argument": { "name": "x", "value": "" } });
        assert_eq!(agent.request(method, params)["error"]["code"], -32601, "{method}");
    }
    assert_eq!(agent.ask("ping", json!({})), json!({}));
}

#[test]
fn a_client_without_a_handshake_is_served_by_what_each_request_says() {
    let site = Site::deployed(&["calculator"]);
    let mut agent = Agent::modern(&site, false);
    let told = agent.ask("server/discover", json!({}));
    let versions = told["supportedVersions"].as_array().unwrap();
    assert!(
        versions.contains(&json!("2026-07-28")) && versions.contains(&json!("2025-06-18")),
        "{told}"
    );
    assert!(agent.tools().contains(&"calculator_evaluate".to_owned()));
    let result = agent.call("calculator_evaluate", &json!({ "expression": "6*7" }));
    assert_eq!(result["structuredContent"], json!({ "result": 42.0 }));
    assert_eq!(result["resultType"], "complete");
}

#[test]
fn a_broken_line_is_answered_and_the_next_one_is_read() {
    let site = Site::deployed(&["calculator"]);
    let mut agent = Agent::introduced(&site);
    for (line, code) in [
        ("{broken", -32700),
        ("\u{0}", -32700),
        ("[]", -32600),
        ("{\"jsonrpc\":\"2.0\"}", -32600),
        ("7", -32600),
    ] {
        agent.write(line);
        let told = agent.wait_for(line, |message| message.get("error").is_some());
        assert_eq!(told["error"]["code"], code, "{line}: {told}");
    }
    agent.write("");
    let long = format!("\"{}\"", "x".repeat(17 << 20));
    agent.write(&long);
    let told = agent.wait_for("a line of 17 MiB", |message| message.get("error").is_some());
    assert_eq!(told["error"]["code"], -32600);
    let result = agent.call("calculator_evaluate", &json!({ "expression": "1+1" }));
    assert_eq!(result["structuredContent"]["result"], 2.0);
}

#[test]
fn what_is_no_call_is_a_fault_of_the_protocol() {
    let site = Site::deployed(&["calculator"]);
    let mut agent = Agent::introduced(&site);
    for params in [
        json!({ "name": "calculator_no-such", "arguments": {} }),
        json!({ "name": "calculator_evaluate", "arguments": [1] }),
        json!({ "arguments": {} }),
        json!({ "name": "calculator_evaluate", "arguments": {}, "_meta": { "fusebox/idempotency-key": 7 } }),
    ] {
        let told = agent.request("tools/call", params.clone());
        assert_eq!(told["error"]["code"], -32602, "{params}: {told}");
    }
    let told = agent.request("tools/list", json!({ "cursor": "nowhere" }));
    assert_eq!(told["error"]["code"], -32602);
}

#[test]
fn who_has_said_everything_still_gets_every_answer() {
    let site = Site::deployed(&["calculator"]);
    let mut agent = Agent::introduced(&site);
    let ids: Vec<_> = (0..20)
        .map(|number| {
            let arguments = json!({ "expression": format!("{number}+0") });
            agent.begin(
                "tools/call",
                json!({ "name": "calculator_evaluate", "arguments": arguments }),
            )
        })
        .collect();
    agent.hang_up();
    for (number, id) in ids.into_iter().enumerate() {
        let result = agent.answer(id)["result"]["structuredContent"]["result"].clone();
        assert_eq!(result.as_f64(), Some(number as f64));
    }
    assert!(agent.end().success());
}

#[test]
fn a_signal_ends_a_server_whose_client_says_nothing() {
    let site = Site::new();
    let mut agent = Agent::introduced(&site);
    let pid = agent.pid().to_string();
    let killed = std::process::Command::new("kill")
        .args(["-TERM", &pid])
        .status()
        .unwrap();
    assert!(killed.success());
    // Its stdin stays open: nothing waits for it.
    eventually("the server ends", || agent.has_ended());
    assert!(agent.end().success());
}
