//! `fusebox check`: every problem of manifests and presets at once.

use super::policy::shown;
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
    /// Manifests of tools, or their folders
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
    let broken = broken_rules(cx).await?;
    if findings.iter().any(Diagnostic::is_error) {
        return Err(Failed::Findings(findings));
    }
    if cx.out.json() {
        let found: Vec<_> = findings.iter().map(Diagnostic::to_json).collect();
        cx.out
            .value(&json!({ "files": arguments.files.len(), "findings": found }))?;
        return if broken { Err(Failed::Unwell) } else { Ok(()) };
    }
    let text = render(&findings, cx.style);
    cx.stderr.write_all(text.as_bytes())?;
    if broken {
        return Err(Failed::Unwell);
    }
    cx.note(&format!("{} file(s) are right", arguments.files.len()));
    Ok(())
}

/// Names what is broken in the operator's rules, which every call will be asked by.
async fn broken_rules(cx: &mut Context<'_>) -> Result<bool, Failed> {
    let host = cx.wiring.scratch().await?;
    let findings = host.rule_findings(&cx.caller).await?;
    let broken: Vec<_> = findings.into_iter().filter(|found| found.is_error).collect();
    for found in &broken {
        cx.note(&shown(found));
    }
    Ok(!broken.is_empty())
}
