//! Functions: each that the manifest names, and the policy of those that it does not name.

use super::{Lowering, retry, show_duration};
use crate::codes;
use crate::host_file::Ceilings;
use crate::node::{Entry, Table};
use crate::provenance::{Clamp, SetBy};
use fusebox_core::failure::Class;
use fusebox_core::policy::{Durability, FunctionPolicy, Idempotency, ToolPolicy};

/// Path of the policy of functions that the manifest does not name.
pub(crate) const DEFAULT: &str = "functions.*";

/// Reads the default policy and all named ones.
pub(super) fn all(cx: &mut Lowering<'_>, table: &Table, policy: &mut ToolPolicy, ceilings: &Ceilings) {
    let mut base = FunctionPolicy::default();
    let common = table.entry("retry");
    if let Some(chosen) = common.and_then(|entry| retry::choose(cx, entry, &format!("{DEFAULT}.retry"))) {
        base.retry = chosen;
    } else if let Some(preset) = cx.presets.get("non-idempotent") {
        base.retry = preset.retry.clone();
        preset.note("retry", &mut cx.provenance, &format!("{DEFAULT}.retry"));
    }
    for entry in table.table("functions").entries() {
        let mut function = base.clone();
        read(cx, entry, &mut function);
        finish(cx, &mut function, &format!("functions.{}", entry.key), ceilings);
        level(cx, entry, &function);
        policy.functions.insert(entry.key.clone(), function);
    }
    finish(cx, &mut base, DEFAULT, ceilings);
    policy.default_function = base;
    retries_in_vain(cx, table.table("functions"), policy, common);
    widened(cx, policy);
}

/// A level above the default lets a function start over: said once for each level.
fn widened(cx: &mut Lowering<'_>, policy: &ToolPolicy) {
    for (level, how) in [
        (Idempotency::Readonly, ""),
        (Idempotency::Idempotent, ""),
        (Idempotency::Keyed, " under its key"),
    ] {
        let functions = policy
            .functions
            .iter()
            .filter(|(_, function)| function.idempotency == level);
        let names: Vec<_> = functions.map(|(name, _)| name.as_str()).collect();
        if !names.is_empty() {
            cx.widens.push(format!(
                "declared {}, so it may start over{how}: {}",
                level.name(),
                names.join(", ")
            ));
        }
    }
}

fn read(cx: &mut Lowering<'_>, entry: &Entry, function: &mut FunctionPolicy) {
    let empty = Table::default();
    let table = entry.node.table().unwrap_or(&empty);
    let path = format!("functions.{}", entry.key);
    cx.provenance.note(&path, SetBy::File(entry.key_span.clone()));
    match table
        .entry("retry")
        .and_then(|entry| retry::choose(cx, entry, &format!("{path}.retry")))
    {
        Some(chosen) => function.retry = chosen,
        None => {
            let known = cx.provenance.clone();
            cx.provenance
                .copy(&known, &format!("{DEFAULT}.retry"), &format!("{path}.retry"));
        }
    }
    for key in ["description", "idempotency", "durability", "as"] {
        if let Some(entry) = table.entry(key) {
            cx.provenance
                .note(format!("{path}.{key}"), SetBy::File(entry.node.span.clone()));
        }
    }
    function.description = table.text("description").map(|(text, _)| text.to_owned());
    function.rename = table.text("as").map(|(text, _)| text.to_owned());
    cx.put(table, &path, "timeout", Table::duration, &mut function.timeout);
    cx.put(table, &path, "deadline", Table::duration, &mut function.deadline);
    function.idempotency = table
        .text("idempotency")
        .map_or(function.idempotency, |(word, _)| level_of(word));
    function.durability = match table.text("durability") {
        Some((word, _)) => durability_of(word),
        None => FunctionPolicy::default_durability(function.idempotency),
    };
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

/// What a level forbids, and what it widens.
fn level(cx: &mut Lowering<'_>, entry: &Entry, function: &FunctionPolicy) {
    let name = &entry.key;
    let path = format!("functions.{name}");
    let level = function.idempotency;
    let may_start_over = matches!(level, Idempotency::Readonly | Idempotency::Idempotent);
    if function.durability != Durability::Always
        && !may_start_over
        && let Some(span) = cx.provenance.span(&format!("{path}.durability")).cloned()
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
}

/// A retry policy that the level does not let a function have: said of the line that asks for it, once for all functions that it
/// speaks of.
fn retries_in_vain(cx: &mut Lowering<'_>, functions: &Table, policy: &ToolPolicy, common: Option<&Entry>) {
    let mut asked: Vec<(&Entry, Vec<&str>)> = Vec::new();
    for entry in functions.entries() {
        let own = entry.node.table().and_then(|table| table.entry("retry"));
        let function = policy.functions.get(&entry.key);
        let in_vain = function.is_some_and(|it| it.idempotency == Idempotency::NonIdempotent && it.retry.attempts > 1);
        let Some(line) = own.or(common).filter(|_| in_vain) else {
            continue;
        };
        match asked.iter_mut().find(|(known, _)| known.node.span == line.node.span) {
            Some((_, names)) => names.push(&entry.key),
            None => asked.push((line, vec![&entry.key])),
        }
    }
    for (line, names) in asked {
        cx.warning(
            codes::RETRY_AGAINST_LEVEL,
            &line.node.span,
            format!(
                "non-idempotent functions get one attempt in this version, whatever this says: {}",
                names.join(", ")
            ),
            "declare their `idempotency` if they may run twice; otherwise write `retry = \"non-idempotent\"` for them",
        );
    }
}
