#![allow(clippy::unwrap_used, clippy::panic)]

use super::*;
use crate::testing::{JsonInput, bank};
use fusebox_core::role::{Role, Roles};
use fusebox_engine::ports::authorizer::Arguments;
use std::path::Path;

fn with(rules: &str) -> (tempfile::TempDir, Arc<CedarAuthorizer>) {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "a.cedar", rules);
    let authorizer = CedarAuthorizer::open(folder.path().to_owned());
    for (tool, functions) in bank() {
        authorizer.learn("default", &tool, &functions);
    }
    (folder, authorizer)
}

fn write(folder: &Path, name: &str, text: &str) {
    std::fs::write(folder.join(name), text).unwrap();
}

async fn ask(authorizer: &CedarAuthorizer, principal: &str, function: &str, input: &'static str) -> Decision {
    asked(authorizer, principal, function, input, &[]).await
}

async fn asked(
    authorizer: &CedarAuthorizer,
    principal: &str,
    function: &str,
    input: &'static str,
    chain: &[String],
) -> Decision {
    let tools = bank();
    let (tool, name) = function.split_once('.').unwrap();
    let shape = tools[tool].iter().find(|shape| shape.name == name).unwrap();
    let input = JsonInput(input);
    let question = Question {
        tenant: "default",
        principal,
        roles: Roles::CALLER,
        act: Act::Call,
        tool,
        function: Some(name),
        arguments: Some(Arguments {
            component: Digest([1; 32]),
            shape,
            input: &input,
        }),
        run: None,
        approval: None,
        chain,
    };
    authorizer.decide(&question).await
}

fn reason(decision: Decision) -> String {
    match decision {
        Decision::Deny { reason } => reason,
        other => panic!("{other:?} is no denial"),
    }
}

const SMALL: &str = r#"{"amount":10,"to-iban":"DE"}"#;
const LARGE: &str = r#"{"amount":5000,"to-iban":"DE"}"#;

#[tokio::test]
async fn without_rules_roles_alone_decide_and_with_one_everything_else_is_denied() {
    let folder = tempfile::tempdir().unwrap();
    let open = CedarAuthorizer::open(folder.path().to_owned());
    assert_eq!(ask(&open, "key:ci", "bank.transfer", LARGE).await, Decision::Allow);
    let (_folder, closed) = with(
        "permit(principal == User::\"key:ci\", action == Action::\"Call\", resource == Function::\"bank.balance\");",
    );
    assert_eq!(ask(&closed, "key:ci", "bank.balance", "{}").await, Decision::Allow);
    let other = reason(ask(&closed, "key:ci", "bank.transfer", SMALL).await);
    assert!(
        other.contains("no rule permits it") && other.contains("key:ci") && other.contains("bank.transfer"),
        "{other}"
    );
    reason(ask(&closed, "key:other", "bank.balance", "{}").await);
}

#[tokio::test]
async fn arguments_decide_and_forbid_wins() {
    let (_folder, rules) = with(
        r#"
        permit(principal in Role::"caller", action == Action::"Call", resource in Tool::"bank");
        @id("too large")
        forbid(principal, action == Action::"Call:bank.transfer", resource) when { context.input.amount > 1000 };
        "#,
    );
    assert_eq!(ask(&rules, "a", "bank.transfer", SMALL).await, Decision::Allow);
    let denied = reason(ask(&rules, "a", "bank.transfer", LARGE).await);
    assert!(denied.contains("`too large` (a.cedar:3)"), "{denied}");
}

#[tokio::test]
async fn of_two_permits_the_one_that_asks_for_a_person_holds() {
    let (_folder, rules) = with(
        r#"
        permit(principal, action == Action::"Call", resource);
        @id("large") @approval("required")
        permit(principal, action == Action::"Call:bank.transfer", resource) when { context.input.amount > 1000 };
        "#,
    );
    assert_eq!(ask(&rules, "a", "bank.transfer", SMALL).await, Decision::Allow);
    let large = ask(&rules, "a", "bank.transfer", LARGE).await;
    assert_eq!(
        large,
        Decision::Approve {
            rule: "large".to_owned()
        }
    );
}

#[tokio::test]
async fn a_rule_that_fails_denies_and_a_forbid_is_never_passed_by() {
    let (_folder, rules) = with(
        r#"
        permit(principal, action, resource);
        forbid(principal, action == Action::"Call", resource) when { context.input.amount > 1000 };
        "#,
    );
    assert_eq!(ask(&rules, "a", "bank.transfer", SMALL).await, Decision::Allow);
    let failed = reason(ask(&rules, "a", "bank.balance", "{}").await);
    assert!(failed.contains("does not fit"), "{failed}");
    assert!(
        rules
            .findings()
            .iter()
            .any(|found| found.is_error && found.place == "a.cedar:3")
    );
}

#[tokio::test]
async fn rules_look_at_the_chain_of_a_nested_call() {
    let (_folder, rules) =
        with(r#"permit(principal, action == Action::"Call", resource) when { context.chain.contains("agent.ask") };"#);
    reason(ask(&rules, "a", "bank.balance", "{}").await);
    let chain = ["agent.ask".to_owned()];
    assert_eq!(asked(&rules, "a", "bank.balance", "{}", &chain).await, Decision::Allow);
}

#[tokio::test]
async fn what_can_never_be_permitted_is_not_listed() {
    let (_folder, rules) = with(
        r#"
        permit(principal == User::"a", action == Action::"Call:bank.transfer", resource) when { context.input.amount < 10 };
        permit(principal in Role::"operator", action == Action::"Call", resource);
        permit(principal, action == Action::"Call", resource == Function::"search.query") when { context.tenant == "acme" };
        forbid(principal == User::"b", action, resource == Function::"bank.balance");
        "#,
    );
    let listed = |principal: &str, role: Role, tool: &str, function: &str| {
        rules.may_list(&Listing {
            tenant: "default",
            principal,
            roles: [role].into_iter().collect(),
            tool,
            function,
        })
    };
    assert!(
        listed("a", Role::Caller, "bank", "transfer"),
        "some arguments are permitted"
    );
    assert!(!listed("b", Role::Caller, "bank", "transfer"), "no rule is about them");
    assert!(!listed("a", Role::Caller, "bank", "balance"));
    assert!(listed("c", Role::Operator, "bank", "balance"));
    assert!(
        !listed("b", Role::Operator, "bank", "balance"),
        "forbidden whatever the arguments"
    );
    assert!(!listed("a", Role::Caller, "search", "query"), "another tenant");
}

#[tokio::test]
async fn what_has_changed_comes_into_force_and_what_is_broken_leaves_the_old_rules() {
    let (folder, rules) = with("permit(principal, action, resource);");
    assert_eq!(rules.version(), 1);
    write(folder.path(), "a.cedar", "forbid(principal, action, resource);");
    rules.refresh();
    reason(ask(&rules, "a", "bank.balance", "{}").await);
    assert_eq!(rules.version(), 2);
    for broken in [
        "permit(",
        "permit(principal, action == Action::\"Call:bank.transfer\", resource) when { context.input.amuont > 1 };",
    ] {
        write(folder.path(), "a.cedar", broken);
        rules.refresh();
        reason(ask(&rules, "a", "bank.balance", "{}").await);
        assert_eq!(rules.version(), 2, "{broken}");
        assert!(
            rules
                .findings()
                .iter()
                .any(|found| found.is_error && found.place == "a.cedar:1"),
            "{broken}"
        );
    }
    std::fs::remove_file(folder.path().join("a.cedar")).unwrap();
    rules.refresh();
    reason(ask(&rules, "a", "bank.balance", "{}").await);
    assert!(rules.findings()[0].message.contains("gone"));
    write(folder.path(), "b.cedar", "permit(principal, action, resource);");
    rules.refresh();
    assert_eq!(ask(&rules, "a", "bank.balance", "{}").await, Decision::Allow);
    assert!(rules.findings().is_empty());
    assert_eq!(rules.rules().len(), 1);
}

#[tokio::test]
async fn rules_that_are_broken_from_the_start_permit_nothing_until_they_are_mended() {
    let (folder, rules) = with("permit(");
    let denied = reason(ask(&rules, "a", "bank.balance", "{}").await);
    assert!(denied.contains("a.cedar:1"), "{denied}");
    assert!(!rules.may_list(&Listing {
        tenant: "default",
        principal: "a",
        roles: Roles::ALL,
        tool: "bank",
        function: "balance",
    }));
    write(folder.path(), "a.cedar", "permit(principal, action, resource);");
    rules.refresh();
    assert_eq!(ask(&rules, "a", "bank.balance", "{}").await, Decision::Allow);
}

#[tokio::test]
async fn the_schema_names_the_functions_of_a_tenant_alone() {
    let (_folder, rules) = with("permit(principal, action, resource);");
    assert!(rules.schema("default").contains("\"Call:bank.transfer\" in [\"Call\"]"));
    assert!(!rules.schema("other").contains("bank"));
}
