//! `fusebox policy test`: what the rules in force say to the cases of a file.

use super::rules::shown;
use crate::cli::{Context, Failed};
use fusebox_core::role::{Role, Roles};
use fusebox_engine::host::Host;
use fusebox_engine::ports::authorizer::{Act, Decision};
use fusebox_engine::requests::Caller;
use fusebox_engine::rules::Trial;
use serde::Deserialize;
use serde_json::{Value, json};
use std::path::Path;

/// Exit code when a case says otherwise than the rules.
const DIFFERS: u8 = 1;

/// A file of cases.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Cases {
    #[serde(rename = "case")]
    cases: Vec<Case>,
}

/// One case.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Case {
    /// What it is about.
    name: Option<String>,
    principal: String,
    #[serde(default = "caller")]
    roles: Vec<String>,
    #[serde(default = "call")]
    action: String,
    /// `TOOL.FUNCTION`; for a deploy the tool alone.
    function: String,
    #[serde(default)]
    input: Value,
    #[serde(default)]
    chain: Vec<String>,
    run_by: Option<String>,
    expect: Expected,
    /// The rule that is to ask for the approval, or to forbid.
    rule: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Expected {
    Allow,
    Deny,
    Approval,
}

fn caller() -> Vec<String> {
    vec![Role::Caller.name().to_owned()]
}

fn call() -> String {
    Act::Call.name().to_owned()
}

/// Runs the command.
///
/// # Errors
/// A file that cannot be read, rules that are broken, or [`Failed::Told`] when a case says otherwise than the rules.
pub(super) async fn run(file: &Path, cx: &mut Context<'_>) -> Result<(), Failed> {
    let cases = read(file)?;
    let host = cx.wiring.local("trying the rules").await?;
    let findings = host.rule_findings(&cx.caller).await?;
    for found in &findings {
        cx.note(&shown(found));
    }
    let mut differ = 0_u32;
    for (number, case) in cases.iter().enumerate() {
        let name = case.name.clone().unwrap_or_else(|| format!("case {}", number + 1));
        let said = judged(&host, &cx.caller, case).await;
        let fits = fits(case, &said);
        differ += u32::from(!fits);
        if cx.out.json() {
            cx.out
                .value(&json!({ "case": name, "passed": fits, "said": said.0, "by": said.1 }))?;
        } else if fits {
            cx.out.text(&format!("ok      {name}\n"))?;
        } else {
            let expected = format!("{:?}", case.expect).to_lowercase();
            let rule = case
                .rule
                .as_ref()
                .map_or_else(String::new, |rule| format!(" by `{rule}`"));
            cx.out.text(&format!(
                "FAILED  {name}\n        expected {expected}{rule}, and the rules say {}: {}\n",
                said.0, said.1
            ))?;
        }
    }
    if differ > 0 {
        cx.note(&format!(
            "{differ} of {} cases say otherwise than the rules",
            cases.len()
        ));
        return Err(Failed::Told(DIFFERS));
    }
    if findings.iter().any(|found| found.is_error) {
        return Err(Failed::Told(DIFFERS));
    }
    Ok(())
}

fn read(file: &Path) -> Result<Vec<Case>, Failed> {
    let shown = file.display();
    let text = std::fs::read_to_string(file)
        .map_err(|error| Failed::file(format!("{shown} cannot be read: {error}"), "name a file of cases"))?;
    let cases: Cases = toml::from_str(&text).map_err(|error| {
        let help = "each [[case]] has principal, function and expect; docs/authorization.md shows one";
        Failed::file(format!("{shown}: {error}"), help)
    })?;
    Ok(cases.cases)
}

/// `allow`, `deny`, `approval` or `error`, and why.
async fn judged(host: &Host, caller: &Caller, case: &Case) -> (&'static str, String) {
    let trial = match trial(case) {
        Ok(trial) => trial,
        Err(what) => return ("error", what),
    };
    match host.judge(caller, &trial).await {
        Ok(Decision::Allow) => ("allow", "a rule permits it".to_owned()),
        Ok(Decision::Approve { rule }) => ("approval", format!("the rule `{rule}` asks for it")),
        Ok(Decision::Deny { reason }) => ("deny", reason),
        Err(failure) => ("error", failure.message.clone()),
    }
}

fn fits(case: &Case, said: &(&'static str, String)) -> bool {
    let expected = match case.expect {
        Expected::Allow => "allow",
        Expected::Deny => "deny",
        Expected::Approval => "approval",
    };
    let named = |rule: &String| said.1.contains(&format!("the rule `{rule}`"));
    said.0 == expected && case.rule.as_ref().is_none_or(named)
}

fn trial(case: &Case) -> Result<Trial, String> {
    let act = Act::from_name(&case.action)
        .ok_or_else(|| format!("`{}` is no action: Call, Approve, Replay or Deploy", case.action))?;
    let role = |name: &String| Role::from_name(name).ok_or_else(|| format!("`{name}` is no role"));
    let roles: Roles = case
        .roles
        .iter()
        .map(role)
        .collect::<Result<Vec<_>, _>>()?
        .into_iter()
        .collect();
    let (tool, function) = match case.function.split_once('.') {
        Some((tool, function)) => (tool, Some(function.to_owned())),
        None if act == Act::Deploy => (case.function.as_str(), None),
        None => return Err(format!("`{}` is no TOOL.FUNCTION", case.function)),
    };
    Ok(Trial {
        principal: case.principal.clone(),
        roles,
        act,
        tool: tool.to_owned(),
        function,
        input: match &case.input {
            Value::Null => String::new(),
            Value::String(json) => json.clone(),
            input => input.to_string(),
        },
        chain: case.chain.clone(),
        run_by: case.run_by.clone(),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn case(text: &str) -> Case {
        let cases: Cases = toml::from_str(&format!("[[case]]\n{text}")).unwrap();
        cases.cases.into_iter().next().unwrap()
    }

    #[test]
    fn a_case_says_little_and_the_rest_is_a_callers_call() {
        let case =
            case("principal = \"key:ci\"\nfunction = \"bank.transfer\"\ninput = { amount = 5 }\nexpect = \"deny\"");
        let trial = trial(&case).unwrap();
        assert_eq!((trial.roles, trial.act), (Roles::CALLER, Act::Call));
        assert_eq!(
            (trial.tool.as_str(), trial.function.as_deref()),
            ("bank", Some("transfer"))
        );
        assert_eq!(trial.input, r#"{"amount":5}"#);
    }

    #[test]
    fn a_case_fits_what_the_rules_say_by_the_rule_that_it_names() {
        let named = case("principal = \"a\"\nfunction = \"b.c\"\nexpect = \"approval\"\nrule = \"large\"");
        let said = |what: &'static str, why: &str| (what, why.to_owned());
        assert!(fits(&named, &said("approval", "the rule `large` asks for it")));
        assert!(!fits(&named, &said("approval", "the rule `other` asks for it")));
        assert!(!fits(&named, &said("allow", "the rule `large`")));
    }

    #[test]
    fn what_is_misspelt_is_told() {
        let wrong = |line: &str| trial(&case(&format!("principal = \"a\"\nexpect = \"deny\"\n{line}"))).unwrap_err();
        assert!(wrong("function = \"b.c\"\naction = \"call\"").contains("`call` is no action"));
        assert!(wrong("function = \"b.c\"\nroles = [\"king\"]").contains("`king` is no role"));
        assert!(wrong("function = \"b\"").contains("no TOOL.FUNCTION"));
        assert!(
            toml::from_str::<Cases>("[[case]]\nprincipal = \"a\"\nfunction = \"b.c\"\nexpected = \"deny\"").is_err()
        );
    }
}
