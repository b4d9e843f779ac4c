//! What a guest asks for, as an effect: what it is called, what its digest covers, and whether it may be repeated.

use super::Way;
use super::ledger::Asked;
use super::request;
use crate::ports::sandbox::{Ask, GuestRequest, Scope, StateAsk, Target};
use crate::services::Service;
use fusebox_core::classify;
use fusebox_core::effect::{Effect, Kind};
use fusebox_core::ids::Digest;
use fusebox_core::time::Tick;
use sha2::{Digest as _, Sha256};
use std::sync::Arc;
use std::time::Duration;

/// Characters of a path that are kept.
const PATH: usize = 1024;
/// Characters of a method that are kept: a guest may make up a long one.
const METHOD: usize = 32;

/// The effect that an attempt asks for now, without its number.
pub(super) fn asked(way: &Way, ask: &Ask, now: Tick) -> Asked {
    let effect = identity(ask);
    match ask {
        Ask::Http(request) => {
            let origin = request::origin(request.tls, &request.authority);
            let tool = &way.facts.tool;
            let service = origin.as_ref().and_then(|origin| tool.service_at(origin)).cloned();
            http(way, request, effect, service)
        }
        Ask::Timer { after } => Asked {
            due: Some(now + *after),
            ..own(effect)
        },
        Ask::Call { .. }
        | Ask::State { .. }
        | Ask::Tools
        | Ask::Describe { .. }
        | Ask::Context
        | Ask::Approval { .. } => own(effect),
    }
}

/// What is asked for, whoever asks: all that a journal is held to.
pub(crate) fn identity(ask: &Ask) -> Effect {
    match ask {
        Ask::Http(request) => {
            let safe = classify::is_safe(&request.method);
            effect(
                Kind::Http,
                &request.method,
                request.path.clone(),
                request::digest(request),
                safe,
            )
        }
        Ask::Timer { after } => {
            let path = format!("{}ms", after.as_millis());
            let request = digest(b"timer", &[&after.as_nanos().to_le_bytes()]);
            effect(Kind::Timer, "WAIT", path, request, true)
        }
        Ask::Call { target, input } => {
            let (path, parts) = match target {
                Target::Named { tool, function } => (format!("{tool}.{function}"), ["named", tool, function]),
                Target::Linked { interface, function } => {
                    (format!("{interface}#{function}"), ["linked", interface, function])
                }
            };
            let parts = parts.map(str::as_bytes);
            let request = digest(b"call", &[parts[0], parts[1], parts[2], input.as_bytes()]);
            effect(Kind::Call, "CALL", path, request, false)
        }
        Ask::State { scope, ask } => {
            let scope = match scope {
                Scope::Tool => "tool",
                Scope::Run => "run",
            };
            let (kind, method, key, value) = match ask {
                StateAsk::Get { key } => (Kind::Read, "STATE-GET", key, None),
                StateAsk::Set { key, value } => (Kind::Write, "STATE-SET", key, Some(value)),
                StateAsk::List { prefix } => (Kind::Read, "STATE-LIST", prefix, None),
            };
            let value = match value {
                None => &[][..],
                Some(None) => b"-",
                Some(Some(value)) => &[b"=", &value[..]].concat(),
            };
            let request = digest(b"state", &[method.as_bytes(), scope.as_bytes(), key.as_bytes(), value]);
            effect(kind, method, format!("{scope}/{key}"), request, kind == Kind::Read)
        }
        Ask::Tools => effect(Kind::Read, "TOOLS", String::new(), digest(b"tools", &[]), true),
        Ask::Describe { tool, function } => {
            let request = digest(b"describe", &[tool.as_bytes(), function.as_bytes()]);
            effect(Kind::Read, "DESCRIBE", format!("{tool}.{function}"), request, true)
        }
        Ask::Context => effect(Kind::Read, "CONTEXT", String::new(), digest(b"context", &[]), true),
        Ask::Approval { question, details } => {
            let request = digest(b"approval", &[question.as_bytes(), details.as_bytes()]);
            effect(Kind::Approval, "APPROVAL", question.clone(), request, false)
        }
    }
}

fn http(way: &Way, request: &GuestRequest, effect: Effect, service: Option<Arc<Service>>) -> Asked {
    let clock = &way.engine.ports.clock;
    let keyed = service
        .as_ref()
        .is_some_and(|service| service.policy.idempotency_header.is_some());
    let key_age = keyed.then(|| clock.wall().since(way.facts.created));
    let may = |service: &Arc<Service>, key_age| {
        classify::is_repeatable(&request.method, &request.path, key_age, &service.policy)
    };
    Asked {
        effect: Effect {
            service: service
                .as_ref()
                .map_or_else(|| Arc::from(""), |service| Arc::clone(&service.name)),
            repeatable: service.as_ref().is_none_or(|service| may(service, key_age)),
            ..effect
        },
        by_key: service.as_ref().is_some_and(|service| keyed && !may(service, None)),
        service,
        due: None,
        keyed,
    }
}

/// What is the host's own to do: it may always be repeated, since nothing of it leaves the host.
fn own(effect: Effect) -> Asked {
    Asked {
        effect,
        service: None,
        due: None,
        keyed: false,
        by_key: false,
    }
}

fn effect(kind: Kind, method: &str, path: String, request: Digest, safe: bool) -> Effect {
    Effect {
        seq: 0,
        kind,
        service: Arc::from(""),
        method: method.chars().take(METHOD).collect(),
        path: path.chars().take(PATH).collect(),
        request,
        occurrence: 0,
        repeatable: true,
        safe,
        rejected_before_effect: false,
        answer: None,
        took: Duration::ZERO,
    }
}

/// Every part behind its length, so that no two lists of parts are one.
fn digest(kind: &[u8], parts: &[&[u8]]) -> Digest {
    let mut hash = Sha256::new();
    for part in std::iter::once(&kind).chain(parts) {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    Digest(hash.finalize().into())
}
