//! Retry policies: a preset's name, or a table over a preset.

use super::{Lowering, show_duration, show_plain};
use crate::codes;
use crate::diagnostic::{Diagnostic, Span};
use crate::host_file::Ceilings;
use crate::node::{Entry, Table};
use crate::provenance::SetBy;
use fusebox_core::policy::{Jitter, RetryPolicy};

/// Takes the keys that `table` has over into `policy`; `note` hears the path and place of each.
pub(crate) fn apply(
    table: &Table,
    policy: &mut RetryPolicy,
    path: &str,
    note: &mut dyn FnMut(&str, &Span),
    findings: &mut Vec<Diagnostic>,
) {
    let backoff = &mut policy.backoff;
    let mut put = |key: &str, span: &Span| note(&format!("{path}.{key}"), span);
    if let Some((value, span)) = table.count("attempts") {
        policy.attempts = value;
        put("attempts", span);
    }
    if let Some((value, span)) = table.duration("base") {
        backoff.base = value;
        put("base", span);
    }
    if let Some((value, span)) = table.count("factor") {
        backoff.factor = value;
        put("factor", span);
    }
    if let Some((value, span)) = table.duration("cap") {
        backoff.cap = value;
        put("cap", span);
    }
    if let Some((word, span)) = table.text("jitter") {
        backoff.jitter = jitter(word);
        put("jitter", span);
    }
    if let Some((value, span)) = table.duration("max-retry-after") {
        policy.max_retry_after = value;
        put("max-retry-after", span);
    }
    if let Some((value, span)) = table.count("max-total-attempts") {
        policy.max_total_attempts = value;
        put("max-total-attempts", span);
    }
    cross(table, policy, path, findings);
}

fn cross(table: &Table, policy: &RetryPolicy, path: &str, findings: &mut Vec<Diagnostic>) {
    let entry = table.entry("base").or_else(|| table.entry("cap"));
    if let Some(entry) = entry.filter(|_| policy.backoff.base > policy.backoff.cap) {
        let (base, cap) = (show_duration(policy.backoff.base), show_duration(policy.backoff.cap));
        findings.push(
            Diagnostic::error(
                codes::LIMITS_CROSS,
                format!("`{path}`: the first delay {base} is longer than the longest, {cap}"),
            )
            .at(entry.node.span.clone())
            .help(format!("write `cap = \"{base}\"` or a shorter `base`")),
        );
    }
}

fn jitter(word: &str) -> Jitter {
    match word {
        "none" => Jitter::None,
        "decorrelated" => Jitter::Decorrelated,
        _ => Jitter::Full,
    }
}

/// The word of a jitter.
pub(crate) fn show_jitter(jitter: Jitter) -> &'static str {
    match jitter {
        Jitter::None => "none",
        Jitter::Full => "full",
        Jitter::Decorrelated => "decorrelated",
    }
}

/// What `retry` at `path` means: the name of a preset, or a table. `None` when the preset does not exist.
pub(super) fn choose(cx: &mut Lowering<'_>, entry: &Entry, path: &str) -> Option<RetryPolicy> {
    let Some(table) = entry.node.table() else {
        let preset = cx.preset(entry.node.text()?, &entry.node.span)?;
        preset.note("retry", &mut cx.provenance, path);
        cx.provenance.note(path, SetBy::File(entry.node.span.clone()));
        return Some(preset.retry.clone());
    };
    let mut policy = RetryPolicy::once("custom");
    if let Some((name, span)) = table.text("preset") {
        let preset = cx.preset(name, span)?;
        preset.note("retry", &mut cx.provenance, path);
        policy = RetryPolicy {
            preset: "custom".to_owned(),
            ..preset.retry.clone()
        };
    }
    let Lowering {
        provenance, findings, ..
    } = cx;
    let mut note = |path: &str, span: &Span| provenance.note(path, SetBy::File(span.clone()));
    note(path, &entry.node.span);
    apply(table, &mut policy, path, &mut note, findings);
    Some(policy)
}

/// Cuts attempts at the operator's ceilings.
pub(super) fn clamp(cx: &mut Lowering<'_>, policy: &mut RetryPolicy, path: &str, ceilings: &Ceilings) {
    cx.clamp(
        &format!("{path}.attempts"),
        &mut policy.attempts,
        ceilings.attempts.as_ref(),
        show_plain,
    );
    cx.clamp(
        &format!("{path}.max-total-attempts"),
        &mut policy.max_total_attempts,
        ceilings.max_total_attempts.as_ref(),
        show_plain,
    );
}
