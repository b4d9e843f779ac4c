//! What is asked before a run starts: its rules' and its policy's approval.

use crate::approvals::{self, Gate, Question};
use crate::ended::Ended;
use crate::engine::Engine;
use crate::failures;
use crate::ports::authorizer::Decision;
use crate::ports::store::Append;
use crate::refusals;
use crate::runs::Run;
use fusebox_core::policy::{Approval, FunctionPolicy};
use std::borrow::Cow;

/// Why a person is asked first; `None` when nobody is.
pub(crate) fn because(function: &FunctionPolicy, decision: &Decision) -> Option<Cow<'static, str>> {
    match decision {
        Decision::Approve { rule } => Some(format!("the rule `{rule}` asks for it").into()),
        _ if function.approval == Approval::Required => Some("`approval = \"required\"` in its manifest".into()),
        _ => None,
    }
}

/// Lets a root start: at once, or once a person has agreed.
pub(crate) async fn approved(engine: &Engine, run: &mut Run, because: Option<Cow<'static, str>>) -> Result<(), Ended> {
    let Some(because) = because else { return Ok(()) };
    let question = Question {
        facts: &run.facts,
        run: &run.id,
        step: 0,
        question: "",
        details: &run.raw,
        fingerprint: run.input.fingerprint(),
        because: &because,
        expires: run.function.policy.approval_expires,
    };
    let gate = approvals::gate(engine, &question).await;
    let unread = |error| Ended::refused(*refusals::store("the approval cannot be looked up", &error));
    match gate.map_err(unread)? {
        Gate::Open(None) => Ok(()),
        Gate::Open(Some(used)) => {
            let Some(ownership) = run.hold.get() else {
                return Err(Ended::refused(*refusals::internal("an approved run is not durable")));
            };
            let append = Append {
                run: Some(run.id.clone()),
                uses: Some(used),
                ..Append::default()
            };
            let store = &engine.ports.store;
            let written = store.append(&run.tenant, run.root(), ownership.fence(), append).await;
            written.map_err(|error| Ended::refused(*refusals::store("the approval could not be used", &error)))
        }
        Gate::Closed(asked) => Err(Ended::Suspended(asked)),
        Gate::Declined(why) => Err(Ended::refused(failures::declined(run, &why))),
    }
}
