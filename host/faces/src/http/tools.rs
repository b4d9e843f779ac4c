//! Tools: deployed, listed, shown, switched, removed.

use super::App;
use super::answers::{tagged, tagged_json};
use super::extract::{Path, Query, id};
use super::openapi::Octets;
use super::refusal::Refusal;
use crate::api::Api as _;
use crate::deploying::Upload;
use crate::dto::deployment::Deployment;
use crate::dto::listed::Listed;
use crate::dto::policy_row::PolicyRow;
use crate::dto::problem::Problem;
use crate::dto::tool_detail::ToolDetail;
use axum::Json;
use axum::extract::multipart::{Field, Multipart, MultipartError, MultipartRejection};
use axum::extract::{Extension, State};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use fusebox_core::failure::Code;
use fusebox_engine::permission::Action;
use fusebox_engine::ports::store::ToolChange;
use fusebox_engine::requests::Caller;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use std::sync::Arc;

/// Show a tool with its functions: types, JSON Schemas, what its policy comes down to
#[utoipa::path(
    get, path = "/v1/tools/{tool}", tag = "tools",
    params(("tool" = String, Path, description = "Name of the tool")),
    responses((status = 200, body = ToolDetail), (status = 304, description = "As the client has it"))
)]
pub(super) async fn show(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(tool): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    tagged_json(&headers, &app.local.tool(&caller, &tool).await?)
}

/// List tools, by name
#[utoipa::path(
    get, path = "/v1/tools", tag = "tools",
    responses((status = 200, body = Listed<fusebox_engine::records::ToolRecord>), (status = 304, description = "As the client has it"))
)]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let items = app.host.tools(&caller).await?;
    tagged_json(&headers, &Listed { items, next: None })
}

/// The effective policy of a function, and who set each value
#[utoipa::path(
    get, path = "/v1/tools/{tool}/functions/{function}/policy", tag = "tools",
    params(("tool" = String, Path, description = "Name of the tool"), ("function" = String, Path, description = "Name of the function")),
    responses((status = 200, body = Listed<PolicyRow>))
)]
pub(super) async fn policy(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path((tool, function)): Path<(String, String)>,
) -> Result<Json<Listed<PolicyRow>>, Refusal> {
    let items = app.local.explain(&caller, &tool, &function).await?;
    Ok(Json(Listed { items, next: None }))
}

/// How a deployment is made.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct DeployQuery {
    /// Digests of what may do more than the version before it, separated by commas.
    accept: Option<String>,
}

/// What is deployed.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "it describes the parts of the body, which are read one by one")]
pub(super) struct DeployBody {
    /// The manifest. The part's file name is where it was read, for messages. May stand more than once, each before its `component` and `wit`.
    #[schema(value_type = String, format = Binary)]
    manifest: Vec<u8>,
    /// The component that the manifest before it names by a path.
    #[schema(value_type = Option<String>, format = Binary)]
    component: Option<Vec<u8>>,
    /// A file of the WIT source, for its words; the file name is its path. May stand more than once.
    #[schema(value_type = Option<String>, format = Binary)]
    wit: Option<Vec<u8>>,
}

/// Deploy tools: all of them, or none when anything is wrong
#[utoipa::path(
    post, path = "/v1/tools", tag = "tools", params(DeployQuery),
    request_body(content = DeployBody, content_type = "multipart/form-data"),
    responses(
        (status = 201, body = Listed<Deployment>, description = "At least one version is new"),
        (status = 200, body = Listed<Deployment>, description = "The newest versions were the same"),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "A tool would be able to do more than before: `grew` has the digest to accept"),
        (status = 422, body = Problem, content_type = "application/problem+json", description = "`findings` says what is wrong")
    )
)]
pub(super) async fn deploy(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Query(query): Query<DeployQuery>,
    parts: Result<Multipart, MultipartRejection>,
) -> Result<Response, Refusal> {
    caller.may(Action::Deploy)?;
    let parts = parts.map_err(|error| {
        Problem::new(
            415,
            Code::BadInput,
            "the body is of a type that is not taken",
            format!(
                "send `multipart/form-data` with `manifest` and `component`: {}",
                error.body_text()
            ),
        )
    })?;
    let uploads = uploads(parts).await?;
    let accept = query.accept.unwrap_or_default();
    let accept: Vec<_> = accept.split(',').map(|digest| digest.trim().to_owned()).collect();
    let items = app.local.deploy(&caller, uploads, &accept).await?;
    let new = items.iter().any(|deployment| deployment.new);
    let status = if new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(Listed { items, next: None })).into_response())
}

async fn uploads(mut parts: Multipart) -> Result<Vec<Upload>, Refusal> {
    let mut uploads: Vec<Upload> = Vec::new();
    while let Some(part) = parts.next_field().await.map_err(broken)? {
        let name = part.name().unwrap_or_default().to_owned();
        let file = part.file_name().map(str::to_owned);
        match (name.as_str(), uploads.last_mut()) {
            ("manifest", _) => uploads.push(Upload {
                source: file.unwrap_or_else(|| "manifest".to_owned()),
                manifest: text(part).await?,
                ..Upload::default()
            }),
            ("component", Some(upload)) if upload.component.is_none() => upload.component = Some(bytes(part).await?),
            ("wit", Some(upload)) => {
                let file = file.unwrap_or_else(|| "world.wit".to_owned());
                upload.wit.get_or_insert_default().push((file, text(part).await?));
            }
            ("component", Some(_)) => {
                return Err(Problem::bad_request("body: `component` stands twice for one `manifest`").into());
            }
            ("component" | "wit", None) => {
                return Err(Problem::bad_request(format!(
                    "body: `{name}` stands after the `manifest` that it belongs to"
                ))
                .into());
            }
            _ => {
                let detail = format!("body: there is no part `{name}`; write `manifest`, `component`, `wit`");
                return Err(Problem::bad_request(detail).into());
            }
        }
    }
    if uploads.is_empty() {
        return Err(Problem::bad_request("body: the part `manifest` is missing").into());
    }
    Ok(uploads)
}

async fn bytes(part: Field<'_>) -> Result<Bytes, Refusal> {
    part.bytes().await.map_err(broken)
}

async fn text(part: Field<'_>) -> Result<String, Refusal> {
    let name = part.name().unwrap_or_default().to_owned();
    let text = String::from_utf8(bytes(part).await?.into());
    text.map_err(|_| Problem::bad_request(format!("body: `{name}` is no UTF-8 text")).into())
}

#[expect(clippy::needless_pass_by_value, reason = "errors are mapped by it")]
fn broken(error: MultipartError) -> Refusal {
    Problem::bad_request(format!("body: {}", error.body_text())).into()
}

/// Switch a tool on
#[utoipa::path(
    post, path = "/v1/tools/{tool}/enable", tag = "tools",
    params(("tool" = String, Path, description = "Name of the tool")), responses((status = 204, description = "Done"))
)]
pub(super) async fn enable(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(tool): Path<String>,
) -> Result<StatusCode, Refusal> {
    change(&app, &caller, &tool, ToolChange::Enable).await
}

/// Switch a tool off
#[utoipa::path(
    post, path = "/v1/tools/{tool}/disable", tag = "tools",
    params(("tool" = String, Path, description = "Name of the tool")), responses((status = 204, description = "Done"))
)]
pub(super) async fn disable(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(tool): Path<String>,
) -> Result<StatusCode, Refusal> {
    change(&app, &caller, &tool, ToolChange::Disable).await
}

/// Remove a tool with all its versions; runs and letters stay
#[utoipa::path(
    delete, path = "/v1/tools/{tool}", tag = "tools",
    params(("tool" = String, Path, description = "Name of the tool")), responses((status = 204, description = "Done"))
)]
pub(super) async fn remove(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(tool): Path<String>,
) -> Result<StatusCode, Refusal> {
    change(&app, &caller, &tool, ToolChange::Remove).await
}

async fn change(app: &App, caller: &Caller, tool: &str, change: ToolChange) -> Result<StatusCode, Refusal> {
    app.host.change_tool(caller, tool, change).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The bytes of a deployed component
#[utoipa::path(
    get, path = "/v1/components/{digest}", tag = "tools",
    params(("digest" = String, Path, description = "`sha256:` and 64 hexadecimal digits")),
    responses((status = 200, body = Octets, content_type = "application/wasm"), (status = 304, description = "As the client has it"))
)]
pub(super) async fn component(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(digest): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let wasm = app.host.component(&caller, id(&digest)?).await?;
    Ok(tagged(&headers, "application/wasm", wasm))
}
