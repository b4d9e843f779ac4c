//! Functions: each that the manifest names, and the policy of those that it does not name.

use super::{Lowering, retry, show_duration};
use crate::codes;
use crate::host_file::{Ceilings, HostFile};
use crate::node::{Entry, Table};
use crate::provenance::{Clamp, SetBy};
use fusebox_core::failure::Class;
use fusebox_core::policy::{Approval, AutoReplay, Durability, FunctionPolicy, Idempotency, RetryFrom, ToolPolicy};

/// Path of the policy of functions that the manifest does not name.
pub(crate) const DEFAULT: &str = "functions.*";

/// Reads the default policy and all named ones.
pub(super) fn all(cx: &mut Lowering<'_>, table: &Table, policy: &mut ToolPolicy, host: &HostFile) {
    let ceilings = &host.ceilings;
    let mut base = FunctionPolicy {
        approval_expires: host.approval_expires,
        ..FunctionPolicy::default()
    };
    cx.provenance.note(
        format!("{DEFAULT}.approval-expires"),
        host.set_by("approvals.expires").clone(),
    );
    let common = table.entry("retry");
    if let Some(chosen) = common.and_then(|entry| retry::choose(cx, entry, &format!("{DEFAULT}.retry"))) {
        base.retry = chosen;
    } else if let Some(preset) = cx.presets.get("non-idempotent") {
        base.retry = preset.retry.clone();
        preset.note("retry", &mut cx.provenance, &format!("{DEFAULT}.retry"));
    }
    for entry in table.table("functions").entries() {
        let mut function = base.clone();
        read(cx, entry, &mut function, policy.agent);
        finish(cx, &mut function, &format!("functions.{}", entry.key), ceilings);
        level(cx, &entry.key, &function);
        journal(cx, &entry.key, &function, policy.agent);
        policy.functions.insert(entry.key.clone(), function);
    }
    finish(cx, &mut base, DEFAULT, ceilings);
    policy.default_function = base;
    widened(cx, policy);
}

/// A level above the default lets a function start over: said once for each level. Letters that replay by themselves are said too.
fn widened(cx: &mut Lowering<'_>, policy: &ToolPolicy) {
    let named = |holds: &dyn Fn(&FunctionPolicy) -> bool| {
        let functions = policy.functions.iter().filter(|(_, function)| holds(function));
        functions.map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ")
    };
    for (level, how) in [
        (Idempotency::Readonly, ""),
        (Idempotency::Idempotent, ""),
        (Idempotency::Keyed, " under its key"),
    ] {
        let names = named(&|function| function.idempotency == level);
        if !names.is_empty() {
            cx.widens
                .push(format!("declared {}, so it may start over{how}: {names}", level.name()));
        }
    }
    let names = named(&|function| function.auto_replay == AutoReplay::WhenClosed);
    if !names.is_empty() {
        cx.widens
            .push(format!("its letters are replayed without anybody asking: {names}"));
    }
}

fn read(cx: &mut Lowering<'_>, entry: &Entry, function: &mut FunctionPolicy, agent: bool) {
    let empty = Table::default();
    let table = entry.node.table().unwrap_or(&empty);
    let path = format!("functions.{}", entry.key);
    cx.provenance.note(&path, SetBy::File(entry.key_span.clone()));
    inherit(cx, &path, "approval-expires");
    match table
        .entry("retry")
        .and_then(|entry| retry::choose(cx, entry, &format!("{path}.retry")))
    {
        Some(chosen) => function.retry = chosen,
        None => inherit(cx, &path, "retry"),
    }
    for key in [
        "description",
        "idempotency",
        "durability",
        "as",
        "approval",
        "retry-from",
        "auto-replay",
    ] {
        if let Some(entry) = table.entry(key) {
            cx.provenance
                .note(format!("{path}.{key}"), SetBy::File(entry.node.span.clone()));
        }
    }
    function.description = table.text("description").map(|(text, _)| text.to_owned());
    function.rename = table.text("as").map(|(text, _)| text.to_owned());
    cx.put(table, &path, "timeout", Table::duration, &mut function.timeout);
    cx.put(table, &path, "deadline", Table::duration, &mut function.deadline);
    cx.put(
        table,
        &path,
        "approval-expires",
        Table::duration,
        &mut function.approval_expires,
    );
    function.idempotency = table
        .text("idempotency")
        .map_or(function.idempotency, |(word, _)| level_of(word));
    function.durability = match table.text("durability") {
        Some((word, _)) => durability_of(word),
        // What other tools did for it is worth more than its own level says.
        None if agent => Durability::Always,
        None => FunctionPolicy::default_durability(function.idempotency),
    };
    if let Some(("required", _)) = table.text("approval") {
        function.approval = Approval::Required;
    }
    if let Some(("start", _)) = table.text("retry-from") {
        function.retry_from = RetryFrom::Start;
    }
    if let Some(("when-closed", _)) = table.text("auto-replay") {
        function.auto_replay = AutoReplay::WhenClosed;
    }
    for param in table.table("params").entries() {
        cx.provenance.note(
            format!("{path}.params.{}", param.key),
            SetBy::File(param.key_span.clone()),
        );
        function
            .params
            .insert(param.key.clone(), param.node.text().unwrap_or_default().to_owned());
    }
    for case in table.table("errors").entries() {
        cx.provenance.note(
            format!("{path}.errors.{}", case.key),
            SetBy::File(case.key_span.clone()),
        );
        if let Some(class) = case.node.text().and_then(Class::from_name) {
            function.errors.insert(case.key.clone(), class);
        }
    }
}

/// Where a value comes from that a function takes over from the policy of all functions.
fn inherit(cx: &mut Lowering<'_>, path: &str, key: &str) {
    let known = cx.provenance.clone();
    cx.provenance
        .copy(&known, &format!("{DEFAULT}.{key}"), &format!("{path}.{key}"));
}

fn level_of(word: &str) -> Idempotency {
    match word {
        "readonly" => Idempotency::Readonly,
        "idempotent" => Idempotency::Idempotent,
        "keyed" => Idempotency::Keyed,
        _ => Idempotency::NonIdempotent,
    }
}

fn durability_of(word: &str) -> Durability {
    match word {
        "none" => Durability::None,
        "on-failure" => Durability::OnFailure,
        _ => Durability::Always,
    }
}

/// Ceilings, and the two times that belong together.
fn finish(cx: &mut Lowering<'_>, function: &mut FunctionPolicy, path: &str, ceilings: &Ceilings) {
    retry::clamp(cx, &mut function.retry, &format!("{path}.retry"), ceilings);
    let (timeout, deadline) = (format!("{path}.timeout"), format!("{path}.deadline"));
    cx.clamp(
        &deadline,
        &mut function.deadline,
        ceilings.deadline.as_ref(),
        show_duration,
    );
    cx.clamp(
        &timeout,
        &mut function.timeout,
        ceilings.timeout.as_ref(),
        show_duration,
    );
    if function.timeout <= function.deadline {
        return;
    }
    let (attempt, whole) = (show_duration(function.timeout), show_duration(function.deadline));
    match (
        cx.provenance.span(&timeout).cloned(),
        cx.provenance.clamp(&deadline).cloned(),
    ) {
        // The operator's ceiling, or the deadline that was written, decides over a default.
        (_, Some(Clamp { by, .. })) => {
            function.timeout = function.deadline;
            cx.provenance.note_clamp(timeout, Clamp { asked: attempt, by });
        }
        (None, None) => {
            function.timeout = function.deadline;
            cx.provenance.note(timeout, SetBy::Follows("deadline"));
        }
        (Some(span), None) => cx.error(
            codes::DEADLINE_BELOW_TIMEOUT,
            &span,
            format!("`{timeout}` of {attempt} is longer than the whole call may take, {whole}"),
            format!("write `deadline = \"{attempt}\"` or more, or a shorter `timeout`"),
        ),
    }
}

/// What a level forbids.
fn level(cx: &mut Lowering<'_>, name: &str, function: &FunctionPolicy) {
    let path = format!("functions.{name}");
    let level = function.idempotency;
    if level.may_start_over() {
        return;
    }
    let at = |cx: &Lowering<'_>, key: &str| cx.provenance.span(&format!("{path}.{key}")).cloned();
    if function.durability != Durability::Always
        && let Some(span) = at(cx, "durability")
    {
        cx.error(
            codes::DURABILITY_AGAINST_LEVEL,
            &span,
            format!(
                "`{path}`: durability `{}` is not allowed for a {} function",
                function.durability.name(),
                level.name()
            ),
            "leave `durability` out, or declare `idempotency = \"readonly\"` or `\"idempotent\"` if that is true",
        );
    }
    if function.retry_from == RetryFrom::Start
        && let Some(span) = at(cx, "retry-from")
    {
        cx.error(
            codes::RETRY_FROM_AGAINST_LEVEL,
            &span,
            format!("`{path}`: a {} function may not start over", level.name()),
            "leave `retry-from` out: a retry goes on where the run failed; or declare `idempotency = \"readonly\"` or `\"idempotent\"` if that is true",
        );
    }
}

/// What cannot be without a journal; of levels that must have one anyway, [`level`] has said so.
fn journal(cx: &mut Lowering<'_>, name: &str, function: &FunctionPolicy, agent: bool) {
    if !function.idempotency.may_start_over() {
        return;
    }
    let why = match (function.approval, agent) {
        (Approval::Required, _) => "waits for a person",
        (Approval::None, true) => "calls other tools",
        (Approval::None, false) => return,
    };
    let path = format!("functions.{name}");
    if function.durability == Durability::None
        && let Some(span) = cx.provenance.span(&format!("{path}.durability")).cloned()
    {
        cx.error(
            codes::NEEDS_JOURNAL,
            &span,
            format!("`{path}` {why}, and durability `none` keeps no journal to go on from"),
            "leave `durability` out, or write `durability = \"on-failure\"`",
        );
    }
}
