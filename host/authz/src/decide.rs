//! One question against the rules.

use crate::arguments::Parameters;
use crate::party::{Party, user};
use crate::rules::Rules;
use cedar_policy::{Authorizer, Context, Effect, PolicyId, Request, RestrictedExpression as Value};
use fusebox_engine::ports::authorizer::{Decision, Question};
use fusebox_engine::records::{ApprovalRecord, RunRecord};

/// Decides a question.
pub(crate) fn decide(
    rules: &Rules,
    party: &Party,
    parameters: Option<&Parameters>,
    question: &Question<'_>,
) -> Decision {
    match context(parameters, question).and_then(|context| request(party, context)) {
        Ok(request) => answer(rules, party, &request, question),
        // What rules cannot look at they cannot permit.
        Err(what) => Decision::Deny {
            reason: format!("the rules cannot look at this: {what}"),
        },
    }
}

fn answer(rules: &Rules, party: &Party, request: &Request, question: &Question<'_>) -> Decision {
    let response = Authorizer::new().is_authorized(request, &rules.set, &party.entities);
    let diagnostics = response.diagnostics();
    let named = |id: &PolicyId| rules.entry(id).map(|entry| (entry.name.as_str(), entry.place.as_str()));
    // A rule that cannot be evaluated decides nothing: a `forbid` among them would be passed by.
    if let Some(error) = diagnostics.errors().next() {
        return Decision::Deny {
            reason: format!("{}: a rule does not fit it, so it is refused: {error}", asked(question)),
        };
    }
    let deciding: Vec<_> = diagnostics.reason().collect();
    if response.decision() == cedar_policy::Decision::Allow {
        let asks = |id: &&PolicyId| rules.entry(id).is_some_and(|entry| entry.asks);
        let asking = deciding
            .iter()
            .copied()
            .filter(asks)
            .filter_map(named)
            .map(|(name, _)| name)
            .min();
        return match asking {
            Some(rule) => Decision::Approve { rule: rule.to_owned() },
            None => Decision::Allow,
        };
    }
    let forbids = |id: &&PolicyId| {
        rules
            .set
            .policy(id)
            .is_some_and(|policy| policy.effect() == Effect::Forbid)
    };
    let mut forbidding: Vec<_> = deciding.into_iter().filter(forbids).filter_map(named).collect();
    forbidding.sort_unstable();
    let reason = match forbidding.first() {
        Some((name, place)) => format!("{}: the rule `{name}` ({place}) forbids it", asked(question)),
        None => format!(
            "{}: no rule permits it; `fusebox policy explain` shows the rules in force",
            asked(question)
        ),
    };
    Decision::Deny { reason }
}

/// Whether the rules may permit the call for some arguments.
pub(crate) fn may_permit(rules: &Rules, party: &Party, tenant: &str) -> bool {
    let context = Context::from_pairs([
        ("input".to_owned(), Value::new_unknown("input")),
        ("chain".to_owned(), Value::new_set([])),
        ("tenant".to_owned(), Value::new_string(tenant.to_owned())),
    ]);
    let request = context
        .map_err(|error| error.to_string())
        .and_then(|context| request(party, context));
    let Ok(request) = request else { return false };
    let response = Authorizer::new().is_authorized_partial(&request, &rules.set, &party.entities);
    response.decision() != Some(cedar_policy::Decision::Deny)
}

fn request(party: &Party, context: Context) -> Result<Request, String> {
    let (principal, action, resource) = (party.principal.clone(), party.action.clone(), party.resource.clone());
    Request::new(principal, action, resource, context, None).map_err(|error| error.to_string())
}

fn context(parameters: Option<&Parameters>, question: &Question<'_>) -> Result<Context, String> {
    let mut pairs = vec![("tenant".to_owned(), text(question.tenant))];
    if let (Some(arguments), Some(parameters)) = (&question.arguments, parameters) {
        let json = arguments.input.json()?;
        let json = serde_json::from_str(&json).map_err(|error| error.to_string())?;
        pairs.push(("input".to_owned(), parameters.value(&json)?));
    }
    if let Some(run) = question.run {
        pairs.push(("run".to_owned(), run_value(run)?));
    }
    if let Some(approval) = question.approval {
        pairs.push(("approval".to_owned(), approval_value(approval)?));
    }
    pairs.push((
        "chain".to_owned(),
        Value::new_set(question.chain.iter().map(|function| text(function))),
    ));
    Context::from_pairs(pairs).map_err(|error| error.to_string())
}

fn run_value(run: &RunRecord) -> Result<Value, String> {
    record([
        ("id", text(run.id.as_str())),
        ("principal", Value::new_entity_uid(user(&run.principal)?)),
        ("tool", text(&run.tool)),
        ("function", text(&run.function)),
        ("state", text(&run.state)),
        ("created", Value::new_long(run.created)),
    ])
}

fn approval_value(approval: &ApprovalRecord) -> Result<Value, String> {
    record([
        ("id", text(approval.id.as_str())),
        ("principal", Value::new_entity_uid(user(&approval.principal)?)),
        ("question", text(&approval.question)),
        ("because", text(&approval.because)),
    ])
}

fn record<const N: usize>(fields: [(&str, Value); N]) -> Result<Value, String> {
    let fields = fields.into_iter().map(|(name, value)| (name.to_owned(), value));
    Value::new_record(fields).map_err(|error| error.to_string())
}

fn text(text: &str) -> Value {
    Value::new_string(text.to_owned())
}

/// Who wants what, for people.
fn asked(question: &Question<'_>) -> String {
    let function = question
        .function
        .map(|function| format!(".{function}"))
        .unwrap_or_default();
    format!(
        "`{}` may not {} {}{function}",
        question.principal,
        question.act.name(),
        question.tool
    )
}
