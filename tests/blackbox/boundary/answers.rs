//! A good call of each example tool.

use crate::site::Site;
use fusebox_simulator::Service;
use serde_json::json;

#[test]
fn a_calculator_computes() {
    let site = Site::deployed(&["calculator"]);
    let ran = site.call(
        "calculator.evaluate",
        &json!({ "expression": "2 * (3 + sqrt(16)) ^ 2" }),
    );
    assert_eq!(ran.exits(0).json()["output"], 98.0);
    let ran = site
        .call("calculator.evaluate", &json!({ "expression": "1 / 0" }))
        .exits(10);
    assert_eq!(ran.json()["error"]["case"], "division-by-zero");
}

#[test]
fn a_search_is_one_request() {
    let site = Site::deployed(&["search"]);
    let ran = site
        .call("search.query", &json!({ "text": "breaker", "limit": 1 }))
        .exits(0);
    assert_eq!(ran.json()["output"][0]["title"], "Circuit breakers");
    assert_eq!(ran.json()["attempts"], 1);
    let requests = site.requests(Service::Search);
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].path, "/v1/query?q=breaker&limit=1");
}

#[test]
fn a_model_answers() {
    let site = Site::deployed(&["llm"]);
    let ran = site
        .call("llm.complete", &json!({ "prompt": "Why is the sky blue?" }))
        .exits(0);
    assert_eq!(ran.json()["output"]["text"], "You asked: Why is the sky blue?");
    assert_eq!(site.requests(Service::Llm).len(), 1);
}

#[test]
fn a_mail_is_sent_once() {
    let site = Site::deployed(&["email"]);
    let mail = json!({ "to": "ann@example.com", "subject": "Hello", "body": "How are you?" });
    let ran = site.call("email.send", &mail).exits(0);
    let mails = site.upstreams().mails();
    assert_eq!(mails.len(), 1);
    assert_eq!(ran.json()["output"], mails[0].id);
    assert_eq!(mails[0].to, "ann@example.com");
    assert_eq!(site.requests(Service::Mail).len(), 1);
}

#[test]
fn money_is_moved_once() {
    let site = Site::deployed(&["ledger"]);
    let transfer = json!({ "from-account": "alice", "to-account": "bob", "amount": 100 });
    let ran = site
        .call_with("ledger.transfer", &transfer, &["--key", "order-17"])
        .exits(0);
    assert_eq!(
        ran.json()["output"],
        json!({ "id": "transfer-1", "balance-from": 900, "balance-to": 600 })
    );
    let ran = site.call("ledger.balance", &json!({ "account": "alice" })).exits(0);
    assert_eq!(ran.json()["output"], 900);
    let ledger = site.upstreams().ledger();
    assert_eq!(ledger.transfers.len(), 1);
    assert!(ledger.transfers[0].key.is_some(), "the host adds the service's key");
}

#[test]
fn a_python_tool_counts_words() {
    let site = Site::deployed(&["wordcount"]);
    let ran = site
        .call("wordcount.count", &json!({ "text": "to be or not to be" }))
        .exits(0);
    assert_eq!(ran.json()["output"][0], json!({ "word": "be", "count": 2 }));
    let ran = site.call("wordcount.count", &json!({ "text": " " })).exits(10);
    assert_eq!(ran.json()["error"]["case"], "no-words");
}

#[test]
fn a_javascript_tool_makes_slugs() {
    let site = Site::deployed(&["slugify"]);
    let ran = site
        .call("slugify.slug", &json!({ "text": "Größe & Gewicht!" }))
        .exits(0);
    assert_eq!(ran.json()["output"], "grosse-gewicht");
    let ran = site.call("slugify.slug", &json!({ "text": "!" })).exits(10);
    assert_eq!(ran.json()["error"]["case"], "nothing-left");
}

#[test]
fn input_comes_from_the_line_a_file_or_stdin() {
    let site = Site::deployed(&["calculator"]);
    let input = r#"{"expression":"6*7"}"#;
    site.write("input.json", input);
    for ran in [
        site.fusebox(&["call", "calculator.evaluate", input]),
        site.fusebox(&["call", "calculator.evaluate", "@input.json"]),
        site.pipe(&["call", "calculator.evaluate", "-"], input.as_bytes()),
    ] {
        assert_eq!(ran.exits(0).stdout, "42.0\n");
    }
}

#[test]
fn bad_input_names_its_path_and_reaches_nobody() {
    let site = Site::deployed(&["search"]);
    for (input, path) in [
        (json!({ "text": "wasm", "limit": -1 }), "limit"),
        (json!({ "limit": 1 }), "text"),
        (json!({ "text": "wasm", "colour": "red" }), "colour"),
        (json!([]), "object"),
    ] {
        let ran = site.call("search.query", &input).exits(65);
        let error = &ran.json()["error"];
        assert_eq!(error["code"], "bad-input");
        assert!(error["message"].as_str().unwrap().contains(path), "{error}");
    }
    assert_eq!(site.requests(Service::Search).len(), 0);
    assert_eq!(site.letters().len(), 0);
    assert_eq!(site.errors().len(), 4);
}

#[test]
fn hostile_input_is_refused_and_ends_nothing() {
    let site = Site::deployed(&["calculator"]);
    for (text, says) in [
        (
            format!("{{\"expression\":{}{}}}", "[".repeat(200_000), "]".repeat(200_000)),
            "array",
        ),
        (format!("{}{}", "[".repeat(200_000), "]".repeat(200_000)), "array"),
        (r#"{"expression":"1","expression":"2"}"#.to_owned(), "twice"),
        (r#"{"expression":"\ud800"}"#.to_owned(), "surrogate"),
        (r#"{"expression":"1"} x"#.to_owned(), "end of the text"),
        (r#"{"expression":"1"#.to_owned(), "end"),
        ("[1".to_owned(), ""),
        (r#"{"expression":null}"#.to_owned(), "expected string"),
    ] {
        let ran = site
            .pipe(&["call", "calculator.evaluate", "-"], text.as_bytes())
            .exits(65);
        let shown: String = ran.stderr.chars().take(500).collect();
        assert!(shown.contains("stdin: ") && shown.contains(says), "{shown}");
        assert!(ran.took.as_secs() < 10, "{:?}", ran.took);
    }
    site.pipe(&["call", "calculator.evaluate", "-"], b"{\"expression\":\"\xff\"}")
        .exits(64)
        .says("UTF-8");
    for key in ["", &"x".repeat(300)] {
        let call = ["call", "calculator.evaluate", r#"{"expression":"1"}"#, "--key", key];
        site.fusebox(&call).exits(65).says("255 bytes");
    }
    assert_eq!(
        site.call("calculator.evaluate", &json!({ "expression": "1" }))
            .exits(0)
            .json()["output"],
        1.0
    );
}
