//! The one built-in tool: asks for the outcome of a run, and changes nothing.

use super::answers::{self, Around};
use super::calling::PATIENCE;
use super::catalogue::Entry;
use super::{Mcp, progress};
use fusebox_core::failure::{Class, Code, Failure};
use fusebox_core::ids::RunId;
use fusebox_core::run::State;
use fusebox_engine::records::RunRecord;
use fusebox_engine::requests::Caller;
use rmcp::model::{CallToolResult, JsonObject, Tool, ToolAnnotations};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// Its name; a tool's own name has no `_`, so no deployed function gets it unless it is called so on purpose.
pub(super) const NAME: &str = "fusebox_result";

/// How often a stored run is looked at.
const LOOK: Duration = Duration::from_millis(250);

/// As clients see it.
pub(super) fn shown() -> Tool {
    let schema = json!({
        "type": "object",
        "properties": {
            "run": { "type": "string", "description": "The run's id, such as run_01jd4m9q7gk0v3x8w2h5t6y1ze" },
            "wait": {
                "type": "integer", "minimum": 0, "maximum": PATIENCE.as_secs(),
                "description": "Seconds to wait for the outcome; 0 unless told",
            },
        },
        "required": ["run"],
    });
    let schema = match schema {
        Value::Object(schema) => schema,
        _ => JsonObject::new(),
    };
    Tool::new(
        NAME,
        "Tells the outcome of a call that was not over when it was answered: its result, why it failed, or what it still waits for.",
        Arc::new(schema),
    )
    .with_title("The outcome of an earlier call")
    .with_annotations(
        ToolAnnotations::new()
            .read_only(true)
            .destructive(false)
            .idempotent(true)
            .open_world(false),
    )
}

/// What it is asked.
struct Asked {
    run: RunId,
    wait: Duration,
}

impl Asked {
    fn read(arguments: &JsonObject) -> Result<Self, String> {
        let unknown = arguments.keys().find(|name| !matches!(name.as_str(), "run" | "wait"));
        if let Some(unknown) = unknown {
            return Err(format!("{unknown}: there is no such argument"));
        }
        let run = arguments
            .get("run")
            .and_then(Value::as_str)
            .ok_or("run: a string is expected")?;
        let run = run.parse::<RunId>().map_err(|error| format!("run: {error}"))?;
        let wait = match arguments.get("wait") {
            None | Some(Value::Null) => 0,
            Some(wait) => wait.as_u64().ok_or("wait: a whole number of seconds is expected")?,
        };
        Ok(Self {
            run,
            wait: Duration::from_secs(wait).min(PATIENCE),
        })
    }
}

/// Answers it.
pub(super) async fn call(mcp: &Mcp, caller: &Caller, arguments: &JsonObject) -> CallToolResult {
    let Asked { run, wait } = match Asked::read(arguments) {
        Ok(asked) => asked,
        Err(what) => return answers::failure(&Failure::new(Code::BadInput, Class::Caller, what), &Around::default()),
    };
    let clock = &mcp.0.clock;
    let until = clock.tick() + wait;
    let mut failed = None;
    if let Some(kept) = mcp.0.pending.find(caller, &run) {
        let mut seen = kept.following.seen();
        let ended = async { seen.wait_for(|seen| seen.outcome.is_some()).await.is_ok() };
        tokio::select! {
            biased;
            _ = ended => {}
            () = clock.sleep(wait) => {}
        }
        let seen = kept.following.seen().borrow().clone();
        match &seen.outcome {
            Some(Ok(reply)) => {
                fetched(mcp, caller, &run).await;
                return answers::success(&reply.output, Some(&kept.entry), &around(&run));
            }
            // The store may know by now how it went on, unless it knows nothing of such runs.
            Some(Err(failure)) => failed = Some(failure.clone()),
            None => return working(&run, &progress::of_seen(&seen)),
        }
    }
    loop {
        let record = match own(mcp, caller, &run).await {
            Ok(record) => record,
            Err(failure) if failure.code == Code::NotFound => {
                return answers::failure(&failed.unwrap_or(failure), &Around::default());
            }
            Err(failure) => return answers::failure(&failure, &Around::default()),
        };
        if let Some(result) = outcome(mcp, caller, &record).await {
            fetched(mcp, caller, &run).await;
            return result;
        }
        let left = until.since(clock.tick());
        if left.is_zero() {
            return working(&run, &progress::of_record(&record));
        }
        clock.sleep(left.min(LOOK)).await;
    }
}

/// The same call is a new one from now on.
async fn fetched(mcp: &Mcp, caller: &Caller, run: &RunId) {
    if let Err(failure) = mcp.0.host.fetched(caller, run).await {
        tracing::warn!(%run, %failure, "the same call may get this outcome once more");
    }
}

fn around(run: &RunId) -> Around {
    Around {
        run: Some(run.clone()),
        ..Around::default()
    }
}

/// It is not over, which is no failure of this tool.
fn working(run: &RunId, waits_for: &str) -> CallToolResult {
    let body = json!({ "run": run.as_str(), "state": "not-over", "waits_for": waits_for });
    let mut result = answers::success(&body.to_string(), None, &around(run));
    result.structured_content = Some(body);
    result
}

/// A run that this caller began; those of others are as good as absent.
///
/// # Errors
/// That there is none, or those of the store.
pub(super) async fn own(mcp: &Mcp, caller: &Caller, run: &RunId) -> Result<RunRecord, Box<Failure>> {
    let record = mcp.0.host.run(caller, run).await?;
    if *record.principal == *caller.principal && record.nested.is_none() {
        return Ok(record);
    }
    let message = format!("there is no run `{run}` of yours");
    Err(Box::new(Failure::new(Code::NotFound, Class::Caller, message)))
}

/// What a stored run came to; `None` while it is not over.
pub(super) async fn outcome(mcp: &Mcp, caller: &Caller, run: &RunRecord) -> Option<CallToolResult> {
    let state = State::from_name(&run.state)?;
    let around = around(&run.id);
    match (&run.failure, &run.output) {
        (None, Some(output)) if state == State::Succeeded => {
            let entry = entry_of(mcp, caller, run).await;
            Some(answers::success(output, entry.as_deref(), &around))
        }
        (Some(failure), _) if state.is_over() || state.has_letter() => {
            let mut failure = Failure::from(failure);
            failure.run = Some(run.id.clone());
            failure.letter.clone_from(&run.letter);
            Some(answers::failure(&failure, &around))
        }
        _ => None,
    }
}

/// The function of a run as a tool, if it is still deployed.
async fn entry_of(mcp: &Mcp, caller: &Caller, run: &RunRecord) -> Option<Arc<Entry>> {
    let entries = mcp.0.entries(caller).await.ok()?;
    entries
        .values()
        .find(|entry| entry.tool == run.tool && entry.function == run.function)
        .cloned()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use fusebox_core::time::Wall;

    fn read(value: Value) -> Result<Asked, String> {
        let Value::Object(object) = value else { unreachable!() };
        Asked::read(&object)
    }

    #[test]
    fn it_waits_no_longer_than_a_client_does() {
        let run = RunId::new(Wall(0), 1);
        let asked = read(json!({ "run": run.as_str(), "wait": 3600 })).unwrap();
        assert_eq!((asked.run, asked.wait), (run, PATIENCE));
    }

    #[test]
    fn what_it_cannot_use_is_named() {
        for (wrong, named) in [
            (json!({}), "run: "),
            (json!({ "run": "ltr_1" }), "run: "),
            (
                json!({ "run": RunId::new(Wall(0), 1).as_str(), "wait": "1s" }),
                "wait: ",
            ),
            (
                json!({ "run": RunId::new(Wall(0), 1).as_str(), "approve": true }),
                "approve: ",
            ),
        ] {
            assert!(read(wrong).err().unwrap().starts_with(named));
        }
    }
}
