//! What a client may ask, and what this server says of itself. There is no verb that approves, grants, deploys or replays.

use super::calling::{self, Client, Wishes};
use super::catalogue::Entry;
use super::progress::Reporter;
use super::{Mcp, changes, result_tool, tasks};
use crate::outcome::model;
use fusebox_core::failure::Failure;
use fusebox_engine::ports::sandbox::Spelling;
use fusebox_engine::requests::Caller;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CancelTaskParams, CancelledNotificationParam, CustomRequest, CustomResult,
    ErrorCode, GetTaskParams, GetTaskResult, Implementation, JsonObject, ListToolsResult, PaginatedRequestParams,
    ProtocolVersion, RequestId, ServerCapabilities, ServerConfig, SubscriptionFilter, UpdateTaskParams,
};
use rmcp::service::{NotificationContext, RequestContext, SubscriptionContext};
use rmcp::{ErrorData, RoleServer, ServerHandler};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio_util::sync::CancellationToken;

/// Tools of one page.
const PAGE: usize = 100;

/// Calls of one connection that are remembered before those that were called off are forgotten.
const MOST_CALLS: usize = 1024;

/// What a cursor begins with; the rest is the last name of the page before.
const CURSOR: &str = "after:";

/// How a session begins, in the versions of the protocol that have sessions.
const HANDSHAKE: &str = "initialize";

/// Methods whose parameters are known: a request that names one and cannot be read is malformed, and not unknown.
const KNOWN: [&str; 7] = [
    HANDSHAKE,
    "tools/call",
    "tools/list",
    "tasks/get",
    "tasks/cancel",
    "tasks/update",
    "subscriptions/listen",
];

/// One connection: a pipe, a session, or a single request of a client that has none.
pub(super) struct Connection {
    mcp: Mcp,
    /// Who is at the other end of a pipe; over HTTP each request says it.
    caller: Option<Caller>,
    /// Calls in flight, by the client's ids, so that it can call them off.
    calls: Arc<Mutex<HashMap<RequestId, CancellationToken>>>,
}

impl Connection {
    pub(super) fn new(mcp: Mcp, caller: Option<Caller>) -> Self {
        Self {
            mcp,
            caller,
            calls: Arc::default(),
        }
    }

    /// Who asks. Names in answers are spelled as models write them.
    fn caller(&self, extensions: &rmcp::model::Extensions) -> Result<Caller, ErrorData> {
        let caller = match &self.caller {
            Some(caller) => Some(caller),
            None => extensions
                .get::<http::request::Parts>()
                .and_then(|parts| parts.extensions.get::<Caller>()),
        };
        let caller = caller.ok_or_else(|| ErrorData::invalid_request("nobody has said who calls", None))?;
        Ok(Caller {
            spelling: Spelling::Snake,
            ..caller.clone()
        })
    }

    /// What calls a request off. A notification may be faster than the request that it is about, or come when that was answered.
    fn token(&self, id: &RequestId) -> CancellationToken {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        if calls.len() >= MOST_CALLS {
            calls.retain(|_, token| !token.is_cancelled());
        }
        calls.entry(id.clone()).or_default().clone()
    }

    /// A call that its client may call off: by a notification; and over HTTP, since 2026-07-28, by closing the stream of its response.
    fn in_flight(&self, context: &RequestContext<RoleServer>) -> InFlight {
        let token = self.token(&context.id);
        let hangs_up = context.extensions.get::<http::request::Parts>().is_some() && has_no_sessions(context);
        let over = CancellationToken::new();
        if hangs_up {
            let (closed, ended) = (context.ct.clone(), over.clone());
            let (token, closing) = (token.clone(), self.mcp.0.closing.clone());
            tokio::spawn(async move {
                tokio::select! {
                    biased;
                    () = ended.cancelled() => {}
                    // What the server itself closes was not hung up.
                    () = closing.cancelled() => {}
                    () = closed.cancelled() => token.cancel(),
                }
            });
        }
        InFlight {
            id: context.id.clone(),
            token,
            over,
            calls: Arc::clone(&self.calls),
        }
    }
}

/// A call in flight.
struct InFlight {
    id: RequestId,
    /// Cancelled when the client calls it off.
    token: CancellationToken,
    /// Cancelled when it has been answered.
    over: CancellationToken,
    calls: Arc<Mutex<HashMap<RequestId, CancellationToken>>>,
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        calls.remove(&self.id);
        self.over.cancel();
    }
}

impl ServerHandler for Connection {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder()
            .enable_tools()
            .enable_tool_list_changed()
            .enable_tasks()
            .build();
        let server = Implementation::new("fusebox", env!("CARGO_PKG_VERSION")).with_title("Fusebox");
        ServerConfig::new(capabilities)
            .with_server_info(server)
            .with_protocol_version(ProtocolVersion::V_2025_11_25)
            .with_instructions(
                "Tools run in a sandbox behind circuit breakers. A result with isError says in `what_to_do` how to go on. \
                 A call that is not over in time names its run: fusebox_result tells the outcome.",
            )
    }

    async fn list_tools(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let caller = self.caller(&context.extensions)?;
        let cursor = request.and_then(|request| request.cursor);
        let after = match &cursor {
            None => None,
            Some(cursor) => Some(
                cursor
                    .strip_prefix(CURSOR)
                    .ok_or_else(|| ErrorData::invalid_params("the cursor is none that this server gave", None))?,
            ),
        };
        let entries = self.mcp.0.entries(&caller).await.map_err(|failure| refused(&failure))?;
        let mut tools: Vec<_> = entries.values().map(|entry| entry.shown.clone()).collect();
        tools.push(result_tool::shown());
        tools.sort_by(|a, b| a.name.cmp(&b.name));
        if let Some(after) = after {
            tools.retain(|tool| *tool.name > *after);
        }
        let more = tools.len() > PAGE;
        tools.truncate(PAGE);
        let mut page = ListToolsResult::with_all_items(tools);
        if more {
            page.next_cursor = page.tools.last().map(|tool| format!("{CURSOR}{}", tool.name));
        }
        Ok(page)
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let caller = self.caller(&context.extensions)?;
        let arguments = request.arguments.unwrap_or_default();
        let in_flight = self.in_flight(&context);
        if request.name == result_tool::NAME {
            return Ok(result_tool::call(&self.mcp, &caller, &arguments).await.into());
        }
        let entry = self.entry(&caller, &request.name).await?;
        let client = Client {
            wishes: Wishes::read(&context.meta)?,
            reporter: Reporter::new(&context.peer, context.meta.get_progress_token()),
            takes_tasks: context
                .client_capabilities()
                .is_some_and(|capabilities| capabilities.supports_tasks()),
            called_off: in_flight.token.clone(),
            caller,
        };
        Ok(calling::call(&self.mcp, client, entry, written(&arguments)?).await)
    }

    async fn on_cancelled(&self, cancelled: CancelledNotificationParam, _: NotificationContext<RoleServer>) {
        if let Some(id) = &cancelled.request_id {
            self.token(id).cancel();
        }
    }

    async fn on_initialized(&self, context: NotificationContext<RoleServer>) {
        let Ok(caller) = self.caller(&context.extensions) else {
            return;
        };
        let peer = context.peer;
        let listens = {
            let peer = peer.clone();
            move || !peer.is_transport_closed()
        };
        let tell = move || {
            let peer = peer.clone();
            async move { peer.notify_tool_list_changed().await.is_ok() }
        };
        tokio::spawn(changes::watch(self.mcp.clone(), caller, listens, tell));
    }

    fn accepted_subscription_filter(&self, requested: &SubscriptionFilter) -> Option<SubscriptionFilter> {
        let mut accepted = SubscriptionFilter::new();
        accepted.tools_list_changed = requested.tools_list_changed;
        Some(accepted)
    }

    async fn listen(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
        let caller = self.caller(&context.request_context().extensions)?;
        if context.accepted().tools_list_changed != Some(true) {
            context.cancelled().await;
            return Ok(());
        }
        let sink = context.sink().clone();
        let tell = move || {
            let sink = sink.clone();
            async move { sink.notify_tool_list_changed().await.is_ok() }
        };
        tokio::select! {
            () = changes::watch(self.mcp.clone(), caller, || true, tell) => {}
            () = context.cancelled() => {}
        }
        Ok(())
    }

    async fn get_task(
        &self,
        request: GetTaskParams,
        context: RequestContext<RoleServer>,
    ) -> Result<GetTaskResult, ErrorData> {
        tasks::get(&self.mcp, &self.caller(&context.extensions)?, &request.task_id).await
    }

    async fn cancel_task(
        &self,
        request: CancelTaskParams,
        context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        tasks::cancel(&self.mcp, &self.caller(&context.extensions)?, &request.task_id).await
    }

    async fn update_task(
        &self,
        request: UpdateTaskParams,
        context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        tasks::update(&self.mcp, &self.caller(&context.extensions)?, &request.task_id).await
    }

    async fn on_custom_request(
        &self,
        request: CustomRequest,
        context: RequestContext<RoleServer>,
    ) -> Result<CustomResult, ErrorData> {
        let CustomRequest { method, .. } = request;
        let is_gone = method == HANDSHAKE && has_no_sessions(&context);
        if KNOWN.contains(&method.as_str()) && !is_gone {
            return Err(ErrorData::invalid_params(
                format!("the parameters of {method} are malformed"),
                None,
            ));
        }
        Err(ErrorData::new(ErrorCode::METHOD_NOT_FOUND, method, None))
    }
}

impl Connection {
    async fn entry(&self, caller: &Caller, name: &str) -> Result<Arc<Entry>, ErrorData> {
        let entries = self.mcp.0.entries(caller).await.map_err(|failure| refused(&failure))?;
        entries
            .get(name)
            .cloned()
            .ok_or_else(|| ErrorData::invalid_params(format!("Unknown tool: {name}"), None))
    }
}

/// Whether a request is of a version of the protocol that has neither sessions nor the handshake that begins them.
fn has_no_sessions(context: &RequestContext<RoleServer>) -> bool {
    context
        .protocol_version()
        .is_some_and(|version| version >= ProtocolVersion::V_2026_07_28)
}

fn written(arguments: &JsonObject) -> Result<String, ErrorData> {
    serde_json::to_string(arguments)
        .map_err(|error| ErrorData::internal_error(format!("the arguments cannot be written down: {error}"), None))
}

/// What the host refused before there was a call.
fn refused(failure: &Failure) -> ErrorData {
    ErrorData::internal_error(model::message(&failure.message), None)
}
