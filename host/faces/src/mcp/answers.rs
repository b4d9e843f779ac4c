//! What a tool call is answered: its result, or why there is none, as data that a model can act on.

use super::catalogue::Entry;
use super::{result_tool, spelling};
use crate::outcome::model;
use fusebox_core::failure::{Code, Failure};
use fusebox_core::ids::RunId;
use fusebox_engine::records::millis;
use rmcp::model::{CallToolResult, ContentBlock, MetaObject};
use serde_json::{Map, Value, json};

/// `_meta` of a request: the caller's idempotency key.
pub(super) const KEY: &str = "fusebox/idempotency-key";
/// `_meta` of a request: milliseconds after which the caller would rather know the run than wait for its outcome.
pub(super) const WAIT: &str = "fusebox/wait-ms";
/// `_meta` of an answer: the run.
const RUN: &str = "fusebox/run";
/// `_meta` of an answer: the run was there before, and the call joined it.
const JOINED: &str = "fusebox/joined";
/// `_meta` of an answer: it is the stored outcome of an earlier call.
const STORED: &str = "fusebox/stored";
/// `_meta` of an answer: why there is no result.
const ERROR: &str = "fusebox/error";

/// What is known of the run beside its outcome.
#[derive(Clone, Debug, Default)]
pub(super) struct Around {
    pub(super) run: Option<RunId>,
    pub(super) joined: bool,
    pub(super) stored: bool,
    /// The trace context that came with the call.
    pub(super) traceparent: Option<String>,
}

impl Around {
    fn meta(&self) -> MetaObject {
        let mut meta = MetaObject::new();
        if let Some(run) = &self.run {
            meta.insert(RUN.to_owned(), json!(run.as_str()));
        }
        for (name, is_so) in [(JOINED, self.joined), (STORED, self.stored)] {
            if is_so {
                meta.insert(name.to_owned(), json!(true));
            }
        }
        if let Some(traceparent) = &self.traceparent {
            meta.set_traceparent(traceparent.clone());
        }
        meta
    }
}

/// A result. Without an entry, that is, of a function that is gone, it is text alone.
pub(super) fn success(output: &str, entry: Option<&Entry>, around: &Around) -> CallToolResult {
    let structured = entry.and_then(|entry| structured(output, entry));
    let text = structured
        .as_ref()
        .map_or_else(|| output.to_owned(), ToString::to_string);
    let mut result = CallToolResult::success(vec![ContentBlock::text(text)]);
    result.structured_content = structured;
    with_meta(result, around.meta())
}

/// The result as its schema has it; `None` when the function returns nothing.
fn structured(output: &str, entry: &Entry) -> Option<Value> {
    let schema = entry.output.as_deref()?;
    let value = match serde_json::from_str(output) {
        Ok(value) => value,
        Err(error) => {
            tracing::error!(tool = entry.tool, function = entry.function, %error, "a stored result is not JSON");
            return None;
        }
    };
    let value = if entry.wrapped {
        json!({ "result": value })
    } else {
        value
    };
    Some(spelling::as_schema(value, &Value::Object(schema.clone())))
}

/// Why there is no result.
pub(super) fn failure(failure: &Failure, around: &Around) -> CallToolResult {
    let around = Around {
        run: failure.run.clone().or_else(|| around.run.clone()),
        ..around.clone()
    };
    let mut body = Map::new();
    let mut put = |name: &str, value: Value| {
        body.insert(name.to_owned(), value);
    };
    put("code", json!(failure.code.name()));
    put("class", json!(failure.class.name()));
    put("message", json!(words(failure)));
    let text = [("service", &failure.service), ("case", &failure.case)];
    for (name, value) in text
        .into_iter()
        .filter_map(|(name, value)| Some((name, value.as_ref()?)))
    {
        put(name, json!(value));
    }
    if let Some(error) = &failure.error {
        put("error", serde_json::from_str(error).unwrap_or_else(|_| json!(error)));
    }
    if let Some(wait) = failure.retry_after {
        put("retry_after_ms", json!(millis(wait)));
    }
    if let Some(run) = &around.run {
        put("run", json!(run.as_str()));
    }
    if let Some(letter) = &failure.letter {
        put("letter", json!(letter.as_str()));
    }
    if let Some(approval) = &failure.approval {
        put("approval", json!(approval.as_str()));
    }
    if around.joined {
        put("joined", json!(true));
    }
    put("what_to_do", json!(model::advice(failure)));
    error(Value::Object(body), &around)
}

/// The run is not over, and its caller is not kept waiting for it.
pub(super) fn not_over(run: &RunId, waits_for: &str, around: &Around) -> CallToolResult {
    let around = Around {
        run: Some(run.clone()),
        ..around.clone()
    };
    let body = json!({
        "code": "not-over",
        "class": "control",
        "message": format!("{run} is not over: {waits_for}"),
        "run": run.as_str(),
        "waits_for": waits_for,
        "joined": around.joined,
        "what_to_do": format!(
            "The call goes on by itself; do not make it again. Ask for its outcome with the tool {} and the argument run = {run}.",
            result_tool::NAME
        ),
    });
    error(body, &around)
}

fn error(body: Value, around: &Around) -> CallToolResult {
    let mut meta = around.meta();
    meta.insert(ERROR.to_owned(), body.clone());
    with_meta(CallToolResult::error(vec![ContentBlock::text(body.to_string())]), meta)
}

fn with_meta(mut result: CallToolResult, meta: MetaObject) -> CallToolResult {
    if !meta.is_empty() {
        result.meta = Some(meta);
    }
    result
}

/// The failure's message, in words for who has no shell.
fn words(failure: &Failure) -> String {
    match (&failure.approval, failure.code) {
        (Some(approval), Code::NeedsApproval) => format!(
            "the call waits for a person's approval ({approval}): whoever runs this Fusebox host decides it there, at its command line or at \
             /v1/approvals/{approval}"
        ),
        _ => model::message(&failure.message),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use fusebox_core::failure::Class;
    use fusebox_core::ids::{ApprovalId, LetterId};
    use fusebox_core::time::Wall;
    use std::time::Duration;

    #[test]
    fn a_failure_is_data_in_the_text_and_in_meta_and_nothing_that_a_client_would_check() {
        let mut failed = Failure::new(
            Code::UpstreamFailed,
            Class::Transient,
            "gone; `fusebox dlq show x` shows it",
        );
        failed.letter = Some(LetterId::new(Wall(0), 1));
        failed.run = Some(RunId::new(Wall(0), 2));
        failed.retry_after = Some(Duration::from_secs(3));
        let result = serde_json::to_value(failure(&failed, &Around::default())).unwrap();
        assert_eq!(result["isError"], true);
        assert!(result.get("structuredContent").is_none());
        let body: Value = serde_json::from_str(result["content"][0]["text"].as_str().unwrap()).unwrap();
        assert_eq!(body, result["_meta"][ERROR]);
        assert_eq!(body["code"], "upstream-failed");
        assert_eq!(body["message"], "gone");
        assert_eq!(body["retry_after_ms"], 3000);
        assert!(body["letter"].as_str().unwrap().starts_with("ltr_"));
        assert_eq!(body["run"], result["_meta"][RUN]);
    }

    #[test]
    fn who_waits_for_a_person_is_told_where_that_is_decided_and_not_how() {
        let mut waits = Failure::new(Code::NeedsApproval, Class::Control, "`fusebox approvals approve x`");
        waits.approval = Some(ApprovalId::new(Wall(0), 1));
        let text = serde_json::to_string(&failure(&waits, &Around::default())).unwrap();
        assert!(
            text.contains("/v1/approvals/apr_") && !text.contains("fusebox approvals"),
            "{text}"
        );
    }
}
