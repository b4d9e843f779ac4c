//! `fusebox explain`: what a code means, and what to write instead.

use super::{Context, Failed};
use clap::Args;
use fusebox_manifest::{codes, explain};
use serde_json::json;

/// Which code.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  fusebox explain FB0106\n  fusebox explain")]
pub(super) struct Arguments {
    /// The code, such as FB0106; all are listed without one
    code: Option<String>,
}

/// Runs the command.
///
/// # Errors
/// A code that is none.
pub(super) fn run(arguments: &Arguments, cx: &mut Context<'_>) -> Result<(), Failed> {
    let Some(code) = &arguments.code else {
        if cx.out.json() {
            for page in codes() {
                cx.out.value(&json!({ "code": page.code, "title": page.title() }))?;
            }
            return Ok(());
        }
        for page in codes() {
            cx.out.line(format!("{}  {}", page.code, page.title()))?;
        }
        return Ok(());
    };
    let page = explain(code).ok_or_else(|| {
        Failed::usage(
            format!("`{code}` is no code of Fusebox"),
            "`fusebox explain` lists all codes",
        )
    })?;
    if cx.out.json() {
        return Ok(cx
            .out
            .value(&json!({ "code": page.code, "title": page.title(), "text": page.text }))?);
    }
    Ok(cx.out.text(page.text)?)
}
