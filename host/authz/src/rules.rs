//! Rules as they are read from their files.

use crate::source::{groups_as_groups, line};
use cedar_policy::{ActionConstraint, Effect, Policy, PolicyId, PolicySet};
use fusebox_engine::ports::authorizer::{Rule, RuleFinding};
use miette::Diagnostic;
use std::collections::HashMap;

/// A file of rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RuleFile {
    /// As messages name it.
    pub(crate) name: String,
    /// What it says.
    pub(crate) text: String,
}

/// One rule.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// `@id`, or file and number.
    pub(crate) name: String,
    /// File and first line.
    pub(crate) place: String,
    /// Whether what it permits waits for a person.
    pub(crate) asks: bool,
    file: usize,
    start: usize,
}

/// Rules that can be asked.
#[derive(Debug, Default)]
pub(crate) struct Rules {
    /// All of them, for Cedar.
    pub(crate) set: PolicySet,
    entries: HashMap<PolicyId, Entry>,
    order: Vec<PolicyId>,
    files: Vec<RuleFile>,
}

impl Rules {
    /// Reads rule files.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub(crate) fn read(files: Vec<RuleFile>) -> Result<Self, Vec<RuleFinding>> {
        let mut rules = Self::default();
        let mut findings = Vec::new();
        for (number, file) in files.iter().enumerate() {
            match groups_as_groups(&file.text).parse::<PolicySet>() {
                Ok(set) => rules.add(number, file, &set, &mut findings),
                Err(errors) => findings.extend(errors.iter().map(|error| {
                    let at = offset(error).unwrap_or_default();
                    let help = error.help().map(|help| help.to_string());
                    finding(&file.name, line(&file.text, at), error.to_string(), help)
                })),
            }
        }
        rules.files = files;
        if findings.is_empty() { Ok(rules) } else { Err(findings) }
    }

    fn add(&mut self, number: usize, file: &RuleFile, set: &PolicySet, findings: &mut Vec<RuleFinding>) {
        for template in set.templates() {
            let message = format!("`{}` is a template, which nothing fills in", template.to_cedar());
            findings.push(finding(&file.name, 1, message, Some("write the rule out".to_owned())));
        }
        let mut policies: Vec<_> = set.policies().collect();
        policies.sort_by_key(|policy| position(policy.id()));
        let mut from = 0;
        for (at, policy) in policies.into_iter().enumerate() {
            let text = policy.to_cedar().unwrap_or_default();
            // Cedar keeps the text of a rule and not where it stood.
            let start = find(&groups_as_groups(&file.text), &text, from);
            from = start + text.len();
            let name = match policy.annotation("id") {
                Some(id) if !id.is_empty() => id.to_owned(),
                _ => format!("{}#{}", file.name, at + 1),
            };
            let first = line(&file.text, start);
            let asks = match asks(policy) {
                Ok(asks) => asks,
                Err((message, help)) => {
                    findings.push(finding(&file.name, first, message, Some(help.to_owned())));
                    false
                }
            };
            let entry = Entry {
                place: format!("{}:{first}", file.name),
                asks,
                file: number,
                start,
                name,
            };
            let id = PolicyId::new(&entry.name);
            if let Err(error) = self.set.add(policy.new_id(id.clone())) {
                tracing::debug!(%error, "a rule has the name of another one");
                let message = format!("another rule is called `{}` too", entry.name);
                findings.push(finding(
                    &file.name,
                    first,
                    message,
                    Some("give each rule an `@id` of its own".to_owned()),
                ));
                continue;
            }
            self.entries.insert(id.clone(), entry);
            self.order.push(id);
        }
    }

    /// A rule by its id.
    pub(crate) fn entry(&self, id: &PolicyId) -> Option<&Entry> {
        self.entries.get(id)
    }

    /// File and line of what was found at a byte of a rule's file; without one, where the rule begins.
    pub(crate) fn place(&self, id: &PolicyId, at: Option<usize>) -> Option<String> {
        let entry = self.entry(id)?;
        let file = self.files.get(entry.file)?;
        Some(format!("{}:{}", file.name, line(&file.text, at.unwrap_or(entry.start))))
    }

    /// Every rule, in the order of the files.
    pub(crate) fn listed(&self) -> Vec<Rule> {
        let listed = self.order.iter().filter_map(|id| {
            let (policy, entry) = (self.set.policy(id)?, self.entry(id)?);
            Some(Rule {
                name: entry.name.clone(),
                effect: match (policy.effect(), entry.asks) {
                    (Effect::Forbid, _) => "forbid",
                    (Effect::Permit, true) => "permit after approval",
                    (Effect::Permit, false) => "permit",
                },
                place: entry.place.clone(),
                text: policy.to_cedar().unwrap_or_default(),
            })
        });
        listed.collect()
    }
}

/// Whether a rule asks for a person.
fn asks(policy: &Policy) -> Result<bool, (String, &'static str)> {
    let Some(word) = policy.annotation("approval") else {
        return Ok(false);
    };
    if word != "required" {
        let message = format!("`@approval(\"{word}\")` means nothing");
        return Err((message, "write `@approval(\"required\")`"));
    }
    if policy.effect() == Effect::Forbid {
        let message = "`@approval` stands on a `forbid`, which nobody can approve".to_owned();
        return Err((message, "make it a `permit`"));
    }
    let waits = |action: &cedar_policy::EntityUid| {
        let id: &str = action.id().as_ref();
        !id.starts_with("Approve") && !id.starts_with("Deploy")
    };
    let fits = match policy.action_constraint() {
        ActionConstraint::Any => true,
        ActionConstraint::In(actions) => actions.iter().all(waits),
        ActionConstraint::Eq(action) => waits(&action),
    };
    if fits {
        Ok(true)
    } else {
        let message = "`@approval` stands on a rule for Approve or Deploy, which cannot wait for a person".to_owned();
        Err((message, "let it stand on rules for Call and Replay alone"))
    }
}

/// Cedar numbers the rules of a text: `policy0`, `policy1`.
fn position(id: &PolicyId) -> usize {
    let id: &str = id.as_ref();
    id.trim_start_matches("policy").parse().unwrap_or(usize::MAX)
}

fn find(text: &str, rule: &str, from: usize) -> usize {
    let after = text.get(from..).and_then(|rest| rest.find(rule)).map(|at| from + at);
    after.or_else(|| text.find(rule)).unwrap_or_default()
}

/// The first byte that a diagnostic of Cedar points at.
pub(crate) fn offset(error: &dyn Diagnostic) -> Option<usize> {
    error.labels()?.next().map(|label| label.offset())
}

pub(crate) fn finding(file: &str, line: usize, message: String, help: Option<String>) -> RuleFinding {
    RuleFinding {
        is_error: true,
        place: format!("{file}:{line}"),
        message,
        help,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn read(text: &str) -> Result<Rules, Vec<RuleFinding>> {
        Rules::read(vec![RuleFile {
            name: "rules/a.cedar".to_owned(),
            text: text.to_owned(),
        }])
    }

    fn broken(text: &str) -> Vec<(String, String)> {
        let findings = read(text).unwrap_err();
        findings.into_iter().map(|found| (found.place, found.message)).collect()
    }

    #[test]
    fn each_rule_has_a_name_a_place_and_an_effect() {
        let rules = read(
            "// Everybody.\npermit(principal, action, resource);\n\n@id(\"big\")\n@approval(\"required\")\npermit(principal, \
             action == Action::\"Call\", resource);\nforbid(principal, action, resource) when { context.tenant == \"x\" };\n",
        )
        .unwrap();
        let listed: Vec<_> = rules
            .listed()
            .into_iter()
            .map(|rule| (rule.name, rule.effect, rule.place))
            .collect();
        let expected = [
            ("rules/a.cedar#1", "permit", "rules/a.cedar:2"),
            ("big", "permit after approval", "rules/a.cedar:4"),
            ("rules/a.cedar#3", "forbid", "rules/a.cedar:7"),
        ];
        assert_eq!(
            listed,
            expected.map(|(name, effect, place)| (name.to_owned(), effect, place.to_owned()))
        );
    }

    #[test]
    fn what_is_broken_is_found_with_its_line() {
        let found = broken(
            "permit(principal, action, resource);\n\npermit(principal, action, resource) when { context.input. };\n",
        );
        assert_eq!(found[0].0, "rules/a.cedar:3", "{found:?}");
        let found = broken("\n@approval(\"maybe\")\npermit(principal, action, resource);");
        assert_eq!(found[0].0, "rules/a.cedar:2");
        assert!(
            broken("@approval(\"required\") forbid(principal, action, resource);")[0]
                .1
                .contains("nobody can approve")
        );
        assert!(
            broken("@approval(\"required\") permit(principal, action == Action::\"Deploy\", resource);")[0]
                .1
                .contains("cannot wait")
        );
        assert!(
            broken("@id(\"a\") permit(principal, action, resource);\n@id(\"a\") permit(principal, action, resource);")
                [0]
            .1
            .contains("called `a`")
        );
        assert!(
            broken("permit(principal == ?principal, action, resource);")[0]
                .1
                .contains("template")
        );
    }

    #[test]
    fn every_broken_file_is_told_of() {
        let file = |name: &str| RuleFile {
            name: name.to_owned(),
            text: "permit(".to_owned(),
        };
        let findings = Rules::read(vec![file("a.cedar"), file("b.cedar")]).unwrap_err();
        let places: Vec<_> = findings.iter().map(|found| found.place.as_str()).collect();
        assert!(
            places.contains(&"a.cedar:1") && places.contains(&"b.cedar:1"),
            "{places:?}"
        );
    }
}
