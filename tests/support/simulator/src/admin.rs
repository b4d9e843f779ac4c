//! The admin API: scripts faults and tells what happened.

use crate::fault::Fault;
use crate::record::Recorded;
use crate::service::Service;
use crate::services::ledger::LedgerView;
use crate::services::llm::ScriptedMessage;
use crate::services::mail::Mail;
use crate::world::{RateLimit, World};
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::routing::{get, post, put};
use axum::{Json, Router};
use serde::Deserialize;
use std::sync::Arc;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FaultOrder {
    service: Service,
    fault: Fault,
    times: Option<u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct LimitOrder {
    service: Service,
    /// Absent: no limit.
    requests: Option<usize>,
    per_ms: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Which {
    service: Option<Service>,
}

type Shared = State<Arc<World>>;
type Refusal = (StatusCode, String);

pub(crate) fn router(world: Arc<World>) -> Router {
    Router::new()
        .route("/faults", post(add_fault).delete(clear_faults))
        .route("/rate-limit", put(set_limit))
        .route("/llm/script", put(script_llm))
        .route("/requests", get(requests))
        .route("/mails", get(mails))
        .route("/ledger", get(ledger))
        .route("/reset", post(reset))
        .with_state(world)
}

fn done(result: Result<(), String>) -> Result<StatusCode, Refusal> {
    match result {
        Ok(()) => Ok(StatusCode::NO_CONTENT),
        Err(why) => Err((StatusCode::BAD_REQUEST, why)),
    }
}

async fn add_fault(State(world): Shared, Json(order): Json<FaultOrder>) -> Result<StatusCode, Refusal> {
    done(world.script(order.service, order.fault, order.times).await)
}

async fn clear_faults(State(world): Shared, Query(which): Query<Which>) -> Result<StatusCode, Refusal> {
    done(world.clear_faults(which.service).await)
}

async fn set_limit(State(world): Shared, Json(order): Json<LimitOrder>) -> Result<StatusCode, Refusal> {
    let limit = match (order.requests, order.per_ms) {
        (Some(requests), Some(per_ms)) if per_ms > 0 => Some(RateLimit { requests, per_ms }),
        (None, None) => None,
        _ => {
            let why = "give requests and per-ms (above 0), or neither to lift the limit";
            return Err((StatusCode::BAD_REQUEST, why.to_owned()));
        }
    };
    world.limit(order.service, limit);
    Ok(StatusCode::NO_CONTENT)
}

async fn script_llm(State(world): Shared, Json(script): Json<Vec<ScriptedMessage>>) -> Result<StatusCode, Refusal> {
    done(world.script_llm(script))
}

async fn requests(State(world): Shared, Query(which): Query<Which>) -> Json<Vec<Recorded>> {
    Json(world.requests(which.service))
}

async fn mails(State(world): Shared) -> Json<Vec<Mail>> {
    Json(world.mails())
}

async fn ledger(State(world): Shared) -> Json<LedgerView> {
    Json(world.ledger())
}

async fn reset(State(world): Shared) -> Result<StatusCode, Refusal> {
    done(world.reset().await)
}
