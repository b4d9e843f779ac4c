//! Breakers: a preset's name, or a table over a preset or over the defaults of the service's kind.

use super::{Lowering, show_duration};
use crate::codes;
use crate::diagnostic::{Diagnostic, Span};
use crate::form::Scalar;
use crate::node::{Entry, Placed, Table};
use crate::provenance::SetBy;
use fusebox_core::policy::{BreakerPolicy, RatePolicy, WindowPolicy};

/// Calls that must be seen before a rate trips, unless the table says otherwise.
const MINIMUM_CALLS: u32 = 10;

/// Takes the keys that `table` has over into `policy`; `note` hears the path and place of each.
pub(crate) fn apply(
    table: &Table,
    policy: &mut BreakerPolicy,
    path: &str,
    note: &mut dyn FnMut(&str, &Span),
    findings: &mut Vec<Diagnostic>,
) {
    let mut put = |key: &str, span: &Span| note(&format!("{path}.{key}"), span);
    if let Some((value, span)) = table.count_or_none("failure-threshold") {
        policy.failure_threshold = value;
        put("failure-threshold", span);
    }
    if let Some((threshold, span)) = table.share("failure-rate") {
        policy.failure_rate = Some(RatePolicy {
            threshold,
            minimum_calls: MINIMUM_CALLS,
        });
        put("failure-rate", span);
    }
    if let Some((threshold, span)) = table.share("slow-rate") {
        policy.slow_rate = Some(RatePolicy {
            threshold,
            minimum_calls: MINIMUM_CALLS,
        });
        put("slow-rate", span);
    }
    if let Some((calls, span)) = table.count("minimum-calls") {
        for rate in [&mut policy.failure_rate, &mut policy.slow_rate].into_iter().flatten() {
            rate.minimum_calls = calls;
        }
        put("minimum-calls", span);
    }
    if let Some((value, span)) = table.duration("slow-call") {
        policy.slow_call = value;
        put("slow-call", span);
    }
    if let Some((value, span)) = window(table) {
        policy.window = value;
        put("window", span);
    }
    if let Some((value, span)) = table.duration("cooldown") {
        policy.cooldown = value;
        policy.max_cooldown = policy.max_cooldown.max(value);
        put("cooldown", span);
    }
    if let Some((value, span)) = table.duration("max-cooldown") {
        policy.max_cooldown = value;
        put("max-cooldown", span);
    }
    if let Some((value, span)) = table.count("half-open-probes") {
        policy.half_open_probes = value;
        put("half-open-probes", span);
    }
    if let Some((value, span)) = table.duration("probe-window") {
        policy.probe_window = value;
        put("probe-window", span);
    }
    cross(table, policy, path, findings);
}

fn window(table: &Table) -> Placed<'_, WindowPolicy> {
    let entry = table.entry("window")?;
    let window = match entry.node.scalar()? {
        Scalar::Duration(duration) => WindowPolicy::Time(*duration),
        _ => WindowPolicy::Count(u32::try_from(entry.node.number()?).ok()?),
    };
    Some((window, &entry.node.span))
}

fn cross(table: &Table, policy: &BreakerPolicy, path: &str, findings: &mut Vec<Diagnostic>) {
    if let Some(entry) = table
        .entry("max-cooldown")
        .filter(|_| policy.cooldown > policy.max_cooldown)
    {
        let (first, last) = (show_duration(policy.cooldown), show_duration(policy.max_cooldown));
        findings.push(
            Diagnostic::error(
                codes::LIMITS_CROSS,
                format!("`{path}`: the cooldown {first} is longer than the longest, {last}"),
            )
            .at(entry.node.span.clone())
            .help(format!("write `max-cooldown = \"{first}\"` or a shorter `cooldown`")),
        );
    }
    let never = policy.failure_threshold.is_none() && policy.failure_rate.is_none() && policy.slow_rate.is_none();
    if let Some(entry) = table.entry("failure-threshold").filter(|_| never) {
        findings.push(
            Diagnostic::warning(codes::BREAKER_NEVER_TRIPS, format!("`{path}` never trips"))
                .at(entry.node.span.clone())
                .help("write a `failure-threshold`, a `failure-rate` or a `slow-rate`"),
        );
    }
}

/// What `breaker` at `path` means, over the defaults in `policy`. Leaves them when the preset does not exist.
pub(super) fn choose(cx: &mut Lowering<'_>, entry: &Entry, path: &str, policy: &mut BreakerPolicy) {
    let table = entry.node.table();
    let named = match table {
        Some(table) => table.text("preset"),
        None => entry.node.text().map(|name| (name, &entry.node.span)),
    };
    if let Some((name, span)) = named {
        let Some(preset) = cx.preset(name, span) else { return };
        preset.note("breaker", &mut cx.provenance, path);
        *policy = preset.breaker.clone();
    }
    let Lowering {
        provenance, findings, ..
    } = cx;
    let mut note = |path: &str, span: &Span| provenance.note(path, SetBy::File(span.clone()));
    note(path, &entry.node.span);
    if let Some(table) = table {
        apply(table, policy, path, &mut note, findings);
    }
}
