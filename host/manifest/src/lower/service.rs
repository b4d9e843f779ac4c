//! Services: those of a manifest, those of the operator's file, and the shared ones that a manifest joins.

use super::{Lowering, breaker, show_duration, show_plain};
use crate::codes;
use crate::host_file::{Ceilings, HostFile};
use crate::node::{Entry, Node, Table};
use crate::provenance::SetBy;
use crate::suggest;
use crate::units::show_size;
use fusebox_core::policy::{
    BreakerPolicy, BudgetPolicy, HeaderPart, HeaderPolicy, IdempotencyHeader, Origin, ServiceKind, ServicePolicy,
};
use std::time::Duration;

/// Headers that carry credentials: a plain text in one of them is a secret that everybody who reads the manifest has.
const CREDENTIALS: [&str; 6] = [
    "authorization",
    "api-key",
    "x-api-key",
    "x-auth-token",
    "x-goog-api-key",
    "cookie",
];

/// All services that a manifest's tool may reach, its own first.
pub(super) fn of_manifest(cx: &mut Lowering<'_>, table: &Table, host: &HostFile) -> Vec<ServicePolicy> {
    let mut services: Vec<ServicePolicy> = Vec::new();
    for entry in table.table("services").entries() {
        let mut service = read(cx, entry, false);
        clamp(cx, &mut service, &host.ceilings);
        services.push(service);
    }
    for node in table.list("uses") {
        let Some(name) = node.text() else { continue };
        join(cx, name, node, host, &mut services);
    }
    services
}

fn join(cx: &mut Lowering<'_>, name: &str, node: &Node, host: &HostFile, services: &mut Vec<ServicePolicy>) {
    if let Some(twice) = services.iter().find(|service| service.name == name) {
        let message = if twice.shared {
            format!("`uses` names `{name}` twice")
        } else {
            format!("`{name}` is a service of this manifest, and `uses` names a shared one of that name")
        };
        cx.error(codes::NAMED_TWICE, &node.span, message, "leave one of them out");
        return;
    }
    let Some(shared) = host.services.iter().find(|service| service.name == name) else {
        let help = match suggest::list(host.services.iter().map(|service| service.name.as_str())) {
            Some(_) => suggest::instead(name, host.services.iter().map(|service| service.name.as_str())),
            None => format!(
                "write `[services.{name}]` into the operator's file, or into this manifest for a service of its own"
            ),
        };
        cx.error(
            codes::UNKNOWN_SHARED_SERVICE,
            &node.span,
            format!("there is no shared service `{name}`"),
            help,
        );
        return;
    };
    let path = format!("services.{name}");
    cx.provenance.copy(&host.provenance, &path, &path);
    cx.provenance
        .note(format!("uses.{name}"), SetBy::File(node.span.clone()));
    services.push(shared.clone());
}

/// One service, from the entry `[services.NAME]`.
pub(crate) fn read(cx: &mut Lowering<'_>, entry: &Entry, shared: bool) -> ServicePolicy {
    let empty = Table::default();
    let table = entry.node.table().unwrap_or(&empty);
    let path = format!("services.{}", entry.key);
    cx.provenance.note(&path, SetBy::File(entry.key_span.clone()));
    let kind = match table.text("kind") {
        Some(("llm", _)) => ServiceKind::Llm,
        _ => ServiceKind::Http,
    };
    let hosts: Vec<Origin> = table.list("hosts").iter().filter_map(Node::origin).cloned().collect();
    let mut service = ServicePolicy {
        shared,
        ..ServicePolicy::new(&entry.key, kind, hosts)
    };
    for key in [
        "hosts",
        "kind",
        "repeatable",
        "rejects-before-effect",
        "idempotency-header",
    ] {
        if let Some(entry) = table.entry(key) {
            cx.provenance
                .note(format!("{path}.{key}"), SetBy::File(entry.node.span.clone()));
        }
    }
    cx.put(table, &path, "rate-limit", Table::rate_or_none, &mut service.rate_limit);
    cx.put(table, &path, "concurrency", Table::count, &mut service.concurrency);
    cx.put(table, &path, "timeout", Table::duration, &mut service.timeout);
    cx.put(table, &path, "max-response", Table::number, &mut service.max_response);
    budget(
        cx,
        table.table("budget"),
        &format!("{path}.budget"),
        &mut service.budget,
    );
    headers(cx, table, &path, &mut service);
    repeats(cx, table, &mut service);
    let at = format!("{path}.breaker");
    if kind == ServiceKind::Llm {
        // What the kind implies is data too: an operator's `llm` preset changes it.
        if let Some(preset) = cx.presets.get("llm") {
            service.breaker = preset.breaker.clone();
            preset.note("breaker", &mut cx.provenance, &at);
        }
    }
    if let Some(entry) = table.entry("breaker") {
        breaker::choose(cx, entry, &at, &mut service.breaker);
    }
    probe_window(cx, &path, service.timeout, &mut service.breaker);
    service
}

fn budget(cx: &mut Lowering<'_>, table: &Table, path: &str, budget: &mut BudgetPolicy) {
    cx.put(table, path, "capacity", Table::count, &mut budget.capacity);
    cx.put(table, path, "retry-cost", Table::count, &mut budget.retry_cost);
    cx.put(table, path, "throttled-cost", Table::count, &mut budget.throttled_cost);
    cx.put(table, path, "success-refund", Table::count, &mut budget.success_refund);
}

fn headers(cx: &mut Lowering<'_>, table: &Table, path: &str, service: &mut ServicePolicy) {
    for entry in table.table("headers").entries() {
        let Some(parts) = entry.node.header() else { continue };
        let name = &entry.key;
        if service.headers.iter().any(|header| header.name == *name) {
            let message = format!("`{path}` sets header `{name}` twice");
            cx.error(
                codes::NAMED_TWICE,
                &entry.key_span,
                message,
                "leave one out; capitals make no difference in headers",
            );
            continue;
        }
        let secret = parts.iter().any(|part| matches!(part, HeaderPart::Secret(_)));
        if CREDENTIALS.contains(&name.as_str()) && !secret && !parts.is_empty() {
            cx.warning(
                codes::CREDENTIAL_IN_MANIFEST,
                &entry.node.span,
                format!("the value of `{name}` looks like a credential that stands in the file for all to read"),
                "write `${secret:NAME}` in its place and type `fusebox secrets set NAME`",
            );
        }
        cx.provenance
            .note(format!("{path}.headers.{name}"), SetBy::File(entry.node.span.clone()));
        service.headers.push(HeaderPolicy {
            name: name.clone(),
            value: parts.to_vec(),
        });
    }
}

/// What may be sent again: keys that the upstream honours, requests and statuses that it lists.
fn repeats(cx: &mut Lowering<'_>, table: &Table, service: &mut ServicePolicy) {
    let name = service.name.clone();
    let header = table.table("idempotency-header");
    if let Some((header_name, _)) = header.text("name") {
        let lifetime = header
            .duration("lifetime")
            .map_or(Duration::from_secs(86_400), |(lifetime, _)| lifetime);
        service.idempotency_header = Some(IdempotencyHeader {
            name: header_name.to_owned(),
            lifetime,
        });
        if service.headers.iter().any(|header| header.name == header_name)
            && let Some(entry) = header.entry("name")
        {
            let message = format!("`{header_name}` is set by `headers` too, which would give every request one key");
            cx.error(
                codes::NAMED_TWICE,
                &entry.node.span,
                message,
                "leave it out of `headers`",
            );
        }
    }
    if service.kind == ServiceKind::Llm {
        cx.widens.push(format!(
            "`{name}` is a provider of models: its completions may be sent again"
        ));
    }
    for pattern in table.list("repeatable").iter().filter_map(Node::pattern) {
        cx.widens.push(format!(
            "`{} {}` of `{name}` may be sent again",
            pattern.method, pattern.path
        ));
        if !service.repeatable.contains(pattern) {
            service.repeatable.push(pattern.clone());
        }
    }
    if table.entry("rejects-before-effect").is_some() {
        let statuses = table.list("rejects-before-effect").iter().filter_map(Node::number);
        service.rejects_before_effect = statuses.filter_map(|status| u16::try_from(status).ok()).collect();
        for status in service.rejects_before_effect.iter().filter(|&&status| status != 429) {
            cx.widens.push(format!(
                "status {status} of `{name}` counts as proof that nothing happened"
            ));
        }
    }
}

/// A probe must be able to end within its window. A window that nobody wrote follows the timeout.
fn probe_window(cx: &mut Lowering<'_>, path: &str, timeout: Duration, breaker: &mut BreakerPolicy) {
    if breaker.probe_window >= timeout {
        return;
    }
    let at = format!("{path}.breaker.probe-window");
    if let Some(span) = cx.provenance.span(&at).cloned() {
        let (window, longest) = (show_duration(breaker.probe_window), show_duration(timeout));
        cx.error(
            codes::SHORT_PROBE_WINDOW,
            &span,
            format!("`{at}` of {window} is shorter than an exchange, which may take {longest}"),
            format!("write `probe-window = \"{longest}\"` or more, or a shorter `timeout`"),
        );
    } else {
        breaker.probe_window = timeout;
        cx.provenance.note(at, SetBy::Follows("timeout"));
    }
}

fn clamp(cx: &mut Lowering<'_>, service: &mut ServicePolicy, ceilings: &Ceilings) {
    let path = format!("services.{}", service.name);
    cx.clamp(
        &format!("{path}.timeout"),
        &mut service.timeout,
        ceilings.exchange_timeout.as_ref(),
        show_duration,
    );
    cx.clamp(
        &format!("{path}.max-response"),
        &mut service.max_response,
        ceilings.max_response.as_ref(),
        show_size,
    );
    cx.clamp(
        &format!("{path}.concurrency"),
        &mut service.concurrency,
        ceilings.exchanges.as_ref(),
        show_plain,
    );
}
