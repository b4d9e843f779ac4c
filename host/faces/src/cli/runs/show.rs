//! `fusebox runs show`: a run as a tree of steps with times.

use crate::cli::Context;
use crate::cli::failed::Failed;
use crate::cli::output::short;
use crate::cli::timeline::{self, field};
use crate::tree::Tree;
use fusebox_core::run::State;
use fusebox_engine::records::{ApprovalRecord, RunRecord};
use std::io;

/// Runs the command.
///
/// # Errors
/// What the host refused.
pub(super) async fn run(id: &str, cx: &mut Context<'_>) -> Result<(), Failed> {
    let id = id.parse()?;
    let host = cx.wiring.host().await?;
    let run = host.run(&cx.caller, &id).await?;
    let tree = Tree::load(host.as_ref(), &cx.caller, &run).await?;
    if cx.out.json() {
        return Ok(cx.out.value(&tree.json(&run))?);
    }
    let approval = match &run.approval {
        Some(id) => Some(host.approval(&cx.caller, id).await?),
        None => None,
    };
    timeline::head(&run, &mut cx.out)?;
    if let Some(waits) = timeline::waits_for(&run, approval.as_ref(), cx.now()) {
        field(&mut cx.out, "waits for", waits)?;
    }
    if let Some(output) = &run.output {
        field(&mut cx.out, "result", short(output, 2000))?;
    }
    timeline::steps(&run, &tree, &mut cx.out)?;
    Ok(next(&run, approval.as_ref(), cx)?)
}

/// What can be typed next.
fn next(run: &RunRecord, approval: Option<&ApprovalRecord>, cx: &mut Context<'_>) -> io::Result<()> {
    let id = &run.id;
    let typed = match (State::from_name(&run.state), &run.letter, approval) {
        (Some(State::DeadLettered | State::InDoubt), Some(letter), _) => format!("fusebox dlq show {letter}"),
        (Some(State::Suspended), _, Some(asked)) => format!("fusebox approvals show {}", asked.id),
        (Some(State::Accepted | State::Running | State::Sleeping), _, _) => format!("fusebox runs follow {id}"),
        // The root is what goes on.
        (Some(State::Failed), _, _) if run.nested.is_none() && kept(run) => format!("fusebox runs resume {id}"),
        _ => return Ok(()),
    };
    cx.out.line("")?;
    field(&mut cx.out, "next", typed)
}

/// Whether a failed run may have kept a journal to go on with: it was durable, and became no letter.
fn kept(run: &RunRecord) -> bool {
    run.letter.is_none() && run.attempts.iter().any(|attempt| !attempt.effects.is_empty())
}
