//! `fusebox check`: every problem of manifests and presets at once.

use super::{Context, Failed, manifests};
use clap::Args;
use fusebox_manifest::diagnostic::Diagnostic;
use fusebox_manifest::render::render;
use serde_json::json;
use std::path::PathBuf;

/// What is checked.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  fusebox check search.toml
  fusebox check tools/*.toml --json")]
pub(super) struct Arguments {
    /// Manifests of tools
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// All findings, when one of them is an error.
pub(super) async fn run(arguments: Arguments, cx: &mut Context<'_>) -> Result<(), Failed> {
    let mut findings: Vec<Diagnostic> = Vec::new();
    for loaded in manifests::load(&arguments.files, cx).await? {
        let file = &loaded.source;
        if let Some(lowered) = loaded.lowered.as_ref().filter(|_| !cx.out.json()) {
            for sentence in &lowered.widens {
                cx.note(&format!("note: {file}: {sentence}"));
            }
        }
        findings.extend(loaded.findings);
    }
    if findings.iter().any(Diagnostic::is_error) {
        return Err(Failed::Findings(findings));
    }
    if cx.out.json() {
        let found: Vec<_> = findings.iter().map(Diagnostic::to_json).collect();
        return Ok(cx
            .out
            .value(&json!({ "files": arguments.files.len(), "findings": found }))?);
    }
    let text = render(&findings, cx.style);
    cx.stderr.write_all(text.as_bytes())?;
    cx.note(&format!("{} file(s) are right", arguments.files.len()));
    Ok(())
}
