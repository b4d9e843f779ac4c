//! Whether a person has to be asked before a call, and what the person said (semantics.md §7).

use crate::engine::Engine;
use crate::ports::store::{ApprovalFilter, StoreError};
use crate::records::ApprovalRecord;
use crate::requests::digest_of;
use crate::runs::Facts;
use fusebox_core::approval::{self, Asked, Bound, Cover, NotCovered, State};
use fusebox_core::ids::{ApprovalId, Digest, RunId};
use fusebox_core::time::Wall;
use std::time::Duration;

/// What a person is asked.
pub(crate) struct Question<'a> {
    /// The run whose function is to be called, or that asks.
    pub(crate) facts: &'a Facts,
    /// The run that the step is one of: that of the caller, or the run itself.
    pub(crate) run: &'a RunId,
    /// The number of the effect within that run; 0 for the call that made the run.
    pub(crate) step: u32,
    /// What the person reads: the question of a guest; empty for a call.
    pub(crate) question: &'a str,
    /// What is asked about, as JSON text.
    pub(crate) details: &'a str,
    /// Digest of what is asked about, in canonical form.
    pub(crate) fingerprint: Digest,
    /// Why a person is asked.
    pub(crate) because: &'a str,
    /// How long the answer is waited for, and how long it holds.
    pub(crate) expires: Duration,
}

/// Whether the call may be made now.
pub(crate) enum Gate {
    /// A person agreed; the approval is used up by the call that starts now, unless it was before.
    Open(Option<ApprovalId>),
    /// A person has to be asked, or has not answered yet.
    Closed(Box<ApprovalRecord>),
    /// A person declined, or did not answer in time; why.
    Declined(String),
}

/// Looks for the answer to a question.
pub(crate) async fn gate(engine: &Engine, question: &Question<'_>) -> Result<Gate, StoreError> {
    let now = engine.ports.clock.wall();
    let filter = ApprovalFilter {
        all: true,
        root: Some(question.facts.root().clone()),
        after: None,
        limit: u32::MAX,
    };
    let asked = engine.ports.store.approvals(&question.facts.tenant, &filter).await?;
    // The newest answer to this very question.
    for asked in asked.into_iter().rev() {
        let Some(state) = State::from_name(&asked.state) else {
            continue;
        };
        let stored = Asked {
            state,
            binding: asked.binding,
            expires: Wall(asked.expires),
        };
        return Ok(
            match approval::covers(&stored, binding(question, stored.expires), now) {
                Err(NotCovered::Changed) => continue,
                Ok(Cover::Use) => Gate::Open(Some(asked.id)),
                Ok(Cover::Again) => Gate::Open(None),
                Err(NotCovered::Pending) => Gate::Closed(Box::new(asked)),
                Err(NotCovered::Declined) => {
                    let by = asked.by.as_deref().unwrap_or("a person");
                    let why = asked.reason.map(|reason| format!(": {reason}")).unwrap_or_default();
                    Gate::Declined(format!("{by} declined it{why}"))
                }
                // What was used holds no longer: a person is asked again.
                Err(NotCovered::Expired) if state == State::Used => break,
                Err(NotCovered::Expired) => Gate::Declined("nobody answered in time".to_owned()),
            },
        );
    }
    Ok(Gate::Closed(Box::new(new(engine, question, now))))
}

fn new(engine: &Engine, question: &Question<'_>, now: Wall) -> ApprovalRecord {
    let facts = question.facts;
    let expires = now + question.expires;
    ApprovalRecord {
        id: ApprovalId::new(now, engine.ports.entropy.id()),
        tenant: facts.tenant.to_string(),
        state: State::Pending.name().to_owned(),
        root: facts.root().clone(),
        run: question.run.clone(),
        tool: facts.tool.policy.name.clone(),
        function: facts.function.name.clone(),
        component: facts.tool.record.component,
        binding: binding(question, expires),
        question: question.question.to_owned(),
        input: question.details.to_owned(),
        because: question.because.to_owned(),
        principal: facts.principal.to_string(),
        asked: now.0,
        expires: expires.0,
        by: None,
        reason: None,
        decided: None,
    }
}

/// What an answer is bound to: for other arguments, another component or another step it says nothing.
fn binding(question: &Question<'_>, expires: Wall) -> Digest {
    let facts = question.facts;
    let function = format!("{}.{}", facts.tool.policy.name, facts.function.name);
    digest_of(&approval::binding_material(&Bound {
        component: facts.tool.record.component,
        function: &function,
        input: question.fingerprint,
        run: question.run,
        step: question.step,
        rules: &[question.because.to_owned()],
        expires,
    }))
}
