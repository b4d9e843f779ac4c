//! Asks the rules: at each call by its arguments, and again for what acts on a run, a question to a person, or a tool.

use crate::audit::{self, Deed, Entry};
use crate::catalog::{Function, Tool};
use crate::commit::{self, Matter};
use crate::engine::Engine;
use crate::ports::authorizer::{Act, Arguments, Decision, Question};
use crate::ports::sandbox::Input;
use crate::records::{ApprovalRecord, RunRecord};
use crate::recovery;
use crate::refusals;
use crate::requests::Caller;
use fusebox_core::failure::Failure;
use serde_json::json;
use std::sync::Arc;

type Asked<T> = Result<T, Box<Failure>>;

/// May the caller call that, with these arguments? `chain` says through which functions a nested call comes.
pub(crate) async fn call(
    engine: &Engine,
    caller: &Caller,
    tool: &Tool,
    function: &Function,
    input: &dyn Input,
    chain: &[String],
) -> Asked<Decision> {
    let question = Question {
        function: Some(&function.name),
        arguments: arguments(tool, &function.name, input),
        chain,
        ..about(caller, Act::Call, &tool.policy.name)
    };
    decide(engine, caller, &question).await
}

/// May the letter be replayed?
pub(crate) async fn letter(
    engine: &Engine,
    by: Option<&Caller>,
    run: &RunRecord,
    tool: &Tool,
    function: &Function,
    input: &dyn Input,
) -> Asked<Decision> {
    let asked = replay(engine, by, run, tool, function, input).await;
    let own = recovery::caller_of(run);
    logged(engine, by.unwrap_or(&own), &Matter::of(run), asked).await
}

/// May the run be gone on with? Whoever replays it needs that permission, and the run's own principal still has to be allowed the call: rules may
/// have changed since. One that replays by itself is replayed by nobody.
async fn replay(
    engine: &Engine,
    by: Option<&Caller>,
    run: &RunRecord,
    tool: &Tool,
    function: &Function,
    input: &dyn Input,
) -> Asked<Decision> {
    let permitted = match by {
        Some(by) => {
            let question = Question {
                function: Some(&function.name),
                arguments: arguments(tool, &function.name, input),
                run: Some(run),
                ..about(by, Act::Replay, &tool.policy.name)
            };
            decide(engine, by, &question).await?
        }
        None => Decision::Allow,
    };
    let caller = recovery::caller_of(run);
    Ok(permitted.and(call(engine, &caller, tool, function, input, &[]).await?))
}

/// May the caller go on with a run that has failed?
pub(crate) async fn resume(engine: &Arc<Engine>, caller: &Caller, run: &RunRecord) -> Asked<()> {
    let tool = engine
        .catalog
        .pinned(engine, &caller.tenant, &run.tool, run.version, run.component)
        .await?;
    let function = tool.function(&run.function)?;
    let input = tool
        .component
        .decode(&function.name, &run.input, tool.limits.host_memory)
        .map_err(|what| refusals::bad_input(&run.tool, &run.function, &what))?;
    let asked = replay(engine, Some(caller), run, &tool, function, input.as_ref()).await;
    logged(engine, caller, &Matter::of(run), asked).await.map(drop)
}

/// May the caller decide what waits for a person? `run` is the one that waits.
pub(crate) async fn approve(
    engine: &Arc<Engine>,
    caller: &Caller,
    approval: &ApprovalRecord,
    run: Option<&RunRecord>,
) -> Asked<()> {
    // What a call asks for is known by its types; the question of a guest has details of its own.
    let loaded = if approval.question.is_empty() {
        let tool = engine.catalog.get(engine, &caller.tenant, &approval.tool).await.ok();
        tool.and_then(|tool| {
            let memory = tool.limits.host_memory;
            let input = tool
                .component
                .decode(&approval.function, &approval.input, memory)
                .ok()?;
            Some((tool, input))
        })
    } else {
        None
    };
    let arguments = loaded
        .as_ref()
        .and_then(|(tool, input)| arguments(tool, &approval.function, input.as_ref()));
    let chain = behind(engine, approval, run).await?;
    let question = Question {
        function: Some(&approval.function),
        arguments,
        run,
        approval: Some(approval),
        chain: &chain,
        ..about(caller, Act::Approve, &approval.tool)
    };
    let decided = decide(engine, caller, &question)
        .await
        .and_then(|decision| nobody_else(decision, &question));
    let matter = Matter {
        tool: &approval.tool,
        function: &approval.function,
        input: &approval.input,
    };
    logged(engine, caller, &matter, decided).await
}

/// The functions that what waits comes from, the root's first: those above the run that asks, and its own if it is to call another one.
async fn behind(engine: &Engine, approval: &ApprovalRecord, run: Option<&RunRecord>) -> Asked<Vec<String>> {
    let Some(run) = run else { return Ok(Vec::new()) };
    let unread = |error| refusals::store("the tree of the run that waits cannot be read", &error);
    let store = &engine.ports.store;
    let mut chain = Vec::new();
    let itself = (&run.tool, &run.function) == (&approval.tool, &approval.function);
    // A run whose function calls itself has begun; one that waits for leave to begin has asked for nothing yet.
    let calls = approval.question.is_empty()
        && (!itself || !store.journal(&run.tenant, &run.id).await.map_err(unread)?.is_empty());
    if calls {
        chain.push(called(run));
    }
    if let Some(nested) = &run.nested {
        let root = store.run(&run.tenant, &nested.root).await.map_err(unread)?;
        let mut above = store.tree(&run.tenant, &nested.root).await.map_err(unread)?;
        above.extend(root);
        let mut parent = Some(&nested.parent);
        while let Some(run) = parent.and_then(|id| above.iter().find(|run| run.id == *id)) {
            chain.push(called(run));
            parent = run.nested.as_ref().map(|nested| &nested.parent);
        }
    }
    chain.reverse();
    Ok(chain)
}

/// As rules name it.
fn called(run: &RunRecord) -> String {
    format!("{}.{}", run.tool, run.function)
}

/// May the caller register a version of that tool?
pub(crate) async fn deploy(engine: &Engine, caller: &Caller, tool: &str) -> Asked<()> {
    let question = about(caller, Act::Deploy, tool);
    let decided = decide(engine, caller, &question)
        .await
        .and_then(|decision| nobody_else(decision, &question));
    let matter = Matter {
        tool,
        function: "",
        input: "",
    };
    logged(engine, caller, &matter, decided).await
}

/// Keeps a refusal in the error log.
pub(crate) async fn logged<T>(engine: &Engine, caller: &Caller, matter: &Matter<'_>, asked: Asked<T>) -> Asked<T> {
    if let Err(failure) = &asked {
        commit::log_refusal(engine, caller, matter, failure).await;
    }
    asked
}

async fn decide(engine: &Engine, caller: &Caller, question: &Question<'_>) -> Asked<Decision> {
    match engine.ports.authorizer.decide(question).await {
        Decision::Deny { reason } => {
            let function = question.function.map(|function| format!(".{function}"));
            let subject = format!("{}{}", question.tool, function.unwrap_or_default());
            let run = question.run.map(|run| run.id.as_str());
            let detail = json!({ "act": question.act.name(), "reason": reason, "run": run, "chain": question.chain });
            if let Err(error) = audit::record(engine, caller, Entry::done(Deed::Refuse, subject, detail)).await {
                // It is refused all the same.
                tracing::error!(%error, reason, "what the rules refused is not in the audit trail");
            }
            Err(refusals::denied(reason))
        }
        decision => Ok(decision),
    }
}

/// There is no second person who could be asked about that.
fn nobody_else(decision: Decision, question: &Question<'_>) -> Asked<()> {
    match decision {
        Decision::Allow => Ok(()),
        Decision::Approve { rule } => Err(refusals::denied(format!(
            "the rule `{rule}` asks for an approval, which only calls and replays can wait for: mend it (it matched {} of {})",
            question.act.name(),
            question.tool
        ))),
        Decision::Deny { reason } => Err(refusals::denied(reason)),
    }
}

/// A question of the caller about a whole tool.
pub(crate) fn about<'a>(caller: &'a Caller, act: Act, tool: &'a str) -> Question<'a> {
    Question {
        tenant: &caller.tenant,
        principal: &caller.principal,
        roles: caller.roles,
        act,
        tool,
        function: None,
        arguments: None,
        run: None,
        approval: None,
        chain: &[],
    }
}

/// What rules may know of arguments.
pub(crate) fn arguments<'a>(tool: &'a Tool, function: &str, input: &'a dyn Input) -> Option<Arguments<'a>> {
    let shapes = &tool.component.shape().functions;
    Some(Arguments {
        component: tool.record.component,
        shape: shapes.iter().find(|shape| shape.name == function)?,
        input,
    })
}
