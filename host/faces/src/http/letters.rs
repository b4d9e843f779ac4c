//! Dead letters: listed, shown, understood, replayed, settled, kept, closed.

use super::App;
use super::answers::unwritable;
use super::calls::answer;
use super::extract::{Json as Body, Path, Query, id};
use super::openapi::Octets;
use super::pages::{limit, page};
use super::refusal::Refusal;
use crate::api::Api as _;
use crate::dto::call_reply::CallReply;
use crate::dto::letter_stats::Stats;
use crate::dto::listed::Listed;
use crate::dto::problem::Problem;
use crate::dto::replay_request::ReplayRequest;
use crate::dto::resolve_request::ResolveRequest;
use crate::dto::small::{Purge, Purged, Retained};
use axum::Json;
use axum::extract::{Extension, State};
use axum::response::{IntoResponse as _, Response};
use fusebox_core::ids::LetterId;
use fusebox_engine::host::Outlook;
use fusebox_engine::ports::store::LetterFilter;
use fusebox_engine::records::LetterRecord;
use fusebox_engine::requests::{Caller, DryRun, MemoryRange, Replayed};
use fusebox_manifest::units;
use http::{StatusCode, header};
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;

/// The most bytes of memory in one answer.
const MOST_MEMORY: u64 = 16 << 20;
/// Wall time of a replay for `debug` that nobody says otherwise of, and the most.
const DEBUG_TIME: Duration = Duration::from_secs(60);
const MOST_DEBUG_TIME: Duration = Duration::from_secs(600);

/// Which letters are listed.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct LetterQuery {
    /// Only of that service.
    service: Option<String>,
    /// Only of that tool.
    tool: Option<String>,
    /// Only of that class.
    class: Option<String>,
    /// Only that failed last at or after, milliseconds since 1970.
    since: Option<i64>,
    /// Closed letters too.
    #[serde(default)]
    closed: bool,
    /// Rows of the page; 100 without it.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// Where the page begins: `next` of the page before.
    after: Option<String>,
}

/// List letters, oldest first
#[utoipa::path(get, path = "/v1/dead-letters", tag = "dead letters", params(LetterQuery), responses((status = 200, body = Listed<LetterRecord>)))]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Query(query): Query<LetterQuery>,
) -> Result<Json<Listed<LetterRecord>>, Refusal> {
    let limit = limit(query.limit)?;
    let filter = LetterFilter {
        service: query.service,
        tool: query.tool,
        class: query.class,
        since: query.since,
        closed: query.closed,
        after: query.after.as_deref().map(id).transpose()?,
        limit: limit + 1,
    };
    let letters = app.host.letters(&caller, &filter).await?;
    Ok(Json(page(letters, limit, |letter| letter.id.to_string())))
}

/// Open letters in numbers
#[utoipa::path(get, path = "/v1/dead-letters/stats", tag = "dead letters", responses((status = 200, body = Stats)))]
pub(super) async fn stats(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<Stats>, Refusal> {
    Ok(Json(app.host.stats(&caller).await?.into()))
}

/// The letters that retention would close now
#[utoipa::path(get, path = "/v1/dead-letters/expired", tag = "dead letters", responses((status = 200, body = Listed<String>)))]
pub(super) async fn expired(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<Listed<String>>, Refusal> {
    let items = texts(app.host.expired(&caller).await?);
    Ok(Json(Listed { items, next: None }))
}

fn texts(ids: Vec<LetterId>) -> Vec<String> {
    ids.into_iter().map(|id| id.to_string()).collect()
}

/// Close letters; leased, pinned and doubtful ones stay
#[utoipa::path(post, path = "/v1/dead-letters/purge", tag = "dead letters", request_body = Purge, responses((status = 200, body = Purged)))]
pub(super) async fn purge(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Body(purge): Body<Purge>,
) -> Result<Json<Purged>, Refusal> {
    let ids: Vec<_> = purge.ids.iter().map(|text| id(text)).collect::<Result<_, _>>()?;
    let closed = texts(app.host.purge(&caller, &ids).await?);
    Ok(Json(Purged { closed }))
}

/// Forget what is kept no longer
#[utoipa::path(post, path = "/v1/retention", tag = "dead letters", responses((status = 200, body = Retained)))]
pub(super) async fn retain(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<Retained>, Refusal> {
    let gone = app.host.retain(&caller).await?;
    Ok(Json(Retained { gone }))
}

/// Show a letter
#[utoipa::path(
    get, path = "/v1/dead-letters/{letter}", tag = "dead letters",
    params(("letter" = String, Path, description = "Id of the letter")), responses((status = 200, body = LetterRecord))
)]
pub(super) async fn show(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(letter): Path<String>,
) -> Result<Json<LetterRecord>, Refusal> {
    Ok(Json(app.host.letter(&caller, &id(&letter)?).await?))
}

/// Where a replay would go on
#[utoipa::path(
    get, path = "/v1/dead-letters/{letter}/outlook", tag = "dead letters",
    params(("letter" = String, Path, description = "Id of the letter")), responses((status = 200, body = Outlook))
)]
pub(super) async fn outlook(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(letter): Path<String>,
) -> Result<Json<Outlook>, Refusal> {
    let letter = app.host.letter(&caller, &id(&letter)?).await?;
    Ok(Json(app.host.outlook(&caller, &letter).await?))
}

/// Which bytes are meant.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct MemoryQuery {
    /// Index of the core instance in the snapshot.
    #[serde(default)]
    instance: usize,
    /// Index of the memory in that instance.
    #[serde(default)]
    memory: usize,
    /// First byte.
    #[serde(default)]
    offset: u64,
    /// Bytes, at most 16 MiB; cut at the memory's end. 256 without it.
    length: Option<u64>,
}

/// A part of the memory that a letter keeps
#[utoipa::path(
    get, path = "/v1/dead-letters/{letter}/memory", tag = "dead letters",
    params(("letter" = String, Path, description = "Id of the letter"), MemoryQuery),
    responses((status = 200, body = Octets, content_type = "application/octet-stream"))
)]
pub(super) async fn memory(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(letter): Path<String>,
    Query(query): Query<MemoryQuery>,
) -> Result<Response, Refusal> {
    let length = query.length.unwrap_or(256);
    if length > MOST_MEMORY {
        return Err(Problem::bad_request(format!("query: length: {length} is more than {MOST_MEMORY}")).into());
    }
    let range = MemoryRange {
        instance: query.instance,
        memory: query.memory,
        offset: query.offset,
        length,
    };
    Ok(octets(app.host.memory(&caller, &id(&letter)?, range).await?))
}

fn octets(bytes: Vec<u8>) -> Response {
    ([(header::CONTENT_TYPE, "application/octet-stream")], bytes).into_response()
}

/// A standard core dump made of what a letter keeps
#[utoipa::path(
    get, path = "/v1/dead-letters/{letter}/coredump", tag = "dead letters",
    params(("letter" = String, Path, description = "Id of the letter")),
    responses((status = 200, body = Octets, content_type = "application/octet-stream"))
)]
pub(super) async fn coredump(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(letter): Path<String>,
) -> Result<Response, Refusal> {
    Ok(octets(app.host.coredump(&caller, &id(&letter)?).await?))
}

/// How the last attempt is run again.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct DebugQuery {
    /// With the guest's stack at each effect.
    #[serde(default)]
    stacks: bool,
    /// Each replay is stopped after so much time, at most `10m`; `60s` without it.
    time: Option<String>,
}

/// A letter's last attempt run again, offline: frames, locals, the effect that failed
#[utoipa::path(
    get, path = "/v1/dead-letters/{letter}/debug", tag = "dead letters",
    params(("letter" = String, Path, description = "Id of the letter"), DebugQuery),
    responses((status = 200, body = serde_json::Value))
)]
pub(super) async fn debug(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(letter): Path<String>,
    Query(query): Query<DebugQuery>,
) -> Result<Response, Refusal> {
    let time = query.time.as_deref().map(units::some_duration).transpose();
    let time = time.map_err(|problem| Problem::bad_request(format!("query: time: {problem}")))?;
    let time = time.unwrap_or(DEBUG_TIME).min(MOST_DEBUG_TIME);
    let report = app.local.debug(&caller, &id(&letter)?, query.stacks, time).await?;
    Ok(Json(report).into_response())
}

/// What a replay answers: the outcome, or with `dry-run` what would be next.
#[derive(utoipa::ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "it describes what is answered, which is one or the other")]
pub(super) enum ReplayAnswer {
    Done(CallReply),
    Dry(DryRun),
}

/// Replay a letter, and wait for the end
#[utoipa::path(
    post, path = "/v1/dead-letters/{letter}/replay", tag = "dead letters",
    params(("letter" = String, Path, description = "Id of the letter")),
    request_body = ReplayRequest, responses((status = 200, body = ReplayAnswer))
)]
pub(super) async fn replay(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(letter): Path<String>,
    Body(request): Body<ReplayRequest>,
) -> Result<Response, Refusal> {
    let replay = request.replay(id(&letter)?).map_err(Problem::bad_request)?;
    match app.host.replay(&caller, replay).await? {
        Replayed::Done(reply) => answer(&reply),
        Replayed::Dry(dry) => {
            let text = serde_json::to_vec(&dry).map_err(|error| unwritable(&error))?;
            Ok(([(header::CONTENT_TYPE, "application/json")], text).into_response())
        }
    }
}

/// Settle a letter in doubt
#[utoipa::path(
    post, path = "/v1/dead-letters/{letter}/resolve", tag = "dead letters",
    params(("letter" = String, Path, description = "Id of the letter")),
    request_body = ResolveRequest, responses((status = 200, body = LetterRecord))
)]
pub(super) async fn resolve(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(letter): Path<String>,
    Body(request): Body<ResolveRequest>,
) -> Result<Json<LetterRecord>, Refusal> {
    let resolve = request.resolve().map_err(Problem::bad_request)?;
    Ok(Json(app.host.resolve(&caller, &id(&letter)?, resolve).await?))
}

/// Keep a letter from retention and purge
#[utoipa::path(
    post, path = "/v1/dead-letters/{letter}/pin", tag = "dead letters",
    params(("letter" = String, Path, description = "Id of the letter")), responses((status = 204, description = "Done"))
)]
pub(super) async fn pin(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(letter): Path<String>,
) -> Result<StatusCode, Refusal> {
    app.host.pin(&caller, &id(&letter)?, true).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Let a pinned letter go
#[utoipa::path(
    post, path = "/v1/dead-letters/{letter}/unpin", tag = "dead letters",
    params(("letter" = String, Path, description = "Id of the letter")), responses((status = 204, description = "Done"))
)]
pub(super) async fn unpin(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(letter): Path<String>,
) -> Result<StatusCode, Refusal> {
    app.host.pin(&caller, &id(&letter)?, false).await?;
    Ok(StatusCode::NO_CONTENT)
}
