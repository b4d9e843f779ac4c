//! Whether a person has to be asked before a call, and what the person said (semantics.md §7).

use crate::engine::Engine;
use crate::ports::store::{ApprovalFilter, StoreError};
use crate::records::ApprovalRecord;
use crate::requests::digest_of;
use crate::runs::Facts;
use fusebox_core::ids::{ApprovalId, Digest};
use std::time::Duration;

/// What a person is asked.
pub(crate) struct Question<'a> {
    /// The run whose function is to be called, or that asks.
    pub(crate) facts: &'a Facts,
    /// The root of its tree, and who called that.
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
    let facts = question.facts;
    let (root, now) = (facts.root(), engine.ports.clock.wall());
    let binding = binding(question);
    let filter = ApprovalFilter {
        all: true,
        root: Some(root.clone()),
        limit: u32::MAX,
    };
    let asked = engine.ports.store.approvals(&facts.tenant, &filter).await?;
    let answer = asked.into_iter().rev().find(|asked| asked.binding == binding);
    let expired = |asked: &ApprovalRecord| asked.expires <= now.0;
    Ok(match answer {
        Some(asked) if asked.state == "used" && !expired(&asked) => Gate::Open(None),
        Some(asked) if asked.state == "approved" && !expired(&asked) => Gate::Open(Some(asked.id)),
        Some(asked) if asked.state == "declined" => {
            let by = asked.by.as_deref().unwrap_or("a person");
            let why = asked.reason.map(|reason| format!(": {reason}")).unwrap_or_default();
            Gate::Declined(format!("{by} declined it{why}"))
        }
        Some(asked) if asked.state == "expired" || (asked.state == "pending" && expired(&asked)) => {
            Gate::Declined("nobody answered in time".to_owned())
        }
        Some(asked) if asked.state == "pending" => Gate::Closed(Box::new(asked)),
        // Never asked, or the answer holds no longer.
        _ => Gate::Closed(Box::new(ApprovalRecord {
            id: ApprovalId::new(now, engine.ports.entropy.id()),
            tenant: facts.tenant.to_string(),
            state: "pending".to_owned(),
            root: root.clone(),
            run: facts.id.clone(),
            tool: facts.tool.policy.name.clone(),
            function: facts.function.name.clone(),
            component: facts.tool.record.component,
            binding,
            question: question.question.to_owned(),
            input: question.details.to_owned(),
            because: question.because.to_owned(),
            principal: facts.principal.to_string(),
            asked: now.0,
            expires: (now + question.expires).0,
            by: None,
            reason: None,
            decided: None,
        })),
    })
}

/// What an answer is bound to: for other arguments, another component or another step it says nothing.
fn binding(question: &Question<'_>) -> Digest {
    let facts = question.facts;
    let step = question.step.to_le_bytes();
    let parts: [&[u8]; 7] = [
        &facts.tool.record.component.0,
        facts.tool.policy.name.as_bytes(),
        facts.function.name.as_bytes(),
        &question.fingerprint.0,
        facts.root().as_str().as_bytes(),
        &step,
        question.because.as_bytes(),
    ];
    let mut material = b"fusebox approval 1".to_vec();
    for part in parts {
        material.extend((part.len() as u64).to_le_bytes());
        material.extend_from_slice(part);
    }
    digest_of(&material)
}
