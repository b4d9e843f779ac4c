//! Rules of the operator: who may call what, by the arguments.

use crate::mcp::agent::Agent;
use crate::site::{Ran, Site, eventually};
use serde_json::{Value, json};
use std::fs;

fn site(rules: &str) -> Site {
    let site = Site::deployed(&["ledger", "search"]);
    rule(&site, rules);
    site
}

/// Writes the rules as an editor does: whole or not at all.
fn rule(site: &Site, rules: &str) {
    fs::create_dir_all(site.path("rules")).unwrap();
    site.write("rules/next", rules);
    fs::rename(site.path("rules/next"), site.path("rules/main.cedar")).unwrap();
}

fn transfer(amount: u64) -> Value {
    json!({ "from-account": "alice", "to-account": "bob", "amount": amount })
}

#[track_caller]
fn pays(site: &Site, amount: u64, key: &str) -> Ran {
    site.call_with("ledger.transfer", &transfer(amount), &["--key", key])
}

const LIMIT: &str = r#"
permit(principal, action == Action::"Call", resource);
permit(principal, action == Action::"Deploy", resource);
@id("too much")
forbid(principal, action == Action::"Call:ledger.transfer", resource)
when { context.input.amount > 20 };
"#;

#[test]
fn a_call_is_denied_by_its_argument_and_forbid_wins_however_it_is_spelled() {
    let site = site(LIMIT);
    pays(&site, 20, "k1").exits(0);
    let denied = pays(&site, 21, "k2").exits(11);
    let error = denied.json()["error"].clone();
    assert_eq!(error["code"], "denied");
    let message = error["message"].as_str().unwrap();
    assert!(message.contains("`too much` (main.cedar:4)"), "{message}");
    // Another spelling of the same call.
    let spelled = r#"{"from_account":"alice","to_account":"bob","amount":"2100"}"#;
    site.fusebox(&["call", "ledger.transfer", spelled, "--key", "k3"])
        .exits(11);
    assert_eq!(site.errors().len(), 2, "what was denied is in the error log");
    let refused = site.sql("SELECT subject FROM audit WHERE action = 'rules.refuse'");
    assert_eq!(refused.trim(), "ledger.transfer\nledger.transfer");
}

#[test]
fn a_call_waits_for_a_person_by_its_argument() {
    let site = site(
        r#"
        permit(principal, action, resource);
        @id("large") @approval("required")
        permit(principal, action == Action::"Call:ledger.transfer", resource) when { context.input.amount > 20 };
        "#,
    );
    pays(&site, 20, "k1").exits(0);
    let waits = pays(&site, 21, "k2").exits(12).json()["error"].clone();
    assert!(
        waits["message"]
            .as_str()
            .unwrap()
            .contains("the rule `large` asks for it"),
        "{waits}"
    );
    let approval = waits["approval"].as_str().unwrap();
    site.fusebox(&["approvals", "approve", approval]).exits(0);
    let run = site.run(waits["run"].as_str().unwrap());
    assert_eq!(run["state"], "succeeded", "{run}");
}

#[test]
fn without_a_rule_that_permits_it_everything_is_denied_and_without_rules_roles_alone_decide() {
    let site = site(r#"permit(principal == User::"somebody", action, resource);"#);
    let denied = pays(&site, 1, "k").exits(11).json()["error"].clone();
    assert!(
        denied["message"].as_str().unwrap().contains("no rule permits it"),
        "{denied}"
    );
    let file = site.path("ledger.toml");
    site.fusebox(&["deploy", file.to_str().unwrap()]).exits(11);
    fs::remove_dir_all(site.path("rules")).unwrap();
    pays(&site, 1, "k").exits(0);
}

#[test]
fn what_can_never_be_permitted_is_not_listed() {
    let site = site(
        r#"
        permit(principal == User::"stdio", action == Action::"Call", resource in Tool::"search");
        permit(principal == User::"stdio", action == Action::"Call:ledger.transfer", resource) when { context.input.amount < 5 };
        "#,
    );
    let mut agent = Agent::introduced(&site);
    let names = agent.tools();
    assert!(names.contains(&"search_query".to_owned()), "{names:?}");
    assert!(
        names.contains(&"ledger_transfer".to_owned()),
        "some arguments are permitted: {names:?}"
    );
    assert!(!names.contains(&"ledger_balance".to_owned()), "{names:?}");
    rule(
        &site,
        r#"permit(principal == User::"stdio", action == Action::"Call", resource in Tool::"ledger");"#,
    );
    eventually("the list follows the rules", || {
        let names = agent.tools();
        names.contains(&"ledger_balance".to_owned()) && !names.contains(&"search_query".to_owned())
    });
}

#[test]
fn a_broken_rule_file_leaves_the_old_rules_in_force_and_is_named() {
    let site = site(r#"permit(principal == User::"stdio", action == Action::"Call", resource in Tool::"search");"#);
    let mut agent = Agent::introduced(&site);
    let before = agent.tools();
    assert!(before.contains(&"search_query".to_owned()), "{before:?}");
    rule(&site, "permit(principal, action, resource)\n  when { context.input. };");
    let doctor = site.fusebox(&["doctor", "--json"]).exits(1);
    assert!(doctor.stdout.contains("main.cedar:2"), "{}", doctor.shown());
    // A host that starts with broken rules permits nothing.
    let denied = pays(&site, 1, "k").exits(11).json()["error"].clone();
    assert!(denied["message"].as_str().unwrap().contains("main.cedar:2"), "{denied}");
    // The one that runs has seen the broken file by the time that it has seen the one after it.
    assert_eq!(agent.tools(), before);
    rule(&site, "permit(principal, action, resource);");
    eventually("mended rules come into force", || {
        agent.tools().contains(&"ledger_balance".to_owned())
    });
}

#[test]
fn a_replay_after_the_rules_have_changed_is_refused() {
    let site = site("permit(principal, action, resource);");
    site.status(fusebox_simulator::Service::Ledger, 503, None);
    let failed = pays(&site, 5, "k");
    let letter = failed.letter();
    site.heal(fusebox_simulator::Service::Ledger);
    rule(
        &site,
        &format!("{LIMIT}\npermit(principal, action == Action::\"Replay\", resource);").replace("> 20", "> 4"),
    );
    let refused = site.fusebox(&["dlq", "replay", &letter, "--json"]).exits(11);
    assert!(
        refused.stdout.contains("too much") || refused.stderr.contains("too much"),
        "{}",
        refused.shown()
    );
    assert_eq!(site.letter(&letter)["state"], "open");
    rule(&site, LIMIT);
    let refused = site.fusebox(&["dlq", "replay", &letter]).exits(11);
    refused.says("may not Replay ledger.transfer");
}

#[test]
fn who_may_approve_depends_on_what_a_question_comes_from() {
    let site = Site::deployed(&["search", "calculator"]);
    let required = ("[functions.send]\n", "[functions.send]\napproval = \"required\"\n");
    site.deploy_with("email", &[required]);
    site.deploy("assistant");
    rule(
        &site,
        r#"
        permit(principal, action, resource);
        @id("not for agents")
        forbid(principal, action in Action::"Approve", resource) when { context.chain.contains("assistant.ask") };
        "#,
    );
    let approval = |ran: Ran| ran.exits(12).json()["error"]["approval"].as_str().unwrap().to_owned();
    let mail = json!({ "to": "ann@example.com", "subject": "Hello", "body": "May I?" });
    let own = approval(site.call("email.send", &mail));
    let question = json!({ "question": "mail the result to ann@example.com" });
    let nested = approval(site.call("assistant.ask", &question));
    let shown = site.fusebox(&["approvals", "show", &nested, "--json"]).exits(0).json();
    assert_eq!(shown["tool"], "email", "the mail is what is asked about: {shown}");
    site.fusebox(&["approvals", "approve", &nested])
        .exits(11)
        .says("`not for agents`");
    site.fusebox(&["approvals", "approve", &own]).exits(0);
    assert_eq!(site.upstreams().mails().len(), 1);
    let explained = site.fusebox(&["policy", "explain"]).exits(0);
    assert!(!explained.stderr.contains("chain"), "{}", explained.shown());
}

#[test]
fn rules_are_explained_checked_and_tried_with_cases() {
    let site = Site::deployed(&["ledger", "search", "calculator", "email", "assistant"]);
    let example = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/policies/example.cedar")).unwrap();
    rule(&site, &example);
    let explained = site.fusebox(&["policy", "explain"]).exits(0);
    assert!(explained.stdout.contains("two pairs of eyes"), "{}", explained.shown());
    let cases = concat!(env!("CARGO_MANIFEST_DIR"), "/policies/cases.toml");
    let tried = site.fusebox(&["policy", "test", cases]).exits(0);
    assert!(
        tried.stdout.contains("ok      nobody empties the reserve"),
        "{}",
        tried.shown()
    );
    rule(
        &site,
        &example
            .replace("\"reserve\"\n}", "\"vault\"\n}")
            .replace("== \"reserve\"", "== \"vault\""),
    );
    let tried = site.fusebox(&["policy", "test", cases]).exits(1);
    assert!(
        tried.stdout.contains("FAILED  nobody empties the reserve"),
        "{}",
        tried.shown()
    );
    assert!(
        tried
            .stdout
            .contains("expected deny by `reserve`, and the rules say allow"),
        "{}",
        tried.shown()
    );
    rule(
        &site,
        "permit(principal, action == Action::\"Call:ledger.transfer\", resource)\nwhen { context.input.amuont > 1 };",
    );
    let explained = site.fusebox(&["policy", "explain"]).exits(1);
    explained.says("main.cedar:2").says("amuont");
    let schema = site.fusebox(&["policy", "schema"]).exits(0);
    assert!(schema.stdout.contains("\"amount\": Long"), "{}", schema.shown());
}
