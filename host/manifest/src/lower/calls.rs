//! Calls of other tools: which are granted, and which of them wait for a person.

use super::Lowering;
use crate::codes;
use crate::node::Table;
use crate::provenance::SetBy;
use fusebox_core::policy::{ToolGrant, ToolPolicy};

/// Reads `tools` and `interrupt-before`.
pub(super) fn read(cx: &mut Lowering<'_>, table: &Table, policy: &mut ToolPolicy) {
    for key in ["tools", "interrupt-before"] {
        if let Some(entry) = table.entry(key) {
            cx.provenance.note(key, SetBy::File(entry.node.span.clone()));
        }
    }
    for node in table.list("tools") {
        let Some(text) = node.text() else { continue };
        let (tool, function) = split(text);
        let grant = ToolGrant {
            tool: tool.to_owned(),
            function: function.map(str::to_owned),
        };
        if !policy.tools.contains(&grant) {
            cx.provenance
                .note(format!("tools.{text}"), SetBy::File(node.span.clone()));
            policy.tools.push(grant);
        }
    }
    policy.agent = !policy.tools.is_empty();
    for node in table.list("interrupt-before") {
        let Some((tool, function)) = node.text().and_then(|text| text.split_once('.')) else {
            continue;
        };
        if !policy.may_call(tool, function) {
            cx.error(
                codes::INTERRUPT_NOT_GRANTED,
                &node.span,
                format!("`{tool}.{function}` may not be called at all, so nobody can be asked before it"),
                format!("add \"{tool}\" or \"{tool}.{function}\" to `tools`, or leave it out here"),
            );
        }
        let call = (tool.to_owned(), function.to_owned());
        if !policy.interrupt_before.contains(&call) {
            cx.provenance.note(
                format!("interrupt-before.{tool}.{function}"),
                SetBy::File(node.span.clone()),
            );
            policy.interrupt_before.push(call);
        }
    }
}

/// The tool, and the function where one is named.
fn split(text: &str) -> (&str, Option<&str>) {
    match text.split_once('.') {
        Some((tool, function)) => (tool, Some(function)),
        None => (text, None),
    }
}
