//! What the operator's settings say about each other.

use super::{HostFile, SecretSource, blobs};
use crate::codes;
use crate::diagnostic::{Diagnostic, Span};
use crate::lower::{Lowering, show_duration};
use crate::node::Table;
use crate::rules::{address_of, is_private};
use crate::units::Target;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

/// The shortest life of an outcome under a key (semantics.md §5).
const KEY_LIFETIME: Duration = Duration::from_secs(86_400);

/// Where machines in clouds find their credentials.
const METADATA: IpAddr = IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254));

/// Checks settings and shared services; places come from `table`, the file, where it set them.
pub(super) fn check(host: &HostFile, table: &Table, cx: &mut Lowering<'_>) {
    database(host, cx);
    blobs::check(host, table, cx);
    secrets(host, table, cx);
    network(host, table, cx);
    webhook(host, table, cx);
    if host.retention.keys < KEY_LIFETIME {
        let message = format!(
            "outcomes under a key are kept {} only",
            show_duration(host.retention.keys)
        );
        let finding =
            Diagnostic::error(codes::OUT_OF_RANGE, message).help("write `keys = \"24h\"` or more under `[retention]`");
        cx.findings.push(finding.at(span(table.table("retention"), "keys")));
    }
    one_owner(host, cx);
}

pub(super) fn span(table: &Table, key: &str) -> Option<Span> {
    table.entry(key).map(|entry| entry.node.span.clone())
}

fn database(host: &HostFile, cx: &mut Lowering<'_>) {
    let Some(database) = &host.database else { return };
    let Some(scheme) = database.scheme().filter(|_| !database.is_postgres()) else {
        return;
    };
    // Not shown: the line may hold a password.
    cx.findings.push(
        Diagnostic::error(
            codes::DATABASE,
            format!("`database`: no kind of database is called `{scheme}`"),
        )
        .help("write the path of a SQLite file, such as `fusebox.db`, or a `postgres://` URL"),
    );
}

fn secrets(host: &HostFile, table: &Table, cx: &mut Lowering<'_>) {
    if host.secrets.source != SecretSource::Command {
        return;
    }
    let message = match host.secrets.command.as_slice() {
        [] => "secrets come from a command, and there is none",
        command if !command.iter().any(|part| part.contains("{name}")) => {
            "the command of secrets never names the secret"
        }
        _ => return,
    };
    let inner = table.table("secrets");
    cx.findings.push(
        Diagnostic::error(codes::SECRET_SOURCE, message)
            .at(span(inner, "command").or_else(|| span(inner, "source")))
            .help("write `command = [\"pass\", \"show\", \"fusebox/{name}\"]` under `[secrets]`"),
    );
}

fn network(host: &HostFile, table: &Table, cx: &mut Lowering<'_>) {
    for rule in &host.network {
        let Target::Network(network, bits) = rule.target else {
            continue;
        };
        let wide = bits < if network.is_ipv4() { 8 } else { 7 };
        let metadata = rule.permits("", METADATA, rule.port.unwrap_or(80));
        if !wide && !metadata {
            continue;
        }
        let what = if wide {
            "opens a very wide network"
        } else {
            "lets tools reach 169.254.169.254, where clouds keep a machine's credentials"
        };
        let place = table
            .table("network")
            .list("allow")
            .iter()
            .find(|node| node.rule() == Some(rule));
        cx.findings.push(
            Diagnostic::warning(codes::WIDE_NETWORK_RULE, format!("`{rule}` {what}"))
                .at(place.map(|node| node.span.clone()))
                .help("name the hosts or the smaller networks that services need"),
        );
    }
}

/// Alerts go where services may go, and nowhere else.
fn webhook(host: &HostFile, table: &Table, cx: &mut Lowering<'_>) {
    let Some(url) = &host.alerts.webhook else { return };
    let origin = &url.origin;
    let Some(address) = address_of(&origin.host).filter(|&address| is_private(address)) else {
        return;
    };
    if host
        .network
        .iter()
        .any(|rule| rule.permits(&origin.host, address, origin.port))
    {
        return;
    }
    cx.findings.push(
        Diagnostic::warning(
            codes::PRIVATE_HOST,
            format!(
                "`alerts.webhook` is at a private address, {}: alerts will not be posted",
                origin.host
            ),
        )
        .at(span(table.table("alerts"), "webhook"))
        .help(format!(
            "write `allow = [\"{}\"]` under `[network]`, if it may be reached",
            origin.host
        )),
    );
}

/// Two shared services of one host would be two breakers of one upstream.
fn one_owner(host: &HostFile, cx: &mut Lowering<'_>) {
    let mut owner = BTreeMap::new();
    for service in &host.services {
        for origin in &service.hosts {
            let first: &str = owner.entry(origin).or_insert(&service.name);
            let place = cx.provenance.span(&format!("services.{}.hosts", service.name)).cloned();
            if let Some(place) = place.filter(|_| first != service.name) {
                let message = format!(
                    "`{}` belongs to both `{first}` and `{}`",
                    crate::units::show_origin(origin),
                    service.name
                );
                cx.error(codes::HOST_IN_TWO_SERVICES, &place, message, "leave it out of one");
            }
        }
    }
}
