//! The tasks extension: a task is a run, and answers come from the store. A task never asks its client for anything: no agent approves itself.

use super::{Mcp, progress, result_tool};
use fusebox_core::failure::{Code, Failure};
use fusebox_core::ids::RunId;
use fusebox_core::run::State;
use fusebox_core::time::Wall;
use fusebox_engine::records::RunRecord;
use fusebox_engine::requests::Caller;
use rmcp::ErrorData;
use rmcp::model::{
    CallToolResponse, CallToolResult, CreateTaskResult, DetailedTask, GetTaskResult, JsonObject, Task, TaskPayload,
    TaskStatus,
};
use serde_json::Value;

/// How often a client should ask.
const POLL_MS: u64 = 1_000;

/// The answer to a call whose run is not over; `None` when the store does not know that run, and could not tell of it later.
pub(super) async fn created(mcp: &Mcp, caller: &Caller, run: &RunId) -> Option<CallToolResponse> {
    match result_tool::own(mcp, caller, run).await {
        Ok(record) => Some(CreateTaskResult::new(task(&record, &progress::of_record(&record))).into()),
        Err(failure) => {
            tracing::debug!(%run, %failure, "the run is no task");
            None
        }
    }
}

fn task(run: &RunRecord, waits_for: &str) -> Task {
    let last = run.attempts.last().map_or(run.created, |attempt| attempt.started);
    Task::new(
        run.id.as_str(),
        TaskStatus::Working,
        moment(run.created),
        moment(run.finished.unwrap_or(last)),
    )
    .with_status_message(waits_for)
    .with_poll_interval_ms(POLL_MS)
}

/// RFC 3339, in UTC.
fn moment(at: i64) -> String {
    jiff::Timestamp::from_millisecond(Wall(at).0)
        .unwrap_or(jiff::Timestamp::UNIX_EPOCH)
        .to_string()
}

/// `tasks/get`.
pub(super) async fn get(mcp: &Mcp, caller: &Caller, id: &str) -> Result<GetTaskResult, ErrorData> {
    let record = find(mcp, caller, id).await?;
    let live = mcp.0.pending.find(caller, &record.id).map(|kept| kept.following.seen());
    let waits_for = live.map_or_else(
        || progress::of_record(&record),
        |seen| match &seen.borrow().outcome {
            Some(_) => progress::of_record(&record),
            None => progress::of_seen(&seen.borrow()),
        },
    );
    let cancelled = State::from_name(&record.state) == Some(State::Cancelled);
    let payload = match result_tool::outcome(mcp, caller, &record).await {
        _ if cancelled => TaskPayload::Cancelled,
        Some(result) => TaskPayload::Completed {
            result: plain(&result)?,
        },
        None => TaskPayload::Working,
    };
    let waits_for = match &payload {
        TaskPayload::Working => waits_for,
        _ => format!("it is over: {}", record.state),
    };
    Ok(GetTaskResult::new(DetailedTask::new(
        task(&record, &waits_for),
        payload,
    )))
}

/// `tasks/cancel`; of a run that is over nothing is left to cancel.
pub(super) async fn cancel(mcp: &Mcp, caller: &Caller, id: &str) -> Result<(), ErrorData> {
    let record = find(mcp, caller, id).await?;
    match mcp.0.host.cancel(caller, &record.id).await {
        Ok(()) => Ok(()),
        Err(failure) if failure.code == Code::NotFound => Ok(()),
        Err(failure) => Err(refused(&failure)),
    }
}

/// `tasks/update`: no task ever asks for input, so there is nothing to take in.
pub(super) async fn update(mcp: &Mcp, caller: &Caller, id: &str) -> Result<(), ErrorData> {
    let record = find(mcp, caller, id).await?;
    Err(ErrorData::invalid_params(
        format!(
            "{} asks for no input: what it waits for is decided by people, elsewhere",
            record.id
        ),
        None,
    ))
}

async fn find(mcp: &Mcp, caller: &Caller, id: &str) -> Result<RunRecord, ErrorData> {
    let unknown = || ErrorData::invalid_params(format!("there is no task `{id}`"), None);
    let run = id.parse::<RunId>().map_err(|_| unknown())?;
    match result_tool::own(mcp, caller, &run).await {
        Ok(record) => Ok(record),
        Err(failure) if failure.code == Code::NotFound => Err(unknown()),
        Err(failure) => Err(refused(&failure)),
    }
}

fn refused(failure: &Failure) -> ErrorData {
    ErrorData::internal_error(crate::outcome::model::message(&failure.message), None)
}

fn plain(result: &CallToolResult) -> Result<JsonObject, ErrorData> {
    match serde_json::to_value(result) {
        Ok(Value::Object(object)) => Ok(object),
        _ => Err(ErrorData::internal_error("the result cannot be written down", None)),
    }
}
