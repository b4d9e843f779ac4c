//! One tool call: made under the eyes of its client, which may call it off, and which is told the run when it would wait too long.

use super::answers::{self, Around};
use super::catalogue::Entry;
use super::progress::{self, Reporter};
use super::{Mcp, tasks};
use fusebox_core::failure::{Class, Code, Failure};
use fusebox_core::ids::RunId;
use fusebox_core::trace::TraceContext;
use fusebox_engine::following::{Following, Seen, Terms};
use fusebox_engine::requests::{Call, Caller, Reply};
use rmcp::ErrorData;
use rmcp::model::{CallToolResponse, RequestMetaObject};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Clients give up after a minute; before that they are told whom to ask.
pub(super) const PATIENCE: Duration = Duration::from_secs(45);

/// A client that knows tasks gets one for a call that lasts longer.
const TASK_AFTER: Duration = Duration::from_secs(5);

/// A client that asked for progress hears of a call so often even if nothing happens.
const PULSE: Duration = Duration::from_secs(5);

/// What a request's `_meta` says about a call.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Wishes {
    key: Option<String>,
    wait: Option<Duration>,
    traceparent: Option<String>,
    tracestate: Option<String>,
}

impl Wishes {
    /// Reads them.
    ///
    /// # Errors
    /// Which of them is malformed.
    pub(super) fn read(meta: &RequestMetaObject) -> Result<Self, ErrorData> {
        let key = match meta.get(answers::KEY) {
            None => None,
            Some(Value::String(key)) => Some(key.clone()),
            Some(_) => return Err(malformed(answers::KEY, "a string")),
        };
        let wait = match meta.get(answers::WAIT).map(Value::as_u64) {
            None => None,
            Some(Some(millis)) => Some(Duration::from_millis(millis)),
            Some(None) => return Err(malformed(answers::WAIT, "a whole number of milliseconds")),
        };
        Ok(Self {
            key,
            wait,
            traceparent: meta.get_traceparent().map(str::to_owned),
            tracestate: meta.get_tracestate().map(str::to_owned),
        })
    }

    /// The span that called (W3C Trace Context, `traceparent` and `tracestate`); one that is malformed is left out.
    fn trace(&self) -> Option<TraceContext> {
        TraceContext::of_headers(self.traceparent.as_deref()?, self.tracestate.as_deref()).ok()
    }
}

fn malformed(field: &str, what: &str) -> ErrorData {
    ErrorData::invalid_params(format!("`_meta`: `{field}` has to be {what}"), None)
}

/// The client of a call.
pub(super) struct Client {
    pub(super) caller: Caller,
    pub(super) wishes: Wishes,
    pub(super) reporter: Reporter,
    /// Whether it can be given a task in place of a result.
    pub(super) takes_tasks: bool,
    /// Cancelled when it calls the call off.
    pub(super) called_off: CancellationToken,
}

/// Why nobody waits for a call any longer.
enum Waited {
    Ended(Result<Reply, Box<Failure>>),
    CalledOff,
    TooLong(RunId),
}

/// Makes a call.
pub(super) async fn call(mcp: &Mcp, mut client: Client, entry: Arc<Entry>, input: String) -> CallToolResponse {
    let shared = &mcp.0;
    let level = entry.function_policy().idempotency;
    let at_once = client.takes_tasks && !level.may_start_over();
    let patience = match (at_once, client.takes_tasks) {
        (true, _) => Duration::ZERO,
        (false, true) => TASK_AFTER,
        (false, false) => PATIENCE,
    };
    let patience = client.wishes.wait.map_or(patience, |wait| wait.min(PATIENCE));
    let following = Following::new(Terms {
        // Whoever holds a task has to find it after a crash.
        durable: client.takes_tasks && (at_once || entry.function_policy().deadline > patience),
        join: client.wishes.key.is_none(),
    });
    if let Some(trace) = client.wishes.trace() {
        client.caller.trace = Some(trace);
    }
    let waited = wait(mcp, &mut client, &following, &entry, input, patience).await;
    let seen = following.seen().borrow().clone();
    let around = Around {
        run: seen.run.clone(),
        joined: seen.joined,
        stored: false,
        traceparent: client.wishes.traceparent.take(),
    };
    match waited {
        Waited::Ended(Ok(reply)) => {
            let around = Around {
                run: reply.run,
                stored: reply.stored,
                ..around
            };
            answers::success(&reply.output, Some(&entry), &around).into()
        }
        Waited::Ended(Err(failure)) => match goes_on(&failure) {
            Some(run) if client.takes_tasks => tasks::created(mcp, &client.caller, run)
                .await
                .unwrap_or_else(|| answers::failure(&failure, &around).into()),
            Some(run) if failure.code == Code::Overloaded => {
                answers::not_over(run, "this host shuts down, and another one goes on with it", &around).into()
            }
            _ => answers::failure(&failure, &around).into(),
        },
        Waited::CalledOff => {
            let failure = Failure::new(Code::Cancelled, Class::Control, "the client cancelled the call");
            answers::failure(&failure, &around).into()
        }
        Waited::TooLong(run) => {
            let now = shared.clock.tick();
            shared
                .pending
                .keep(run.clone(), &client.caller, following.clone(), Arc::clone(&entry), now);
            let task = if client.takes_tasks {
                tasks::created(mcp, &client.caller, &run).await
            } else {
                None
            };
            task.unwrap_or_else(|| {
                shared.host.leave(&client.caller, &following);
                answers::not_over(&run, &progress::of_seen(&seen), &around).into()
            })
        }
    }
}

/// The run that goes on although its call has ended: it waits for a person, another host takes it up, or it has the key of the call.
fn goes_on(failure: &Failure) -> Option<&RunId> {
    match failure.code {
        Code::NeedsApproval | Code::Overloaded | Code::KeyInUse => failure.run.as_ref(),
        _ => None,
    }
}

/// Makes the call and waits for it. It is a task of its own: nothing but its being called off ends it.
async fn wait(
    mcp: &Mcp,
    client: &mut Client,
    following: &Following,
    entry: &Entry,
    input: String,
    patience: Duration,
) -> Waited {
    let (host, clock) = (Arc::clone(&mcp.0.host), Arc::clone(&mcp.0.clock));
    let call = Call {
        tool: entry.tool.clone(),
        function: entry.function.clone(),
        input,
        key: client.wishes.key.clone(),
        wait: Some(patience),
        deadline: None,
        detach: false,
    };
    let (caller, followed) = (client.caller.clone(), following.clone());
    let mut made = tokio::spawn(async move { host.follow(&caller, call, &followed).await });
    let mut seen = following.seen();
    let mut patience = Box::pin(clock.sleep(patience));
    let mut impatient = false;
    let mut pulse = Box::pin(clock.sleep(PULSE));
    loop {
        let run = if impatient { seen.borrow().run.clone() } else { None };
        if let Some(run) = run {
            return Waited::TooLong(run);
        }
        tokio::select! {
            biased;
            ended = &mut made => return Waited::Ended(ended.unwrap_or_else(|error| Err(lost(&error)))),
            () = client.called_off.cancelled() => {
                following.call_off();
                return Waited::CalledOff;
            }
            changed = seen.changed() => {
                if changed.is_ok() && client.reporter.is_heard() {
                    let what = worth_telling(&seen.borrow_and_update());
                    if let Some(what) = what {
                        client.reporter.tell(what).await;
                    }
                }
            }
            () = &mut patience, if !impatient => impatient = true,
            () = &mut pulse => {
                pulse = Box::pin(clock.sleep(PULSE));
                if client.reporter.is_heard() {
                    let what = progress::of_seen(&seen.borrow());
                    client.reporter.tell(what).await;
                }
            }
        }
    }
}

/// What happens while the call runs; its beginning and its end are told by the answer.
fn worth_telling(seen: &Seen) -> Option<String> {
    (seen.run.is_some() && seen.outcome.is_none()).then(|| progress::of_seen(seen))
}

fn lost(error: &tokio::task::JoinError) -> Box<Failure> {
    tracing::error!(%error, "the task of a call ended before the call did");
    let message = "the call was lost by a defect of Fusebox; the log has its place";
    Box::new(Failure::new(Code::Internal, Class::Fault, message))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    fn meta(value: Value) -> RequestMetaObject {
        let Value::Object(object) = value else { unreachable!() };
        RequestMetaObject::from(object)
    }

    #[test]
    fn wishes_are_read_or_refused() {
        let all = meta(json!({
            "fusebox/idempotency-key": "order-42", "fusebox/wait-ms": 250,
            "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        }));
        let wishes = Wishes::read(&all).unwrap();
        assert_eq!(wishes.key.as_deref(), Some("order-42"));
        assert_eq!(wishes.wait, Some(Duration::from_millis(250)));
        let trace = wishes.trace().unwrap();
        assert_eq!((trace.span, trace.sampled), (0xb7ad_6b71_6920_3331, true));
        assert_eq!(Wishes::read(&meta(json!({}))).unwrap(), Wishes::default());
        for wrong in [
            json!({ "fusebox/idempotency-key": 7 }),
            json!({ "fusebox/wait-ms": "1s" }),
        ] {
            assert!(Wishes::read(&meta(wrong)).is_err());
        }
        let zeros = meta(json!({ "traceparent": "00-00000000000000000000000000000000-b7ad6b7169203331-01" }));
        assert_eq!(Wishes::read(&zeros).unwrap().trace(), None);
    }
}
