//! The Cedar schema of deployed tools, and rules checked against it.

use crate::arguments::Parameters;
use crate::rules::{Rules, offset};
use cedar_policy::{EntityUid, PolicyId, PolicySet, Schema, ValidationMode, Validator};
use fusebox_core::component::FunctionShape;
use fusebox_engine::ports::authorizer::{Act, RuleFinding};
use miette::Diagnostic as _;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// Functions of tools, by the tool's name.
pub(crate) type Tools = BTreeMap<String, Vec<FunctionShape>>;

/// What does not depend on tools.
const COMMON: &str = r#"entity Role;
entity User in [Role];
entity Tool;
entity Function in [Tool];
type Run = { id: String, principal: User, tool: String, function: String, state: String, created: Long };
type Approval = { id: String, principal: User, question: String, because: String };
action "Call", "Approve", "Replay";
action "Deploy" appliesTo { principal: [User], resource: [Tool], context: { tenant: String } };
"#;

/// The action of an act on a function: `Call:search.query`, in the group `Call`.
pub(crate) fn action(act: Act, tool: &str, function: Option<&str>) -> String {
    match function {
        Some(function) => format!("{}:{tool}.{function}", act.name()),
        None => act.name().to_owned(),
    }
}

/// The schema as text.
pub(crate) fn text(tools: &Tools) -> String {
    let mut text = COMMON.to_owned();
    let functions = tools
        .iter()
        .flat_map(|(tool, shapes)| shapes.iter().map(move |shape| (tool, shape)));
    for (tool, shape) in functions {
        let input = Parameters::of(shape).schema();
        let contexts = [
            (Act::Call, format!("input: {input}, chain: Set<String>")),
            (Act::Replay, format!("input: {input}, run: Run")),
            (
                Act::Approve,
                format!("input?: {input}, run?: Run, approval: Approval, chain: Set<String>"),
            ),
        ];
        for (act, context) in contexts {
            let name = quoted(&action(act, tool, Some(&shape.name)));
            let _ = writeln!(
                text,
                "action {name} in [\"{}\"] appliesTo {{ principal: [User], resource: [Function], context: {{ {context}, tenant: String }} }};",
                act.name()
            );
        }
    }
    text
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.escape_default())
}

/// What is wrong with the types of rules. A rule that names what is not deployed is left for later, with a note.
pub(crate) fn check(rules: &Rules, tools: &Tools) -> Vec<RuleFinding> {
    let schema = match Schema::from_cedarschema_str(&text(tools)) {
        Ok((schema, _)) => schema,
        Err(error) => {
            // Names come from components and fit; this would be a defect of ours, and rules are decided without types all the same.
            return vec![note(
                "rules",
                format!("the types of the deployed tools make no schema: {error}"),
                None,
            )];
        }
    };
    let known: BTreeSet<_> = schema
        .actions()
        .chain(schema.action_groups())
        .map(ToString::to_string)
        .collect();
    let mut findings = Vec::new();
    let mut fit = PolicySet::new();
    for policy in rules.set.policies() {
        let absent = policy
            .entity_literals()
            .into_iter()
            .find_map(|uid| absent(&uid, tools, &known));
        match absent {
            Some(absent) => {
                let place = rules.place(policy.id(), None).unwrap_or_default();
                let message = format!("{absent} is not deployed, so this rule is not checked");
                findings.push(note(&place, message, None));
            }
            None => {
                if let Err(error) = fit.add(policy.clone()) {
                    tracing::debug!(%error, "a rule was there already");
                }
            }
        }
    }
    let result = Validator::new(schema).validate(&fit, ValidationMode::Strict);
    let place = |id: &PolicyId, at| rules.place(id, at).unwrap_or_default();
    findings.extend(result.validation_errors().map(|error| RuleFinding {
        is_error: true,
        place: place(error.policy_id(), offset(error)),
        message: plain(&error.to_string()),
        help: error.help().map(|help| help.to_string()),
    }));
    findings.extend(result.validation_warnings().map(|warning| {
        let help = warning.help().map(|help| help.to_string());
        note(
            &place(warning.policy_id(), offset(warning)),
            plain(&warning.to_string()),
            help,
        )
    }));
    findings.sort_by(|a, b| (&a.place, !a.is_error, &a.message).cmp(&(&b.place, !b.is_error, &b.message)));
    findings.dedup();
    findings
}

/// Cedar's messages begin with the name of the rule, whose place is told anyway.
fn plain(message: &str) -> String {
    match message.split_once("`, ") {
        Some((before, rest)) if before.starts_with("for policy `") => rest.to_owned(),
        _ => message.to_owned(),
    }
}

fn note(place: &str, message: String, help: Option<String>) -> RuleFinding {
    RuleFinding {
        is_error: false,
        place: place.to_owned(),
        message,
        help,
    }
}

/// What an entity names that is not deployed; a name that has the form of none is the validator's to refuse.
fn absent(uid: &EntityUid, tools: &Tools, actions: &BTreeSet<String>) -> Option<String> {
    let id: &str = uid.id().as_ref();
    let deployed = |function: &str| {
        let (tool, function) = function.split_once('.')?;
        Some(tools.get(tool)?.iter().any(|shape| shape.name == function))
    };
    let missing = match uid.type_name().to_string().as_str() {
        "Tool" => !tools.contains_key(id),
        "Function" => deployed(id) != Some(true),
        "Action" => {
            let of_function = Act::ALL.iter().any(|act| {
                let rest = id.strip_prefix(act.name());
                rest.is_some_and(|rest| rest.starts_with(':'))
            });
            of_function && !actions.contains(&uid.to_string())
        }
        _ => false,
    };
    missing.then(|| uid.to_string())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::rules::RuleFile;
    use crate::testing::bank;

    fn findings(rules: &str) -> Vec<(bool, String, String)> {
        let file = RuleFile {
            name: "a.cedar".to_owned(),
            text: rules.to_owned(),
        };
        let rules = Rules::read(vec![file]).unwrap();
        let found = check(&rules, &bank());
        found
            .into_iter()
            .map(|found| (found.is_error, found.place, found.message))
            .collect()
    }

    #[test]
    fn rules_that_fit_the_types_of_the_tools_pass() {
        let rules = r#"
            permit(principal in Role::"caller", action == Action::"Call", resource in Tool::"bank");
            @approval("required")
            permit(principal, action == Action::"Call:bank.transfer", resource) when { context.input.amount > 1000 };
            forbid(principal, action == Action::"Call", resource) when { context.input has amount && context.input.amount > 5 };
            forbid(principal, action == Action::"Approve", resource) when { context.approval.principal == principal };
            permit(principal, action == Action::"Replay", resource) when { context.run.principal == principal };
            permit(principal == User::"key:ci", action == Action::"Deploy", resource == Tool::"bank");
        "#;
        assert_eq!(findings(rules), []);
    }

    #[test]
    fn a_rule_that_looks_at_what_is_not_there_is_found_with_its_line() {
        let cases = [
            (
                "permit(principal, action == Action::\"Call:bank.transfer\", resource)\nwhen { context.input.amuont > 1 };",
                "amuont",
            ),
            (
                "permit(principal, action == Action::\"Call:bank.transfer\", resource)\nwhen { context.input.amount > \"1\" };",
                "type",
            ),
            (
                "permit(principal, action == Action::\"Call\", resource)\nwhen { context.input.amount > 1 };",
                "amount",
            ),
            (
                "permit(principal, action,\nresource == Tool::\"bank\") when { resource.owner == 1 };",
                "owner",
            ),
        ];
        for (rule, word) in cases {
            let found = findings(rule);
            let error = found.iter().find(|(is_error, ..)| *is_error);
            let (_, place, message) = error.unwrap();
            assert_eq!(place, "a.cedar:2", "{message}");
            assert!(message.contains(word), "{message}");
        }
    }

    #[test]
    fn a_rule_for_what_is_not_deployed_waits_with_a_note() {
        for rule in [
            "permit(principal, action == Action::\"Call:mail.send\", resource) when { context.input.x == 1 };",
            "forbid(principal, action, resource in Tool::\"mail\");",
            "forbid(principal, action, resource == Function::\"bank.close\");",
        ] {
            let found = findings(rule);
            assert_eq!(found.len(), 1, "{found:?}");
            assert!(!found[0].0 && found[0].2.contains("is not deployed"), "{found:?}");
        }
        let misspelt = findings("permit(principal, action == Action::\"Cal\", resource);");
        assert!(misspelt.iter().any(|(is_error, ..)| *is_error), "{misspelt:?}");
    }
}
