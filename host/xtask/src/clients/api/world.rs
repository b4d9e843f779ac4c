//! What schemathesis finds: tools, runs, letters and an approval, and a settings file that tells it their names.

use super::super::site;
use crate::stage::Stage;
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::fmt::Write;

/// So often a parameter is of something that there is; else it is made up.
const KNOWN: f32 = 0.7;

/// Deploys tools, calls them well and badly, and writes `schemathesis.toml`.
pub(super) fn make(stage: &Stage) -> Result<()> {
    stage.change(
        "ledger.toml",
        &[("[functions.transfer]", "[functions.transfer]\napproval = \"required\"")],
    )?;
    let tools = ["calculator.toml", "search.toml", "email.toml", "ledger.toml"];
    site::succeed(stage, &[&["deploy"], &tools[..]].concat())?;
    site::succeed(stage, &["call", "calculator.evaluate", r#"{"expression":"6*7"}"#])?;
    stage.simulator().fault("search", json!({ "status": 503 }), None)?;
    fails(stage, &["call", "search.query", r#"{"text":"wasm"}"#])?;
    stage.simulator().clear("search")?;
    stage
        .simulator()
        .fault("mail", json!({ "execute-then-reset": true }), Some(1))?;
    let mail = r#"{"to":"ann@example.com","subject":"Hello","body":"May I?"}"#;
    fails(stage, &["call", "email.send", mail])?;
    let transfer = r#"{"from-account":"alice","to-account":"bob","amount":1}"#;
    fails(stage, &["call", "ledger.transfer", transfer, "--key", "order-1"])?;

    let runs = ids(stage, &["runs", "list"])?;
    let letters = ids(stage, &["dlq", "list"])?;
    let approvals = ids(stage, &["approvals", "list"])?;
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let known = [
        ("tool", names(&["calculator", "search", "email", "ledger"])),
        ("function", names(&["evaluate", "query", "send", "transfer"])),
        ("key", names(&["search", "mail", "ledger"])),
        ("run", runs),
        ("letter", letters),
        ("approval", approvals),
    ];
    stage.write("schemathesis.toml", &settings(&known)?)
}

/// Its settings: the names; that a run where everything was refused is a failure; and that an upstream that fails (502, or 503 where
/// its breaker is open) is no fault of the host.
fn settings(known: &[(&str, Vec<String>)]) -> Result<String> {
    let mut text = r#"
warnings = { fail-on = ["missing_auth"] }
checks.not_a_server_error = { expected-statuses = ["2xx", "4xx", "502", "503"] }

[parameters]
"#
    .to_owned();
    for (parameter, _) in known {
        writeln!(
            text,
            "\"path.{parameter}\" = {{ dictionary = \"{parameter}\", probability = {KNOWN} }}"
        )?;
    }
    for (parameter, values) in known {
        ensure!(!values.is_empty(), "there is no {parameter}");
        writeln!(text, "\n[dictionaries.{parameter}]\nvalues = {}", json!(values))?;
    }
    Ok(text)
}

fn fails(stage: &Stage, command: &[&str]) -> Result<()> {
    let ran = stage.quietly(command)?;
    ensure!(ran.code != 0, "`fusebox {}` succeeds", command.join(" "));
    Ok(())
}

/// What a command lists, by its ids.
fn ids(stage: &Stage, command: &[&str]) -> Result<Vec<String>> {
    let listed = site::succeed(stage, &[command, &["--json"]].concat())?;
    listed
        .lines()
        .map(|line| {
            let row: Value = serde_json::from_str(line)?;
            let id = row["id"].as_str().with_context(|| format!("no id in {line}"))?;
            Ok(id.to_owned())
        })
        .collect()
}
