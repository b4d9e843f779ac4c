//! What happens to a run, as it happens (server-sent events).

use super::App;
use super::extract::{Path, id};
use super::refusal::Refusal;
use crate::following::{Seen, is_over};
use crate::tree::Tree;
use axum::extract::{Extension, State};
use axum::response::sse::{Event, KeepAlive, Sse};
use fusebox_core::failure::Failure;
use fusebox_core::ids::RunId;
use fusebox_engine::requests::Caller;
use futures::{Stream, StreamExt as _, stream};
use http::HeaderMap;
use serde_json::json;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;

/// Runs that are followed at once: each is looked for in the store again and again.
pub(super) const MOST: usize = 256;
/// How often the store is looked at.
const EVERY: Duration = Duration::from_millis(250);
/// Something is said at least so often, so that a connection that is gone is noticed.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// One event of the stream, as readers of such streams have it
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "it describes what is sent")]
pub(super) struct StreamEvent {
    /// A JSON object
    data: String,
    /// What kind of event it is
    event: Option<String>,
    /// What to send as `Last-Event-ID` to go on after it
    id: Option<String>,
}

/// Follow a run until it is over
///
/// Each event is one change, as `fusebox runs follow --json` prints it; its id, sent back as `Last-Event-ID`, goes on after it. What
/// happened since the last id may be told twice. The last event is `end`, with the run's state, or `drain` when the host stops.
#[utoipa::path(
    get, path = "/v1/runs/{run}/events", tag = "runs",
    params(
        ("run" = String, Path, description = "Id of the run"),
        ("Last-Event-ID" = Option<String>, Header, description = "Id of the last event that was received")
    ),
    responses((status = 200, body = StreamEvent, content_type = "text/event-stream"))
)]
pub(super) async fn events(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(run): Path<String>,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Refusal> {
    let run: RunId = id(&run)?;
    // Whoever may not see the run is told so before the stream begins.
    app.host.run(&caller, &run).await?;
    let place = Arc::clone(&app.followers).try_acquire_owned();
    let place = place.map_err(|_| Refusal::later(503, format!("{MOST} clients follow runs already"), 5000))?;
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok());
    let follower = Follower {
        seen: last.and_then(Seen::from_token).unwrap_or_default(),
        waiting: VecDeque::new(),
        first: true,
        over: false,
        _place: place,
        app,
        caller,
        run,
    };
    let events = stream::unfold(follower, |mut follower| async move {
        let event = follower.next().await?;
        Some((event, follower))
    });
    Ok(Sse::new(events.map(Ok)).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}

/// Looks at a run again and again.
struct Follower {
    app: Arc<App>,
    caller: Caller,
    run: RunId,
    seen: Seen,
    /// Events that are to be sent before anything is looked at again.
    waiting: VecDeque<Event>,
    first: bool,
    over: bool,
    _place: OwnedSemaphorePermit,
}

impl Follower {
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.waiting.pop_front() {
                return Some(event);
            }
            if self.over {
                return None;
            }
            if !std::mem::take(&mut self.first) {
                tokio::select! {
                    () = self.app.clock.sleep(EVERY) => {}
                    () = self.app.stop.cancelled() => self.end("drain", &json!({})),
                }
            }
            if !self.over
                && let Err(failure) = self.look().await
            {
                tracing::warn!(run = %self.run, %failure, "a run can be followed no longer");
                self.end("failure", &json!({ "code": failure.code.name() }));
            }
        }
    }

    async fn look(&mut self) -> Result<(), Box<Failure>> {
        let run = self.app.host.run(&self.caller, &self.run).await?;
        let tree = Tree::load(&self.app.local, &self.caller, &run).await?;
        let changes: Vec<_> = self
            .seen
            .changes(&run, &tree)
            .iter()
            .map(|change| change.json())
            .collect();
        // Only after the last of them everything up to here is told.
        let token = self.seen.token();
        let last = changes.len().saturating_sub(1);
        for (number, change) in changes.into_iter().enumerate() {
            let event = Event::default().data(change.to_string());
            self.waiting.push_back(match &token {
                Some(token) if number == last => event.id(token),
                _ => event,
            });
        }
        if is_over(&run) {
            self.end("end", &json!({ "run": run.id.as_str(), "state": run.state }));
        }
        Ok(())
    }

    fn end(&mut self, name: &str, data: &serde_json::Value) {
        self.over = true;
        self.waiting
            .push_back(Event::default().event(name).data(data.to_string()));
    }
}
