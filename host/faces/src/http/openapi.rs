//! The routes of `/v1`, and their description (OpenAPI 3.1).

use super::{App, approvals, audit, breakers, calls, errors, events, keys, letters, redrives, runs, tools, who};
use crate::dto::problem::{PROBLEM, Problem};
use std::sync::Arc;
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{ContentBuilder, OpenApi, Ref, RefOr, ResponseBuilder};
use utoipa::{OpenApi as _, PartialSchema as _, ToSchema as _};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// What is said of the API as a whole.
#[derive(utoipa::OpenApi)]
#[openapi(info(
    title = "Fusebox",
    description = "Calls AI agents' tools, sandboxed and behind one policy; looks after their runs and dead letters.",
    license(name = "Apache-2.0", identifier = "Apache-2.0")
))]
struct Said;

/// Bytes as they are.
#[derive(utoipa::ToSchema)]
#[schema(value_type = String, format = Binary)]
#[expect(dead_code, reason = "it describes what is answered")]
pub(super) struct Octets(Vec<u8>);

/// Every route that is described.
pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::with_openapi(Said::openapi())
        .routes(routes!(calls::call))
        .routes(routes!(tools::list, tools::deploy))
        .routes(routes!(tools::show, tools::remove))
        .routes(routes!(tools::policy))
        .routes(routes!(tools::enable))
        .routes(routes!(tools::disable))
        .routes(routes!(tools::component))
        .routes(routes!(runs::list))
        .routes(routes!(runs::show))
        .routes(routes!(runs::tree))
        .routes(routes!(runs::journal))
        .routes(routes!(runs::letter))
        .routes(routes!(runs::cancel))
        .routes(routes!(runs::resume))
        .routes(routes!(events::events))
        .routes(routes!(letters::list))
        .routes(routes!(letters::stats))
        .routes(routes!(letters::expired))
        .routes(routes!(letters::purge))
        .routes(routes!(letters::retain))
        .routes(routes!(letters::show))
        .routes(routes!(letters::outlook))
        .routes(routes!(letters::memory))
        .routes(routes!(letters::coredump))
        .routes(routes!(letters::debug))
        .routes(routes!(letters::replay))
        .routes(routes!(letters::resolve))
        .routes(routes!(letters::pin))
        .routes(routes!(letters::unpin))
        .routes(routes!(redrives::list, redrives::start))
        .routes(routes!(redrives::show))
        .routes(routes!(redrives::cancel))
        .routes(routes!(approvals::list))
        .routes(routes!(approvals::show))
        .routes(routes!(approvals::approve))
        .routes(routes!(approvals::deny))
        .routes(routes!(breakers::list))
        .routes(routes!(breakers::open))
        .routes(routes!(breakers::disable))
        .routes(routes!(breakers::close))
        .routes(routes!(who::who))
        .routes(routes!(errors::list))
        .routes(routes!(keys::list, keys::create))
        .routes(routes!(keys::revoke))
        .routes(routes!(audit::list))
        .routes(routes!(audit::verify))
}

/// The description of the API, as it is served.
#[must_use]
pub fn document() -> String {
    served(routes().into_openapi())
}

/// A description with what all operations have in common: who may ask, and how problems are told.
pub(super) fn served(mut api: OpenApi) -> String {
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer);
    let components = api.components.get_or_insert_default();
    components.add_security_scheme(
        "bearer",
        SecurityScheme::Http(bearer.description(Some("An API key, or a token of the issuer")).build()),
    );
    let mut needed = vec![(Problem::name().into_owned(), Problem::schema())];
    Problem::schemas(&mut needed);
    components.schemas.extend(needed);
    api.security = Some(vec![SecurityRequirement::new("bearer", Vec::<String>::new())]);
    for item in api.paths.paths.values_mut() {
        let operations = [&mut item.get, &mut item.post, &mut item.delete];
        for operation in operations.into_iter().flatten() {
            name(operation);
            tell_problems(operation);
        }
    }
    // A document of plain data is always written.
    api.to_pretty_json().unwrap_or_default()
}

/// Names are of one module each: only with what they are about are they of the whole API.
fn name(operation: &mut Operation) {
    let tag = operation.tags.iter().flatten().next().map(|tag| tag.replace(' ', "-"));
    operation.operation_id = tag
        .zip(operation.operation_id.take())
        .map(|(tag, id)| format!("{tag}-{id}"));
}

/// Whatever goes wrong is told in one way.
fn tell_problems(operation: &mut Operation) {
    let problem = ContentBuilder::new().schema(Some(Ref::from_schema_name(Problem::name())));
    let response = ResponseBuilder::new()
        .description("What went wrong")
        .content(PROBLEM, problem.build());
    let responses = &mut operation.responses.responses;
    responses.insert("default".to_owned(), RefOr::T(response.build()));
}
