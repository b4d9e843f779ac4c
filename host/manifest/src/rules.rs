//! What the parts of one manifest, and the operator's file, say about each other.

use crate::codes;
use crate::diagnostic::Span;
use crate::host_file::HostFile;
use crate::lower::Lowering;
use crate::suggest;
use crate::units::show_origin;
use fusebox_core::policy::{HeaderPart, Idempotency, Origin, ServicePolicy, ToolPolicy};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Checks the whole policy of a tool.
pub(crate) fn check(cx: &mut Lowering<'_>, policy: &ToolPolicy, host: &HostFile) {
    hosts(cx, policy);
    keys(cx, policy);
    model_names(cx, policy);
    for service in &policy.services {
        private(cx, service, host);
        secrets(cx, service, host);
    }
}

/// The place of a service in the manifest: its heading, or its name in `uses`.
fn place(cx: &Lowering<'_>, service: &ServicePolicy) -> Option<Span> {
    let path = if service.shared {
        format!("uses.{}", service.name)
    } else {
        format!("services.{}.hosts", service.name)
    };
    cx.provenance.span(&path).cloned()
}

/// A request finds its service by its host: one host, one service.
fn hosts(cx: &mut Lowering<'_>, policy: &ToolPolicy) {
    let mut owner: BTreeMap<&Origin, &str> = BTreeMap::new();
    for service in &policy.services {
        for origin in &service.hosts {
            let first = *owner.entry(origin).or_insert(&service.name);
            if first == service.name {
                continue;
            }
            let Some(span) = place(cx, service) else { continue };
            let origin = show_origin(origin);
            cx.error(
                codes::HOST_IN_TWO_SERVICES,
                &span,
                format!("`{origin}` belongs to both `{first}` and `{}`", service.name),
                "leave it out of one: a request finds its breaker and its budget by its host",
            );
        }
    }
}

/// A keyed function is of use only if some service honours the key.
fn keys(cx: &mut Lowering<'_>, policy: &ToolPolicy) {
    if policy.services.is_empty()
        || policy
            .services
            .iter()
            .any(|service| service.idempotency_header.is_some())
    {
        return;
    }
    for (name, _) in policy
        .functions
        .iter()
        .filter(|(_, function)| function.idempotency == Idempotency::Keyed)
    {
        let Some(span) = cx.provenance.span(&format!("functions.{name}.idempotency")).cloned() else {
            continue;
        };
        cx.warning(
            codes::KEY_NOBODY_HONOURS,
            &span,
            format!("`{name}` is keyed, and none of its services has an `idempotency-header`"),
            "write `idempotency-header = { name = \"Idempotency-Key\" }` for the service that honours it",
        );
    }
}

/// Two functions of one name cannot be told apart by a model.
fn model_names(cx: &mut Lowering<'_>, policy: &ToolPolicy) {
    let mut owner: BTreeMap<&str, &str> = BTreeMap::new();
    for (name, function) in &policy.functions {
        let Some(rename) = function.rename.as_deref() else {
            continue;
        };
        let first = *owner.entry(rename).or_insert(name);
        let span = cx.provenance.span(&format!("functions.{name}.as")).cloned();
        if let Some(span) = span.filter(|_| first != name) {
            let message = format!("`{first}` and `{name}` are both called `{rename}`");
            cx.error(codes::SAME_MODEL_NAME, &span, message, "give one of them another name");
        }
    }
}

/// Whether an address is one that the guard of the network refuses unless it is allowed.
pub(crate) fn is_private(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.is_loopback() || v4.is_private() || v4.is_link_local() || v4.is_unspecified(),
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local() || v6.is_unspecified(),
    }
}

/// The address that a host plainly is; names are looked up when they are used.
pub(crate) fn address_of(host: &str) -> Option<IpAddr> {
    if host == "localhost" || host.ends_with(".localhost") {
        return Some(IpAddr::from([127, 0, 0, 1]));
    }
    host.parse().ok()
}

fn private(cx: &mut Lowering<'_>, service: &ServicePolicy, host: &HostFile) {
    let Some(span) = place(cx, service) else { return };
    for origin in &service.hosts {
        let Some(address) = address_of(&origin.host).filter(|&address| is_private(address)) else {
            continue;
        };
        if host
            .network
            .iter()
            .any(|rule| rule.permits(&origin.host, address, origin.port))
        {
            continue;
        }
        cx.warning(
            codes::PRIVATE_HOST,
            &span,
            format!(
                "`{}` is a private address: requests to it will be refused",
                show_origin(origin)
            ),
            format!(
                "write `allow = [\"{}\"]` under `[network]` in the operator's file, if it may be reached",
                origin.host
            ),
        );
    }
}

/// A secret goes only to the hosts that it was meant for, and never in clear over a network.
fn secrets(cx: &mut Lowering<'_>, service: &ServicePolicy, host: &HostFile) {
    for header in &service.headers {
        let path = format!("services.{}.headers.{}", service.name, header.name);
        let Some(span) = cx.provenance.span(&path).cloned() else {
            continue;
        };
        for part in &header.value {
            let HeaderPart::Secret(name) = part else { continue };
            in_clear(cx, name, service, &span);
            match host.secrets.hosts.get(name) {
                Some(granted) => granted_hosts(cx, name, service, granted, &span),
                None => {
                    let hosts: Vec<_> = service
                        .hosts
                        .iter()
                        .map(|origin| format!("--host {}", show_origin(origin)))
                        .collect();
                    let help = format!("type `fusebox secrets set {name} {}`", hosts.join(" "));
                    cx.warning(
                        codes::SECRET_NOT_FOR_HOST,
                        &span,
                        format!("secret `{name}` is not set"),
                        help,
                    );
                }
            }
        }
    }
}

fn in_clear(cx: &mut Lowering<'_>, name: &str, service: &ServicePolicy, span: &Span) {
    let loopback =
        |origin: &Origin| address_of(&origin.host).is_some_and(|address| address.to_canonical().is_loopback());
    for origin in service.hosts.iter().filter(|origin| !origin.tls && !loopback(origin)) {
        let message = format!("secret `{name}` would be sent to `{}` in clear", show_origin(origin));
        cx.warning(
            codes::SECRET_IN_CLEAR,
            span,
            message,
            "reach the host by TLS: leave `http://` out",
        );
    }
}

fn granted_hosts(cx: &mut Lowering<'_>, name: &str, service: &ServicePolicy, granted: &[Origin], span: &Span) {
    let texts: Vec<_> = granted.iter().map(show_origin).collect();
    let only = suggest::list(texts.iter().map(String::as_str)).unwrap_or_else(|| "no host".to_owned());
    for origin in service.hosts.iter().filter(|origin| !granted.contains(origin)) {
        let shown = show_origin(origin);
        cx.error(
            codes::SECRET_NOT_FOR_HOST,
            span,
            format!("secret `{name}` may not be sent to `{shown}`, only to {only}"),
            format!("type `fusebox secrets set {name} --host {shown}` if it may"),
        );
    }
}
