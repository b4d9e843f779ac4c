//! `fusebox policy explain` without a function: the rules in force, and what is wrong with their files.

use crate::cli::{Context, Failed};
use fusebox_engine::ports::authorizer::{Rule, RuleFinding};
use serde_json::json;

/// Lists the rules in force.
///
/// # Errors
/// [`Failed::Unwell`] when rule files are broken.
pub(super) async fn explain(cx: &mut Context<'_>) -> Result<(), Failed> {
    let host = cx.wiring.local("looking at the rules").await?;
    let findings = host.rule_findings(&cx.caller).await?;
    let rules = host.rules(&cx.caller)?;
    if cx.out.json() {
        let json = json!({
            "rules": rules.iter().map(rule).collect::<Vec<_>>(),
            "findings": findings.iter().map(finding).collect::<Vec<_>>(),
        });
        cx.out.value(&json)?;
    } else {
        cx.out.table(&["rule", "effect", "place", "text"], &rules, |rule| {
            let text = rule.text.split_whitespace().collect::<Vec<_>>().join(" ");
            vec![rule.name.clone(), rule.effect.to_owned(), rule.place.clone(), text]
        })?;
        if rules.is_empty() && findings.is_empty() {
            cx.note("there are no rules: roles alone decide");
        }
        for found in &findings {
            cx.note(&shown(found));
        }
    }
    if findings.iter().any(|found| found.is_error) {
        return Err(Failed::Unwell);
    }
    Ok(())
}

/// Prints the types that rules know.
///
/// # Errors
/// That the tools cannot be listed.
pub(super) async fn schema(cx: &mut Context<'_>) -> Result<(), Failed> {
    let host = cx.wiring.local("printing the schema of the rules").await?;
    let schema = host.rule_schema(&cx.caller).await?;
    if cx.out.json() {
        return Ok(cx.out.value(&json!({ "schema": schema }))?);
    }
    Ok(cx.out.text(&schema)?)
}

/// A finding in a sentence or two.
pub(in crate::cli) fn shown(found: &RuleFinding) -> String {
    let kind = if found.is_error { "error" } else { "warning" };
    let help = found
        .help
        .as_ref()
        .map_or_else(String::new, |help| format!("\n  help: {help}"));
    format!("{kind}: {}: {}{help}", found.place, found.message)
}

fn rule(rule: &Rule) -> serde_json::Value {
    json!({ "name": rule.name, "effect": rule.effect, "place": rule.place, "text": rule.text })
}

fn finding(found: &RuleFinding) -> serde_json::Value {
    json!({ "error": found.is_error, "place": found.place, "message": found.message, "help": found.help })
}
